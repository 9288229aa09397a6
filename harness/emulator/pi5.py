# SPDX-License-Identifier: GPL-2.0-or-later
"""BCM2712: the bootloader in the EEPROM loads the operating system itself; there is no start4.elf.

Request order: the TFTP logs of a Pi 5 with a bare-metal payload and of one with a Raspberry Pi OS tree (both given in
tests/emulator/test_pi5.py). Lines: the UART log of rtems-docs, EE#720, strings of released images. Inferred: a file
that goes through the config layer (config.txt again, its includes, overlays, cmdline.txt) is asked with two slashes
after the prefix; device tree and initramfs are not probed; overlay stage and later lines carry MESS stamps.
"""

import re
from dataclasses import dataclass, field

from harness.emulator import configtxt, images, netboot, ramdisk
from harness.emulator.configtxt import Config
from harness.emulator.effects import Steps
from harness.emulator.files import BootloaderFiles
from harness.emulator.machine import Machine
from harness.emulator.payload import Loaded, Payload

_WANTED = "brcm,bcm2712"
_CONSOLE = "ttyAMA10"
_CMDLINE_LIMIT = 4096
_FAILED = "BOOT ERROR: code 7 - 'Kernel or device-tree not found or is not compatible'"
_NOT_FOR_THIS = (
    "The installed operating system (OS) does not indicate support for Raspberry Pi 5",
    "Update the OS or set os_check=0 in config.txt to skip this check.",
)
#: Tried since 2025-06-09.
_REAL_TIME = "kernel8_rt.img"


@dataclass(slots=True)
class _Stage:
    """What has been gathered. system: os_prefix of kernel, initramfs, device tree and command line."""

    m: Machine
    files: BootloaderFiles
    config: Config = field(default_factory=Config)
    system: str = ""
    kernel: str = ""

    def path(self, name: str) -> str:
        """A file that is opened directly."""
        return self.m.prefix + name

    def layered(self, name: str) -> str:
        """A file that is opened through the config layer: two slashes below a prefix."""
        return f"{self.m.prefix}/{name}" if self.m.prefix else name


def load(m: Machine) -> Steps[Payload | str | None]:
    """From config.txt to the kernel; in words why the board stands still; None when the boot mode has failed."""
    s = _Stage(m, ramdisk.bootloader_files(m))
    first = yield from _find_prefix(s)
    early = configtxt.Walk(m.conditions(), first or b"", includes=False).config
    m.uart.second_stage = early.flag("uart_2ndstage", default=m.release.loud)
    if early.flag("boot_ramdisk") and m.ramdisk is None:
        return (yield from load(m)) if (yield from ramdisk.enter(m, s.files)) else None
    if (yield from s.files.get(s.path("pieeprom.sig"))) is not None:
        m.notes.append("pieeprom.sig is on the server; the self-update that it may start is not emulated")
    s.files.hangs = m.release.hangs
    yield from _read_config(s)
    if s.config.flag("os_check", default=True) and not (yield from _os_check(s)):
        return None
    yield m.uart.firmware("*** Restart logging")
    s.files.say = m.uart.firmware
    yield from _read_config(s)
    yield from _os_prefix(s)
    if not (yield from _find_kernel(s)):
        yield m.uart.firmware("No compatible kernel found")
        yield m.uart.line(_FAILED)
        return None
    initramfs = yield from _initramfs(s)
    dtb = yield from _device_tree(s)
    cmdline = yield from _command_line(s)
    return (yield from _start(s, initramfs, dtb, cmdline))


def has_d0_silicon(model: str, revision: int) -> bool:
    """Stepping D0 needs the overlay bcm2712d0. I: boards of revision 1.1 have it, the 2 GB ones among them."""
    return model == "pi5" and revision & 0xF >= 1


def _find_prefix(s: _Stage) -> Steps[bytes | None]:
    """The prefix holds only if config.txt is there below it (documentation)."""
    s.m.prefix = netboot.prefix(s.m)
    found = yield from s.files.get(s.path("config.txt"))
    if found is None and s.m.prefix:
        s.m.prefix = ""
        found = yield from s.files.get("config.txt")
    return found.data if found else None


