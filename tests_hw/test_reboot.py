# SPDX-License-Identifier: GPL-2.0-or-later
"""What must hold when a board reboots by itself, without an edge of its power: `pytest --reboot`, as it takes a boot's time."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fixtures.session import Rebooted
    from harness.result import Boot


def test_a_reboot_goes_round_the_whole_boot_again(rebooted: Rebooted) -> None:
    """From the reset to the login, every stage in its time."""
    boot = rebooted.boot
    assert boot.verdict == "passed", f"{boot.record.reason}; see {boot.folder}"
    if boot.record.capture is not None:
        assert boot.tftp.complete or boot.record.http, "no file was delivered again"


def test_what_the_board_wrote_survives(rebooted: Rebooted) -> None:
    """The root file system keeps what is written to it."""
    assert rebooted.found == rebooted.wrote


def test_the_same_root_is_mounted_again(boot: Boot, rebooted: Rebooted) -> None:
    """Device, type and /boot are those of the first boot."""
    first, second = boot.record.root, rebooted.boot.record.root
    assert first is not None
    assert second is not None
    assert (second.source, second.fstype, second.boot_source) == (first.source, first.fstype, first.boot_source)


def test_the_system_is_a_new_one(boot: Boot, rebooted: Rebooted) -> None:
    """The kernel that answers has started since."""
    first, second = _boot_id(boot), _boot_id(rebooted.boot)
    assert first
    assert second
    assert first != second


def _boot_id(boot: Boot) -> str:
    """What the kernel calls this start of it."""
    said = [found.fields for found in boot.record.milestones if found.name == "probe.value"]
    return next((fields.get("value", "") for fields in said if fields.get("key") == "boot_id"), "")
