# SPDX-License-Identifier: GPL-2.0-or-later
"""From what the firmware loaded to a virtual machine: files, command line, QEMU's arguments, and the record of it.

QEMU's `virt` has no VideoCore, no BCM2711 and no mini-UART; whatever that changes is written down, in words.
"""

import hashlib
import json
import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import clock
from harness.emulator.payload import Loaded, Payload
from harness.masking import masked

_CPU = "cortex-a72"
_CONSOLE = "ttyAMA0"


def cpu_for(wanted: str, known: Collection[str]) -> tuple[str, tuple[str, ...]]:
    """The processor for the machine, and what there is to say about it. known: QEMU's; nothing known: as wanted."""
    if not known or wanted in known:
        return wanted, ()
    return _CPU, (f"this QEMU has no {wanted}, the board's processor: it is a {_CPU} instead",)


@dataclass(frozen=True, slots=True)
class Adapted:
    """The command line for the virtual machine; heard: whether its console is the board's header UART."""

    cmdline: str
    changes: tuple[str, ...]
    heard: bool


def adapt(payload: Payload, machine: str = "virt") -> Adapted:
    """Consoles: the header's UART becomes the machine's PL011; other serial ports of the Pi do not exist there."""
    changes = []
    heard = False

    def console(match: re.Match[str]) -> str:
        nonlocal heard
        device, options = match[1], match[2] or ""
        if device == payload.console:
            heard = True
            if device != _CONSOLE:
                changes.append(f"console={device} (the board's UART on the header) became console={_CONSOLE}")
            return f"console={_CONSOLE}{options}"
        if re.match(r"ttyS\d|ttyAMA\d|serial\d", device):
            changes.append(f"{match[0]} was left out: that UART is not wired to the board's header")
            return ""
        return match[0]

    cmdline = re.sub(r"(?<!\S)console=([^\s,]+)(,\S*)?", console, payload.cmdline)
    if re.search(r"(?<!\S)earlycon(=\S*)?(?!\S)", cmdline):
        cmdline = re.sub(r"(?<!\S)earlycon(=\S*)?(?!\S)", "", cmdline)
        changes.append(f"earlycon was left out: the Pi's UART address is not the console of {machine}")
    if payload.cmdline != payload.cmdline_received:
        changes.insert(0, "the firmware replaced console=serial0 by the UART that serial0 stands for")
    if not payload.console:
        changes.append(
            "the kernel's console is not passed on: without enable_uart=1 (or dtoverlay=disable-bt) in config.txt the "
            "header's UART is off on a real board"
        )
    elif not heard:
        changes.append(f"the kernel's console is not passed on: no console={payload.console} on the command line")
    return Adapted(re.sub(r"\s+", " ", cmdline).strip(), tuple(changes), heard)


@dataclass(frozen=True, slots=True)
class Files:
    """Where the received files lie for QEMU."""

    kernel: Path
    initramfs: Path | None
    dtb: Path


def write_files(payload: Payload, folder: Path) -> Files:
    """Writes what was received, as it was received, into folder/received/. Raises OSError (disk full …)."""
    target = folder / "received"
    target.mkdir(parents=True, exist_ok=True)
    # The names are ours: what a server's config.txt calls its files must not reach our file system.
    kernel, initramfs, dtb = target / "kernel", target / "initramfs", target / "dtb"
    kernel.write_bytes(payload.kernel.data)
    dtb.write_bytes(payload.dtb.data)
    initramfs.unlink(missing_ok=True)
    if payload.initramfs is not None:
        initramfs.write_bytes(payload.initramfs.data)
    return Files(kernel, initramfs if payload.initramfs is not None else None, dtb)


def arguments(files: Files, cmdline: str, *, machine: str, memory: int, mac: bytes, cpu: str = _CPU) -> list[str]:
    """QEMU's arguments without its name and without the descriptors that are known only at the start."""
    argv = ["-machine", machine, "-cpu", cpu, "-smp", "1", "-m", str(memory), "-nodefaults"]
    argv += ["-kernel", str(files.kernel)]
    if files.initramfs is not None:
        argv += ["-initrd", str(files.initramfs)]
    argv += ["-append", cmdline]
    # romfile=: the option ROM would only cost time. A comma in a value would need doubling; a MAC has none.
    argv += ["-device", f"virtio-net-pci,netdev=wire,mac={mac.hex(':')},romfile="]
    argv += ["-device", "virtio-rng-pci"]
    return [*argv, "-serial", "stdio", "-display", "none", "-monitor", "none", "-no-reboot"]


def record(
    payload: Payload,
    adapted: Adapted,
    *,
    qemu: str,
    machine: str,
    memory: int,
    argv: Sequence[str],
    cpu: str = _CPU,
    soc: str = "BCM2711",
    dtb_used: bool = False,
) -> dict[str, Any]:
    """What handover.json holds. again: times at which a guest's reboot led to a further hand-over."""
    dtb = _file(payload.dtb)
    dtb |= {"used": dtb_used, "compatible": list(payload.compatible), "ok": payload.dtb_ok}
    told = [
        f"the machine is QEMU's {machine} with a {cpu}, not a {soc}; one processor of four",
        f"the delivered device tree {payload.dtb.path} is checked as a file but not used: {machine} makes its own",
    ]
    if dtb_used:
        card = "a USB network card of QEMU in place of the board's"
        told = [f"the machine is QEMU's {machine}: a {soc}, one processor of four, {card}"]
    changes = [
        *told,
        *adapted.changes,
        *payload.notes,
    ]
    return {
        "qemu": qemu,
        "machine": machine,
        "cpu": cpu,
        "memory_mb": memory,
        "kernel": _file(payload.kernel),
        "initramfs": _file(payload.initramfs) if payload.initramfs else None,
        "dtb": dtb,
        "cmdline_received": masked(payload.cmdline_received),
        "cmdline_used": masked(adapted.cmdline),
        "changes": changes,
        "argv": [masked(word) for word in argv],
        "t": clock.now(),
        "again": [],
    }


def received(payload: Payload, soc: str) -> dict[str, Any]:
    """What handover.json holds when there is no machine to start the kernel in."""
    dtb = _file(payload.dtb) | {"used": False, "compatible": list(payload.compatible), "ok": payload.dtb_ok}
    return {
        "qemu": "",
        "machine": "none",
        "cpu": "",
        "memory_mb": 0,
        "kernel": _file(payload.kernel),
        "initramfs": _file(payload.initramfs) if payload.initramfs else None,
        "dtb": dtb,
        "cmdline_received": masked(payload.cmdline_received),
        "cmdline_used": masked(payload.cmdline),
        "changes": [f"the kernel was received but not started: a {soc} would start it now", *payload.notes],
        "argv": [],
        "t": clock.now(),
        "again": [],
    }


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Whole or not at all. Raises OSError."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def _file(loaded: Loaded) -> dict[str, Any]:
    return {"path": loaded.path, "bytes": len(loaded.data), "sha256": hashlib.sha256(loaded.data).hexdigest()}
