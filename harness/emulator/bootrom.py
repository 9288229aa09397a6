# SPDX-License-Identifier: GPL-2.0-or-later
"""The boot ROM of 2B v1.2, 3B and 3B+ from power-on on: it is silent on the UART, finds a server, fetches bootcode.bin.

Sources: bootflow-legacy.adoc, boot-net.adoc; receive path and late packets: FW#764, FW#862, FW#894, FW#934 and
openSUSE/netboot-rpi3b; ARP that fails: FW#745, FW#975; the dnsmasq log of a 3B+ (norcal-technologies/pi-network-boot).
"""

from harness.emulator import bootcode, bootrom_dhcp
from harness.emulator.bootrom_dhcp import Client, Offers
from harness.emulator.bootrom_net import FileReader, answer_of, find_mac, send_discover
from harness.emulator.effects import Flush, Halt, HandOver, Link, Recv, Send, Steps
from harness.emulator.machine import Machine
from harness.emulator.packets import BROADCAST_MAC, NO_IP
from harness.emulator.payload import Payload
from harness.emulator.stack import Transport

#: Between two DISCOVERs (boot-net.adoc, FW#764): the ROM's own clock, not scaled.
RETRY = 5.0
#: So long after its DISCOVER the 3B's ROM must hear a packet to act on the OFFER that it has ("about a second"; I).
PATIENCE = 0.95
#: So long it listens on after a packet before it drops the attempt.
_WINDOW = 1.0
#: What program_usb_boot_timeout=1 adds to the wait for USB devices: 5 s instead of 2 s.
_LONGER = 3.0
#: Where the requests of a 3B go when nobody answers its ARP (FW#975).
_NOBODY = b"\xaa" * 6
#: The card is tried first: bootcode.bin of a card runs that long after power-on (I).
_CARD_AT = 1.0
#: What the ROM asks for, in the order of the captures in boot-net.adoc, FW#745, FW#1041; it takes what comes for code.
BOOTCODE, BOOTSIG = "bootcode.bin", "bootsig.bin"
#: bootcode.bin runs from the second-level cache (boot-net.adoc), SDRAM comes later.
_ROOM = 128 << 10
#: Seconds without a block after which the ROM drops a file (I).
_IDLE = 5.0


def program(m: Machine) -> Steps[None]:
    """All that a board does from power-on; ends only by Halt."""
    while True:
        m.reset()
        m.uart.enabled = m.uart.second_stage = False
        yield Link(up=False)
        if m.otp.sd_card == "bootcode":
            yield from m.until(_CARD_AT)
            started = yield from bootcode.from_card(m)
        elif m.otp.net_boot:
            started = yield from _from_network(m)
        else:
            started = f"network boot is not programmed (OTP row 17 is {m.otp.row17:08x}): the board stays silent"
        if not isinstance(started, Payload):
            yield Halt(started)
            return
        ended = yield HandOver(started)
        if ended != "reset":
            yield Halt(
                {
                    "shutdown": "the operating system has switched the board off",
                    "refused": "what was delivered as the kernel cannot run",
                }.get(ended, "the virtual machine has failed")
            )


def _from_network(m: Machine) -> Steps[Payload | str]:
    client = bootrom_dhcp.client_of(m.model.name, strict=m.otp.strict)
    # USB and the link take until the first DISCOVER; the wait for the link is part of to_network.
    yield from m.until(m.model.to_network + (_LONGER if m.otp.usb_boot_timeout else 0.0))
    if not (yield Link(up=True, deadline=m.clock() + RETRY)):
        return "no link: the boot ROM has given up"
    yield Flush()
    last = m.clock() - RETRY
    for _ in range(client.tries):
        yield from m.wait(max(0.0, last + RETRY - m.clock()))
        yield Flush()
        last = m.clock()
        code = yield from _attempt(m, client)
        if len(code) > _ROOM:
            return f"bootcode.bin has {len(code)} bytes: it does not fit into the 128 KiB that it runs from"
        if code:
            return (yield from bootcode.from_network(m, code))
    return f"{client.tries} DISCOVERs without a usable answer: the boot ROM is silent until the next power-on"


def _transport(*, answers_arp: bool) -> Transport:
    return Transport(ttl=128, ident=0, step=0, udp_checksum=False, answers_arp=answers_arp, verifies=False)


def _attempt(m: Machine, client: Client) -> Steps[bytes]:
    """One DISCOVER and what it leads to: bootcode.bin, b"" when nothing came of it."""
    start = m.clock()
    # Up to its first request even the old ROM answers ARP (boot-net.adoc).
    m.stack.use(_transport(answers_arp=True))
    m.stack.ip = m.stack.mask = m.stack.gateway = NO_IP
    yield send_discover(m, client)
    offers = yield from (_listen(m, client, start) if client.hears_early else _listen_late(m, client, start))
    if offers is None:
        return b""
    found = yield from find_mac(m, offers, client, start + RETRY)
    if not found:
        if client.hears_early:
            return b""
        m.server_mac = _NOBODY
    m.stack.use(_transport(answers_arp=client.answers_arp))
    files = FileReader(m, client.ports[0], plain=True, idle=_IDLE)
    code = yield from files.get(BOOTCODE)
    if code is None:
        return b""
    m.port = client.ports[1]
    yield from files.get(BOOTSIG)  # a signature for boards that want one; missing as a rule
    return code.data


def _listen(m: Machine, client: Client, start: float) -> Steps[Offers | None]:
    """3B+: the first OFFERs that say enough are acted on at once."""
    offers = Offers(client)
    while (answer := (yield from answer_of(m, start + RETRY))) is not None:
        offers.take(*answer)
        if offers.enough:
            return offers
    return None


def _listen_late(m: Machine, client: Client, start: float) -> Steps[Offers | None]:
    """3B: an OFFER is acted on only when one more packet comes, about a second after the DISCOVER or later.

    A server that answers after a second is that packet itself (dnsmasq's dhcp-reply-delay=1, FW#862).
    """
    offers = Offers(client)
    until = start + RETRY
    while (frame := (yield Recv(until))) is not None:
        if frame[:6] not in (m.identity.mac, BROADCAST_MAC):
            continue
        datagram, answer = m.stack.digest(frame)
        if answer is not None:
            yield Send(answer)
        reply = bootrom_dhcp.reply_to(m.identity, datagram) if datagram is not None else None
        if reply is not None and datagram is not None:
            offers.take(reply, datagram.src)
        if offers.enough:
            if m.clock() - start >= PATIENCE:
                return offers
            until = min(start + RETRY, m.clock() + _WINDOW)
        if m.clock() >= until:
            break  # a flood of other packets must not hold the board
    return None