def _read_config(s: _Stage) -> Steps[None]:
    found = yield from s.files.get(s.layered("config.txt"))
    walk = configtxt.Walk(s.m.conditions(), found.data if found else b"")
    while walk.wanted:
        part = yield from s.files.get(s.layered(walk.wanted))
        walk.feed(part.data if part else None)
    s.config = walk.config


def _dtb_name(s: _Stage) -> str:
    return s.config.text("device_tree", s.m.model.dtb)


def _os_check(s: _Stage) -> Steps[bool]:
    """The device tree must be there and must be one for this SoC."""
    uart, name = s.m.uart, s.m.model.dtb
    found = yield from s.files.get(s.path(s.config.text("os_prefix") + name))
    if found is None and s.config.text("os_prefix"):
        found = yield from s.files.get(s.path(name))
    compatible = images.dtb_compatible(found.data) if found else ()
    for text in compatible or ():
        yield uart.line(f"dt-match: compatible: {text} match: {_WANTED}")
    if _WANTED in (compatible or ()):
        return True
    if found is None:
        yield uart.line(f'Device-tree file "{s.m.prefix}{name}" not found.')
    for line in (*_NOT_FOR_THIS, _FAILED):
        yield uart.line(line)
    return False


def _os_prefix(s: _Stage) -> Steps[None]:
    """os_prefix holds only if kernel and device tree are both there under it (documentation)."""
    wanted = s.config.text("os_prefix")
    if not wanted:
        return
    for name in (s.config.text("kernel") or s.m.model.kernels[0], _dtb_name(s)):
        if name and (yield from s.files.probe(s.path(wanted + name))) is None:
            yield s.m.uart.firmware(f"os_prefix '{wanted}' ignored")
            return
    s.system = wanted


def _find_kernel(s: _Stage) -> Steps[bool]:
    """kernel= as it is, else the first of the usual names that is there."""
    uart, named = s.m.uart, s.config.text("kernel")
    candidates = s.m.model.kernels if s.m.release.real_time else [n for n in s.m.model.kernels if n != _REAL_TIME]
    for name in [named] if named else candidates:
        path = s.system + name
        yield uart.firmware(f"fs_open: '{path}'")
        if (yield from s.files.probe(s.path(path))) is not None:
            s.kernel = name
            return True
        yield uart.firmware(f"kernel file {path} does not exist" if named else f'BMD "{path}" not found')
    return False


def _initramfs(s: _Stage) -> Steps[Loaded | None]:
    """initramfs= or ramfsfile=, several files one after the other; or the kernel's companion by auto_initramfs=1."""
    uart, names = s.m.uart, s.config.initramfs_names
    match = re.fullmatch(r"kernel(.*)\.img", s.kernel)
    derived = not names
    if derived and match and s.config.flag("auto_initramfs"):
        names = (f"initramfs{match[1]}",)
    parts = []
    for name in names:
        path = s.system + name
        found = yield from s.files.get(s.path(path))
        if found is None:
            yield uart.firmware(
                f"No matching initramfs found (expected {path}) - auto_initramfs disabled"
                if derived
                else f"Failed to load '{path}' - initramfs disabled"
            )
            s.m.notes.append(f"initramfs {path} was not on the server: the kernel starts without it")
            return None
        yield uart.firmware(f"Loading '{path}' to 0x00000000 offset 0x0")
        parts.append(found.data)
    if not parts:
        return None
    whole = b"".join(parts)
    top = max(0x2F000000 - ((len(whole) + 0xFFF) & ~0xFFF), 0)
    yield uart.firmware(f"initramfs ({names[0]}) loaded to 0x{top:x} (size 0x{len(whole):x})")
    return Loaded(s.path(s.system + names[0]), whole)


