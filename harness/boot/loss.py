# SPDX-License-Identifier: GPL-2.0-or-later
"""When a boot is lost: a console line after which nothing comes, or the same refusal so often that waiting tells nothing."""

import re
from collections import Counter

from harness.boot.events import IscsiLogin, Milestone, NfsMount
from harness.boot.marks import FATAL, LOGIN_REFUSALS, NO_ROOT, REFUSALS, ROUNDS, Marks
from harness.boot.record import Evidence
from harness.boot.stages import STAGES

#: Console lines of an initramfs that cannot get at its root: what it says, and how often until that is believed.
_MOUNT_TROUBLE = {
    "initramfs.mount_error": ("could not mount the root", REFUSALS),
    "rbd.map_failed": ("could not map the volume", REFUSALS),
    "iscsi.refused": ("could not log in", LOGIN_REFUSALS),
}

#: A server that is away may come back, and the initramfs asks for three minutes: this is no refusal, the budget decides.
_AWAY = re.compile(r"not available|refused$|timed out|unreachable|No route to host|incomplete reply")


class Loss:
    """Looks at the evidence beside the stages' marks, to which it adds its own. stage: in which the boot was lost; fatal: the
    console line that says so, if one does.
    """

    def __init__(self, marks: Marks) -> None:
        self.fatal: Milestone | None = None
        self.stage: str | None = None
        self._marks = marks
        self._hopeless = ""
        self._initramfs_broken = False
        self._rounds = 0
        self._refusals: Counter[str] = Counter()

    @property
    def why(self) -> str:
        """Why this boot cannot go on by itself; "" while it may."""
        return self.fatal.text if self.fatal is not None else self._hopeless

    def fell(self, event: Milestone, evidence: Evidence) -> bool:
        """Whether this line ends the boot, as the first that does."""
        if event.name not in FATAL or self.why or not self._of_this_boot(event):
            return False
        self.fatal = event
        floor = FATAL[event.name]
        if (
            floor == "kernel"
            and NO_ROOT.search(event.text)
            and not (self._initramfs_broken or self._marks["kernel"].done)
        ):
            floor = "root"
            self._marks.pass_over("root", event.t)
        # After the last stage that is done: the power port may confirm later than a fast board fails.
        done = max((index for index, name in enumerate(STAGES) if self._marks[name].done), default=-1)
        self.stage = STAGES[min(max(done + 1, STAGES.index(floor)), len(STAGES) - 1)]
        self._marks[self.stage].evidence.append(evidence)
        return True

    def told(self, event: Milestone) -> None:
        """A console line that may say, with others like it, that nothing will come of this boot."""
        self._initramfs_broken |= event.name == "kernel.initramfs_error"
        if event.name == "bootloader.restart" and not self._marks["firmware"].done:
            self._round()
        elif event.name in _MOUNT_TROUBLE and not self._marks["root"].done and not _AWAY.search(event.text.rstrip()):
            what, limit = _MOUNT_TROUBLE[event.name]
            self._refused(f"the initramfs {what} {limit} times: {event.text[:120]}", limit)

    def answered(self, event: NfsMount | IscsiLogin) -> None:
        """What a storage server said to a board that wants its root."""
        if isinstance(event, NfsMount):
            if event.status:
                self._refused(f"the NFS server refused the mount {REFUSALS} times")
        elif event.status >> 8 == 2:  # class 2: the initiator is wrong, and will be again
            self._refused(f"the iSCSI target refused the login {LOGIN_REFUSALS} times", LOGIN_REFUSALS)

    def _of_this_boot(self, event: Milestone) -> bool:
        """An `(initramfs)` text after the login, or U-Boot's prompt before anything, is not the end of this boot."""
        return not self._marks["userspace"].done or event.name == "kernel.panic"

    def _refused(self, text: str, limit: int = REFUSALS) -> None:
        kind = text.partition(":")[0]
        self._refusals[kind] += 1
        if self._refusals[kind] == limit and not self.why:
            self._give_up("root", text)

    def _round(self) -> None:
        self._rounds += 1
        if self._rounds == ROUNDS and not self.why:
            stage = "firmware" if self._marks["dhcp"].done else "dhcp" if self._marks["link"].done else "link"
            self._give_up(stage, f"the bootloader began its boot order anew {ROUNDS} times")

    def _give_up(self, stage: str, why: str) -> None:
        self._hopeless, self.stage = why, stage
        self._marks[stage].note = f"given up: {why}"
