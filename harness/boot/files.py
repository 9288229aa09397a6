# SPDX-License-Identifier: GPL-2.0-or-later
"""Which of the files that a board asks for it can do without.

A board asks for many files that hardly any server has, and for most of the others twice (a probe, then the get; under its
prefix, then without): what the server refuses is news only when it is none of these. Lists: `harness.models`.
"""

import re
from collections.abc import Iterable

from harness.boot.record import TftpTransfer
from harness.models import MODELS

#: Of the firmware's own making on any model: recovery and self-update, tryboot, a signed boot, the network installer.
_ANYWHERE = re.compile(
    r"(?:recover\w*\.(?:elf|img)|pieeprom\.(?:sig|upd|bin)|vl805\.(?:sig|bin)|autoboot\.txt|tryboot\.txt|bootsig\.bin"
    r"|dt-blob\.bin|bootcfg\.txt|armstub[\w-]*\.bin|boot\.sig|boot\.img|overlays/(?:(?:overlay_map|hat_map)\.dtb|bcm2712d0\.dtbo)|timeout|UART)$"
)


def relative(path: str) -> str:
    """`path` without a directory of the board's own: "91cdf03d//overlays/x.dtbo" -> "overlays/x.dtbo"."""
    parts = [part for part in path.split("/") if part]
    return "/".join(parts[-2:] if len(parts) > 1 and parts[-2] == "overlays" else parts[-1:])


def may_be_missing(model: str, path: str) -> bool:
    """Whether a board of this model boots well without `path`. model: "" or an unknown name for any model."""
    name = relative(path)
    known = MODELS.get(model)
    return (known is not None and name in known.optional) or _ANYWHERE.search(name) is not None


def missed(model: str, transfers: Iterable[TftpTransfer], *, has_kernel: bool = False) -> tuple[TftpTransfer, ...]:
    """Refused files that the board wanted and did not get under any of its directories, each name once.

    has_kernel: it started one, so the usual names that it tried are no loss: config.txt may give it any other.
    """
    asked = list(transfers)
    had = {relative(t.path) for t in asked if t.complete or t.kind == "probe"}
    known = MODELS.get(model)
    kernels = set(known.kernels) if known is not None else {n for m in MODELS.values() for n in m.kernels}
    # One kernel is enough; the names are tried in turn. start.elf stands in for start4.elf.
    alternatives = [kernels, {"start.elf", known.start_elf if known is not None else "start4.elf"}]
    for names in alternatives:
        if names & had or (has_kernel and names is kernels):
            had |= names
    found: dict[str, TftpTransfer] = {}
    for transfer in asked:
        name = relative(transfer.path)
        if transfer.result == "not found" and name not in had and not may_be_missing(model, transfer.path):
            found.setdefault(name, transfer)
    return tuple(found.values())
