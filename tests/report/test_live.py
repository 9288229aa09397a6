# SPDX-License-Identifier: GPL-2.0-or-later
"""The live view: plain lines without a terminal, a tidy terminal, and never a broken boot."""

import io
import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness.boot.record import BootRecord
from harness.clock import now
from harness.report.live import LiveView, summary

from . import samples

ROOT = Path(__file__).resolve().parents[2]


def watch(view: LiveView, record: BootRecord) -> None:
    """What the harness tells a view of a boot."""
    zero = now()
    view.began(record.board, samples.BUDGETS)
    for stage in record.stages:
        if stage.start is None or stage.end is None:
            continue
        begin, end = zero + stage.start - samples.T0, zero + stage.end - samples.T0
        view.stage_started(record.board, stage.name, begin)
        if stage.name == "firmware":
            view.progress(record.board, "91cdf03d/kernel8.img: 12.3 of 27.4 MB")
        if stage.verdict in ("passed", "late"):
            view.stage_ended(record.board, stage.name, end, end - begin)
    view.finished(record)


def plain(record: BootRecord) -> list[str]:
    stream = io.StringIO()
    with LiveView(stream) as view:
        view.note("starting the servers")
        watch(view, record)
    return stream.getvalue().splitlines()


def drawn(record: BootRecord) -> str:
    stream = io.StringIO()
    with LiveView(stream, terminal=True) as view:
        view.note("starting the servers")
        watch(view, record)
    return stream.getvalue()


def test_without_a_terminal_every_event_is_a_stamped_line() -> None:
    lines = plain(samples.good())
    assert all(re.fullmatch(r"\[ *\d+\.\d{3} s\] .+", line) for line in lines)
    said = [line.split("] ", 1)[1] for line in lines]
    assert said[0] == "starting the servers"
    assert "pi4-bench: firmware ... (budget 60 s)" in said
    assert "pi4-bench:   91cdf03d/kernel8.img: 12.3 of 27.4 MB" in said
    assert "pi4-bench: firmware ok, 8.58 s of 60 s" in said
    assert said[-1] == "pi4-bench: passed"


def test_stamps_are_the_events_times() -> None:
    lines = plain(samples.good())
    login = next(line for line in lines if "login ok" in line)
    assert float(login[1:10]) == pytest.approx(46.388, abs=0.5)


def test_late_and_failed_stages_are_said_in_words() -> None:
    assert any("firmware late, 71.1 s of 60 s" in line for line in plain(samples.late()))
    lines = plain(samples.failed_dhcp())
    assert any("dhcp FAILED, 30.0 s of 15 s" in line for line in lines)
    assert lines[-1].endswith("pi4-roof: failed at dhcp")


def test_a_busy_transfer_does_not_fill_the_log() -> None:
    stream = io.StringIO()
    with LiveView(stream) as view:
        view.stage_started("pi4", "firmware", now())
        for octets in range(1000):
            view.progress("pi4", f"kernel8.img: {octets} MB")
        view.progress("pi4", "console lost: unplugged")
    assert len(stream.getvalue().splitlines()) == 3


def test_a_terminal_shows_the_stages_and_is_left_as_it_was() -> None:
    out = drawn(samples.late())
    assert re.search(r"✓.{0,30}power", out)
    assert re.search(r"!.{0,30}firmware.{0,30}71\.1 s", out)
    assert out.count("\x1b[?25l") == out.count("\x1b[?25h")  # the cursor is hidden as often as it is shown again


def test_no_color_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", drawn(samples.late()))


@pytest.mark.parametrize("terminal", [False, True])
def test_text_from_the_wire_cannot_command_the_terminal(terminal: bool) -> None:
    stream = io.StringIO()
    with LiveView(stream, terminal=terminal) as view:
        view.stage_started("pi4", "firmware", now())
        view.progress("pi4", "\x1b]0;owned\x07\x1b[2J[bold]x[/bold][link=file:///etc]y\r\nz\x00")
        view.note("\x1b[5mblink\x9b1m")
        view.close()
    out = stream.getvalue()
    for bad in ("owned", "\x1b[2J", "\x1b]", "\x1b[5m", "\x9b", "\x00"):
        assert bad not in out
    assert terminal or "\x1b" not in out
    assert "[bold]x[/bold]" in out


@pytest.mark.parametrize("terminal", [False, True])
def test_a_broken_stream_makes_no_boot_fail(terminal: bool) -> None:
    class Gone(io.StringIO):
        def write(self, _text: str) -> int:
            raise BrokenPipeError(32, "gone")

    with LiveView(Gone(), terminal=terminal) as view:
        view.note("x")
        watch(view, samples.good())
    closed = io.StringIO()
    closed.close()
    with LiveView(closed) as view:
        watch(view, samples.good())


@pytest.mark.parametrize("terminal", [False, True])
def test_a_terminal_that_knows_only_ascii(terminal: bool) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    with LiveView(stream, terminal=terminal) as view:
        watch(view, samples.good("pi4-küche"))
    summary(samples.good("pi4-küche"), None, stream)
    stream.flush()
    assert b"pi4-k?che" in raw.getvalue()


def test_boards_do_not_mix() -> None:
    stream = io.StringIO()
    with LiveView(stream) as view:
        for board in ("a", "b"):
            view.began(board, {"power": 5.0 if board == "a" else 0.1})
            view.stage_started(board, "power", now())
        for board in ("b", "a"):
            view.stage_ended(board, "power", now(), 1.0)
    out = stream.getvalue()
    assert "a: power ok, 1.00 s of 5 s" in out
    assert "b: power late, 1.00 s of 0.1 s" in out


def test_the_summary_names_cause_remedy_and_files(tmp_path: Path) -> None:
    folder = samples.write_boot(tmp_path, samples.failed_dhcp())
    stream = io.StringIO()
    summary(samples.failed_dhcp(), folder, stream, report=folder / "record.json")
    out = stream.getvalue()
    for said in (
        "pi4-roof: failed at dhcp",
        "The board sent 6 DISCOVERs in 30 s and no server answered.",
        "Fault: No DHCP server answered the board",
        "To act: whoever runs the netboot server",
        "-> Start dnsmasq on 10.77.0.1",
        "packet 6: DISCOVER, the 6th, unanswered",
        "dhcp FAILED 30.0 s of 15 s; not reached: firmware, kernel",
        str(folder / "capture.pcapng"),
    ):
        assert said in out, said
    assert "\x1b" not in out
    assert "dnsmasq.log" not in out  # it is not there


def test_the_summary_of_a_hostile_record_is_harmless() -> None:
    stream = io.StringIO()
    summary(samples.hostile(), None, stream)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", stream.getvalue())


def test_plain_lines_need_no_rich() -> None:
    code = (
        "import io, sys; from harness.report.live import LiveView\n"
        "view = LiveView(io.StringIO()); view.stage_started('b', 'power', 0.0); view.close()\n"
        "sys.exit('rich' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
