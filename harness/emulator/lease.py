# SPDX-License-Identifier: GPL-2.0-or-later
"""DHCP as the EEPROM bootloader does it: DISCOVER, merging OFFERs of a lease and a proxy server, REQUEST, ACK.

Which OFFER is acceptable: L2, L7 captures, EE#376, EE#687; retries: eeprom-bootloader.adoc, EE#58. A NAK makes it
start over with a new xid when the current wait is over (inferred).
"""

from dataclasses import dataclass, field

from harness.emulator import dhcp
from harness.emulator.dhcp import Reply, address_text
from harness.emulator.effects import Send, Steps
from harness.emulator.machine import Machine
from harness.emulator.packets import BROADCAST_IP, BROADCAST_MAC, NO_IP, Datagram

_PXE_CLASS = b"PXEClient"


@dataclass(slots=True)
class Offers:
    """What the OFFERs of one attempt have said so far. lease: the first with an address; boot: the TFTP server.

    given: the server by configuration, which no OFFER changes.
    """

    lease: Reply | None = None
    boot: bytes = NO_IP
    by_option_66: bool = False
    given: bytes | None = None

    @property
    def enough(self) -> bool:
        return self.lease is not None and self.boot != NO_IP


@dataclass(slots=True)
class _Attempt:
    xid: int
    offers: Offers = field(default_factory=Offers)
    nak: bool = False


def obtain(m: Machine, server: bytes | None = None) -> Steps[bool]:
    """Gives the board its addresses and the TFTP server's; False when DHCP_TIMEOUT has passed without.

    server: where the files are if not on a TFTP server: then any lease will do.
    """
    if m.eeprom.static:
        _use_static(m, server)
        return True
    deadline = m.clock() + m.eeprom.dhcp_timeout
    while m.clock() < deadline:
        attempt = _Attempt(m.rng.getrandbits(32))
        attempt.offers.given = server or m.eeprom.tftp_ip
        attempt.offers.boot = attempt.offers.given or NO_IP
        if not (yield from _discover(m, attempt, deadline)):
            break
        ack = yield from _request(m, attempt, deadline)
        if ack is not None:
            _use(m, ack, attempt.offers)
            return True
    return False


def _use_static(m: Machine, server: bytes | None) -> None:
    m.stack.ip = m.eeprom.client_ip or NO_IP
    m.stack.mask = m.eeprom.subnet or _classful(m.stack.ip)
    m.stack.gateway = m.eeprom.gateway or NO_IP
    m.server = server or m.eeprom.tftp_ip or NO_IP


def _use(m: Machine, ack: Reply, offers: Offers) -> None:
    m.stack.ip = ack.yiaddr
    offered = offers.lease or ack
    mask = ack.address(1) if ack.address(1) != NO_IP else offered.address(1)
    m.stack.mask = mask if mask != NO_IP else _classful(ack.yiaddr)
    m.stack.gateway = ack.address(3) if ack.address(3) != NO_IP else offered.address(3)
    m.server = offers.boot


def _classful(ip: bytes) -> bytes:
    octets = 1 if ip[0] < 128 else 2 if ip[0] < 192 else 3
    return (b"\xff" * octets).ljust(4, b"\0")


def _discover(m: Machine, attempt: _Attempt, deadline: float) -> Steps[bool]:
    wait = m.eeprom.dhcp_req_timeout
    while m.clock() < deadline:
        yield broadcast(m, dhcp.discover(m.identity, attempt.xid, class_last=m.release.class_last))
        until = min(deadline, m.clock() + wait)
        while (answer := (yield from _answer(m, attempt.xid, until))) is not None:
            datagram, reply = answer
            yield from _report(m, datagram, reply, "OFFER")
            if reply.kind == dhcp.OFFER:
                merge(m, attempt.offers, datagram, reply)
                if attempt.offers.enough:
                    return True
        if m.release.doubling:
            wait *= 2
    return False


