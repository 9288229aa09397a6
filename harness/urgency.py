# SPDX-License-Identifier: GPL-2.0-or-later
"""What must not wait for the others: threads and programs that stamp or keep what a board does, on a busy machine.

They do little for each octet, but late is lost: a console's stamp is wrong, a capture's ring runs over. So they go before all
ordinary work where the system allows it, and silently among it where not. Root and CAP_SYS_NICE may, and whom RLIMIT_RTPRIO or
RLIMIT_NICE lets (limits.conf(5): rtprio, nice).
"""

import os
from collections.abc import Sequence

#: The lowest of the real-time priorities is before every ordinary thread, and behind whatever else a machine runs in real time.
_REAL_TIME = 1
_NICE = -10


def hurry() -> str:
    """Put the calling thread before ordinary ones. Tells how: "real-time", "nice -10", or "" when it may not.

    Linux takes both for one thread (sched(7), setpriority(2)); children of that thread begin as ordinary ones.
    """
    try:
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(_REAL_TIME))
    except OSError:  # not allowed, or the control group has no real-time share
        pass
    else:
        return "real-time"
    try:
        os.sched_setscheduler(0, os.SCHED_OTHER | os.SCHED_RESET_ON_FORK, os.sched_param(0))
        os.setpriority(os.PRIO_PROCESS, 0, _NICE)
    except OSError:
        return ""
    return f"nice {_NICE}"


def hurried(argv: Sequence[str]) -> list[str]:
    """The command that runs `argv` before ordinary programs; it becomes the program, so signals reach it."""
    # nice(1) complains on stderr when it may not, which would stand among the program's own words.
    return ["nice", "-n", str(_NICE), "--", *argv] if os.geteuid() == 0 else list(argv)
