# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs that set a service up and end: tgtadm, rbd, ceph ... run on a host of the rig, within a time."""

import os
import tempfile
from collections.abc import Mapping, Sequence

from harness.errors import InfraError
from harness.servers.keeper_client import Keeper

TOOL_TIMEOUT = 30.0
"""Seconds for a program that answers within one; the machine may be busy."""


def run_tool(
    keeper: Keeper,
    host: str,
    argv: Sequence[str],
    what: str,
    *,
    timeout: float = TOOL_TIMEOUT,
    env: Mapping[str, str] | None = None,
) -> str:
    """What `argv` printed on standard output. what: what it does, for the error ("making the iSCSI targets").

    Raises InfraError when it is not installed, fails or is not done in time. Its arguments are not shown: secrets may be there.
    """
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as complained:
        process = keeper.spawn(host, argv, stdout=said, stderr=complained, env={"LC_ALL": "C", **(env or {})})
        done = process.ended(timeout)
        code = process.returncode if done else process.stop()
        for file in (said, complained):
            file.seek(0)
        text = said.read().decode("utf-8", "replace")
        if done and code == 0:
            return text
        text += complained.read().decode("utf-8", "replace")
    how = f"ended with {code}" if done else f"was not done after {timeout:g} s"
    tail = "".join(f"\n    {_printable(line)}" for line in text.strip().splitlines()[-8:])
    raise InfraError(f"{what}: {os.path.basename(argv[0])} {how}" + (f"; it said last:{tail}" if tail else ""))  # noqa: PTH119


def _printable(line: str) -> str:
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in line[:300])
