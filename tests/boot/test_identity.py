# SPDX-License-Identifier: GPL-2.0-or-later
"""Who asks for an address: every stage of a Pi, and everybody else who says the same words."""

from dataclasses import replace

import pytest

from harness.boot.dhcp import exchanges
from harness.boot.identity import ROM_XID, WANTS_EEPROM, WANTS_ROM, WANTS_ROM_NEW, guid, revision_model, sender
from harness.boot.judge import judge
from tests.boot.stream import CLASS, T0, dhcp, expectation, transfer

#: Option 97 of a Pi 4B rev d03114, MAC e4:5f:01:09:02:f7, serial 91cdf03d (a public dnsmasq log).
PI4 = bytes.fromhex("00 34695052 1431d000 010902f7 3df0cd91")
PI5 = bytes.fromhex("00 35695052 7041d000 010902f7 b36db3fd")
PC = bytes.fromhex("00 11223344 5566 7788 99aa bbccddeeff00")
INTEL = bytes(
    (1, 2, 3, 4, 5, 6, 11, 12, 13, 15, 16, 17, 18, 22, 23, 28, 40, 41, 42, 43, 50, 51, 54, 58, 59, 60, 66, 67)
)
KERNEL = bytes((1, 3, 6, 12, 15, 17, 26, 40, 42))


@pytest.mark.parametrize(
    ("options", "changes", "kind", "program"),
    [
        (((55, WANTS_ROM), (60, CLASS)), {"xid": ROM_XID, "length": 320}, "firmware", "rom"),
        (((55, WANTS_ROM_NEW), (60, CLASS)), {"xid": ROM_XID}, "firmware", ""),
        (((55, WANTS_EEPROM), (60, CLASS), (97, PI4)), {}, "firmware", "eeprom"),
        (((60, CLASS), (97, PI5)), {"type": "REQUEST"}, "firmware", "eeprom"),
        (((97, PI4),), {"type": "REQUEST"}, "firmware", "eeprom"),  # early 2020: no option 60
        (((97, b"\0abcd" + PI4[5:]),), {}, "firmware", "eeprom"),  # DHCP_OPTION97 set by its owner
        (((55, WANTS_EEPROM), (60, CLASS), (97, PC)), {}, "firmware", "eeprom"),
        (((55, INTEL), (60, CLASS), (97, PC)), {}, "pxe", "pxe"),
        (((60, CLASS), (97, PC)), {}, "pxe", "pxe"),
        (((60, b"PXEClient:Arch:00011:UNDI:003000"), (55, INTEL)), {}, "uefi", "uefi"),
        (((60, b"PXEClient:Arch:00007:UNDI:003016"),), {}, "uefi", "uefi"),
        (((60, b"HTTPClient:Arch:00019:UNDI:003001"),), {}, "uefi", "uefi"),
        (((60, b"PXEClient:Arch:00011:UNDI:003010"), (77, b"iPXE")), {}, "ipxe", "ipxe"),
        (((60, CLASS), (175, b"\xb1\x05")), {}, "ipxe", "ipxe"),
        (((60, b"U-Boot.armv8"),), {}, "u-boot", "u-boot"),
        (((60, b"PXEClient:Arch:00011:UNDI:003000"),), {"ttl": 255}, "u-boot", "u-boot"),
        (((60, b"Linux ipconfig"),), {}, "os", "klibc"),
        (((60, b"udhcp 1.36.1"),), {}, "os", "udhcpc"),
        (((55, KERNEL),), {}, "os", "kernel"),
        ((), {}, "os", "os"),
    ],
)
def test_table(options: tuple[tuple[int, bytes], ...], changes: dict[str, object], kind: str, program: str) -> None:
    told = sender(dhcp(1, 1, "DISCOVER", options=options, **changes))
    assert (told.kind, told.program) == (kind, program)
    assert told.why


def test_option_97_tells_serial_and_revision() -> None:
    told = guid(dhcp(1, 1, "DISCOVER", options=((97, PI4),)))
    assert told is not None
    assert (told.form, told.family, told.serial, told.revision) == ("fourcc", "bcm2711", "91cdf03d", "d03114")
    constant = guid(dhcp(1, 1, "DISCOVER", options=((97, b"\0" + b"\x44" * 16),)))
    assert constant is not None
    assert (constant.form, constant.serial) == ("constant", "")
    own = guid(dhcp(1, 1, "DISCOVER", options=((97, b"\0" + bytes.fromhex("c6bc078b") * 4),)))
    assert own is not None
    assert (own.form, own.serial) == ("serial", "8b07bcc6")
    for odd in (b"", b"\0", PC, b"\1" + PI4[1:], b"\0" * 17):
        assert guid(dhcp(1, 1, "DISCOVER", options=((97, odd),))) is None


@pytest.mark.parametrize(
    ("code", "model"), [("a02082", "pi3b"), ("a020d3", "pi3bplus"), ("d03114", "pi4"), ("c04170", "pi5"), ("0010", "")]
)
def test_revision_codes(code: str, model: str) -> None:
    assert revision_model(code)[0] == model
    assert revision_model("xyz") == ("", "")


def test_a_request_without_a_class_belongs_to_its_discover() -> None:
    discover = dhcp(1, 1, "DISCOVER", options=((55, WANTS_EEPROM), (60, CLASS)))
    request = dhcp(2, 3, "REQUEST", options=((50, b"\x0a\x4d\0\x32"),))
    (one,) = exchanges([discover, dhcp(1.5, 2, "OFFER"), request, dhcp(2.5, 4, "ACK")])
    assert (one.client, one.asked_by, one.result, len(one.messages)) == ("firmware", "eeprom", "ack", 4)


def test_a_machine_with_u_boot_is_followed_by_its_own_requests_and_called_what_it_is() -> None:
    uboot = {"xid": 7, "options": ((60, b"U-Boot.armv8"),)}
    kernel = {"xid": 8, "options": ((60, b"Linux ipconfig"),)}
    files = [replace(event, asked_by="u-boot") for event in transfer(3, 9, "boot.scr", asked_by="u-boot")[:1]]
    events = [
        dhcp(1, 1, "DISCOVER", **uboot),
        dhcp(1.5, 2, "OFFER", xid=7),
        dhcp(2, 3, "REQUEST", **uboot),
        dhcp(2.5, 4, "ACK", xid=7),
        *files,
        transfer(3, 9, "boot.scr", asked_by="u-boot")[1],
        dhcp(9, 20, "DISCOVER", **kernel),
        dhcp(9.5, 21, "ACK", xid=8),
    ]
    record = judge(expectation(), events)
    assert [(one.client, one.asked_by) for one in record.dhcp] == [("u-boot", "u-boot"), ("os", "klibc")]
    assert (record.stage("dhcp").start, record.stage("dhcp").end) == (T0 + 1, T0 + 2.5)
    assert [one.asked_by for one in record.tftp] == ["u-boot"]
