# SPDX-License-Identifier: GPL-2.0-or-later
"""tftpd-hpa (in.tftpd): TFTP alone, in a chroot."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.servers.keeper_client import Keeper
from harness.servers.services import tftp


@dataclass(frozen=True)
class HpaOptions:
    """What a lab, or a fault, changes. Put a changed copy into `TftpdHpa.options`, then restart.

    refuse: options that it is to leave unanswered ("tsize", "blksize"); without any it sends no OACK. blocksize: the largest
    block that it agrees to, 0 for no limit. extra: arguments that are added as they are.
    """

    refuse: Sequence[str] = ()
    blocksize: int = 0
    extra: Sequence[str] = ()


class TftpdHpa(tftp.TftpServer):
    """It is told all by its arguments."""

    program = "in.tftpd"

    def __init__(
        self,
        keeper: Keeper,
        host: str,
        folder: Path,
        *,
        address: str,
        tftp_root: Path,
        name: str = "tftpd-hpa",
        options: HpaOptions | None = None,
    ) -> None:
        super().__init__(name, keeper, host, folder, address=address, tftp_root=tftp_root)
        self.options = options or HpaOptions()

    def command(self) -> Sequence[str]:
        options = self.options
        command = ["in.tftpd", "--foreground", "--verbosity", "3", "--address", f"{self.address}:{tftp.PORT}"]
        for name in options.refuse:
            command += ["--refuse", name]
        command += ["--blocksize", str(options.blocksize)] if options.blocksize else []
        command += ["--user", "root", *options.extra, "--secure", str(self.tftp_root)]
        # It speaks to syslog only.
        own = [sys.executable, "-P", "-u", "-m", "harness.servers.services.syslog"]
        return ["unshare", "--mount", "--propagation", "private", "--", *own, *command]
