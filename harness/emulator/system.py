# SPDX-License-Identifier: GPL-2.0-or-later
"""The operating system of a board: what the firmware has received, in a virtual machine, and the record of that."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.emulator import handover, qemu_program, raspi
from harness.emulator.loop import Loop
from harness.emulator.payload import Payload
from harness.emulator.qemu import Qemu
from harness.emulator.serial import SerialLine
from harness.emulator.settings import Settings


class System:
    """One board's. on_end: once for each start, when it has ended by itself, with (how, details) of Qemu.

    folder: where handover.json goes; to be set before start, and `renew` called, for each boot.
    """

    def __init__(
        self,
        loop: Loop,
        settings: Settings,
        serial: SerialLine,
        *,
        log: Callable[[str], None],
        on_end: Callable[[str, str], None],
    ) -> None:
        self._loop, self._settings, self._serial = loop, settings, serial
        self._log, self._on_end = log, on_end
        self._folder: Path | None = None
        self._record: dict[str, Any] | None = None
        self._qemu: Qemu | None = None
        self._heard = False
        self._mac = settings.identity.mac  # the system's

    def renew(self, folder: Path | None) -> None:
        """A boot begins. Raises InfraError without QEMU, ConfigError when it is too old for the machine."""
        if self._settings.machine != "none":
            qemu_program.find(self._settings.machine)
        self._folder, self._record = folder, None

    def start(self, payload: Payload, tap_fd: int) -> str:
        """Gives the board's phase from now on: "qemu", or "handed over" without a machine. Raises HarnessError and OSError."""
        settings = self._settings
        if settings.machine == "none":
            self._note(handover.received(payload, settings.model.soc))
            return "handed over"
        program = qemu_program.find(settings.machine)
        adapted = handover.adapt(payload, settings.machine)
        self._heard = adapted.heard
        files = handover.write_files(payload, settings.artefacts)
        self._mac = mac = settings.identity.mac
        real, memory = raspi.MACHINES.get(settings.machine), settings.memory
        if real is not None:
            cpu, memory = settings.model.cpu, real.memory
            adapted, arguments = self._on_a_pi(payload, files, adapted, program.version)
        else:
            cpu, told = handover.cpu_for(settings.model.cpu, qemu_program.known_cpus(program.path))
            adapted = replace(adapted, changes=(*told, *adapted.changes))
            arguments = handover.arguments(
                files, adapted.cmdline, machine=settings.machine, memory=memory, mac=mac, cpu=cpu
            )
        self._qemu = Qemu(
            self._loop,
            [program.path, *arguments],
            tap_fd,
            settings.artefacts / "qemu.log",
            on_output=self._printed,
            on_end=self._ended,
        )
        self._log(f"handed over to QEMU, pid {self._qemu.pid}")
        record = handover.record(
            payload,
            adapted,
            qemu=program.version,
            machine=settings.machine,
            memory=memory,
            argv=self._qemu.argv,
            cpu=cpu,
            soc=settings.model.soc,
            dtb_used=real is not None,
        ) | {"mac": self._mac.hex(":")}
        self._note(record)
        return "qemu"

    def kill(self) -> None:
        """At once; nothing happens when none runs."""
        if self._qemu is not None:
            self._qemu.kill()
            self._qemu = None

    def typed(self, data: bytes) -> None:
        """Octets for its serial line, if that is the board's."""
        if self._qemu is not None and self._heard:
            self._qemu.type(data)

    def _on_a_pi(
        self, payload: Payload, files: handover.Files, adapted: handover.Adapted, version: str
    ) -> tuple[handover.Adapted, list[str]]:
        """For QEMU's machines that are a Pi: the device tree as they need it, the command line, QEMU's arguments."""
        mac, machine = self._settings.identity.mac, self._settings.machine
        dtb, edits = raspi.adapt_tree(payload.dtb.data, machine)
        used = files.dtb.with_name("dtb.used")
        used.write_bytes(dtb)
        cmdline, more = raspi.cmdline(adapted.cmdline)
        self._mac, told = raspi.usb_mac(mac, version)
        changes = (*edits, *more, *told, *adapted.changes)
        arguments = raspi.arguments(files.kernel, files.initramfs, used, cmdline, machine=machine, mac=mac)
        return replace(adapted, cmdline=cmdline, changes=changes), arguments

    def _note(self, record: dict[str, Any]) -> None:
        """Into the log and the boot's handover.json."""
        for change in record["changes"]:
            self._log(change)
        if self._folder is None:
            return
        if self._record is None:
            self._record = record
        else:
            # The guest has restarted the board within one boot: the first hand-over stays the record's.
            self._record["again"].append(record["t"])
        try:
            handover.write_json(self._folder / "handover.json", self._record)
        except OSError as error:  # the guest runs all the same
            self._log(f"handover.json cannot be written: {error}")

    def _printed(self, data: bytes) -> None:
        if self._heard:
            self._serial.write(data)

    def _ended(self, how: str, details: str) -> None:
        self._qemu = None
        self._log(f"the operating system has ended: {how} {details}".rstrip())
        self._on_end(how, details)
