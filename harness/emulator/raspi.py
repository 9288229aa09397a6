# SPDX-License-Identifier: GPL-2.0-or-later
"""QEMU's own Pi 3B as the virtual machine: it takes the delivered device tree, with what it lacks left out.

Debian's device tree gives the PL011 to Bluetooth, as the board does. QEMU has no Bluetooth; without that node the PL011 is
the kernel's ttyAMA0 (what dtoverlay=disable-bt does). The board's USB Ethernet is not emulated: a USB card of QEMU's
stands for it, on the same DWC2 controller.
"""

import re
import struct
from pathlib import Path

#: machine -> the models it can be.
MODELS = {"raspi3b": ("pi3b", "pi3bplus")}
#: MiB: the machine takes no other amount.
MEMORY = 1024

_BEGIN, _END_NODE, _PROP, _NOP, _END = 1, 2, 3, 4, 9
_PL011 = b"serial@7e201000"
_MOST_TOKENS = 100_000


def without_bluetooth(dtb: bytes) -> tuple[bytes, tuple[str, ...]]:
    """The device tree with the Bluetooth node of the PL011 overwritten by FDT_NOP, and what was changed, in words.

    Nothing is moved, as libfdt's fdt_nop_node does it. What is no device tree comes back as it is: QEMU will refuse it.
    """
    try:
        found = _bluetooth(dtb)
    except struct.error:
        found = None
    if found is None:
        return dtb, ()
    start, end, name = found
    edited = dtb[:start] + struct.pack(">I", _NOP) * ((end - start) // 4) + dtb[end:]
    text = name.decode("ascii", "replace")
    where = f"{_PL011.decode()}/{text}"
    change = (
        f"the device tree's node {where} was taken out, so that the PL011 is ttyAMA0 (as dtoverlay=disable-bt does)"
    )
    return edited, (change,)


def _bluetooth(dtb: bytes) -> tuple[int, int, bytes] | None:
    """Where the node's tokens lie, and its name. Raises struct.error for a file cut short."""
    if dtb[:4] != b"\xd0\x0d\xfe\xed":
        return None
    at: int = struct.unpack_from(">I", dtb, 8)[0]
    names: list[bytes] = []
    start = 0
    for _ in range(_MOST_TOKENS):
        before = at
        token = struct.unpack_from(">I", dtb, at)[0]
        at += 4
        if token == _BEGIN:
            end = dtb.find(b"\0", at)
            if end < 0:
                return None
            names.append(dtb[at:end])
            at = (end + 4) & ~3
            if names[-1].startswith(b"bluetooth") and names[-2:-1] == [_PL011]:
                start = before
        elif token == _PROP:
            at = (at + 8 + struct.unpack_from(">I", dtb, at)[0] + 3) & ~3
        elif token == _END_NODE and names:
            name = names.pop()
            if start and name.startswith(b"bluetooth") and names[-1:] == [_PL011]:
                return start, at, name
        elif token != _NOP:
            return None
    return None


def cmdline(text: str) -> tuple[str, tuple[str, ...]]:
    """The kernel's command line for the machine, and what was changed."""
    return f"{text} maxcpus=1".lstrip(), ("maxcpus=1 was added: QEMU runs one processor of four",)


def mac_note(mac: bytes, version: str) -> tuple[str, ...]:
    """What QEMU's USB card does to a MAC address. version: QEMU's version line."""
    major = re.search(r"version (\d+)", version)
    if major is None or int(major[1]) < 10 or mac[0] == 0x40:
        return ()
    used = b"\x40" + mac[1:]
    return (f"the system's MAC address is {used.hex(':')}, not {mac.hex(':')}: QEMU {major[1]}'s USB card changes it",)


def arguments(kernel: Path, initramfs: Path | None, dtb: Path, cmdline: str, *, machine: str, mac: bytes) -> list[str]:
    """QEMU's arguments without its name and without the descriptors that are known only at the start."""
    argv = ["-machine", machine, "-m", str(MEMORY), "-nodefaults"]
    # maxcpus=1 alone leaves three processors spinning in the machine's boot stub.
    argv += ["-global", "bcm2837.enabled-cpus=1"]
    argv += ["-kernel", str(kernel), "-dtb", str(dtb)]
    if initramfs is not None:
        argv += ["-initrd", str(initramfs)]
    argv += ["-append", cmdline, "-usb", "-device", f"usb-net,netdev=wire,mac={mac.hex(':')}"]
    return [*argv, "-serial", "stdio", "-display", "none", "-monitor", "none", "-no-reboot"]
