# SPDX-License-Identifier: GPL-2.0-or-later
"""A soft reboot: the running system was asked to go down, and what is seen until the board's reset is still of that system."""

from collections.abc import Sequence

from harness.boot.events import DhcpMessage, Event, HttpAsked, Milestone, SoftReboot, TransferStarted
from harness.boot.identity import sender
from harness.boot.record import Evidence

#: Seconds that a system may take to go down: systemd gives every unit 90 s (DefaultTimeoutStopSec).
SHUTDOWN = 120.0
NOTE = "soft reboot, no power edge"

#: The harness' own words, which are of the boot in any case.
_ALWAYS = frozenset({"Ended", "ClockStep", "ConsoleGap"})
#: What a console says first after a reset: a kernel's last line, a bootloader or firmware, or the next kernel's first line.
_AFTER = ("os.reboot", "kernel.start")
_AFTER_BEGINS = ("bootloader.", "firmware.", "net.")


def shows_reset(event: Event) -> Evidence | None:
    """What shows that the board was reset, if this does: a packet of its firmware, or a line around a reset."""
    match event:
        case Milestone(name=name) if name in _AFTER or name.startswith(_AFTER_BEGINS):
            return Evidence(source="console", ref=event.line, t=event.t, text=event.text[:200])
        case DhcpMessage(from_client=True) if sender(event).kind != "os":
            return Evidence(source="packet", ref=event.packet, t=event.t, text=f"DHCP {event.type}")
        case TransferStarted(asked_by=program) | HttpAsked(asked_by=program) if program not in {"", "os"}:
            return Evidence(source="packet", ref=event.packet, t=event.t, text=f"asks for {event.path}")
        case _:
            return None


def since_reset(ordered: Sequence[Event]) -> list[Event]:
    """The events of the boot that follows a soft reboot: the request itself, then all from the reset on. Without one: all."""
    asked = next((index for index, event in enumerate(ordered) if isinstance(event, SoftReboot)), None)
    if asked is None:
        return list(ordered)
    later = ordered[asked + 1 :]
    reset = next((index for index, event in enumerate(later) if shows_reset(event) is not None), None)
    kept = later[reset:] if reset is not None else [event for event in later if type(event).__name__ in _ALWAYS]
    return [ordered[asked], *kept]
