# SPDX-License-Identifier: GPL-2.0-or-later
"""tgt: an iSCSI target in user space (STGT), as Debian packages it: tgtd, and tgt-admin that reads targets.conf."""

import os
import re
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from harness.errors import InfraError
from harness.servers.keeper_client import Keeper
from harness.servers.process import Process
from harness.servers.services.nfs import connect
from harness.servers.services.service import READY_TIMEOUT, Service, render
from harness.servers.services.tool import run_tool

PORT = 3260
_INSIDE = "127.0.0.1"
_TARGET = re.compile(r"^Target (\d+): (\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Disk:
    """A board's disk: LUN 1 of a target of its own. target: its iSCSI name; user, secret: CHAP, empty for none."""

    target: str
    image: Path
    user: str = ""
    secret: str = ""


class Tgt(Service):
    """iSCSI on one address of a host. secrets: a directory of the rig's own for the CHAP secrets.

    Boards are let in last and shut out first. While tgtd has no target it accepts connections and at once closes them, and an
    initiator that meets this while it takes its session up again never does: open-iscsi 2.1.8 drops the kernel's error when it
    comes between binding the connection and the login, and Linux 6.1 then refuses to bind (ENOTCONN) for good.

    Its control socket is /run/tgtd/socket.<number>, in the rig's own /run: it goes with the rig, and several rigs do not meet.
    """

    program = "tgtd"

    def __init__(
        self,
        keeper: Keeper,
        host: str,
        folder: Path,
        *,
        address: str,
        disks: Sequence[Disk],
        secrets: Path,
        name: str = "tgt",
        number: int = 1,
    ) -> None:
        super().__init__(name, keeper, host, folder)
        self.address = address
        self.disks = list(disks)
        self.secrets = secrets
        self.number = str(number)
        self._lock = threading.RLock()  # boards are made ready side by side

    def render(self) -> str:
        self.secrets.mkdir(mode=0o700, parents=True, exist_ok=True)
        for disk in self.disks:
            if disk.user:
                path = self.secrets / f"{disk.user}.conf"
                with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                    file.write(f"incominguser {disk.user} {disk.secret}\n")
        return render("tgt.conf", {"disks": self.disks, "secrets": self.secrets})

    def command(self) -> Sequence[str]:
        # Where no board comes: without any portal it would be open to all.
        return ["tgtd", "-f", "-C", self.number, "--iscsi", f"portal={_INSIDE}:{PORT}"]

    def awaited(self) -> str:
        try:
            connect(self.keeper, self.host, _INSIDE, PORT).close()
        except OSError as error:
            return f"it does not answer on {_INSIDE} port {PORT} ({error})"
        return ""

    def await_ready(self, process: Process, timeout: float = READY_TIMEOUT) -> None:
        super().await_ready(process, timeout)
        self._configure()
        self._portal("new", "opening the portal")

    def served(self) -> dict[str, str]:
        """The targets that it has now: their names, and the numbers by which tgtadm knows them."""
        return {name: number for number, name in _TARGET.findall(self._show())}

    def withdraw(self, target: str) -> None:
        """Take a target away with its sessions; those of others go on."""
        with self._lock:
            self.disks = [disk for disk in self.disks if disk.target != target]
            number = self.served().get(target) if self.running else None
            if number is not None:
                words = ("--op", "delete", "--mode", "target", "--tid", number, "--force")
                self._tool("tgtadm", "--lld", "iscsi", *words, what=f"taking the target {target} away")

    def take_disk(self, target: str) -> None:
        """Take the disk away from a target that stays: boards log in, and find no disk. Until the target is made anew."""
        words = ("--op", "delete", "--mode", "logicalunit", "--tid", self.served()[target], "--lun", "1")
        self._tool("tgtadm", "--lld", "iscsi", *words, what=f"taking the disk of {target} away")

    def add(self, disk: Disk) -> None:
        """Serve one more disk."""
        with self._lock:
            self.disks.append(disk)
            if self.running:
                self.config.write_text(self.render(), encoding="utf-8")
                self._configure()

    def stop(self) -> None:
        """End it: it ignores SIGTERM while it has a target (tgtd's own rule: no disk is taken from under a client)."""
        if self.running:
            with suppress(InfraError):  # it was not opened yet
                self._portal("delete", "closing the portal")
            with suppress(InfraError):  # it hangs, or has just died: then the signals below are the end of it
                for number in self.served().values():
                    words = ("--op", "delete", "--mode", "target", "--tid", number, "--force")
                    self._tool("tgtadm", "--lld", "iscsi", *words, what="taking a target away")
                self._tool("tgtadm", "--op", "delete", "--mode", "system", what="ending tgtd")
        super().stop()

    def _configure(self) -> None:
        """tgt-admin makes the targets that are in the file and not there yet."""
        self._tool("tgt-admin", "-c", str(self.config), "--execute", what="making the iSCSI targets")
        # It says nothing of a disk that it could not open, and offers a target without it.
        said = self._show()
        for disk in self.disks:
            if f"Backing store path: {disk.image}\n" in said:
                continue
            raise InfraError(
                f"{self.name} does not serve {disk.image} as {disk.target}" + self.last_words(),
                place=str(self.log),
                remedy=f"look at {self.config}",
            )

    def _portal(self, operation: str, what: str) -> None:
        words = ("--op", operation, "--mode", "portal", "--param", f"portal={self.address}:{PORT}")
        self._tool("tgtadm", "--lld", "iscsi", *words, what=what)

    def _show(self) -> str:
        return self._tool("tgtadm", "--lld", "iscsi", "--op", "show", "--mode", "target", what="asking for the targets")

    def _tool(self, program: str, *words: str, what: str) -> str:
        return run_tool(self.keeper, self.host, [program, "-C", self.number, *words], what)
