# SPDX-License-Identifier: GPL-2.0-or-later
"""Reading a run's folder: whole, partial, broken and foreign."""

import json
from pathlib import Path

import pytest

from harness.report.runs import load_run

from . import samples


def problem_of(run: Path, content: str | bytes) -> str:
    folder = run / "pi4-x"
    folder.mkdir(parents=True)
    path = folder / "record.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    (boot,) = load_run(run).boots
    assert boot.record is None
    assert boot.outcome == "unreadable"
    return boot.problem


def test_a_night_is_sorted_worst_first(tmp_path: Path) -> None:
    run = load_run(samples.write_run(tmp_path / "night"))
    assert [boot.outcome for boot in run.boots] == ["failed", "infra", "unreadable", "late", "passed"]
    assert run.tally()[0] == ("failed", 1)
    assert run.command == "pytest -m pi4"
    assert run.logs == ("servers/dnsmasq.log",)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "it is empty"),
        ('{"board": "x", "sta', "line 1, column"),
        ("[1, 2]", "holds no boot record"),
        ('"text"', "holds no boot record"),
        (b"\xff\xfe{}", "not UTF-8"),
        ('{"schema_version": 99, "board": "x"}', "schema version 99"),
        ('{"something": "else"}', "board"),
        ("[" * 100_000, "record.json cannot be read"),
        ('{"started": NaN}', "NaN is not a number"),
    ],
)
def test_a_record_that_is_none_is_named_with_its_reason(tmp_path: Path, content: str | bytes, said: str) -> None:
    assert said in problem_of(tmp_path, content)


def test_half_a_record_says_where_it_breaks_off(tmp_path: Path) -> None:
    text = samples.good().model_dump_json(indent=1)
    assert "it breaks off or is damaged at line" in problem_of(tmp_path, text[: len(text) // 2])


def test_a_record_with_unknown_keys_is_foreign(tmp_path: Path) -> None:
    data = json.loads(samples.good().model_dump_json()) | {"surprise": 1}
    assert "surprise" in problem_of(tmp_path, json.dumps(data))


def test_a_record_without_its_end_is_shown_as_far_as_it_goes(tmp_path: Path) -> None:
    data = json.loads(samples.good().model_dump_json())
    for key in ("ended", "duration_s", "verdict"):
        del data[key]
    data["stages"] = data["stages"][:4]
    folder = tmp_path / "pi4-bench"
    folder.mkdir()
    (folder / "record.json").write_text(json.dumps(data))
    (boot,) = load_run(tmp_path).boots
    assert boot.outcome == "unfinished"
    assert boot.words == "not finished"
    assert "ended" in boot.sentence
    assert boot.record is not None
    assert boot.record.ended == pytest.approx(samples.T0 + samples.GOOD["firmware"][1])


def test_a_boot_without_record_is_found_by_its_other_files(tmp_path: Path) -> None:
    (tmp_path / "pi4-shed").mkdir()
    (tmp_path / "pi4-shed" / "expect.json").write_text('{"board": "pi4-shed", "model": "pi4"}')
    (boot,) = load_run(tmp_path).boots
    assert "no record.json" in boot.problem
    assert boot.model == "pi4"


def test_record_json_may_be_anything(tmp_path: Path) -> None:
    (tmp_path / "pi4" / "record.json").mkdir(parents=True)
    (boot,) = load_run(tmp_path).boots
    assert "not a file" in boot.problem


@pytest.mark.parametrize(
    "content", ["", "[]", '{"tests": 3, "notes": "x", "started": "then", "command": ["a", 1]}', "{"]
)
def test_run_json_may_be_anything(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.json").write_text(content)
    run = load_run(tmp_path)
    assert run.boots == ()
    assert run.started is None


def test_second_boots_in_deeper_folders_are_found(tmp_path: Path) -> None:
    samples.write_boot(tmp_path / "again", samples.good())
    assert [boot.name for boot in load_run(tmp_path).boots] == ["again/pi4-bench"]
