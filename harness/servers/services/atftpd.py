# SPDX-License-Identifier: GPL-2.0-or-later
"""atftpd: TFTP alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.servers.keeper_client import Keeper
from harness.servers.services import tftp


@dataclass(frozen=True)
class AtftpdOptions:
    """What a lab, or a fault, changes. Put a changed copy into `Atftpd.options`, then restart.

    tsize, blksize: whether it knows these options (RFC 2349, 2348). If it knows none of those that it is asked for, it sends an
    OACK with nothing in it (seen of 0.8.0), where other servers send none. extra: arguments that are added as they are.
    """

    tsize: bool = True
    blksize: bool = True
    extra: Sequence[str] = ()


class Atftpd(tftp.TftpServer):
    """It is told all by its arguments."""

    program = "atftpd"

    def __init__(
        self,
        keeper: Keeper,
        host: str,
        folder: Path,
        *,
        address: str,
        tftp_root: Path,
        name: str = "atftpd",
        options: AtftpdOptions | None = None,
    ) -> None:
        super().__init__(name, keeper, host, folder, address=address, tftp_root=tftp_root)
        self.options = options or AtftpdOptions()

    def command(self) -> Sequence[str]:
        unknown = [f"--no-{name}" for name in ("tsize", "blksize") if not getattr(self.options, name)]
        command = ["atftpd", "--daemon", "--no-fork", "--logfile", "-", "--verbose=7", "--maxthread", "200"]
        # Not nobody, whom a user namespace does not have, and who may not see the scratch directory.
        command += ["--user", "root", "--group", "root"]
        return [*command, "--bind-address", self.address, *unknown, *self.options.extra, str(self.tftp_root)]
