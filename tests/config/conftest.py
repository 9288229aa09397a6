# SPDX-License-Identifier: GPL-2.0-or-later
"""A third-party power driver, as an installed package would bring it."""

import pytest

from harness.config import gear


@pytest.fixture
def relay(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a package with the entry point `relay` of the group piboot.power were installed."""
    monkeypatch.setattr(gear, "plugin_power_drivers", lambda: ["relay"])
