# SPDX-License-Identifier: GPL-2.0-or-later
"""Numbers and words for people, and strangers' text made harmless."""

import math
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.report import text


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, text.DASH),
        (math.nan, text.DASH),
        (math.inf, text.DASH),
        (0.0, "0 s"),
        (0.00021, "210 µs"),
        (0.0874, "87 ms"),
        (0.9996, "1.00 s"),
        (4.2651, "4.27 s"),
        (41.32, "41.3 s"),
        (119.96, "2 min 00 s"),
        (125.2, "2 min 05 s"),
        (3599.7, "1 h 00 min"),
        (3725.0, "1 h 02 min"),
        (-0.25, "-250 ms"),
    ],
)
def test_durations_are_short_and_exact_enough(seconds: float | None, shown: str) -> None:
    assert text.duration(seconds) == shown


@pytest.mark.parametrize(
    ("octets", "shown"),
    [
        (None, text.DASH),
        (0, "0 B"),
        (999, "999 B"),
        (1540, "1.5 kB"),
        (54_881, "54.9 kB"),
        (999_600, "1.00 MB"),
        (27_394_048, "27.4 MB"),
        (1.25e9, "1.25 GB"),
    ],
)
def test_sizes_are_decimal(octets: float | None, shown: str) -> None:
    assert text.size(octets) == shown


def test_rates_and_relative_times() -> None:
    assert text.rate(3_310_000.0) == "3.31 MB/s"
    assert text.rate(None) == text.rate(math.inf) == text.DASH
    assert text.relative(112.3456, 100.0) == "+12.346 s"
    assert text.relative(99.5, 100.0) == "-0.500 s"
    assert text.relative(None, 100.0) == text.relative(math.inf, 100.0) == text.DASH


def test_a_senseless_clock_time_is_a_dash() -> None:
    assert text.clock_time(1e18) == text.clock_time(math.nan) == text.clock_time(None) == text.DASH
    assert text.clock_time(1_795_550_400.25).startswith("2026-11-2")


def test_lists_and_counts_read_as_english() -> None:
    assert [text.listing(w) for w in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a and b", "a, b and c"]
    assert (text.count(1, "packet"), text.count(12_345, "packet")) == ("1 packet", "12,345 packets")


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain", "plain"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]0;not ended: secret", "\\x1b]0;not ended: secret"),
        ("\x9b2Jcleared", "cleared"),
        ("a\x00b", "a\\x00b"),
        ("\x00" * 40, "\\x00{40}"),
        ("abc\u202egnp.exe", "abc\\u202egnp.exe"),
        ("tab\tand\nline", "tab\tand\nline"),
        ("\r\x7f\x85", "\\x0d\\x7f\\x85"),
        ("\ufffe\ud800", "\\ufffe\\ud800"),
        ("Grüße 日本", "Grüße 日本"),
    ],
)
def test_control_characters_become_visible_and_colours_vanish(raw: str, shown: str) -> None:
    assert text.clean(raw) == shown


@given(st.text(st.characters(), max_size=200))
def test_nothing_dangerous_survives_cleaning(raw: str) -> None:
    for char in text.clean(raw):
        assert char in "\t\n" or unicodedata.category(char) not in {"Cc", "Cs", "Zl", "Zp"}, repr(char)
        assert unicodedata.bidirectional(char) not in {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def test_one_line_is_bounded_and_squeezed() -> None:
    assert text.one_line("  a\n\n b\t c ") == "a b c"
    assert len(text.one_line("x" * 10_000, 50)) == 50
    assert text.one_line("x" * 51, 50).endswith("…")


def test_the_end_of_a_path_is_kept() -> None:
    short = text.shorten_middle("91cdf03d/overlays/a-very-long-name-of-an-overlay.dtbo", 20)
    assert len(short) == 20
    assert short.endswith("overlay.dtbo")
    assert text.shorten_middle("short", 20) == "short"
