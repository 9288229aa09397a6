# SPDX-License-Identifier: GPL-2.0-or-later
"""Who asked: the habits of real clients, as captured."""

import pytest

from harness.wire.clients import Habits, asked_by
from tests.wire.frames import PI, Wire, ack, bootp, data, error, from_client, from_pi, from_server, rrq

SIZE = ("tsize", "0")


@pytest.mark.parametrize(
    ("ttl", "ip_id", "dont_fragment", "port", "options", "name"),
    [
        (128, 0, False, 49152, (), "rom"),
        (128, 0, False, 49158, (SIZE,), "bootcode.bin"),
        (128, 0, False, 49153, (SIZE, ("blksize", "1468")), "start4.elf"),
        (64, 0x5070, False, 6970, (SIZE, ("blksize", "1024")), "eeprom"),
        (64, 0x5070, False, 21979, (SIZE, ("blksize", "1468")), "eeprom"),
        (63, 0x5070, False, 21979, (SIZE, ("blksize", "1468")), "eeprom"),  # behind a router
        (64, 0x5070, False, 3000, (SIZE,), "eeprom"),  # 2019-09
        (255, 7, True, 2313, (("timeout", "5"), SIZE, ("blksize", "1468")), "u-boot"),
        (255, 2, True, 3314, (("timeout", "5"), ("blksize", "1468")), "u-boot"),  # 2023.01, captured
        (64, 8, False, 1024, (("blksize", "1432"), SIZE), "ipxe"),
        (64, 8243, True, 58314, (SIZE, ("blksize", "1468"), ("timeout", "6")), "os"),
        (64, 8243, False, 58314, (SIZE, ("blksize", "512"), ("timeout", "6")), ""),
        (128, 55, True, 58314, (), ""),  # Windows
    ],
)
def test_table(
    ttl: int, ip_id: int, dont_fragment: bool, port: int, options: tuple[tuple[str, str], ...], name: str
) -> None:
    assert asked_by(Habits(ttl, ip_id, dont_fragment, port, options)) == name


def test_ipxe_is_known_before_its_own_dhcp_and_an_older_uefi_by_its_dhcp() -> None:
    ipxe = Habits(64, 256, False, 23998, (("blksize", "1432"), SIZE))
    assert asked_by(ipxe, dhcp_client="uefi") == "ipxe"
    like_an_eeprom = Habits(64, 58080, False, 1557, (SIZE, ("blksize", "1468")))
    assert asked_by(like_an_eeprom, dhcp_client="uefi") == "uefi"
    assert asked_by(like_an_eeprom, dhcp_client="firmware") == "eeprom"


def test_start_elf_asks_like_bootcode_but_after_fixup() -> None:
    wire = Wire()
    for port, path in enumerate(("start.elf", "fixup.dat", "recovery.elf", "config.txt"), 49153):
        wire.send(from_pi(port, 69, rrq(path, SIZE), ttl=128, ip_id=0), from_server(1000, port, error(1, "no")))
    assert [one.asked_by for one in wire.transfers] == ["bootcode.bin", "bootcode.bin", "start.elf", "start.elf"]


def test_rom_reads_in_blocks_of_512() -> None:
    wire = Wire().send(
        from_pi(49152, 69, rrq("bootcode.bin"), ttl=128, ip_id=0),
        from_server(55985, 49152, data(1, b"x" * 100)),
        from_pi(49152, 55985, ack(1), ttl=128, ip_id=0),
    )
    assert (wire.transfer.asked_by, wire.transfer.result) == ("rom", "complete")


def test_a_new_boot_begins_with_bootcode_again() -> None:
    discover = bootp((53, b"\1"), xid=0x26F30339)
    wire = Wire()
    for port, path in enumerate(("start.elf", "fixup.dat", "config.txt"), 49153):
        wire.send(from_pi(port, 69, rrq(path, SIZE), ttl=128, ip_id=0), from_server(1000, port, error(1, "no")))
    wire.send(from_client(discover), from_pi(49153, 69, rrq("start.elf", SIZE), ttl=128, ip_id=0)).finish()
    assert [one.asked_by for one in wire.transfers] == ["bootcode.bin", "bootcode.bin", "start.elf", "bootcode.bin"]


def test_who_has_named_itself_in_dhcp_is_believed() -> None:
    uefi = bootp((53, b"\1"), (60, b"PXEClient:Arch:00011:UNDI:003000"))
    request = from_pi(1733, 69, rrq("grubaa64.efi", SIZE, ("blksize", "1468")))
    assert [one.asked_by for one in Wire().send(request).started] == ["eeprom"]
    (started,) = Wire().send(from_client(uefi), request).started
    assert (started.asked_by, started.client_mac) == ("uefi", PI)
    rom = from_pi(49152, 69, rrq("bootcode.bin"), ttl=128, ip_id=0)
    assert [one.asked_by for one in Wire().send(from_client(uefi), rom).started] == ["rom"]


def test_an_oack_that_agrees_to_nothing_is_one() -> None:
    wire = Wire().send(
        from_pi(49153, 69, rrq("config.txt", SIZE), ttl=128, ip_id=0),
        from_server(1000, 49153, b"\0\x06"),
        from_pi(49153, 1000, ack(0), ttl=128, ip_id=0),
        from_server(1000, 49153, data(1, b"x" * 100)),
        from_pi(49153, 1000, ack(1), ttl=128, ip_id=0),
    )
    one = wire.transfer
    assert (one.result, one.oack, one.options, one.tsize, one.blksize, one.bytes) == (
        "complete", True, (), None, 512, 100,
    )  # fmt: skip


def test_u_boot_that_asks_in_uefis_words_is_still_u_boot() -> None:
    """The second exchange of U-Boot 2023.01's bootcmd_dhcp, as captured from Debian's u-boot-qemu."""
    words = bootp(
        (53, b"\1"), (93, b"\0\x0b"), (94, b"\1\0\0"), (60, b"PXEClient:Arch:00011:UNDI:003000"), (55, b"\1\3\6\14\21")
    )
    request = from_pi(3316, 69, rrq("boot.img", ("timeout", "5"), ("blksize", "1468")), ttl=255, fragment=0x4000)
    assert Wire().send(from_client(words, ttl=255), request).started[0].asked_by == "u-boot"


def test_edk2_asks_for_the_size_first_and_then_without() -> None:
    """EDK2 2022.11 of Debian's qemu-efi-aarch64, as captured."""
    words = bootp(
        (53, b"\1"), (97, b"\0" * 17), (94, b"\1\3\0"), (93, b"\0\x0b"), (60, b"PXEClient:Arch:00011:UNDI:003000")
    )
    sizes = (SIZE, ("blksize", "1468"), ("windowsize", "4"))
    frames = [from_pi(port, 69, rrq("boot.img", *options)) for port, options in ((1297, sizes), (1298, sizes[1:]))]
    assert [one.asked_by for one in Wire().send(from_client(words), *frames).started] == ["uefi", "uefi"]
