# SPDX-License-Identifier: GPL-2.0-or-later
"""TFTP in both stages against servers that lose, repeat, refuse, do not know options, or fall silent."""

import struct

import pytest

from harness.emulator.effects import Send, Steps, Stream
from harness.emulator.stack import EEPROM, START4, Stack, Transport
from harness.emulator.tftp import Transfer
from harness.emulator.tftp_message import Limits, Server
from tests.emulator import samples
from tests.emulator.netserver import BOARD_IP, SERVER_IP, SERVER_MAC, NetServer, udp
from tests.emulator.simulator import MAC, World, boot

P = "91cdf03d/"


def stack(transport: Transport = EEPROM) -> Stack:
    found = Stack(MAC, ip=BOARD_IP, mask=b"\xff\xff\xff\0")
    found.use(transport)
    return found


def fetch(
    server: NetServer,
    name: str = "file",
    *,
    transport: Transport = EEPROM,
    probe: bool = False,
    limits: Limits | None = None,
    blksize: int = 1468,
) -> tuple[Transfer, World]:
    world = World(server)
    transfer = Transfer(
        stack(transport),
        Server(SERVER_MAC, SERVER_IP),
        50000,
        name,
        now=world.now,
        blksize=blksize,
        probe=probe,
        limits=limits,
    )

    def program() -> Steps[None]:
        yield Send(transfer.start())
        yield Stream(transfer)

    world.run(program())
    return transfer, world


def sent_acks(world: World) -> list[int]:
    packets = [udp(frame) for frame in world.frames]
    return [struct.unpack(">HH", p.payload[:4])[1] for p in packets if p and p.payload[:2] == b"\0\x04"]


@pytest.mark.parametrize("transport", [EEPROM, START4], ids=["eeprom", "start4"])
@pytest.mark.parametrize("size", [0, 1, 511, 512, 1467, 1468, 1469, 2936, 100_000])
@pytest.mark.parametrize("oack", [True, False])
def test_file_arrives_whole(transport: Transport, size: int, oack: bool):
    data = bytes(number % 251 for number in range(size))
    transfer, world = fetch(NetServer({"file": data}, oack=oack), transport=transport)
    assert (transfer.outcome, bytes(transfer.data), transfer.oack) == ("complete", data, oack)
    assert transfer.size == (size if oack else -1)
    blocks = size // (1468 if oack else 512) + 1
    assert sent_acks(world) == list(range(0 if oack else 1, blocks + 1))


@pytest.mark.parametrize("blksize", [8, 9, 512, 513, 1000, 1467])
def test_smaller_block_size_of_the_server_is_taken(blksize: int):
    data = bytes(5000)
    transfer, _world = fetch(NetServer({"file": data}, blksize=blksize))
    assert (transfer.outcome, bytes(transfer.data)) == ("complete", data)


@pytest.mark.parametrize(("limit", "blocks"), [(0, 66_000), (65535, 65535)])
def test_more_than_65535_blocks_by_release(limit: int, blocks: int):
    own = stack(START4)
    server = NetServer()
    limits = Limits(block_limit=limit)
    transfer = Transfer(own, Server(SERVER_MAC, SERVER_IP), 50000, "f", now=0.0, blksize=8, limits=limits)
    transfer.on_frame(server.frame(MAC, BOARD_IP, 40000, 50000, b"\0\x06blksize\x008\0"))
    frame = bytearray(server.frame(MAC, BOARD_IP, 40000, 50000, b"\0\x03\0\0" + b"8 octets"))[:54]
    for block in range(1, 66_001):
        frame[44:46] = (block & 0xFFFF).to_bytes(2, "big")
        transfer.on_frame(bytes(frame))
    assert len(transfer.data) == 8 * blocks


def test_lost_data_is_asked_for_again_by_the_ack():
    transfer, world = fetch(NetServer({"file": bytes(5000)}, lose={("file", 2), ("file", 3)}))
    assert (transfer.outcome, len(transfer.data)) == ("complete", 5000)
    assert sent_acks(world) == [0, 1, 1, 2, 2, 3, 4]
    assert transfer.resends == 2


def test_repeated_data_is_acknowledged_again_and_taken_once():
    transfer, world = fetch(NetServer({"file": bytes(range(250)) * 20}, repeat=True))
    assert (transfer.outcome, bytes(transfer.data)) == ("complete", bytes(range(250)) * 20)
    assert transfer.repeats
    assert sent_acks(world)[:5] == [0, 1, 1, 2, 2]