def _device_tree(s: _Stage) -> Steps[Loaded | None]:
    m, uart, path = s.m, s.m.uart, s.system + _dtb_name(s)
    yield uart.firmware(f"dtb_file '{path}'")
    found = yield from s.files.get(s.path(path))
    if found is None:
        yield uart.firmware(f'Device-tree file "{m.prefix}{path}" not found.')
        return None
    yield uart.firmware(f"Loading '{path}' to 0x00000000 offset 0x100")
    folder = s.config.text("overlay_prefix", "overlays/")
    if s.system and (yield from s.files.get(s.layered(f"{s.system}{folder}README"))) is not None:
        folder = s.system + folder
    overlays = [name for name, _parameters in s.config.overlays]
    if has_d0_silicon(m.model.name, m.identity.revision):
        overlays.insert(0, "bcm2712d0")
    if overlays or m.release.maps:
        yield from s.files.get(s.layered(f"{folder}overlay_map.dtb"))
    for value in s.config.dtparams:
        yield uart.firmware(f"dtparam: {value}")
    for overlay in overlays:
        there = (yield from s.files.get(s.layered(f"{folder}{overlay}.dtbo"))) is not None
        yield uart.firmware(f"Loaded overlay '{overlay}'" if there else f"Failed to load overlay '{overlay}'")
    return Loaded(s.path(path), found.data)


def _command_line(s: _Stage) -> Steps[str]:
    """The first line of cmdline.txt, "" when there is none."""
    path = s.system + (s.config.text("cmdline") or "cmdline.txt")
    found = yield from s.files.get(s.layered(path))
    if found is None:
        yield s.m.uart.firmware(f"Failed to open command line file '{path}'")
        return ""
    line = re.split(rb"[\r\n\0]", found.data[:_CMDLINE_LIMIT], maxsplit=1)[0].decode("utf-8", "replace").strip()
    yield s.m.uart.firmware(f"Read command line from file '{path}':")
    yield s.m.uart.firmware(f"'{line}'")
    return line


def _start(s: _Stage, initramfs: Loaded | None, dtb: Loaded | None, received: str) -> Steps[Payload | str | None]:
    m, uart = s.m, s.m.uart
    stub = s.config.text("armstub") or "armstub8-2712.bin"
    built_in = (yield from s.files.get(s.path(stub))) is None
    if not built_in:
        m.notes.append(f"{stub} was delivered; the virtual machine starts the kernel without it")
    path = s.system + s.kernel
    yield uart.firmware(f"Loading '{path}' to 0x00000000 offset 0x200000")
    found = yield from s.files.get(s.path(path))
    fault = _kernel_fault(found.data if found else b"")
    if found is None or fault:
        yield uart.firmware(fault or f"kernel file {path} does not exist")
        yield uart.line(_FAILED)
        return None
    if images.kernel_kind(found.data) == "raw":
        m.notes.append(f"{path} is no arm64 Image: it is started as it is, as the bootloader does")
    compatible = images.dtb_compatible(dtb.data) if dtb else ()
    if compatible is None:
        yield uart.firmware("dterror: not a valid FDT - err -9")
    yield uart.firmware("Kernel relocated to 0x80000")
    if dtb:
        yield uart.firmware(f"Device tree loaded to 0x2efec600 (size 0x{len(dtb.data):x})")
    for line in ("PCI1 reset", "PCI2 reset", "set_reboot_order 0", f"Starting OS {round(m.seconds() * 1000)} ms"):
        yield uart.firmware(line)
    if built_in:
        yield uart.bare("NOTICE:  BL31: v2.6(release):v2.6-240-gfc45bc492")
    if dtb is None or compatible is None:
        return "the kernel was started without a device tree: Linux cannot run and says nothing"
    return Payload(
        kernel=Loaded(s.path(path), found.data),
        initramfs=initramfs,
        dtb=dtb,
        compatible=compatible,
        dtb_ok=m.model.compatible in compatible,
        cmdline_received=received,
        cmdline=re.sub(r"(?<=console=)serial0(?=[,\s]|$)", _CONSOLE, received),
        console=_CONSOLE,
        notes=tuple(m.notes),
    )


def _kernel_fault(data: bytes) -> str:
    if not data:
        return "No compatible kernel found"
    if images.kernel_kind(data) == "gzip" and not images.gzip_whole(data):
        return "kernel GZIP decompression failed - error -3"
    return ""
