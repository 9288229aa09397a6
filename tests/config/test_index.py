# SPDX-License-Identifier: GPL-2.0-or-later
"""The board index for pytest's collection: right, cached, cheap."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness.config import BoardBrief, LabFileError, board_index, reader
from tests.config.samples import GOOD, changed

LAB = GOOD + "    labels: [rack2, poe]\n"
EXPECTED = [BoardBrief("a", "pi4", ("rack2", "poe"))]


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    path = tmp_path / "lab.yaml"
    path.write_text(LAB)
    return path


@pytest.fixture
def no_load(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise AssertionError("the file was loaded although the cache has it")

    monkeypatch.setattr(reader, "load", refuse)


def test_without_a_cache(lab: Path) -> None:
    assert board_index(lab) == EXPECTED
    assert [path.name for path in lab.parent.iterdir()] == ["lab.yaml"]


def test_the_second_time_nothing_is_loaded(lab: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    cache = tmp_path / "not" / "yet"
    assert board_index(lab, cache) == EXPECTED
    request.getfixturevalue("no_load")
    assert board_index(lab, cache) == EXPECTED
    assert board_index(str(lab), str(cache)) == EXPECTED


def test_a_changed_file_is_read_again(lab: Path, tmp_path: Path) -> None:
    board_index(lab, tmp_path / "cache")
    lab.write_text(changed("  a:\n", "  b:\n", LAB))
    assert [board.name for board in board_index(lab, tmp_path / "cache")] == ["b"]
    assert len(list((tmp_path / "cache").iterdir())) == 1, "a lab has one cache file, however often it changes"


def test_two_labs_share_a_cache_folder(lab: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(changed("  a:\n", "  b:\n", LAB))
    for _ in range(2):
        assert board_index(lab, tmp_path / "cache")[0].name == "a"
        assert board_index(other, tmp_path / "cache")[0].name == "b"


def test_mistakes_are_told_and_not_cached(lab: Path, tmp_path: Path) -> None:
    lab.write_text(changed("model: pi4", "model: pi44"))
    for _ in range(2):
        with pytest.raises(LabFileError):
            board_index(lab, tmp_path / "cache")
    with pytest.raises(LabFileError, match="no such file"):
        board_index(tmp_path / "none.yaml", tmp_path / "cache")
    with pytest.raises(LabFileError, match="this is a folder"):
        board_index(tmp_path, tmp_path / "cache")


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"key": 1}', b"\xff", b"[" * 100_000, b'{"key": "%s", "boards": [1]}']
)
def test_a_broken_cache_is_as_good_as_none(lab: Path, tmp_path: Path, content: bytes) -> None:
    cache = tmp_path / "cache"
    board_index(lab, cache)
    (kept,) = cache.iterdir()
    key = json.loads(kept.read_text())["key"]
    kept.write_bytes(content.replace(b"%s", key.encode()))
    assert board_index(lab, cache) == EXPECTED
    assert json.loads(kept.read_text())["boards"] == [["a", "pi4", ["rack2", "poe"]]]


def test_a_cache_folder_that_cannot_be(lab: Path) -> None:
    assert board_index(lab, lab / "below-a-file") == EXPECTED


def test_a_warm_look_up_imports_neither_pydantic_nor_ruamel(lab: Path, tmp_path: Path) -> None:
    board_index(lab, tmp_path / "cache")
    program = """
import sys, time
before = set(sys.modules)
started = time.process_time()
from harness.config import board_index
boards = board_index(sys.argv[1], sys.argv[2])
took = time.process_time() - started
heavy = sorted(name for name in set(sys.modules) - before if name.split(".")[0] in {"pydantic", "pydantic_core", "ruamel"})
print(boards[0].name, heavy, took)
"""
    root = Path(__file__).resolve().parents[2]
    runs = [
        subprocess.run(
            [sys.executable, "-c", program, str(lab), str(tmp_path / "cache")],
            cwd=root, check=True, capture_output=True, text=True, timeout=60,
        ).stdout.split()
        for _ in range(3)
    ]  # fmt: skip
    assert runs[0][:2] == ["a", "[]"]
    # Processor time: 1.5 ms beside pytest, which has json and hashlib loaded, about 10 ms without. Pydantic alone takes 200.
    assert min(float(run[2]) for run in runs) < 0.15
