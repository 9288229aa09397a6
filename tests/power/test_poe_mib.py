# SPDX-License-Identifier: GPL-2.0-or-later
"""What a PoE switch's objects mean."""

import pytest

from harness.config import Secret
from harness.errors import ConfigError
from harness.power.poe_mib import Port, Reading
from harness.power.snmp_credentials import Credentials


def test_keys_that_no_agent_takes_are_told_before_anything_is_sent() -> None:
    with pytest.raises(ConfigError, match="privacy key has fewer than 8 characters"):
        Credentials(version="3", user="u", auth_key=Secret("long-enough"), privacy_key=Secret("short"))


@pytest.mark.parametrize(
    ("admin", "status", "state", "words"),
    [
        (1, 3, "on", "deliveringPower"),
        (2, 3, "on", "deliveringPower, disabled"),
        (2, 1, "off", "disabled"),
        (2, 2, "off", "searching: it finds no powered device (cable, PoE HAT), disabled"),
        (1, 2, "unknown", "searching: it finds no powered device (cable, PoE HAT), enabled"),
        (1, 4, "unknown", "fault, enabled"),
        (1, 5, "unknown", "test mode, enabled"),
        (1, 6, "unknown", "otherFault: the powered device is faulty, enabled"),
        (1, 1, "unknown", "disabled, enabled"),
        (2, 99, "unknown", "detection status 99, which RFC 3621 does not know, disabled"),
        (None, None, "unknown", "detection status None, which RFC 3621 does not know, admin value None"),
    ],
)
def test_what_a_switch_says_as_a_state(admin: int | None, status: int | None, state: str, words: str) -> None:
    reading = Reading(admin, status, {})
    assert (reading.state, reading.words) == (state, words)


@pytest.mark.parametrize(
    ("column", "cause"),
    [
        (11, "invalid signature"),
        (12, "denied, power budget (9 of 10 W in use)"),
        (13, "overload"),
        (14, "short circuit"),
    ],
)
def test_counters_tell_causes(column: int, cause: str) -> None:
    before = Reading(1, 2, {11: 1, 12: 1, 13: 1, 14: 1})
    after = Reading(1, 2, {**before.counters, column: 2}, power=10, used=9)
    assert cause in after.cause(before)
    assert before.cause(before) == ""
    assert "power supply is faulty" in Reading(1, 2, {}, main_status=3).cause(before)


def test_objects_are_those_of_rfc_3621() -> None:
    assert Port(2, 7).admin == (1, 3, 6, 1, 2, 1, 105, 1, 1, 1, 3, 2, 7)
    assert (1, 3, 6, 1, 2, 1, 105, 1, 3, 1, 1, 4, 2) in Port(2, 7).wanted
