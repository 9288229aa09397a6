# SPDX-License-Identifier: GPL-2.0-or-later
"""Files that are no lab, or no file, or made to hurt: only a LabFileError comes out, soon."""

import os
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from harness.config import LabFileError, load, loads
from tests.config.samples import GOOD, one, position


def refused(path: Path) -> LabFileError:
    with pytest.raises(LabFileError) as caught:
        load(path)
    return caught.value


def test_missing(tmp_path: Path) -> None:
    (tmp_path / "lab.yaml").write_text(GOOD)
    error = refused(tmp_path / "lba.yaml")
    assert (error.what, error.place) == ("there is no such file", str(tmp_path / "lba.yaml"))
    assert error.remedy == f"did you mean {tmp_path / 'lab.yaml'}?"
    assert "--lab FILE" in refused(tmp_path / "empty" / "lab.yaml").remedy or refused(tmp_path / "no" / "x").remedy


def test_unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object, **__: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", denied)  # root reads everything
    error = refused(tmp_path / "lab.yaml")
    assert error.what == "the file cannot be read: Permission denied"


def test_a_folder_and_a_pipe(tmp_path: Path) -> None:
    assert refused(tmp_path).remedy == f"name the file in it: {tmp_path / 'lab.yaml'}"
    os.mkfifo(tmp_path / "fifo")
    assert refused(tmp_path / "fifo").what == "this is not a regular file"
    assert refused(Path("/dev/zero")).what == "this is not a regular file"
    assert "cannot be read" in refused(Path("a\0b")).what


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing\n", "---\n", "\ufeff"])
def test_empty(tmp_path: Path, text: str) -> None:
    path = tmp_path / "lab.yaml"
    path.write_text(text)
    assert refused(path).what == "the file is empty"


@pytest.mark.parametrize("text", ["hello", "- 1\n- 2\n", "3", "null"])
def test_no_mapping(text: str) -> None:
    assert one(text).instead.startswith("start with `version: 1`")


@pytest.mark.parametrize(
    ("data", "line", "column"),
    [
        ("name: bänch\n".encode("latin-1"), 1, 8),
        ("version: 1\nname: x\n".encode("utf-16"), 1, 1),
        (b"a: 1\n\xff\xfe", 2, 1),
    ],
)
def test_not_utf_8(tmp_path: Path, data: bytes, line: int, column: int) -> None:
    path = tmp_path / "lab.yaml"
    path.write_bytes(data)
    error = refused(path)
    assert (error.place, error.remedy) == (f"{path}:{line}:{column}", "save the file as UTF-8")


def test_ten_megabytes_are_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "lab.yaml"
    path.write_bytes(b"a: 1\n" * 2_000_000)
    started = time.monotonic()
    assert refused(path).what == "the file is larger than 256 KiB"
    assert time.monotonic() - started < 0.5


@pytest.mark.parametrize(
    ("text", "at", "instead"),
    [
        ("version: 1\n\tname: x\n", "\t", "spaces"),
        ("boards:\n  a:\n\t  model: pi4\n", "\t", "spaces"),
        ("version: 1\nname: a: b\n", ": b", "quote a text"),
        ("version: 1\nname: 'x\n", "", "quote"),
        ("version: 1\nname: [x\nwires: {}\n", "", "bracket"),
        ("name: *nothing\n", "*nothing", "&anchor"),
        ("version: 1\n---\nversion: 1\n", "---", "one lab per file"),
        ("name: a\x01b\n", "\x01", "remove that character"),
        ("name: \x7f\n", "\x7f", "remove that character"),
        ("%YAML 9.9\n---\na: 1\n", "", ""),
        ('name: "\\UFFFFFFFF"\n', "", ""),
        ("[" * 5000, "", ""),
        ("{a: " * 5000, "", ""),
        ("? " * 3000, "", ""),
    ],
)
def test_not_yaml(text: str, at: str, instead: str) -> None:
    found = one(text)
    assert instead in found.instead
    if at:
        assert found.line == position(text, at)[0]


