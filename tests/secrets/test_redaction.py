# SPDX-License-Identifier: GPL-2.0-or-later
"""The last net: texts without the secrets that this process has read, in any guise."""

import base64
import html
import json
import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import redaction
from harness.errors import InfraError
from harness.masking import Masker
from harness.redaction import forms, hide, redacted

PLANTED = 'k&r "Vx5"%y<2k+/é'


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_patterns", {})


@pytest.mark.parametrize(
    "guise",
    [
        lambda s: s,
        urllib.parse.quote,
        lambda s: urllib.parse.quote(s, safe=""),
        urllib.parse.quote_plus,
        html.escape,
        json.dumps,
        lambda s: json.dumps(s, ensure_ascii=False),
        repr,
        *(
            lambda s, n=n: base64.b64encode(b"u" * n + b":" + s.encode() + b"\n").decode()  # type: ignore[misc]
            for n in range(4)
        ),
        lambda s: base64.urlsafe_b64encode(s.encode()).decode(),
    ],
)
def test_a_secret_is_found_in_every_guise(guise: object) -> None:
    hide(PLANTED)
    assert callable(guise)
    text = f"before {guise(PLANTED)} after"
    clean = redacted(text)
    assert "********" in clean
    assert "Vx5" not in clean
    for form in forms(PLANTED):
        assert form not in clean
    assert clean.startswith("before ")


@given(st.text(min_size=5, max_size=40), st.text(max_size=30), st.text(max_size=30))
def test_nothing_of_it_stays_where_it_stands_alone(secret: str, before: str, after: str) -> None:
    redaction._patterns.clear()
    hide(secret)
    assert secret not in redacted(f"{before} {secret} {after}").replace(redaction.MASK, "")


def test_a_word_is_no_secret_inside_another() -> None:
    hide("raspberry")
    assert redacted("raspberrypi login: ") == "raspberrypi login: "
    assert redacted("password raspberry!") == "password ********!"


def test_short_ones_are_left_alone_and_nothing_is_done_without_secrets() -> None:
    hide("pi")
    assert redacted("pi4-a") == "pi4-a"
    assert redacted(PLANTED) == PLANTED


def test_an_error_is_clean_from_its_making() -> None:
    hide("community-4711")
    error = InfraError("no answer to community-4711", place="http://x/?k=community-4711", remedy="not community-4711")
    assert "4711" not in str(error) + repr(error) + str(error.args) + str(error.__reduce__())


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_an_echo_is_masked_however_it_is_cut(size: int) -> None:
    masker = Masker()
    masker.expect_echo(len("geheim\n"))
    said = b"geheim\r\nLogin incorrect\r\n"
    out = b"".join(masker.feed(said[at : at + size]) for at in range(0, len(said), size))
    assert out == b"******\r\nLogin incorrect\r\n"


def test_a_line_without_an_end_is_not_masked_for_ever() -> None:
    masker = Masker()
    masker.expect_echo(4)
    assert masker.feed(b"# ready and more") == b"****ady and more"
