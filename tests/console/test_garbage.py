# SPDX-License-Identifier: GPL-2.0-or-later
"""Which octets are no text: wrong rates are told from real logs, however they come."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.console.garbage import BLOCK, Garbage

from . import transcripts
from .uart import sampled

TEXT = transcripts.PI4_2021 + transcripts.KERNEL_TO_LOGIN + transcripts.PI5
RATES = (9600, 57600, 115200, 460800, 921600, 1_500_000)


def _octets(*pieces: bytes) -> int:
    garbage = Garbage()
    for piece in pieces:
        garbage.feed(piece)
    return garbage.octets


@pytest.mark.parametrize(("sent", "read"), [(a, b) for a, b in product(RATES, RATES) if a != b])
def test_a_wrong_rate(sent: int, read: int) -> None:
    length = max(20, min(1000, 1500 * sent // read))  # a fast reader hears each bit many times
    heard = sampled(TEXT[:length], sent, read)
    assert _octets(heard) > 0.75 * len(heard)


@pytest.mark.parametrize("rate", RATES)
def test_the_right_rate(rate: int) -> None:
    assert sampled(TEXT[:200], rate, rate) == TEXT[:200]
    assert _octets(TEXT) == 0


def test_a_small_difference_is_none() -> None:
    """Real clocks differ: 2 % are read without a fault."""
    assert sampled(TEXT[:500], 115200, 117500) == TEXT[:500]


def test_text_of_other_languages_and_terminals() -> None:
    assert _octets("Загрузка ядра… не удалось\r\n".encode() * 20) == 0
    assert _octets(b"\x1b[0;1;31mFAILED\x1b[0m \x07\x08\r\n" * 40) == 0


def test_garbage_between_much_text_is_counted() -> None:
    assert 800 <= _octets(TEXT * 20, bytes(range(128, 192)) * 15, TEXT * 20) <= 1100


@given(st.binary(max_size=400), st.integers(1, 100))
def test_pieces_change_nothing(data: bytes, size: int) -> None:
    assert _octets(*(data[i : i + size] for i in range(0, len(data), size))) == _octets(data) <= len(data)
    assert _octets(b"") == 0
    assert BLOCK > 16
