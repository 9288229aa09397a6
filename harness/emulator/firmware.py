# SPDX-License-Identifier: GPL-2.0-or-later
"""start4.elf: config.txt again, initramfs, device tree, overlays, command line, and the kernel last.

Request order: dnsmasq logs L1 (Bookworm tail), L2 (2022), L3 (2021). Lines: FW#1420, FW#1292, linux#3602. That the
kernel is probed before and after the ARM stub is inferred from L1 and L3 together.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from harness.emulator import configtxt, images, ramdisk
from harness.emulator.configtxt import Config
from harness.emulator.effects import Steps
from harness.emulator.files import Asking, FirmwareFiles
from harness.emulator.machine import Machine
from harness.emulator.payload import Loaded, Payload
from harness.emulator.stack import START4

#: From "Starting start4.elf" to its first request (0.15 s on a 3B+, L1).
_START_UP = 0.15
_CMDLINE_LIMIT = 4096
#: Overlays that give the PL011 (ttyAMA0) to the header and take it from Bluetooth.
_PL011_OVERLAYS = {"disable-bt", "miniuart-bt", "pi3-disable-bt", "pi3-miniuart-bt"}
_LED_KERNEL = "LED code 0/7 (kernel or device tree not found)"


@dataclass(frozen=True, slots=True)
class Flavour:
    """What differs between start4.elf and start.elf. stubs: ARM stub's name for 64 and for 32 bits; finds_wide: without
    arm_64bit it looks whether there is a 64-bit kernel; stub_first: the kernel is not asked for before the stub;
    last_words: the line before the kernel runs.
    """

    asking: Asking
    stubs: tuple[str, str]
    finds_wide: bool = False
    stub_first: bool = False
    last_words: str = ""


START4_ELF = Flavour(Asking(), ("armstub8-gic.bin", "armstub8-32-gic.bin"))
#: 2B, 3B, 3B+: the dnsmasq log of a 3B+ (L1), FW#1362 and FW#1605 for 32 bits, FW#1292 for the last line.
START = Flavour(
    Asking(blksize=0, needs_options=True),
    ("armstub8.bin", "armstub8-32.bin"),
    finds_wide=True,
    stub_first=True,
    last_words="arm_loader: Starting ARM with 948MB",
)


@dataclass(slots=True)
class _Stage:
    """What this stage has gathered. system: prefix of kernel, initramfs, device tree and command line (os_prefix)."""

    m: Machine
    flavour: Flavour
    files: FirmwareFiles
    config: Config = field(default_factory=Config)
    system: str = ""
    kernel_name: str = ""


def run(m: Machine, early: Config, flavour: Flavour = START4_ELF) -> Steps[Payload | str]:
    """Loads the operating system; gives what to start, or in words why the board stands still.

    early: config.txt as the EEPROM stage read it; start4.elf reads it again, for itself.
    """
    del early
    yield from m.takes(_START_UP)
    m.stack.use(START4)
    s = _Stage(m, flavour, ramdisk.firmware_files(m, flavour.asking))
    yield from s.files.probe("recovery.elf")
    yield from _read_config(s)
    yield from s.files.probe("dt-blob.bin")
    yield from s.files.probe("recovery.elf")
    yield from _read_config(s)
    yield m.uart.firmware("*** Restart logging")
    yield from s.files.probe("bootcfg.txt")
    yield from _os_prefix(s)
    initramfs = yield from _initramfs(s)
    dtb = yield from _device_tree(s)
    cmdline = yield from _command_line(s)
    kernel = yield from _kernel(s)
    if isinstance(kernel, str):
        return kernel
    if dtb is None:
        return f"no device tree: the kernel cannot start and says nothing; {_LED_KERNEL} on boards that check"
    return (yield from _payload(s, kernel, initramfs, dtb, cmdline))


def _read_config(s: _Stage, say: Callable[[Config], list[str]] | None = None) -> Steps[None]:
    """config.txt and what it includes; an unreadable one leaves the defaults (FW#1012). say: lines about it."""
    text = yield from s.files.load("config.txt", needs_size=True)
    if text is not None and len(text) > configtxt.SIZE_LIMIT:
        s.m.notes.append(
            f"config.txt has {len(text)} bytes; start4.elf ignores more than {configtxt.SIZE_LIMIT} (FW#1012)"
        )
        text = None
    walk = configtxt.Walk(s.m.conditions(), text or b"")
    while walk.wanted:
        walk.feed((yield from s.files.load(walk.wanted)))
    s.config = walk.config
    for line in say(s.config) if say else ():
        yield s.m.uart.firmware(line)


def _os_prefix(s: _Stage) -> Steps[None]:
    """os_prefix holds only if kernel and device tree are both there under it (documentation)."""
    wanted = s.config.text("os_prefix")
    if not wanted:
        return
    kernel = s.config.text("kernel") or _candidates(s)[0]
    for name in (kernel, _dtb_name(s)):
        if name and (yield from s.files.probe(wanted + name)) is None:
            yield s.m.uart.firmware(f"os_prefix '{wanted}' ignored")
            return
    s.system = wanted


def _candidates(s: _Stage) -> tuple[str, ...]:
    wide = s.config.flag("arm_64bit", default=True)
    return tuple(name for name in s.m.model.kernels if wide or name != "kernel8.img")


def _wide(s: _Stage) -> bool:
    """Whether the kernel that was chosen is started in 64-bit mode."""
    if s.flavour.finds_wide and "arm_64bit" not in s.config.values:
        return s.kernel_name == "kernel8.img"
    narrow = ("kernel7l.img", "kernel7.img", "kernel.img")
    return s.config.flag("arm_64bit", default=True) and s.kernel_name not in narrow


def _find_narrow(s: _Stage) -> Steps[None]:
    """The kernel of a 2B or 3B without arm_64bit=1 (FW#1605, FW#1362): kernel8.img, if there is one, then kernel7.img.

    That arm_64bit=0 passes over a kernel8.img that is there is inferred.
    """
    for name in ("recovery7.img", "recovery.img"):
        yield from s.files.probe(s.system + name)
    for name in ("kernel8-32.img", "kernel8.img", "kernel7.img", "kernel.img"):
        there = (yield from s.files.probe(s.system + name)) is not None
        if there and not (name == "kernel8.img" and "arm_64bit" in s.config.values):
            s.kernel_name = name
            return


def _dtb_name(s: _Stage) -> str:
    return s.config.text("device_tree", s.m.model.dtb)


def _find_kernel(s: _Stage, *, twice: bool = False) -> Steps[None]:
    """Sets the kernel's name: kernel= as it is, else the first of the usual names that is there."""
    if s.kernel_name:
        return
    named = s.config.text("kernel")
    if named:
        s.kernel_name = named
        return
    if s.flavour.finds_wide and not s.config.flag("arm_64bit"):
        yield from _find_narrow(s)
        return
    for name in _candidates(s):
        yield from s.files.probe(s.system + name.replace("kernel", "recovery"))
        if (yield from s.files.probe(s.system + name)) is not None:
            if twice:
                yield from s.files.probe(s.system + name)
            s.kernel_name = name
            return


def _initramfs(s: _Stage) -> Steps[Loaded | None]:
    """initramfs= or ramfsfile=, several files one after the other; or the kernel's companion by auto_initramfs=1."""
    m = s.m
    names = s.config.initramfs_names
    derived = not names
    if derived and s.config.flag("auto_initramfs"):
        yield from _find_kernel(s, twice=True)
        match = re.fullmatch(r"kernel(.*)\.img", s.kernel_name)
        if match:
            names = (f"initramfs{match[1]}",)
    parts = []
    for name in names:
        path = s.system + name
        data = yield from s.files.load(path, probes=3, note=f"Loading '{path}' to 0x0 size {{size}}")
        if data is None:
            yield m.uart.firmware(
                f"No matching initramfs found (expected {path}) - auto_initramfs disabled"
                if derived
                else f"Failed to load '{path}' - initramfs disabled"
            )
            m.notes.append(f"initramfs {path} was not on the server: the kernel starts without it")
            return None
        parts.append(data)
    if not parts:
        return None
    whole = b"".join(parts)
    top = 0x2F000000 - ((len(whole) + 0xFFF) & ~0xFFF)
    yield m.uart.firmware(f"initramfs loaded to 0x{max(top, 0):x} (size 0x{len(whole):x})")
    return Loaded(m.prefix + s.system + names[0], whole)


def _device_tree(s: _Stage) -> Steps[Loaded | None]:
    m, name = s.m, _dtb_name(s)
    if not name:
        return None
    path = s.system + name
    yield m.uart.firmware(f"dtb_file '{path}'")
    data = yield from s.files.load(path, note=f"Loading '{path}' to 0x100 size {{size}}")
    if data is None:
        yield m.uart.firmware(f"dterror: Failed to load Device Tree file '{path}'")
    folder = s.system
    if folder and (yield from s.files.probe(f"{folder}{_overlay_folder(s)}README")) is None:
        folder = ""
    yield from s.files.load(f"{folder}{_overlay_folder(s)}overlay_map.dtb")
    yield from _read_config(s, lambda config: [f"dtparam: {value}" for value in config.dtparams])
    for overlay, _parameters in s.config.overlays:
        if (yield from s.files.load(f"{folder}{_overlay_folder(s)}{overlay}.dtbo")) is None:
            yield m.uart.firmware(f"Failed to load overlay '{overlay}'")
        else:
            yield m.uart.firmware(f"Loaded overlay '{overlay}'")
    return None if data is None else Loaded(m.prefix + path, data)


def _overlay_folder(s: _Stage) -> str:
    return s.config.text("overlay_prefix", "overlays/")


def _command_line(s: _Stage) -> Steps[str]:
    """The first line of cmdline.txt, "" when there is none."""
    m = s.m
    path = s.system + (s.config.text("cmdline") or "cmdline.txt")
    data = yield from s.files.load(path)
    if data is None:
        yield m.uart.firmware(f"Failed to open command line file '{path}'")
        return ""
    line = re.split(rb"[\r\n\0]", data[:_CMDLINE_LIMIT], maxsplit=1)[0].decode("utf-8", "replace").strip()
    yield m.uart.firmware(f"Read command line from file '{path}':")
    yield m.uart.firmware(f"'{line}'")
    return line


def _kernel(s: _Stage) -> Steps[Loaded | str]:
    m = s.m
    yield from _find_kernel(s)
    path = s.system + s.kernel_name
    there = s.kernel_name and (s.flavour.stub_first or (yield from s.files.probe(path)) is not None)
    stub = s.config.text("armstub") or s.flavour.stubs[0 if _wide(s) else 1]
    if (yield from s.files.load(stub)) is not None:
        m.notes.append(f"{stub} was delivered; the virtual machine starts the kernel without it")
    address = "0x200000" if _wide(s) else "0x8000"
    data = (yield from s.files.load(path, note=f"Loading '{path}' to {address} size {{size}}")) if there else None
    if not data:
        wanted = path or ", ".join(_candidates(s))
        yield m.uart.firmware(f"Failed to load kernel '{wanted}'" if path else "No compatible kernel found")
        return f"no kernel ({wanted}) on the server; {_LED_KERNEL}"
    kind = images.kernel_kind(data)
    if kind == "gzip" and not images.gzip_whole(data):
        yield m.uart.firmware("kernel GZIP decompression failed - error -3")
        return f"the kernel {path} is a broken gzip file; {_LED_KERNEL}"
    if kind == "raw":
        m.notes.append(f"{path} is no arm64 Image: it is started as it is, as the firmware does")
    return Loaded(m.prefix + path, data)


def _payload(s: _Stage, kernel: Loaded, initramfs: Loaded | None, dtb: Loaded, received: str) -> Steps[Payload | str]:
    m, uart = s.m, s.m.uart
    compatible = images.dtb_compatible(dtb.data)
    if compatible is None:
        yield uart.firmware("dterror: not a valid FDT - err -9")
        return f"{dtb.path} is no whole device tree: the kernel cannot start; {_LED_KERNEL} on boards that check"
    # A 2B has no Bluetooth that would take the PL011 from the header.
    pl011 = m.model.name == "pi2b" or any(name in _PL011_OVERLAYS for name, _parameters in s.config.overlays)
    # The mini-UART's clock is fixed only with enable_uart=1; without it ttyS0 is off (documentation, UARTs).
    console = "ttyAMA0" if pl011 else "ttyS0" if s.config.flag("enable_uart") else ""
    alias = "ttyAMA0" if pl011 else "ttyS0"
    cmdline = re.sub(r"(?<=console=)serial0(?=[,\s]|$)", alias, received)
    yield uart.firmware(f"Device tree loaded to 0x2eff3300 (size 0x{len(dtb.data):x})")
    yield uart.firmware("uart: Set PL011 baud rate to 103448.300000 Hz")
    yield uart.firmware("uart: Baud rate change done...")
    yield uart.firmware("uart: Baud rate change done...")
    if s.flavour.last_words:
        yield uart.firmware(s.flavour.last_words)
    return Payload(
        kernel=kernel,
        initramfs=initramfs,
        dtb=dtb,
        compatible=compatible,
        dtb_ok=m.model.compatible in compatible,
        cmdline_received=received,
        cmdline=cmdline,
        console=console,
        notes=tuple(m.notes),
    )
