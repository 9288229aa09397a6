# SPDX-License-Identifier: GPL-2.0-or-later
"""One emulated board on any wire: its emulator, its console, a capture, and the watch until its kernel would be started."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from harness.board.watch import Blind, Viewer, Watch, stopped_by
from harness.boot.expect import Expectation
from harness.console.lines import Line
from harness.console.log import ConsoleLog
from harness.emulator import settings
from harness.emulator.interface import Interface
from harness.emulator.qemu import die_with_parent
from harness.errors import BootFailure, ConfigError, HarnessBug, HarnessError, InfraError
from harness.models import MODELS
from harness.power.journal import JournaledPort, PowerJournal
from harness.power.virtual import VirtualPort
from harness.result import Boot
from harness.run import Run, write_json
from harness.run.replay import replay
from harness.wire.capture import Capture
from harness.wire.filters import boot_filter

#: Seconds until the emulator must be ready.
_READY = 20.0
#: Seconds for the capture to show the last file's end, once the board says that it has it.
_CATCH_UP = 5.0
_ASK_EVERY = 0.1
#: Vendor parts of real boards' MAC addresses: up to the 3B+, of the 4's family, of the 5's.
_VENDOR = {"BCM2837": "b8:27:eb", "BCM2711": "dc:a6:32", "BCM2712": "88:a2:9e"}


@dataclass(frozen=True)
class Pi:
    """The board to be. serial_number, mac, revision, bootloader: "" for the usual ones; eeprom: as in bootconf.txt."""

    model: str
    interface: str
    serial_number: str = ""
    mac: str = ""
    revision: str = ""
    eeprom: Mapping[str, str] = field(default_factory=dict)
    bootloader: str = ""
    speed: float = 1.0

    def entry(self) -> dict[str, Any]:
        """What the emulator is told of it. Raises ConfigError for a value that cannot be, naming the option's place."""
        if self.model not in MODELS:
            raise ConfigError(
                f"there is no model {self.model!r}", place="--model", remedy=f"choose of: {', '.join(MODELS)}"
            )
        model = MODELS[self.model]
        if self.eeprom and model.bootloader == "rom":
            raise ConfigError(f"a {self.model} has no EEPROM", place="--eeprom", remedy="leave --eeprom out")
        serial = self.serial_number.lower() or "1000beef"
        tail = ":".join(serial[at : at + 2] for at in (2, 4, 6))
        entry = {
            "name": self.model,
            "model": self.model,
            "serial_number": serial,
            "mac": self.mac.lower() or f"{_VENDOR[model.soc]}:{tail}",
            "revision": self.revision,
            "tap": self.interface,
            "wire": "interface",
            "machine": "none",
            "speed": self.speed,
            "eeprom": dict(self.eeprom),
            "bootloader": self.bootloader,
        }
        paths = dict.fromkeys(("control", "status", "artefacts", "log"), "/-")
        try:
            board = settings.board(entry | paths)
        except ConfigError as error:
            raise ConfigError(error.what, place="command line", remedy="see docs/emulate.md") from None
        if self.mac and model.bootloader == "rom" and board.identity.mac[3:] != bytes.fromhex(serial)[1:]:
            raise ConfigError(
                f"{self.mac} is not the MAC address of a {self.model} with the serial number {serial}",
                place="--mac",
                remedy=f"leave --mac out: it is {_VENDOR[model.soc]}:{tail}",
            )
        return entry | {"mac": board.identity.mac.hex(":")}


@dataclass
class Session:
    """on_line: every line of the UART, cleaned of control characters. timeout: seconds from power-on, None for no limit."""

    run: Run
    on_line: Callable[[str], None] = lambda _text: None
    timeout: float | None = None
    viewer: Viewer = field(default_factory=Blind)

    def boot(self, pi: Pi) -> Boot:
        """Be that board until its kernel would be started, it gives up, or the time is over; never raises for these.

        Raises ConfigError and InfraError before power-on; KeyboardInterrupt passes through, with the record written.
        """
        entry = pi.entry()
        card = Interface(pi.interface, bytes.fromhex(entry["mac"].replace(":", "")))
        card.open()  # here, so that its error is told before anything has begun
        card.close()
        if not card.running():
            raise InfraError(
                f"{pi.interface} is down, or no cable is plugged in", remedy=f"ip link set {pi.interface} up"
            )
        folder = self.run.boot_folder(pi.model)
        expectation = Expectation(
            board=pi.model,
            model=pi.model,
            serial_number=entry["serial_number"],
            mac=entry["mac"],
            emulated=True,
            speed=pi.speed,
            until="firmware",
            budgets=dict(MODELS[pi.model].budgets),
        )
        write_json(folder / "expect.json", expectation.model_dump_json(indent=2))
        pulse = _Pulse(self.timeout)
        watch = Watch(expectation, folder, self.viewer, pulse)
        error: BaseException | None = None
        try:
            with _emulator(entry, folder) as (port, console, process):
                pulse.follow(watch, port, process)
                self._follow(watch, pulse, folder, pi.interface, (port, console))
        except BaseException as caught:
            error = caught
            watch.ended(*_reason(error, watch))
        record = replay(folder)
        write_json(folder / "record.json", record.model_dump_json(indent=2))
        if error is not None and not isinstance(error, HarnessError):
            if isinstance(error, KeyboardInterrupt):
                raise error
            raise HarnessBug(f"{type(error).__name__}: {error}", place=str(folder)) from error
        return Boot(record, folder, error if isinstance(error, HarnessError) else None)

    def _follow(
        self, watch: Watch, pulse: "_Pulse", folder: Path, interface: str, board: tuple[VirtualPort, str]
    ) -> None:
        port, console = board
        port.folder = folder
        power = JournaledPort(port, PowerJournal(folder, watch.emit))
        mac = watch.tracker.expectation.mac
        with ExitStack() as stack:
            log = ConsoleLog(
                console, folder, on_event=watch.emit, on_line=self._line, on_error=watch.fail, reconnect_for=0.0
            )
            stack.enter_context(log)
            path = folder / "capture.pcapng"
            seen = Capture(
                interface, path, macs={mac}, on_event=watch.emit, on_error=watch.fail, filter_text=boot_filter(mac)
            )
            stack.enter_context(seen)
            stack.callback(power.off)
            pulse.begin()
            power.on()
            watch.until("firmware")
            watch.drain()
            watch.ended("until")

    def _line(self, line: Line) -> None:
        self.on_line(line.text)


