# SPDX-License-Identifier: GPL-2.0-or-later
"""Findings of a server that works, and is not as lab.yaml describes it: warnings, for either of both may be the mistake."""

from collections.abc import Callable, Iterator

from harness.boot import offer, rootline
from harness.boot.facts import Facts
from harness.boot.record import Evidence, Finding

_LAB = "correct the server, or its description in lab.yaml"


def offer_differs(facts: Facts) -> Iterator[Finding]:
    """The firmware was told where its files are in another way."""
    wanted, asked = facts.expectation.server.offer, facts.firmware_dhcp()
    if wanted is None or not asked or facts.failed == "dhcp":
        return
    wrong = offer.differences(wanted, asked[-1].messages)
    if wrong:
        answers = [message for message in asked[-1].messages if message.type in {"OFFER", "BOOTREPLY"}]
        yield Finding(
            id="offer-not-as-described",
            title=f"the offer is not as lab.yaml describes it: {'; '.join(wrong)}",
            stage="dhcp",
            who="server",
            remedy=_LAB,
            severity="warning",
            evidence=tuple(
                Evidence(source="packet", ref=m.packet, t=m.t, text=f"DHCP {m.type} from {m.src_ip}")
                for m in answers[:3]
            ),
        )


def root_differs(facts: Facts) -> Iterator[Finding]:
    """The kernel was given another root, or its client spoke to another server."""
    server, root = facts.expectation.server, facts.root
    cmdline = facts.os.cmdline if facts.os is not None else None
    wrong = rootline.differences(server.root_parts, cmdline or "")
    if root is not None and root.protocol not in {None, "nfs"} and server.root_servers:
        others = [address for address in root.servers if address not in server.root_servers]
        wrong += [f"the board spoke to {', '.join(others)}, which is not of it"] if others else []
    if wrong:
        yield Finding(
            id="root-not-as-described",
            title=f"the root is not the one that lab.yaml describes: {'; '.join(wrong)}",
            stage="root",
            who="server",
            remedy=_LAB,
            severity="warning",
            evidence=root.evidence[:3] if root is not None else (),
        )


DESCRIBED_RULES: tuple[Callable[[Facts], Iterator[Finding]], ...] = (offer_differs, root_differs)
