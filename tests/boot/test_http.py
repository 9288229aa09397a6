# SPDX-License-Identifier: GPL-2.0-or-later
"""A board that takes boot.sig and boot.img from a web server: its firmware stage, and why it did not go on."""

import pytest

from harness.boot.events import Ended, Event, HttpAsked, HttpEnded
from harness.boot.judge import judge
from harness.boot.record import BootRecord, Finding, HttpFetch
from tests.boot import stream
from tests.boot.stream import SERVER, T0, expectation, line


def fetch(t: float, packet: int, name: str, result: str = "complete", **changes: object) -> list[Event]:
    done = result == "complete"
    ended = HttpFetch(
        path=f"/net_install/{name}",
        asked_by="eeprom",
        result=result,
        status=200 if done else None,
        client_ip="10.77.0.50",
        client_port=40000,
        server_ip=SERVER,
        server_port=80,
        start=T0 + t,
        end=T0 + t + 0.5,
        duration_s=0.5,
        bytes=1000 if done else 0,
        length=1000 if done else None,
        first_packet=packet,
        last_packet=packet + 5,
    ).model_copy(update=changes)
    found: list[Event] = [HttpEnded(t=ended.end, fetch=ended)]
    if ended.method:
        asked = HttpAsked(T0 + t, packet + 3, ended.path, "10.77.0.50", SERVER, 80, ended.asked_by, stream.MAC)
        found.insert(0, asked)
    return found


def files() -> list[Event]:
    return [*fetch(5.8, 10, "boot.sig"), *fetch(6.4, 20, "boot.img")]


def judged(*events: Event, **changes: object) -> BootRecord:
    start = [*stream.power_on(), *stream.network()]
    return judge(expectation(**changes), [*start, *events, Ended(t=T0 + 100, reason="deadline")])


def only(record: BootRecord) -> Finding:
    (finding,) = [f for f in record.findings if f.severity == "fault"]
    assert finding.remedy
    return finding


def test_firmware_stage_is_from_the_first_request_to_the_image():
    record = judge(expectation(), [*stream.power_on(), *stream.network(), *files(), *stream.system()])
    stage = record.stage("firmware")
    assert stage.verdict == "passed"
    assert (stage.start, stage.end) == (T0 + 5.8, T0 + 6.9)
    assert [e.ref for e in stage.evidence] == [13, 25]
    assert "GET http://10.77.0.1:80/net_install/boot.sig" in stage.evidence[0].text
    assert [one.path for one in record.http] == ["/net_install/boot.sig", "/net_install/boot.img"]
    assert record.stage("dhcp").verdict == "passed"
    assert record.stage("kernel").start == T0 + 6.9


def test_without_a_console_the_image_is_all_that_a_firmware_wants():
    record = judged(*files(), has_console=False, until="firmware")
    assert record.verdict == "passed"


def test_requests_of_the_running_system_are_not_the_firmware_s():
    late = fetch(30.0, 2000, "index.html", "not found", asked_by="os", status=404)
    record = judge(expectation(), [*stream.good_boot(), *late])
    assert record.stage("firmware").end == record.tftp[-1].end
    assert record.passed
    assert record.findings == ()


@pytest.mark.parametrize(
    ("events", "identity", "words"),
    [
        (fetch(5.8, 10, "", "no server", method="", asked_by=""), "http-no-answer", "nobody listens at 10.77.0.1:80"),
        (fetch(5.8, 10, "", "no answer", method="", asked_by=""), "http-no-answer", "nobody answers the connection"),
        (fetch(5.8, 10, "", "no connection", method="", asked_by=""), "http-no-answer", "does not take the answer"),
        (
            fetch(5.8, 10, "boot.sig", "not found", status=404),
            "http-failed",
            "has no http://10.77.0.1:80/net_install/boot.sig",
        ),
        (fetch(5.8, 10, "boot.sig", "refused", status=301), "http-failed", "redirects"),
        (fetch(5.8, 10, "boot.sig", "refused", status=403, status_text="No"), "http-failed", "403 No"),
        (
            fetch(5.8, 10, "boot.img", "incomplete", status=200, bytes=7, length=9),
            "http-failed",
            "broke off after 7 of 9",
        ),
        (fetch(5.8, 10, "boot.img", "client error", status=200, bytes=7), "http-failed", "gave"),
    ],
)
def test_what_went_wrong_is_named(events: list[Event], identity: str, words: str):
    record = judged(*events)
    assert record.verdict == "failed(firmware)"
    finding = only(record)
    assert finding.id == identity
    assert words in finding.title
    assert finding.evidence[0].ref == 10


def test_image_by_tftp_is_all_that_a_firmware_wants_as_well():
    events = [*stream.transfer(5.8, 10, "91cdf03d/config.txt"), *stream.transfer(6.4, 20, "91cdf03d/boot.img")]
    assert judged(*events, has_console=False, until="firmware").verdict == "passed"


def test_signature_and_unknown_host_stand_on_the_console():
    record = judged(*files(), line(7.0, 50, "firmware.signature", "File signature or hash mismatch"))
    assert only(record).id == "http-signature"
    assert [e.ref for e in only(record).evidence] == [10, 20, 50]
    record = judged(line(7.0, 50, "http.host_not_found", "Host 'x.y' not found.", host="x.y"))
    assert "'x.y'" in only(record).title