def test_alias_bombs_end_soon() -> None:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 9)]
    merges = ["m0: &m0 {a: 1}"]
    merges += [f"m{level}: &m{level} {{<<: [{', '.join([f'*m{level - 1}'] * 10)}]}}" for level in range(1, 9)]
    for text in ("\n".join(levels), "\n".join(merges), "a: &a [*a]\n", "a: &a {b: *a}\n", "a: &a {<<: *a}\n"):
        started = time.monotonic()
        with pytest.raises(LabFileError) as caught:
            loads(text)
        assert time.monotonic() - started < 3
        assert "aliases" in str(caught.value)


def test_keys_that_are_no_words_and_tags() -> None:
    found = [str(mistake) for mistake in one_or_more(GOOD + "? [a, b]\n: 1\n!foo x: !bar 3\n")]
    assert any("a key must be a plain word" in text for text in found)
    assert any("'!bar' means nothing here" in text for text in found)
    assert any("<< merges mappings only" in str(mistake) for mistake in one_or_more(GOOD + "<<: 3\n"))


def one_or_more(text: str) -> list[object]:
    with pytest.raises(LabFileError) as caught:
        loads(text)
    return list(caught.value.mistakes)


WORDS = st.sampled_from(
    [
        *(
            "version",
            "name",
            "wires",
            "servers",
            "boards",
            "policy",
            "emulation",
            "model",
            "serial_number",
            "mac",
            "wire",
        ),
        *(
            "server",
            "power",
            "console",
            "driver",
            "kind",
            "emulated",
            "interface",
            "external",
            "login",
            "password",
            "env",
        ),
        *(
            "eeprom",
            "budgets",
            "labels",
            "pi4",
            "1",
            "0x1F",
            "1e5",
            "off",
            ".nan",
            "~",
            "<<",
            "&a",
            "*a",
            "!t",
            "{",
            "}",
        ),
        *("[", "]", ",", ":", "-", "?", "|", ">", "'", '"', "#", "%", "@", "---", "\n", "\n  ", "\t", "\0", "\ud7ff"),
        *("\u2028", "é", "2024-01-01", "12:30:45", "0o9", "1_000", "+.inf", "!!str", "!!float", "=", "\x85", "\r"),
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6) | WORDS, inner, max_size=4),
    max_leaves=12,
)


def only_our_error(text: str) -> None:
    try:
        loads(text)
    except LabFileError as error:
        found = error.mistakes
    else:
        return
    assert found
    for mistake in found:
        assert mistake.line >= 1
        assert mistake.column >= 1
        assert mistake.what
        assert str(mistake).replace("\n", "").isprintable()


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(max_size=200) | st.lists(WORDS, max_size=40).map(" ".join) | st.lists(WORDS, max_size=40).map("".join))
@example("a: !!int x")
@example("a: !!float '1_'")
@example("a: 0x")
@example("? \n? \n")
@example("&a : *a")
@example("{<<: [], a: 1}")
@example("!!map 3")
@example("x-a: &a {version: 1}\n<<: *a\n")
def test_any_text(text: str) -> None:
    only_our_error(text)


@settings(deadline=None)
@given(st.integers(0, len(GOOD)), st.integers(0, 40), st.text(max_size=6) | WORDS)
def test_a_damaged_lab(start: int, length: int, instead: str) -> None:
    only_our_error(GOOD[:start] + instead + GOOD[start + length :])


@settings(deadline=None)
@given(st.sampled_from([line.split(":")[0] for line in GOOD.splitlines()]), VALUES)
def test_any_value_anywhere(key: str, value: object) -> None:
    """Every key of a good lab once with a value of any shape, in YAML's flow style (a superset of JSON)."""
    import json  # noqa: PLC0415

    lines = [f"{key}: {json.dumps(value)}" if line.split(":")[0] == key else line for line in GOOD.splitlines()]
    only_our_error("\n".join(lines) + "\n")
