# SPDX-License-Identifier: GPL-2.0-or-later
"""What the first releases of the EEPROM bootloader did otherwise, on the wire and with their configuration.

Sources: release notes of rpi-eeprom from 2019-09-23 to 2021-02-16; captures and reports in EE#58, EE#60, EE#82, EE#87, EE#103.
"""

import pytest

from harness.emulator.dhcp import offers_boot
from harness.emulator.packets import udp_frame
from tests.emulator import samples
from tests.emulator.netserver import OPTION_43, SERVER_IP, NetServer, udp
from tests.emulator.simulator import World, boot

HEAD = "350101" + "370e" + "01032b3c4243" + "8081828384858687"
CLASS = "3c20" + b"PXEClient:Arch:00000:UNDI:002001".hex()
KINDS = "5d020000" + "5e03010201"
SERIAL = "00" + "3df0cd91" * 4
PXE_CLASS = (60, b"PXEClient")


def sent(date: str, kind: int) -> str:
    """The options of the first DISCOVER (1) or REQUEST (3), octet for octet."""
    packets = [packet for packet in map(udp, boot(NetServer(samples.tree()), date=date).frames) if packet]
    return next(p for p in packets if p.dport == 67 and p.dhcp_kind == kind).payload[240:].hex()


@pytest.mark.parametrize(
    ("date", "wanted"),
    [
        ("2019-11-18", HEAD + KINDS + "6111" + SERIAL + CLASS + "ff"),
        ("2020-03-04", HEAD + CLASS + KINDS + "6111" + "00" + "52506934" + "1431d000" + "00000000" + "3df0cd91" + "ff"),
        ("2020-03-16", HEAD + CLASS + KINDS + "6111" + "00" + "52506934" + "1431d000" + "010902f7" + "3df0cd91" + "ff"),
    ],
)
def test_discover(date: str, wanted: str):
    assert sent(date, 1) == wanted


def test_request_had_no_vendor_class():
    """A server that wanted one in every message did not answer it (EE#87)."""
    asked = "350103" + "3204" + "0a4d0032" + "3604" + SERVER_IP.hex()
    assert sent("2020-01-17", 3) == asked + "6111" + SERIAL + "ff"
    assert CLASS in sent("2020-03-16", 3)


def test_first_of_all_asked_for_no_block_size():
    def first(date: str) -> bytes:
        world = boot(NetServer(samples.tree()), date=date)
        assert world.ended == "handover"
        return next(p.payload for p in map(udp, world.frames) if p and p.dport == 69)

    assert first("2019-09-25") == b"\0\x0191cdf03d/start4.elf\0octet\0tsize\x000\0"
    assert first("2019-10-08") == b"\0\x0191cdf03d/start4.elf\0octet\0tsize\x000\0blksize\x001024\0"


def test_time_for_a_file():
    def seconds(date: str, **keys: object) -> float:
        server = NetServer(samples.tree())
        world = boot(
            lambda now, frame: [] if b"start4.elf\0" in frame else server(now, frame), date=date, keys=keys, seconds=120
        )
        asked = [when for when, frame in world.sent if b"/start4.elf\0" in frame]
        ended = next(when for when, frame in world.sent if b"/start.elf\0" in frame)
        return round(ended - asked[0])

    assert seconds("2019-09-23") == 15
    assert seconds("2019-09-25") == 30
    assert seconds("2019-09-23", TFTP_FILE_TIMEOUT=20000) == 20


@pytest.mark.parametrize(
    ("date", "keys", "known"),
    [
        ("2019-10-07", {"TFTP_PREFIX": 2}, False),
        ("2019-10-08", {"TFTP_PREFIX": 2}, True),
        ("2019-11-17", {"MAC_ADDRESS": "dc:a6:32:00:00:07"}, False),
        ("2019-11-18", {"MAC_ADDRESS": "dc:a6:32:00:00:07"}, True),
        ("2020-03-03", {"TFTP_IP": "10.77.0.1", "CLIENT_IP": "10.77.0.9", "SUBNET": "255.255.255.0"}, False),
        ("2020-03-04", {"TFTP_IP": "10.77.0.1", "CLIENT_IP": "10.77.0.9", "SUBNET": "255.255.255.0"}, True),
        ("2020-03-03", {"DHCP_OPTION97": "0x12345678"}, False),
        ("2020-03-04", {"DHCP_OPTION97": "0x12345678"}, True),
    ],
)
def test_a_key_that_the_release_does_not_know_changes_nothing(date: str, keys: dict[str, object], known: bool):
    def frames(**more: object) -> list[bytes]:
        return boot(NetServer(samples.tree()), date=date, keys=more, seconds=8).frames

    assert (frames(**keys) == frames()) is not known


