# SPDX-License-Identifier: GPL-2.0-or-later
"""Levels of a relay's pin, with gpiozero's mock pins."""

from typing import Any

import pytest
from gpiozero.pins.mock import MockFactory

from harness.power.gpio_line import Line, Wiring


@pytest.mark.parametrize(
    ("active_low", "contact", "high_when_on"),
    [(False, "no", True), (True, "no", False), (False, "nc", False), (True, "nc", True)],
)
def test_levels(active_low: bool, contact: Any, high_when_on: bool) -> None:
    factory = MockFactory()
    line = Line(Wiring(17, active_low=active_low, contact=contact, factory="mock"), factory)
    line.switch("on")
    assert factory.pin(17).state is high_when_on
    assert line.state() == "on"
    line.switch("off")
    assert factory.pin(17).state is not high_when_on
    assert line.state() == "off"
    factory.pin(17)._state = high_when_on
    assert line.state() == "on", "the pin is read, not remembered"
    line.close()


def test_taking_a_line_does_not_change_its_level() -> None:
    factory = MockFactory()
    factory.pin(17)._state = True
    line = Line(Wiring(17, factory="mock"), factory)
    assert factory.pin(17).state
    line.close()
