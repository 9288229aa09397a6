# SPDX-License-Identifier: GPL-2.0-or-later
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import urgency


def test_a_hurried_thread_is_before_ordinary_ones_where_the_system_allows_it_and_alone_in_that() -> None:
    def look() -> tuple[str, int, int]:
        how = urgency.hurry()
        return how, os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK, os.getpriority(os.PRIO_PROCESS, 0)

    before = os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0)
    with ThreadPoolExecutor(1) as thread:
        how, scheduler, nice = thread.submit(look).result()
    expected = {"real-time": (os.SCHED_RR, before[1]), "nice -10": (os.SCHED_OTHER, -10), "": before}
    assert (scheduler, nice) == expected[how]
    assert (os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0)) == before


def test_one_that_may_not_stays_ordinary(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    monkeypatch.setattr(os, "setpriority", refuse)
    assert urgency.hurry() == ""


def test_a_program_goes_before_others_by_nice_and_only_when_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert urgency.hurried(["tcpdump", "-i", "eth0"]) == ["tcpdump", "-i", "eth0"]
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert urgency.hurried(["tcpdump", "-i", "eth0"]) == ["nice", "-n", "-10", "--", "tcpdump", "-i", "eth0"]


@pytest.mark.skipif(os.geteuid() != 0, reason="raising a priority needs root")
def test_the_program_has_the_priority() -> None:
    said = subprocess.run(urgency.hurried(["nice"]), capture_output=True, text=True, check=True)
    assert (said.stdout, said.stderr) == ("-10\n", "")