def test_menu_string_before_it_could_be_chosen():
    server = NetServer(samples.tree(), offer=(PXE_CLASS, (43, OPTION_43)))
    assert boot(server, date="2020-02-01", keys={"PXE_OPTION43": "Blueberry"}).ended == "handover"
    assert boot(server, date="2020-03-04", keys={"PXE_OPTION43": "Blueberry"}, seconds=60).ended == "time"


def menu(*texts: bytes) -> bytes:
    """Option 43 with one entry per text."""
    entries = b"".join(b"\0\0" + bytes((len(text),)) + text for text in texts)
    return b"\x06\x01\x03\x09" + bytes((len(entries),)) + entries + b"\xff"


@pytest.mark.parametrize(
    ("value", "exact", "first", "any_"),
    [
        (OPTION_43, True, True, True),
        (menu(b"Raspberry Pi Boot   "), False, True, True),
        (menu(b"iPXE", b"Raspberry Pi Boot"), False, False, True),
        (b"Raspberry Pi Boot", True, True, True),
        (b"Raspberry Pi Boot   ", False, True, True),
        (menu(b"iPXE"), False, False, False),
        (menu(b""), False, False, False),
        (b"\x09\x01\0\xff", False, False, False),
    ],
)
def test_menus_by_release(value: bytes, exact: bool, first: bool, any_: bool):
    found = [offers_boot(value, b"Raspberry Pi Boot", menus) for menus in ("exact", "first", "any")]
    assert found == [exact, first, any_]


@pytest.mark.parametrize(("date", "taken"), [("2019-10-08", "first"), ("2019-10-16", "any"), ("2019-12-03", "")])
def test_menu_with_spaces_and_several_entries(date: str, taken: str):
    spaces = NetServer(samples.tree(), offer=(PXE_CLASS, (43, menu(b"Raspberry Pi Boot   "))))
    several = NetServer(samples.tree(), offer=(PXE_CLASS, (43, menu(b"iPXE", b"Raspberry Pi Boot"))))
    ends = [boot(server, date=date, seconds=60).ended for server in (spaces, several)]
    assert ends == {"first": ["time", "time"], "any": ["handover", "time"], "": ["handover", "handover"]}[taken]


def test_padding_in_an_offer():
    """EE#82: option 0 was read as if it had a length, so what stands behind it is lost."""

    def padded(now: float, frame: bytes) -> list[tuple[float, bytes]]:
        return [(after, pad(answer)) for after, answer in server(now, frame)]

    server = NetServer(samples.tree(), offer=(PXE_CLASS, (43, OPTION_43)))
    assert boot(padded, date="2020-01-09", seconds=60).ended == "time"
    server = NetServer(samples.tree(), offer=(PXE_CLASS, (43, OPTION_43)))
    assert boot(padded, date="2020-01-17", seconds=60).ended == "handover"


def pad(frame: bytes) -> bytes:
    """A DHCP reply with a padding octet before its options, in place of its last, which is behind the end mark."""
    at = frame.find(b"\x63\x82\x53\x63") + 4
    if at < 46:
        return frame
    sport, dport = int.from_bytes(frame[34:36]), int.from_bytes(frame[36:38])
    payload = frame[42:at] + b"\0" + frame[at:]
    macs, addresses = (frame[6:12], frame[:6]), (frame[26:30], frame[30:34])
    return udp_frame(macs, addresses, (sport, dport), payload, ttl=64, ident=1, checksum=True)


def retries(date: str) -> tuple[World, list[float]]:
    """When the link came up again and again, of a board whose server has no files."""
    world = boot(NetServer({}), date=date, keys={"NET_BOOT_MAX_RETRIES": 1, "BOOT_ORDER": "0xe2"}, seconds=60)
    return world, [when for when, up in world.links if up]


def test_pause_between_two_tries_since_june_2020():
    for date, pause in (("2020-06-02", 0.0), ("2020-06-03", 5.0)):
        world, ups = retries(date)
        assert len(ups) == 2, world.text
        down = next(when for when, up in world.links if not up and ups[0] < when < ups[1])
        assert ups[1] - down == pytest.approx(pause + 2.8, abs=0.1)


def test_repeated_block_is_passed_over_until_february_2021():
    def acknowledged_twice(date: str) -> bool:
        world = boot(NetServer(samples.tree(), repeat=True), date=date)
        assert world.ended == "handover"
        acks = [
            (p.sport, p.payload) for p in map(udp, world.frames) if p and p.payload[:2] == b"\0\x04" and p.ttl == 64
        ]
        return len(set(acks)) < len(acks)

    assert not acknowledged_twice("2021-01-16")
    assert acknowledged_twice("2021-02-16")


def test_log_of_start4_elf_needs_a_bootloader_of_june_2020():
    for date, told in (("2020-06-03", False), ("2020-06-12", True)):
        world = boot(NetServer(samples.tree()), date=date)
        assert world.ended == "handover"
        assert (b"MESS:" in world.uart) is told
