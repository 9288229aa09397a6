# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether an event shows that a boot begins: for boots that somebody else starts, with no power edge of ours before them."""

from harness.boot.events import DhcpMessage, Event, HttpAsked, Milestone, TransferStarted
from harness.boot.identity import sender

#: Console lines of programs that run before a kernel does: any of them, for a watch may come late.
_FIRMWARE = ("bootcode.", "bootloader.", "diag.", "firmware.", "uboot.", "uefi.", "ipxe.", "grub.")


def begins(event: Event, mac: str) -> str:
    """What shows it, for people; "" when the event may as well come from a system that runs. mac: of the board, "" for any."""
    match event:
        case DhcpMessage() if event.from_client and (not mac or event.chaddr == mac):
            return f"DHCP {event.type} of its firmware" if sender(event).kind != "os" else ""
        case TransferStarted() if event.asked_by != "os" and (not mac or event.client_mac in {mac, ""}):
            return f"it asks for {event.path}"
        case HttpAsked():
            return f"it asks for {event.path}"
        case Milestone() if event.name == "kernel.start" or event.name.startswith(_FIRMWARE):
            return f"its console says {event.text[:80]!r}"
    return ""
