# SPDX-License-Identifier: GPL-2.0-or-later
"""A thread that must not wait for the others: before all ordinary ones where the system allows it, silently among them where not.

Root and CAP_SYS_NICE may, and whom RLIMIT_RTPRIO or RLIMIT_NICE lets (limits.conf(5): rtprio, nice). Linux takes both settings
for one thread (sched(7), setpriority(2)), and children of that thread begin as ordinary ones (SCHED_RESET_ON_FORK).
"""

import os

#: The lowest of the real-time priorities is before every ordinary thread, and behind whatever else a machine runs in real time.
_REAL_TIME = 1
_NICE = -10


def hurry() -> str:
    """Put the calling thread before ordinary ones. Tells how: "real-time", "nice -10", or "" when it may not."""
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
