# SPDX-License-Identifier: GPL-2.0-or-later
"""How the board's first bootloader comes by its address: the stage `dhcp`, and with its first packet `link`."""

from harness.boot.dhcp import names_server
from harness.boot.events import DhcpMessage, HttpAsked, TransferStarted
from harness.boot.identity import sender
from harness.boot.marks import Marks
from harness.boot.record import Evidence

_OFFERS_KEPT = 8
_EVIDENCE_KEPT = 6


class Lease:
    """client: what the first bootloader calls itself (`Sender.kind`); None until it has asked."""

    def __init__(self, marks: Marks) -> None:
        self.client: str | None = None
        self._marks = marks
        self._xids: set[int] = set()
        self._offers: list[DhcpMessage] = []

    def told(self, message: DhcpMessage) -> None:
        """A DHCP message was seen. What comes after the firmware, or is of another program, is not of this stage."""
        if self._marks["firmware"].done or not self._of_firmware(message):
            return
        mark = self._marks["dhcp"]
        evidence = Evidence(source="packet", ref=message.packet, t=message.t, text=f"DHCP {message.type}")
        if message.from_client:
            self._xids.add(message.xid)
            self._marks.end("link", message.t, evidence)
            if mark.start is None:
                mark.start = message.t
                mark.evidence.append(evidence)
        elif message.type in {"OFFER", "BOOTREPLY"}:
            self._offers = [*self._offers[1 - _OFFERS_KEPT :], message]
            if len(mark.evidence) < _EVIDENCE_KEPT:
                mark.evidence.append(evidence)
        elif message.type == "ACK" and not mark.done:
            mark.end = message.t
            mark.evidence.append(evidence)
        elif message.type == "NAK":
            mark.evidence.append(evidence)

    def used(self, asked: TransferStarted | HttpAsked, evidence: Evidence) -> None:
        """A file was asked for: whoever asks has an address."""
        mark = self._marks["dhcp"]
        if mark.done:
            return
        # A boot ROM sends no REQUEST: the OFFER that it took is the last one before its first file.
        offers = [offer for offer in reversed(self._offers) if names_server(offer) == asked.server_ip]
        offer = next(iter(offers or self._offers[::-1]), None)
        self._marks.end("link", asked.t, evidence)
        if offer is not None:
            mark.end = offer.t
            if all(one.ref != offer.packet for one in mark.evidence):
                text = f"DHCP {offer.type} of {offer.src_ip}"
                mark.evidence.append(Evidence(source="packet", ref=offer.packet, t=offer.t, text=text))
            mark.note = "no ACK: the file request shows that the OFFER was taken"
        else:
            mark.end = asked.t
            mark.inferred = True
            mark.note = "no DHCP on the wire: a static address, or the capture began late"

    def _of_firmware(self, message: DhcpMessage) -> bool:
        """An exchange of the board's first bootloader; an answer belongs to it by its xid."""
        if not message.from_client or message.xid in self._xids:
            return message.xid in self._xids
        kind = sender(message).kind
        if self.client is None and kind != "os":
            self.client = kind
        return kind == self.client