def _request(m: Machine, attempt: _Attempt, deadline: float) -> Steps[Reply | None]:
    offer = attempt.offers.lease
    assert offer is not None  # noqa: S101 - _discover ends with True only when there is one
    server_id = offer.address(54)
    wait = m.eeprom.dhcp_req_timeout
    while m.clock() < deadline:
        yield broadcast(m, dhcp.request(m.identity, attempt.xid, offer, with_class=m.release.class_again))
        until = min(deadline, m.clock() + wait)
        refused = False
        while (answer := (yield from _answer(m, attempt.xid, until))) is not None:
            datagram, reply = answer
            yield from _report(m, datagram, reply, "ACK")
            # A second server may have its say on a broadcast REQUEST; only the chosen one counts.
            chosen = server_id in (NO_IP, reply.address(54))
            if reply.kind == dhcp.ACK and chosen and reply.yiaddr != NO_IP:
                return reply
            refused = refused or (reply.kind == dhcp.NAK and chosen)
        if refused:
            return None
        if m.release.doubling:
            wait *= 2
    return None


def broadcast(m: Machine, message: bytes) -> Send:
    ports = (dhcp.CLIENT_PORT, dhcp.SERVER_PORT)
    return Send(m.stack.udp(BROADCAST_MAC, BROADCAST_IP, ports, message))


def _answer(m: Machine, xid: int, until: float) -> Steps[tuple[Datagram, Reply] | None]:
    """The next BOOTREPLY to this board's xid, None when the time is over."""
    while (datagram := (yield from m.stack.receive(until))) is not None:
        if datagram.dport != dhcp.CLIENT_PORT:
            continue
        reply = dhcp.read(datagram.payload, padding=m.release.padding)
        if reply and reply.xid == xid and reply.chaddr == m.identity.mac:
            return datagram, reply
        if m.clock() >= until:
            break  # a flood of other packets must not hold the board
    return None


def merge(m: Machine, offers: Offers, datagram: Datagram, reply: Reply) -> None:
    """Address from the first OFFER that has one; server: TFTP_IP before option 66 before the option-43 packet."""
    if offers.lease is None and reply.yiaddr != NO_IP:
        offers.lease = reply
    if offers.given is not None:
        return
    by_name = dhcp.dotted(reply.option(66) or b"")
    if by_name not in (None, NO_IP):
        if not offers.by_option_66:
            offers.boot, offers.by_option_66 = by_name or NO_IP, True
        return
    if offers.boot != NO_IP:
        return
    wanted = m.eeprom.pxe_option43.encode("ascii", "replace")
    class_fits = not m.release.needs_class or (reply.option(60) or b"").startswith(_PXE_CLASS)
    # dnsmasq can send two options 43 in one OFFER: any of them may name the Pi.
    menu = any(code == 43 and dhcp.offers_boot(value, wanted, m.release.menus) for code, value in reply.options)
    if menu and class_fits:
        offers.boot = reply.siaddr if reply.siaddr != NO_IP else datagram.src
    elif m.release.siaddr_boot and reply.siaddr != NO_IP:
        offers.boot = reply.siaddr


def _report(m: Machine, datagram: Datagram, reply: Reply, expected: str) -> Steps[None]:
    """What the bootloader prints of a reply."""
    uart = m.uart
    yield uart.line(f"DHCP src: {datagram.src_mac.hex(':')} {address_text(datagram.src)}")
    if reply.yiaddr != NO_IP:
        yield uart.line(f"YI_ADDR {address_text(reply.yiaddr)}")
    if reply.siaddr != NO_IP:
        yield uart.line(f"SI_ADDR {address_text(reply.siaddr)}")
    yield uart.line("OPTIONS:-")
    for code, value in reply.options:
        head = f"op: {code:2d} len: {len(value):3d}"
        if code == 53 and value:
            name = dhcp.NAMES.get(value[0], "")
            yield uart.option(f"{head} DHCP recv {name} ({value[0]}) expect {expected}")
        elif code in (1, 3, 54) and len(value) >= 4:
            yield uart.option(f"{head} {address_text(value[:4])}")
        elif code == 66:
            server = dhcp.dotted(value) or NO_IP
            name_part = value.rstrip(b"\0")
            yield uart.option(f"{head} ".encode() + name_part + f"[66]: {address_text(server)}".encode())
            yield uart.bare("")
        else:
            yield uart.option(head, plain=True)
            if code == 43:
                for sub, body in dhcp.pxe_options(value):
                    yield uart.option(f"\tPXE op: {sub:2d} len: {len(body):3d}", plain=True)
