# SPDX-License-Identifier: GPL-2.0-or-later
"""What a page shows of a console log."""

import json
from pathlib import Path

from harness.report.console import Mark, excerpt

from .samples import HOSTILE_CONSOLE


def log(folder: Path, content: bytes) -> Path:
    path = folder / "console.log"
    path.write_bytes(content)
    return path


def test_a_short_log_is_whole_with_numbers_and_marks(tmp_path: Path) -> None:
    mark = Mark("stage", "kernel")
    shown = excerpt(log(tmp_path, b"one\r\ntwo\nthree"), {2: (mark,)})
    assert [(line.number, line.text) for line in shown.lines] == [(1, "one"), (2, "two"), (3, "three")]
    assert shown.lines[1].marks == (mark,)
    assert shown.whole
    assert shown.octets == 14


def test_a_long_log_keeps_head_tail_and_the_surroundings_of_marks_within_the_limit(tmp_path: Path) -> None:
    path = log(tmp_path, b"".join(b"line %d\n" % n for n in range(1, 50_001)))
    shown = excerpt(path, {20_000: (Mark("stage", "kernel"),), 33_333: (Mark("milestone", "m"),)}, limit=500)
    assert shown.total == 50_000
    assert len(shown.lines) <= 500
    for number in (1, 19_990, 20_000, 33_333, 49_900, 50_000):
        assert number in shown.numbers
    assert all(line.text == f"line {line.number}" for line in shown.lines)
    assert len(shown.lines) + sum(line.skipped for line in shown.lines) == shown.total
    assert not shown.whole


def test_more_marks_than_room_stay_within_the_limit_and_stages_come_first(tmp_path: Path) -> None:
    path = log(tmp_path, b"x\n" * 20_000)
    marks = {n: (Mark("milestone", "m"),) for n in range(5000, 15_000)} | {14_999: (Mark("stage", "root"),)}
    shown = excerpt(path, marks, limit=300)
    assert len(shown.lines) <= 300
    assert 14_999 in shown.numbers


def test_lines_carry_the_time_of_the_chunk_that_their_first_octet_came_in(tmp_path: Path) -> None:
    path = log(tmp_path, b"aaaa\nbbbb\ncccc\n")
    rows = [
        json.dumps([0, 10.0]),
        json.dumps([7, 11.5]),
        "torn [",
        json.dumps([10, 12.0, "gap", "lost"]),
        json.dumps([10, 13.0]),
    ]
    (tmp_path / "console.times").write_text("\n".join(rows))
    assert [line.t for line in excerpt(path, {}).lines] == [10.0, 10.0, 13.0]


def test_hostile_octets_are_harmless_text(tmp_path: Path) -> None:
    shown = excerpt(log(tmp_path, HOSTILE_CONSOLE), {})
    everything = "".join(line.text for line in shown.lines)
    assert "\x1b" not in everything
    assert "\x00" not in everything
    assert "\u202e" not in everything
    assert "\\x00{40}after NULs" in everything
    assert max(len(line.text) for line in shown.lines) < 1100
    assert "8,002 more octets" in everything


def test_a_log_without_line_ends_is_one_bounded_line(tmp_path: Path) -> None:
    shown = excerpt(log(tmp_path, b"z" * 3_000_000), {})
    assert shown.total == 1
    assert len(shown.lines[0].text) < 1100


def test_a_missing_log_is_said(tmp_path: Path) -> None:
    assert excerpt(tmp_path / "console.log", {}).problem == "There is no console log."
    (tmp_path / "folder").mkdir()
    assert "cannot be read" in excerpt(tmp_path / "folder", {}).problem
