# SPDX-License-Identifier: GPL-2.0-or-later
"""What an image of the user's own adds to the findings."""

from harness.boot.events import Ended
from harness.boot.expect import ExpectedImage, ExpectedServer
from harness.boot.judge import judge
from harness.boot.record import BootRecord
from tests.boot.stream import T0, expectation, good_boot

WIZARD = "nobody can log in: its first-boot wizard asks for a name on the screen. Put userconf.txt there"
IMAGE = ExpectedServer(image=ExpectedImage(file="own.img", no_login=(WIZARD,)))


def judged(ended: Ended) -> BootRecord:
    late = ("shell.prompt", "probe.value") if ended.reason == "deadline" else ()
    events = [event for event in good_boot() if not isinstance(event, Ended) and getattr(event, "name", "") not in late]
    return judge(expectation(server=IMAGE), [*events, ended])


def test_a_login_that_the_image_does_not_let_in_is_explained() -> None:
    record = judged(Ended(T0 + 300, "deadline"))
    assert record.verdict == "failed(login)"
    finding = record.findings[0]
    assert (finding.id, finding.who, finding.stage) == ("image-no-login", "config", "login")
    assert finding.title == "the image own.img: nobody can log in: its first-boot wizard asks for a name on the screen"
    assert finding.remedy == "Put userconf.txt there"


def test_a_login_that_worked_needs_no_explanation() -> None:
    record = judged(Ended(T0 + 42, "login"))
    assert record.passed
    assert "image-no-login" not in [finding.id for finding in record.findings]
