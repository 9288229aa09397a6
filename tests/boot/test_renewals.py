# SPDX-License-Identifier: GPL-2.0-or-later
"""A lease that the running system renews: unicast, with its address in ciaddr, without options 50 and 54 (RFC 2131, 4.3.2)."""

from harness.boot.events import DhcpMessage, Event
from harness.boot.judge import judge
from harness.boot.record import DhcpExchange
from tests.boot import stream
from tests.boot.stream import SERVER, expectation, good_boot

ADDRESS = "10.77.0.50"


def request(t: float, packet: int, xid: int, *options: tuple[int, bytes]) -> DhcpMessage:
    return stream.dhcp(
        t,
        packet,
        "REQUEST",
        xid=xid,
        src_ip=ADDRESS,
        dst_ip=SERVER,
        ciaddr=ADDRESS,
        options=((53, b"\3"), *options),
        length=300,
    )


def ack(t: float, packet: int, xid: int) -> DhcpMessage:
    return stream.dhcp(t, packet, "ACK", xid=xid, options=((53, b"\5"), (54, bytes([10, 77, 0, 1]))))


def exchanges(*events: Event) -> tuple[DhcpExchange, ...]:
    record = judge(expectation(), [*good_boot()[:-1], *events])
    assert record.stage("dhcp").end == stream.T0 + 5.6, "the board's own exchange is what it was"
    assert not [finding for finding in record.findings if finding.id != "over-budget"]
    return record.dhcp


def test_renewal_of_each_known_client_is_the_system_s() -> None:
    wants = (55, bytes((1, 3, 6, 12, 15, 28, 42)))
    for name, options in {
        "os": (wants,),
        "udhcpc": (wants, (60, b"udhcp 1.35.0"), (61, b"\1\xe4\x5f\1\x09\2\xf7")),
        "dhcpcd": (wants, (60, b"dhcpcd-9.4.1:Linux-6.1.0-arm64:aarch64:BCM2835")),
        "klibc": ((60, b"Linux ipconfig"),),
    }.items():
        firmware, system = exchanges(request(41.7, 950, 0xABCD, *options), ack(41.71, 951, 0xABCD))
        assert (firmware.client, firmware.result) == ("firmware", "ack")
        assert (system.client, system.asked_by, system.result) == ("os", name, "ack")
        assert [one.type for one in system.messages] == ["REQUEST", "ACK"]
        assert system.discovers == 0


def test_renewal_with_the_bare_least_is_not_the_bootloader_s() -> None:
    """Nothing but its type: an early EEPROM's REQUEST said as little, but had the DISCOVER's transaction id before it."""
    firmware, system = exchanges(request(41.7, 950, 0xABCD), ack(41.71, 951, 0xABCD))
    assert (firmware.client, len(firmware.messages)) == ("firmware", 4)
    assert system.client == "os"


def test_several_renewals_are_several_exchanges() -> None:
    found = exchanges(
        *(m for n in range(3) for m in (request(41.7 + n, 950 + n, n, (55, b"\1\3")), ack(41.8 + n, 960, n)))
    )
    assert [one.client for one in found] == ["firmware", "os", "os", "os"]