def test_a_repeated_block_hangs_firmware_that_counts_blocks_itself():
    """It acknowledges a block that it never got (firmware issue 1631), and goes on doing so for ever."""
    server = NetServer()
    limits = Limits(repeats_hang=True)
    transfer = Transfer(stack(START4), Server(SERVER_MAC, SERVER_IP), 50000, "f", now=0.0, blksize=512, limits=limits)

    def answer(block: int) -> int | None:
        frame = server.frame(MAC, BOARD_IP, 40000, 50000, b"\0\x03" + block.to_bytes(2) + bytes(512))
        reply = transfer.on_frame(frame)
        return None if reply is None else int.from_bytes(reply[44:46])

    assert [answer(block) for block in (1, 2, 3)] == [1, 2, 3]
    assert not transfer.hangs
    assert [answer(block) for block in (3, 4, 3, 3, 5)] == [4, 4, 4, 4, 4]
    assert transfer.hangs
    assert (transfer.done, len(transfer.data)) == (False, 3 * 512)


def test_request_is_repeated_every_two_seconds_for_thirty():
    transfer, world = fetch(NetServer({}, tftp=False))
    times = [when - 1000 for when, _frame in world.sent]
    assert transfer.outcome == "timeout"
    assert times == pytest.approx([2.0 * number for number in range(15)])
    assert world.now - 1000 == pytest.approx(30.0)
    packets = [udp(frame) for frame in world.frames]
    assert {packet.sport for packet in packets if packet} == {50000}
    assert [packet.ident for packet in packets if packet] == [0x506A + 2 * number for number in range(15)]


def test_server_that_falls_silent_is_given_up_in_bounded_time():
    transfer, world = fetch(NetServer({"file": bytes(9000)}, silent_after={"file": 3}), limits=Limits(idle_timeout=10))
    assert transfer.outcome == "timeout"
    assert len(transfer.data) == 3 * 1468
    assert world.now - 1000 <= 14


def test_probe_ends_early():
    transfer, world = fetch(NetServer({"file": bytes(9000)}), probe=True)
    assert (transfer.outcome, transfer.size) == ("probed", 9000)
    assert udp(world.frames[-1]).payload == b"\0\5\0\0Early terminate\0"  # type: ignore[union-attr]
    without, _world = fetch(NetServer({"file": bytes(9000)}, oack=False), probe=True)
    assert (without.outcome, without.size) == ("probed", -1)


def test_error_in_another_language_is_kept_as_it_came():
    words = "Datei \x1b[31mnicht gefunden \u2013 ".encode() + b"\xff\xfe"
    transfer, _world = fetch(NetServer({}, not_found=lambda _name: words))
    assert (transfer.outcome, transfer.error) == ("error", (1, words))


@pytest.mark.parametrize("size", [4, 1469, 65464])
def test_oack_that_asks_for_more_than_was_offered_is_refused(size: int):
    class Wrong(NetServer):
        def _rrq(self, packet):  # type: ignore[no-untyped-def]
            super()._rrq(packet)
            return [b"\0\x06blksize\0%d\0" % size]

    transfer, world = fetch(Wrong({"file": bytes(100)}))
    assert transfer.outcome == "oack"
    assert udp(world.frames[-1]).payload[:4] == b"\0\5\0\x08"  # type: ignore[union-attr]


def test_file_beyond_the_limit_is_refused():
    transfer, world = fetch(NetServer({"file": bytes(30_000)}), limits=Limits(largest=10_000))
    assert transfer.outcome == "large"
    assert udp(world.frames[-1]).payload[:4] == b"\0\5\0\x03"  # type: ignore[union-attr]
    assert len(transfer.data) <= 10_000 + 1468


def test_a_size_that_is_a_lie_reserves_nothing():
    class Liar(NetServer):
        def _rrq(self, packet):  # type: ignore[no-untyped-def]
            super()._rrq(packet)
            return [b"\0\x06tsize\x00999999999999999\0blksize\x001468\0"]

    transfer, _world = fetch(Liar({"file": bytes(100)}))
    assert (transfer.outcome, len(transfer.data)) == ("complete", 100)


def test_another_host_or_port_cannot_put_in_blocks():
    server = NetServer({"file": bytes(range(200)) * 30})

    def wire(now: float, frame: bytes) -> list[tuple[float, bytes]]:
        answers = server(now, frame)
        forged = []
        for delay, answer in answers:
            packet = udp(answer)
            if packet and packet.payload[:2] == b"\0\x03":
                bad = packet.payload[:4] + b"x" * (len(packet.payload) - 4)
                forged.append((delay / 2, server.frame(MAC, BOARD_IP, packet.sport + 9, packet.dport, bad)))
        return [*forged, *answers]

    world = World(wire)
    transfer = Transfer(stack(), Server(SERVER_MAC, SERVER_IP), 50000, "file", now=world.now, blksize=1468)

    def program() -> Steps[None]:
        yield Send(transfer.start())
        yield Stream(transfer)

    world.run(program())
    assert (transfer.outcome, bytes(transfer.data)) == ("complete", bytes(range(200)) * 30)