class _Pulse:
    """Asks the emulator how far it is, and ends the watch when there is nothing more to come."""

    def __init__(self, timeout: float | None) -> None:
        self._timeout = timeout
        self._begun = self._next = self._over = 0.0

    def follow(self, watch: Watch, port: VirtualPort, process: "subprocess.Popen[bytes]") -> None:
        self._watch, self._port, self._process = watch, port, process

    def begin(self) -> None:
        self._begun = time.monotonic()

    def __call__(self) -> None:
        now = time.monotonic()
        if self._timeout is not None and now >= self._begun + self._timeout:
            raise BootFailure(f"not at its kernel within the {self._timeout:g} s of --timeout")
        if now < self._next:
            return
        self._next = now + _ASK_EVERY
        if self._process.poll() is not None:
            raise InfraError(f"the emulator ended with code {self._process.returncode}", remedy="see emulator.log")
        status = self._port.status()
        if status.get("error"):
            raise InfraError(str(status["error"]), remedy=str(status.get("remedy", "")))
        phase = status.get("phase")
        if phase not in ("handed over", "halted"):
            self._over = 0.0
            return
        self._over = self._over or now
        if phase == "handed over":
            # The capture runs some milliseconds behind the board: until it shows the kernel whole, nothing is closed.
            self._watch.tracker.close()
            if now > self._over + _CATCH_UP:
                raise InfraError(
                    "the board has its kernel, but the capture does not show it",
                    remedy="see whether packets were dropped",
                )
        elif now > self._over + 1.0:
            raise BootFailure("the board has given up, and stands still")


@contextlib.contextmanager
def _emulator(entry: Mapping[str, Any], folder: Path) -> Iterator[tuple[VirtualPort, str, "subprocess.Popen[bytes]"]]:
    """Its power port, the pty of its serial line, and its process, which ends with this."""
    log = folder / "emulator.log"
    with TemporaryDirectory(prefix="piboot-") as scratch:  # a socket's path must be short
        places = {"control": f"{scratch}/power", "status": f"{scratch}/status.json"}
        places |= {"artefacts": str(folder.absolute()), "log": str(log.absolute())}
        config = folder / "emulator.json"
        config.write_text(json.dumps({"boards": [{**entry, **places}]}, indent=2) + "\n", encoding="utf-8")
        with log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-P", "-u", "-m", "harness.emulator", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # Ctrl-C is for us, who then end it in order; a kill -9 of us ends it all the same.
                start_new_session=True,
                preexec_fn=die_with_parent(os.getpid()),  # noqa: PLW1509
            )
        try:
            status = _ready(Path(places["status"]), process, log)
            yield VirtualPort(Path(places["control"]), board=str(entry["name"])), status["console"], process
        finally:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _ready(path: Path, process: "subprocess.Popen[bytes]", log: Path) -> dict[str, Any]:
    deadline = time.monotonic() + _READY
    found: dict[str, Any] = {}
    while found.get("state") != "ready":
        if process.poll() is not None or time.monotonic() > deadline:
            raise InfraError(f"the emulator was not ready within {_READY:g} s, or ended", place=str(log))
        time.sleep(0.02)
        with contextlib.suppress(OSError, ValueError):
            found = json.loads(path.read_text(encoding="utf-8"))
    return found


def _reason(error: BaseException, watch: Watch) -> tuple[str, str, str]:
    reason, detail, remedy = stopped_by(error)
    return ("fatal" if isinstance(error, BootFailure) and watch.tracker.lost else reason), detail, remedy
