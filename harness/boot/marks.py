# SPDX-License-Identifier: GPL-2.0-or-later
"""What a stage tracker knows of one stage, and the tables of what ends or breaks a stage."""

import re
from dataclasses import dataclass, field

from harness.boot.record import Evidence
from harness.boot.stages import STAGES

#: Console lines after which a boot cannot go on by itself, and the earliest stage that they can belong to.
FATAL: dict[str, str] = {
    "firmware.kernel_missing": "firmware",
    "kernel.panic": "kernel",
    "kernel.root_error": "kernel",
    "initramfs.shell": "initramfs",
    "systemd.emergency": "userspace",
    "uboot.prompt": "kernel",
}

#: A bootloader that has started its boot order anew so often, without a kernel, goes round in circles; a server that refused
#: a mount so often, or an initramfs that could not make sense of it, will do so again. More waiting tells nothing.
ROUNDS = 5
REFUSALS = 3
#: Debian's script tries an iSCSI login twice, and then waits for a disk that will not come.
LOGIN_REFUSALS = 2

#: What a kernel says that found no root file system: it had done its own part.
NO_ROOT = re.compile(r"root fs|root device|Root-NFS")

#: Other programs' requests: a payload's (U-Boot, UEFI), or the running system's. They are not the firmware's files.
STRANGERS = frozenset({"u-boot", "uefi", "ipxe", "pxe", "os"})

#: File names of a kernel, whatever config.txt calls it: the last file that a firmware asks for.
KERNEL = re.compile(r"(kernel|vmlinu|zImage|Image|u-boot)[^/]*$")

#: Boot mode 7 takes boot.sig, then this, and boot_ramdisk=1 takes it by TFTP: every later file is in it (documentation).
IMAGE = "boot.img"

#: Console lines after which what had been delivered is of no use.
REFUSED = frozenset({"firmware.signature", "net.failed"})

#: Console lines that end a stage when they are first seen, in the order of a boot.
CONSOLE_ENDS: dict[str, str] = {
    "net.link": "link",
    "net.link_ready": "link",
    "kernel.start": "firmware",
    "kernel.init": "kernel",
    "initramfs.start": "kernel",
    "initramfs.mount_root": "initramfs",
    "initramfs.mount_done": "root",
    "kernel.nfsroot_mounted": "root",
    "root.mounted": "root",
    "systemd.start": "root",
    "systemd.welcome": "root",
    "login.prompt": "userspace",
    "shell.prompt": "login",
    "probe.value": "login",
}


@dataclass
class Mark:
    """What is known of one stage so far; `inferred` when only a later stage's evidence says that it passed."""

    name: str
    start: float | None = None
    end: float | None = None
    evidence: list[Evidence] = field(default_factory=list)
    inferred: bool = False
    note: str = ""

    @property
    def done(self) -> bool:
        return self.end is not None


class Marks(dict[str, Mark]):
    """The marks of all stages by name, in the order of a boot."""

    def __init__(self) -> None:
        super().__init__({name: Mark(name) for name in STAGES})

    def end(self, stage: str, t: float, evidence: Evidence) -> None:
        mark = self[stage]
        if mark.done:
            return
        previous = self.pass_over(stage, t)
        if mark.start is None:
            mark.start = previous if previous is not None else t
        mark.end = max(t, mark.start)
        mark.evidence.append(evidence)

    def begun(self, t: float, text: str) -> None:
        """Somebody else switched the board on, at the latest now."""
        mark = self["power"]
        if not mark.done:
            mark.start = mark.end = t
            mark.inferred, mark.note = True, f"not ours: somebody else started this boot; {text}"
            mark.evidence.append(Evidence(source="harness", t=t, text=text))
            if not self["link"].done:
                self["link"].start = t

    def pass_over(self, stage: str, t: float) -> float | None:
        """Stages before `stage` that have shown nothing of their own have passed; the end of the last one."""
        previous: float | None = None
        for name in STAGES[: STAGES.index(stage)]:
            earlier = self[name]
            if not earlier.done and name != "power":
                earlier.end = earlier.start if earlier.start is not None else (previous if previous is not None else t)
                earlier.start = earlier.start if earlier.start is not None else earlier.end
                earlier.inferred = True
                earlier.note = earlier.note or f"no evidence of its own; {stage} came after it"
            previous = earlier.end if earlier.end is not None else previous
        return previous


@dataclass(frozen=True)
class Change:
    """A stage began or ended, for whoever watches."""

    stage: str
    what: str
    t: float