@pytest.mark.parametrize("at", [24, 40, 60, 700])
def test_corrupted_blocks_are_noticed_by_the_eeprom_stage(at: int):
    server = NetServer({"file": bytes(range(200)) * 30})
    left = [3]

    def wire(now: float, frame: bytes) -> list[tuple[float, bytes]]:
        answers = server(now, frame)
        if left[0] and answers and len(answers[0][1]) > 1000:
            left[0] -= 1
            bad = bytearray(answers[0][1])
            bad[at] ^= 0x55
            return [(0.001, bytes(bad))]
        return answers

    world = World(wire)
    own = stack()
    transfer = Transfer(own, Server(SERVER_MAC, SERVER_IP), 50000, "file", now=world.now, blksize=1468)

    def program() -> Steps[None]:
        yield Send(transfer.start())
        yield Stream(transfer)

    world.run(program())
    assert (transfer.outcome, bytes(transfer.data)) == ("complete", bytes(range(200)) * 30)
    assert own.counters.ip_errors + own.counters.udp_errors == 3


@pytest.mark.parametrize("blksize", [14, 16, 18, 20, 512, 1024, 1466, 1468])
def test_any_damaged_octet_of_a_later_block_is_noticed_too(blksize: int):
    """Blocks after the first are taken on a shorter way, which must see as much."""
    server, own = NetServer(), stack()
    transfer = Transfer(own, Server(SERVER_MAC, SERVER_IP), 50000, "f", now=0.0, blksize=1468)

    def frame(payload: bytes) -> bytes:
        return server.frame(MAC, BOARD_IP, 40000, 50000, payload)

    def block(number: int) -> bytes:
        return frame(b"\0\x03" + number.to_bytes(2) + (bytes(range(251)) * 7)[number : number + blksize])

    transfer.on_frame(frame(b"\0\x06tsize\x009999\0blksize\0" + str(blksize).encode() + b"\0"))
    assert transfer.on_frame(block(1)) is not None
    good = block(2)
    for at in range(14, len(good)):
        bad = bytearray(good)
        bad[at] ^= 0x55
        assert transfer.on_frame(bytes(bad)) is None, at
    assert transfer.on_frame(good[:-1]) is None
    for number in (2, 3, 4):
        reply = transfer.on_frame(block(number))
        assert reply is not None
        assert reply[44:46] == number.to_bytes(2)
    assert transfer._hot == 3, "the shorter way was not taken"
    assert bytes(transfer.data[blksize:]) == b"".join(block(number)[46:] for number in (2, 3, 4))


def test_error_text_reaches_the_uart_raw_and_the_boot_goes_on():
    words = "Datei nicht gefunden: äöü".encode("latin-1")
    world = boot(NetServer(samples.tree(), not_found=lambda _name: words))
    assert world.ended == "handover"
    assert b"TFTP 1: " + words + b"\r\n" in world.uart


def test_server_without_options_feeds_the_bootloader_but_not_start4s_config():
    config = samples.CONFIG + b"kernel=special.img\n"
    server = NetServer(samples.tree(config_txt=config, **{"special.img": samples.kernel()}), oack=False)
    world = boot(server)
    assert "Starting start4.elf @ 0xfec00200 partition 0" in world.text
    assert "brfs: File read: -2 bytes" in world.text
    assert f"G {P}kernel8.img" in server.log
    assert f"G {P}special.img" not in server.log


def test_lost_and_repeated_blocks_do_not_spoil_a_boot():
    lose = {(f"{P}start4.elf", 2), (f"{P}kernel8.img", 3), (f"{P}initramfs8", 1), (f"{P}config.txt", 1)}
    files = samples.tree()
    world = boot(NetServer(files, lose=lose, repeat=True))
    assert world.payload is not None
    assert world.payload.kernel.data == files[f"{P}kernel8.img"]
    assert world.payload.initramfs is not None
    assert world.payload.initramfs.data == files[f"{P}initramfs8"]
    assert "Duplicate block" in world.text


def test_server_that_dies_in_start4_elf_ends_the_mode():
    server = NetServer(samples.tree(), silent_after={f"{P}start4.elf": 1})
    world = boot(server, seconds=70, keys={"BOOT_ORDER": "0xe2"})
    assert world.ended == "halt"
    assert "TFTP: disconnect: timeouts 1" in world.text
    assert f"{P}start4.elf transfer timed out" in world.text
    assert "NETBOOT init failed" in world.text


def test_server_that_dies_in_the_kernel_leaves_the_board_standing():
    world = boot(NetServer(samples.tree(), silent_after={f"{P}kernel8.img": 2}), seconds=120)
    assert world.ended == "halt"
    assert "Failed to load kernel 'kernel8.img'" in world.text


def test_file_timeout_by_eeprom():
    world = boot(
        NetServer(samples.tree(), silent_after={f"{P}start4.elf": 1}),
        keys={"TFTP_FILE_TIMEOUT": 5000, "BOOT_ORDER": "0xe2"},
    )
    assert world.now - 1000 < 25
