# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs and their files: names, atomic writes, and damaged files that are told apart from cut-off ones."""

from pathlib import Path

import pytest

from harness.boot.events import ClockStep, Ended
from harness.errors import ConfigError, InfraError
from harness.run import Run, journal, latest, write_json
from harness.run.replay import read_record, replay


def test_runs_of_one_name_do_not_meet(tmp_path: Path) -> None:
    first = Run.create(tmp_path, lab="a", name="night")
    second = Run.create(tmp_path, lab="a", name="night")
    assert (first.folder.name, second.folder.name) == ("night", "night-2")
    assert latest(tmp_path) in (first.folder, second.folder)


def test_boot_folders_are_unique_and_an_emulators_folder_is_not_taken_for_a_boot(tmp_path: Path) -> None:
    run = Run.create(tmp_path, lab="a")
    (run.folder / "pi4-a").mkdir()
    assert [run.boot_folder("pi4-a").name for _ in range(3)] == ["pi4-a", "pi4-a.2", "pi4-a.3"]


def test_run_json_is_there_from_the_start(tmp_path: Path) -> None:
    run = Run.create(tmp_path, lab="bench")
    again = Run.open(run.folder)
    assert again.facts["lab"] == "bench"
    assert again.facts["ended"] is None


@pytest.mark.parametrize("name", ["../x", ".hidden", "a/b"])
def test_a_run_stays_below_reports(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError):
        Run.create(tmp_path, lab="a", name=name)


def test_reports_that_cannot_be_made_are_the_labs_fault(tmp_path: Path) -> None:
    (tmp_path / "reports").write_text("a file")
    with pytest.raises(InfraError, match="cannot write"):
        Run.create(tmp_path / "reports", lab="a")


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.json"
    write_json(path, {"a": 1})

    def fail(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(InfraError, match="No space left"):
        write_json(path, {"a": 2})
    assert '"a": 1' in path.read_text()


def test_the_journal_gives_back_what_was_written_and_forgives_a_torn_last_line(tmp_path: Path) -> None:
    path = tmp_path / "harness.jsonl"
    events = [ClockStep(t=1.5, seconds=3.0), Ended(t=2.0, reason="infra", detail="x", remedy="y")]
    for event in events:
        journal.append(path, event)
    assert journal.read(path) == events
    with path.open("a") as file:
        file.write('{"event": "Ended", "t": 3')
    assert journal.read(path) == events


def test_a_damaged_journal_names_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "harness.jsonl"
    path.write_text('{"event": "Nonsense"}\n\n')
    with pytest.raises(ConfigError) as caught:
        journal.read(path)
    assert caught.value.place == f"{path}:1"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema_version": 99}', "\x00\xff"])
def test_a_record_that_is_none_is_told_with_the_remedy(tmp_path: Path, text: str) -> None:
    path = tmp_path / "record.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match="not a boot record") as caught:
        read_record(path)
    assert "piboot replay" in caught.value.remedy


@pytest.mark.parametrize("text", ["", "{}", "{", '{"board": 3}'])
def test_an_expectation_that_is_none_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "expect.json").write_text(text)
    with pytest.raises(ConfigError, match=r"expect\.json"):
        replay(tmp_path)


def test_a_folder_that_is_no_boot_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not the folder of a boot"):
        replay(tmp_path)
    with pytest.raises(ConfigError, match="no such boot"):
        replay(tmp_path / "nowhere")
