# SPDX-License-Identifier: GPL-2.0-or-later
"""Bytes to lines: numbers, times and texts, however the bytes come."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.console.lines import Line, LineSplitter


def _texts(*chunks: bytes, max_line: int = 4096) -> list[tuple[int, str]]:
    splitter = LineSplitter(max_line)
    lines = [line for i, chunk in enumerate(chunks) for line in splitter.feed(float(i), chunk)] + splitter.flush()
    return [(line.number, line.text) for line in lines if not line.partial]


def test_numbers_are_those_that_an_editor_shows() -> None:
    assert _texts(b"one\r\n\r\nthree\nfour") == [(1, "one"), (3, "three"), (4, "four")]


def test_a_lone_cr_parts_texts_but_counts_no_line() -> None:
    assert _texts(b"10 %\r20 %\r\r\nnext\n") == [(1, "10 %"), (1, "20 %"), (2, "next")]


def test_a_line_has_the_time_of_its_first_octet() -> None:
    splitter = LineSplitter()
    assert splitter.feed(1.0, b"boot") == []
    (line,) = splitter.feed(2.0, b"ing\r\nnext")
    assert (line.t, line.text, line.offset) == (1.0, "booting", 0)
    (line,) = splitter.feed(3.0, b"\n")
    assert (line.t, line.text, line.offset) == (2.0, "next", 9)


def test_kernel_records_in_one_physical_line_are_lines_of_their_own_with_their_own_times() -> None:
    splitter = LineSplitter()
    splitter.feed(1.0, b"MESS:00:00:07.146055:0:")
    lines = splitter.feed(2.0, b"[    0.000000] Booting Linux [    0.000001][    T0] two\n")
    assert [(line.t, line.number, line.text) for line in lines] == [
        (1.0, 1, "MESS:00:00:07.146055:0:"),
        (2.0, 1, "[    0.000000] Booting Linux "),
        (2.0, 1, "[    0.000001][    T0] two"),
    ]


def test_escapes_controls_and_foreign_octets() -> None:
    assert _texts(b"[\x1b[0;32m  OK  \x1b[0m] Reached\x00 target \x1b]3008;start=1\x1b\\multi\x1b[?2004h\x07\n") == [
        (1, "[  OK  ] Reached target multi")
    ]
    assert _texts(b"caf\xc3\xa9 \xff\xfe \xe2\x80\xae\ttab\n") == [(1, "café \\xff\\xfe  tab")]


def test_an_escape_that_systemd_cut_with_an_ellipsis() -> None:
    assert _texts(
        b"[\x1b[0;32m  OK  \x1b[0m] Finished \x1b[0;1;39msystemd-udev-trig\xe2\x80\xa6[0m - Coldplug All.\r\r\n",
        b"[\x1b[0;32m  OK  \x1b[0m] Started \x1b[0;1;39me2scrub_all.timer\x1b[\xe2\x80\xa6etadata Check.\r\r\n",
    ) == [
        (1, "[  OK  ] Finished systemd-udev-trig… - Coldplug All."),
        (2, "[  OK  ] Started e2scrub_all.timer…etadata Check."),
    ]


def test_texts_placed_by_cursor_moves_are_parted() -> None:
    assert _texts(b"\x1b[2J\x1b[01;01HUEFI firmware\x1b[02;01HPress ESC\n") == [(1, "UEFI firmware"), (1, "Press ESC")]


@pytest.mark.parametrize("cut", [b"\x1b", b"\x1b[", b"\x1b[0;3", b"\x1b]0;title"])
def test_an_escape_that_the_end_cuts_off_leaves_nothing(cut: bytes) -> None:
    assert _texts(b"text" + cut) == [(1, "text")]


def test_an_overlong_line_comes_in_pieces_that_say_so() -> None:
    splitter = LineSplitter(max_line=10)
    lines = splitter.feed(1.0, b"abcdefghijklmnopqrstuvwxyz\nnext\n")
    assert [(line.number, line.text, line.cut) for line in lines] == [
        (1, "abcdefghij", True),
        (1, "klmnopqrst", True),
        (1, "uvwxyz", False),
        (2, "next", False),
    ]


@pytest.mark.parametrize(
    "prompt",
    [
        b"rpi login: ",
        b"\x1b[H\x1b[Jrpi login: ",
        b"Password: ",
        b"(initramfs) ",
        b"# ",
        b"root@rpi:~# ",
        b"\x1b[?2004hroot@rpi:~# ",
        b"U-Boot> ",
        b"Press Enter for maintenance\x1b[0m (or press Control-D to continue): ",
    ],
)
def test_a_prompt_is_told_before_its_line_ends_once(prompt: bytes) -> None:
    splitter = LineSplitter()
    (line,) = splitter.feed(1.0, b"text\r\n" + prompt)[1:]
    assert (line.partial, line.t, line.number) == (True, 1.0, 2)
    assert not [line for line in splitter.feed(2.0, b"r") + splitter.feed(2.0, b"oot") if line.partial]


@pytest.mark.parametrize("text", [b"Last login: ", b"half a li", b"Loading: ####", b"12 files, "])
def test_half_a_line_is_no_prompt(text: bytes) -> None:
    assert LineSplitter().feed(1.0, text) == []


def test_a_kernel_record_behind_a_prompt_has_its_own_time() -> None:
    splitter = LineSplitter()
    splitter.feed(1.0, b"rpi login: ")
    lines = splitter.feed(30.0, b"[   40.000000] random: crng init done\r\n")
    assert [(line.t, line.text) for line in lines] == [
        (1.0, "rpi login: "),
        (30.0, "[   40.000000] random: crng init done"),
    ]


def test_flush_gives_the_half_line_and_lines_counts_it() -> None:
    splitter = LineSplitter()
    splitter.feed(1.0, b"one\ntw")
    assert splitter.lines == 2
    assert [line.text for line in splitter.flush()] == ["tw"]
    assert splitter.lines == 2
    assert splitter.flush() == []


@given(st.binary(max_size=400), st.lists(st.integers(1, 7), max_size=80))
def test_any_octets_in_any_chunks_give_the_same_lines(data: bytes, sizes: list[int]) -> None:
    chunks, at = [], 0
    for size in sizes:
        chunks.append(data[at : at + size])
        at += size
    assert _texts(*chunks, data[at:], max_line=50) == _texts(data, max_line=50)


@given(
    st.lists(
        st.sampled_from([b"\x1b[", b"\r", b"\n", b"[    1.000000] x", b"a", b"\x9b", b"\xe2\x80", b"login: "]),
        max_size=60,
    )
)
def test_texts_never_hold_what_a_terminal_would_obey(parts: list[bytes]) -> None:
    splitter = LineSplitter()
    lines: list[Line] = []
    for i, part in enumerate(parts):
        lines += splitter.feed(float(i), part)
    for line in lines + splitter.flush():
        assert line.text.isprintable()
        assert line.offset <= splitter.offset
