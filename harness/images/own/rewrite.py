# SPDX-License-Identifier: GPL-2.0-or-later
"""cmdline.txt, config.txt and fstab of a card's system, changed for a boot from the network as a person would change them.

Each gives the new text and, in words, what was changed. `wanted` is what the topology says for a system of ours.
"""

import re
from dataclasses import dataclass

from harness.masking import masked

#: First-boot work that is for a card: its root partition is made as large as the card.
_GROW = ("resize", "init=/usr/lib/raspi-config/init_resize.sh", "init=/usr/lib/raspberrypi-sys-mods/firstboot")
#: Raspberry Pi Imager's firstrun.sh, which ends in a reboot and takes itself off the card's cmdline.txt.
_FIRSTRUN = ("systemd.run", "systemd.run_success_action", "systemd.run_failure_action", "systemd.unit")
#: What keeps kernel and system from telling the console what they do.
_SILENT = ("quiet", "splash", "loglevel")
#: Where the root is and how it is mounted: the topology's business.
_ROOT = ("root", "rootfstype", "rootflags", "rootdelay", "rootwait", "ro", "rw", "ip", "nfsroot", "boot")
_SERIAL = re.compile(r"console=(serial|ttyAMA|ttyS)\d+\b.*")
_LOCAL = re.compile(r"(PARTUUID|UUID|PARTLABEL|LABEL)=|/dev/(mmcblk|sd|nvme|disk/)")
BOOT_PLACES = ("/boot/firmware", "/boot")


@dataclass(frozen=True)
class Rewritten:
    text: str
    changes: tuple[str, ...]


def cmdline(own: str, wanted: str) -> Rewritten:
    """One line. The serial console comes last: the last one is what init and the initramfs write to."""
    new = wanted.split()
    keys = {word.partition("=")[0] for word in new if not word.startswith("console=")} | set(_ROOT)
    kept, replaced, changes = [], [], []
    firstrun = any(word.startswith("systemd.run=") for word in own.split())
    for word in own.split():
        key = word.partition("=")[0]
        if key in keys or _SERIAL.fullmatch(word):
            replaced.append(word)
        elif word in _GROW:
            changes.append(f"{word} was left out: there is no card whose partition could grow")
        elif firstrun and key in _FIRSTRUN:
            if key == "systemd.run":
                changes.append(
                    f"{word} and what belongs to it was left out: it reboots when it is done, and would do so at each boot of a "
                    "clean root; what it sets up (user, host name, ssh) is not set up"
                )
        elif key in _SILENT:
            changes.append(f"{word} was left out: the boot is followed on the console")
        else:
            kept.append(word)
    became = f"{' '.join(replaced)} became {' '.join(new)}" if replaced else f"{' '.join(new)} was added"
    changes.insert(0, masked(became))
    return Rewritten(" ".join([*kept, *new]), tuple(f"cmdline.txt: {change}" for change in changes))


def fstab(own: str, wanted: str) -> Rewritten:
    """wanted: the fstab of a system of ours; its lines beside /proc take the place of the card's partitions.

    The boot folder is mounted where the image has it.
    """
    lines, changes, boot_at = [], [], ""
    for line in own.splitlines():
        fields = line.split()
        if not fields or fields[0].startswith("#") or len(fields) < 3:
            lines.append(line)
            continue
        source, where, kind = fields[:3]
        if where in BOOT_PLACES:
            boot_at = where
        if where == "/" or where in BOOT_PLACES or (_LOCAL.match(source) and "nofail" not in line):
            changes.append(f"{source} on {where} ({kind}) was left out: there is no card")
        else:
            lines.append(line)
    for line in wanted.splitlines():
        fields = line.split()
        if len(fields) < 3 or fields[1] == "/proc":
            continue
        if fields[1] in BOOT_PLACES and boot_at:
            fields[1] = boot_at
        lines.append(" ".join(fields))
        changes.append(f"{fields[0]} is mounted on {fields[1]}")
    return Rewritten("".join(f"{line}\n" for line in lines), tuple(f"fstab: {change}" for change in changes))


#: What a lab needs of the firmware, each with its reason.
_LAB = {
    "enable_uart": "the serial console is off without it",
    "uart_2ndstage": "the firmware's log comes on the serial console",
}


def config_txt(own: str) -> Rewritten:
    """The image's, with the serial console switched on."""
    values = settings(own)
    missing = [key for key in _LAB if values.get(key) != "1"]
    if not missing:
        return Rewritten(own, ())
    added = "".join(f"{key}=1\n" for key in missing)
    text = own + ("" if own.endswith("\n") or not own else "\n") + "\n[all]\n" + added
    return Rewritten(text, tuple(f"config.txt: {key}=1 was added: {_LAB[key]}" for key in missing))


def settings(own: str) -> dict[str, str]:
    """The values that hold for all boards: those before a filter, and of [all]. Later ones count."""
    values: dict[str, str] = {}
    everywhere = True
    for raw in own.splitlines():
        line = raw.strip()
        if line.startswith("["):
            everywhere = line.lower() == "[all]"
        elif everywhere and not line.startswith("#"):
            key, equals, value = line.partition("=")
            if equals:
                values[key.strip().lower()] = value.strip()
    return values


def cmdline_files(own: str) -> tuple[str, ...]:
    """Where a board may look for its command line by this config.txt, whatever filters hold: paths in the boot partition."""
    found = {"cmdline": ["cmdline.txt"], "os_prefix": [""]}
    for raw in own.splitlines():
        key, equals, value = raw.strip().partition("=")
        if equals and key.strip().lower() in found and value.strip():
            found[key.strip().lower()].append(value.strip())
    names = (prefix + name for name in reversed(found["cmdline"]) for prefix in reversed(found["os_prefix"]))
    return tuple(dict.fromkeys(name for name in names if ".." not in name and not name.startswith("/")))
