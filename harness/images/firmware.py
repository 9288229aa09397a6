# SPDX-License-Identifier: GPL-2.0-or-later
"""The Raspberry Pi's boot partition from Debian's packages: firmware, kernel and DTBs under the names that a Pi asks for.

Debian's kernel names the device trees of the BCM2837 boards bcm2837-*, the firmware asks for the downstream names
bcm2710-* (Raspberry Pi documentation, "device_tree"). Debian 12 has no DTB for the Pi 5 and ships no overlays at all;
the one overlay that a netboot with a serial console needs, disable-bt, is made in overlays.py.
"""

import shutil
from pathlib import Path

from harness.errors import InfraError
from harness.images.overlays import disable_bt

# Debian's name → the name that start.elf/start4.elf asks for.
DTBS = {
    "bcm2711-rpi-4-b.dtb": "bcm2711-rpi-4-b.dtb",
    "bcm2711-rpi-400.dtb": "bcm2711-rpi-400.dtb",
    "bcm2711-rpi-cm4-io.dtb": "bcm2711-rpi-cm4.dtb",
    "bcm2712-rpi-5-b.dtb": "bcm2712-rpi-5-b.dtb",  # from Debian 13 on
    "bcm2837-rpi-3-b-plus.dtb": "bcm2710-rpi-3-b-plus.dtb",
    "bcm2837-rpi-3-b.dtb": "bcm2710-rpi-3-b.dtb",
    "bcm2837-rpi-cm3-io3.dtb": "bcm2710-rpi-cm3.dtb",
    "bcm2837-rpi-zero-2-w.dtb": "bcm2710-rpi-zero-2-w.dtb",
}
REQUIRED = ("start4.elf", "fixup4.dat", "start.elf", "fixup.dat", "bootcode.bin", "bcm2711-rpi-4-b.dtb")


def make_boot(firmware: Path, kernel: Path, boot: Path) -> str:
    """Lays out `boot` from the unpacked raspi-firmware and linux-image packages; gives the kernel's release.

    The initramfs (initramfs8) is put there by whoever made it; config.txt and cmdline.txt belong to the lab.
    """
    boot.mkdir(parents=True)
    (boot / "overlays").mkdir()
    for path in sorted((firmware / "usr/lib/raspi-firmware").glob("*")):
        if path.suffix in (".elf", ".dat", ".bin"):
            shutil.copyfile(path, boot / path.name)
    images = sorted((kernel / "boot").glob("vmlinuz-*"))
    if len(images) != 1:
        raise InfraError(
            f"Debian's kernel package holds {len(images)} kernels, one was expected", place=str(kernel / "boot")
        )
    release = images[0].name.removeprefix("vmlinuz-")
    shutil.copyfile(images[0], boot / "kernel8.img")
    for path in sorted(kernel.glob("usr/lib/linux-image-*/broadcom/*.dtb")):
        if path.name in DTBS:
            shutil.copyfile(path, boot / DTBS[path.name])
    (boot / "overlays/disable-bt.dtbo").write_bytes(disable_bt())
    absent = [name for name in REQUIRED if not (boot / name).exists()]
    if absent:
        raise InfraError(f"Debian's packages did not bring {', '.join(absent)}", place=str(boot))
    for path in boot.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return release
