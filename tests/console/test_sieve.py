# SPDX-License-Identifier: GPL-2.0-or-later
"""What of a board's output reaches a person's terminal."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.console.sieve import Sieve

E = "\x1b"
#: Whatever is left of these in the output acts on the person's machine.
HARMFUL = re.compile(
    rb"\x1b[\]PX^_kZ#%nol]|\x1b[()*+][^0AB]|\x1b\[[0-9;:?]*[cqptixyw]|\x1b\[[>=!<$ \"']|[\x00-\x06\x0e-\x1a\x1c-\x1f\x7f]"
    rb"|\xc2[\x80-\x9f]|\xe2\x80[\xaa-\xae]"
)


def sieved(text: str | bytes) -> str:
    sieve = Sieve()
    return sieve.feed(text if isinstance(text, bytes) else text.encode()).decode()


@pytest.mark.parametrize(
    "text",
    [
        "raspberrypi login: \r\n\tbell\a and \b back",
        "Grüße, 日本, ✓",
        f"{E}[0;1;32m  OK  {E}[0m colours {E}[38;5;208m and {E}[38:2:1:2:3m more",
        f"{E}[2J{E}[H{E}[10;20H{E}[K{E}[3A{E}[?25l{E}[?25h{E}[r{E}[1;24r{E}[s{E}[u",
        f"{E}[?1049h htop {E}[?1049l{E}7{E}8{E}={E}>{E}(0lqk{E}(B{E}M{E}c",
        f"{E}[6n where is the cursor {E}[5n",
        f"{E}[?2004h bracketed paste {E}[?2004l{E}[?1h{E}[4h{E}[4l",
    ],
)
def test_what_programs_need_passes(text: str) -> None:
    assert sieved(text) == text


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f"a{E}]52;c;ZXZpbA==\ab", "ab"),  # writes the clipboard
        (f"a{E}]52;c;?{E}\\b", "ab"),  # reads it
        (f"a{E}]0;title\ab", "ab"),
        (f"a{E}]8;;http://x{E}\\link{E}]8;;{E}\\b", "alinkb"),
        (f"a{E}P+q544e{E}\\b", "ab"),  # DCS: a terminal answers XTGETTCAP
        (f"a{E}P$qm{E}\\b", "ab"),
        (f"a{E}_Gf=100;AAAA{E}\\b{E}^x{E}\\c{E}Xy{E}\\d", "abcd"),
        (f"a{E}ktitle{E}\\b", "ab"),
        ("a\x05b", "ab"),  # ENQ: answerback
        (f"a{E}Zb{E}[cb{E}[>cb{E}[=cb", "abbbb"),  # who are you?
        (f"a{E}[21tb{E}[8;9;9tb{E}[5ib{E}[?4ib{E}[!pb{E}[?1$pb{E}[x", "abbbbbb"),
        (f"a{E}[?1000hb{E}[?1003;25hb{E}[?1006lb", f"ab{E}[?25hbb"),  # mouse reports
        (f"a{E}[1;2;3;4;5Tb", "ab"),
        (f"a{E}%@b{E}#8b{E}(Kb{E}*0b\x0ec\x0fd", "abbbbcd"),
        ("a\x00b\x7fc\x9bd", "abcd"),
        ("a\u202eb\u200bc", "a\ufffdb\ufffdc"),
        (f"a{E}[{'1;' * 500}mb", ";" * 0),
    ],
)
def test_what_acts_on_the_persons_machine_does_not(text: str, left: str) -> None:
    found = sieved(text)
    assert HARMFUL.search(found.encode()) is None
    if left:
        assert found == left


def test_invalid_octets_are_shown_as_such() -> None:
    assert sieved(b"a\xff\x9b2Jb") == "a\ufffd\ufffd2Jb"


def test_a_control_string_without_an_end_hides_no_more_than_its_line() -> None:
    assert sieved(f"{E}]0;never ends\r\nlogin: ") == "\r\nlogin: "
    assert sieved(f"{E}P" + "x" * 5000 + "login: ").endswith("login: ")
    assert sieved(f"{E}]0;cut{E}[31mred") == f"{E}[31mred"
    assert sieved(f"{E}[12\r\nlogin: ") == "\r\nlogin: "


def test_the_terminal_is_brought_back() -> None:
    sieve = Sieve()
    assert sieve.restore() == b""
    sieve.feed(f"{E}[31m{E}[?1049h{E}[?25l{E}[?2004h".encode())
    assert sieve.restore() == f"{E}[m{E}(B{E}[r{E}[?25h{E}[?1049l{E}[?2004l".encode()
    sieve.feed(f"{E}[?1049l{E}[?25h{E}[?2004l".encode())
    assert sieve.restore() == f"{E}[m{E}(B{E}[r".encode()


PIECES = st.lists(
    st.one_of(
        st.binary(max_size=6),
        st.sampled_from(
            [b"\x1b", b"\x1b[", b"\x1b]", b"\x1bP", b"\x1b\\", b"\a", b"?", b";", b"52;c;", b"h", b"c", b"t", b"\n"]
        ),
    ),
    max_size=40,
)


@given(PIECES)
def test_nothing_harmful_passes_however_it_is_cut(pieces: list[bytes]) -> None:
    whole, parts = Sieve(), Sieve()
    once = whole.feed(b"".join(pieces))
    assert b"".join(parts.feed(piece) for piece in pieces) == once
    assert HARMFUL.search(once) is None
    assert Sieve().feed(once) == once or "\ufffd" in once.decode()
