# SPDX-License-Identifier: GPL-2.0-or-later
"""Files out of boot.img, in the place of those that come by TFTP: the same questions, without a wire."""

from harness.emulator import fatdisk
from harness.emulator.effects import Steps
from harness.emulator.files import Asking, BootloaderFiles, FirmwareFiles, Found
from harness.emulator.machine import Machine


class DiskFiles(BootloaderFiles):
    """The EEPROM stage reads a RAM disk."""

    def _fetch(self, path: str, *, probe: bool) -> Steps[Found | None]:
        found = _read(self._m, path)
        if found is None:
            yield self.say(f"{path} not found")
            return None
        return Found(b"" if probe else found, len(found), oack=True)


class DiskFirmwareFiles(FirmwareFiles):
    """start4.elf reads a RAM disk."""

    def probe(self, name: str) -> Steps[Found | None]:
        yield from ()
        found = _read(self._m, name)
        return None if found is None else Found(b"", len(found), oack=True)

    def get(self, name: str, *, needs_size: bool = False) -> Steps[bytes | None]:
        del needs_size  # a disk always knows
        found = _read(self._m, name)
        yield self._m.uart.firmware(f"brfs: File read: {-2 if found is None else len(found)} bytes")
        return found


def enter(m: Machine, files: BootloaderFiles) -> Steps[bool]:
    """boot_ramdisk=1 in config.txt: boot.img is fetched, and all later files come out of it (documentation, boot_ramdisk).

    The old files' prefix holds no more. False when there is no such image: the boot mode has failed (inferred).
    """
    found = yield from files.get(f"{m.prefix}boot.img")
    m.ramdisk = fatdisk.open_disk(found.data) if found else None
    if found and m.ramdisk is None:
        yield m.uart.line("Partition is not FAT")
    if m.ramdisk is None:
        return False
    m.prefix = ""
    m.notes.append("all later files came out of boot.img (boot_ramdisk=1); its signature was not asked for")
    return True


def _read(m: Machine, path: str) -> bytes | None:
    return m.ramdisk.read(path) if m.ramdisk is not None else None


def bootloader_files(m: Machine) -> BootloaderFiles:
    """From boot.img once that is loaded, else from the TFTP server."""
    return BootloaderFiles(m) if m.ramdisk is None else DiskFiles(m)


def firmware_files(m: Machine, asking: Asking) -> FirmwareFiles:
    """The same for start4.elf."""
    return FirmwareFiles(m, asking) if m.ramdisk is None else DiskFirmwareFiles(m, asking)
