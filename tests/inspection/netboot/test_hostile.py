# SPDX-License-Identifier: GPL-2.0-or-later
"""Servers that say nothing, too much or nonsense: the look ends in its time, with a word about it, and never raises."""

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from harness.boot.expect import ExpectedOffer, ExpectedServer
from harness.boot.record import Finding
from harness.config import BoardConfig, loads
from harness.emulator.packets import udp_frame
from harness.inspection.netboot import ceph, files, http, iscsi, nfs
from harness.inspection.netboot.dhcp import Window, ask
from harness.inspection.netboot.pi import Pi, pi_of
from harness.inspection.netboot.roots import look_at_root
from harness.inspection.netboot.seen import Answer, Ask, File, Look, Point
from harness.inspection.netboot.table import format_looks
from harness.inspection.netboot.wire import Ended, Walk

pytestmark = pytest.mark.gear  # servers on loopback, and the look's real patience with them

ESCAPE = "\x1b[31m\x9b2J\u202e"
BOARD = """version: 1
name: n
boards:
  b: {model: %s, serial_number: "5ce8a2f1", mac: "%s", power: {driver: pdu, hostname: p, port: "1"}%s}
"""


def board(model: str = "pi4", more: str = "") -> BoardConfig:
    mac = "b8:27:eb:e8:a2:f1" if model.startswith("pi3") else "dc:a6:32:01:02:03"
    return loads(BOARD % (model, mac, more)).boards["b"]


@contextmanager
def tcp(*words: bytes) -> Iterator[int]:
    """A server that says these words on each connection, one for each that it hears, and hangs up after the last. With a "!"
    before it, a word is said unasked.
    """
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection, suppress(OSError):
                        for word in words:
                            if not word or word[:1] != b"!":
                                connection.recv(65536)
                            connection.sendall(word.removeprefix(b"!"))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def closed() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


NONSENSE = (b"", b"!\xff" * 3, b"\x00" * 48, b"\xff" * 4096, b"HTTP/1.1 400 Bad Request\r\n\r\n" + ESCAPE.encode())


@pytest.mark.parametrize("said", NONSENSE)
def test_what_no_storage_server_says(said: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (iscsi, nfs, ceph):
        monkeypatch.setattr(module, "_TIMEOUT", 0.1)
    with tcp(said, said) as port:
        looks = (
            iscsi.look("127.0.0.1", port, "iqn.2026-01.x:y", None),
            nfs.look("127.0.0.1", "/srv", "3", nfs_port=port),
            nfs.look("127.0.0.1", "/srv", "4.1", nfs_port=port),
        )
        for points in looks:
            assert [point.state for point in points if point.state == "fault"]
    with tcp(b"!" + said) as port:
        (point,) = ceph.look([("127.0.0.1", (port,))])
        assert point.state == "fault"


def test_nobody_is_there() -> None:
    port = closed()
    (first, *_), (second,) = (
        tuple(iscsi.look("127.0.0.1", port, "iqn.2026-01.x:y", None)),
        tuple(nfs.look("127.0.0.1", "/srv", None, nfs_port=port)),
    )
    assert (first.state, second.state) == ("fault", "fault")
    assert "Connection refused" in first.said
    assert "no NFS server answers" in second.said
    assert list(look_at_root(None, {})) == []
    named = {"kind": "nfs", "server": "nas", "path": "/srv"}
    assert [point.state for point in look_at_root(None, named)] == ["skipped"]


def login_answer(status: int, words: bytes = b"", opcode: int = 0x23) -> bytes:
    head = struct.pack(">BBHB3s28xH10x", opcode, 0x81, 0, 0, len(words).to_bytes(3), status)
    return head + words + bytes(-len(words) % 4)


def test_a_portal_that_does_not_let_us_list_its_targets() -> None:
    with tcp(login_answer(0x0201)) as port:
        listed, target = iscsi.look("127.0.0.1", port, "iqn.2026-01.x:y", None)
    assert (listed.state, target.state) == ("note", "fault")
    with tcp(login_answer(0x0202)) as port:
        _, target = iscsi.look("127.0.0.1", port, "iqn.2026-01.x:y", None)
    assert (target.state, "describe the board's" in target.said) == ("note", True)


def test_a_portal_whose_answer_does_not_end() -> None:
    endless = login_answer(0, b"TargetName=iqn.x\0", 0x24)
    endless = endless[:1] + b"\x40" + endless[2:]
    with tcp(login_answer(0), login_answer(0), endless * 200) as port:
        listed, *_ = iscsi.look("127.0.0.1", port, "iqn.2026-01.x:y", None)
    assert listed.state == "fault"


@contextmanager
def tftp(answer: Callable[[bytes], list[bytes]]) -> Iterator[str]:
    """A server at a port of its own, which it gives: 69 needs root. answer: datagram -> datagrams."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.bind(("127.0.0.1", 0))
        line.settimeout(0.05)
        over = threading.Event()

        def serve() -> None:
            while not over.is_set():
                try:
                    data, peer = line.recvfrom(2048)
                except OSError:
                    continue
                for one in answer(data):
                    with suppress(OSError):
                        line.sendto(one, peer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield str(line.getsockname()[1])
        over.set()
        thread.join(10)


def fetched(port: str, monkeypatch: pytest.MonkeyPatch, pi: Pi, silence: float = 0.1) -> files.Fetched:
    monkeypatch.setattr("harness.emulator.tftp.TFTP_PORT", int(port))
    return files.fetch(pi, "127.0.0.1", None, ExpectedServer(tftp="127.0.0.1"), time.monotonic() + 60, silence)


@pytest.mark.parametrize("model", ["pi4", "pi5", "pi3b"])
def test_a_tftp_server_that_says_nothing_and_one_that_has_nothing(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with tftp(lambda _data: []) as port:
        found = fetched(port, monkeypatch, pi_of(board(model)))
    assert [one.id for one in found.findings] == ["tftp-no-answer"]
    assert "nobody answered" in found.outcome
    monkeypatch.undo()
    nothing = struct.pack(">HH", 5, 1) + f"File {ESCAPE} not found".encode() + b"\0"
    with tftp(lambda data: [nothing] if data[:2] == b"\0\1" else []) as port:
        found = fetched(port, monkeypatch, pi_of(board(model)), silence=5.0)
    assert not found.starts
    assert [one.severity for one in found.findings if one.severity == "fault"]


def test_a_tftp_server_that_talks_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """It answers every acknowledgement with another block, as long as one listens."""

    def more(data: bytes) -> list[bytes]:
        number = 1 if data[:2] == b"\0\1" else (data[2] << 8 | data[3]) + 1 & 0xFFFF
        return [b"\0\3" + number.to_bytes(2) + bytes(512)]

    with tftp(more) as port:
        monkeypatch.setattr("harness.emulator.tftp.TFTP_PORT", int(port))
        begin = time.monotonic()
        found = files.fetch(pi_of(board()), "127.0.0.1", None, ExpectedServer(), begin + 0.3)
    assert found.outcome == "the look took too long and was given up"
    assert not found.starts


def test_a_walk_ends_where_the_program_stands_still() -> None:
    from harness.emulator.effects import Halt, Sleep, Steps  # noqa: PLC0415

    pi = pi_of(board())

    def program() -> Steps[None]:
        yield Sleep(pi.clock() + 1000)
        yield Halt("no kernel")

    with pytest.raises(Ended, match="no kernel"):
        Walk(pi, "127.0.0.1", time.monotonic() + 10).run(program())
    assert pi.clock() - time.monotonic() > 999, "nobody waited for it"


class _Card:
    """A network card that hears what it is told to."""

    def __init__(self, frames: Callable[[bytes], list[bytes]]) -> None:
        self._frames = frames
        self.sent: list[bytes] = []

    def send(self, frame: bytes) -> None:
        self.sent.append(frame)

    def frames(self, until: float) -> Iterator[bytes]:
        yield from self._frames(self.sent[-1])
        time.sleep(max(0.0, until - time.monotonic()))


QUICK = Window(least=0.01, again=0.02, most=0.04)
EXPECTED = ExpectedServer(dhcp=("10.0.0.1",), tftp="10.0.0.1", offer=ExpectedOffer(option_66="10.0.0.1"))


@pytest.mark.parametrize(
    ("model", "program"), [("pi4", "eeprom"), ("pi5", "eeprom"), ("pi3b", "rom"), ("pi3b", "bootcode.bin")]
)
def test_answers_of_any_octets(model: str, program: str) -> None:
    def mirror(frame: bytes) -> list[bytes]:
        """The DISCOVER itself, cut and changed at each place, as an answer."""
        turned = bytearray(frame[6:12] + frame[:6] + frame[12:34] + frame[36:38] + frame[34:36] + frame[38:])
        turned[0:6], turned[42] = frame[6:12], 2
        return [bytes(turned[:at]) + b"\xff" * 3 + bytes(turned[at + 3 :]) for at in range(0, len(turned), 7)] + [
            frame,
            b"",
        ]

    told = ask(pi_of(board(model)), program, _Card(mirror), EXPECTED, QUICK)  # type: ignore[arg-type]
    assert not told.ask.takes
    assert told.ask.why
    format_looks([Look("s", "b", model, asks=(told.ask,), findings=told.findings)])


def test_no_answer_at_all_is_asked_for_twice() -> None:
    card = _Card(lambda _frame: [])
    told = ask(pi_of(board()), "eeprom", card, EXPECTED, QUICK)  # type: ignore[arg-type]
    assert (len(card.sent), told.ask.octets, told.ask.answers) == (2, 322, ())
    assert [one.id for one in told.findings] == ["dhcp-no-answer"]
    assert card.sent[0][6:12] == bytes.fromhex("dca632010203"), "the board's own MAC address"


def test_what_servers_say_is_harmless_on_a_terminal() -> None:
    answer = Answer(ESCAPE, ESCAPE, "OFFER", ESCAPE, ESCAPE, ESCAPE, ESCAPE, ESCAPE, "nothing", 0.1, described=False)
    look = Look(
        "s",
        "b",
        "pi4",
        asks=(Ask("eeprom", 322, (answer,), why=ESCAPE),),
        tftp_server="10.0.0.1",
        prefix=ESCAPE,
        files=(File(ESCAPE, "refused", "get", 0, 0.1), File(ESCAPE, "not found", "get", 0, 0.1, normal=True)),
        outcome=ESCAPE,
        cmdline=ESCAPE,
        root=(Point(ESCAPE, "fault", ESCAPE, ESCAPE),),
        findings=(Finding(id="x", title=ESCAPE, stage="dhcp", who="server", remedy=ESCAPE),),
        skipped=(ESCAPE,),
    )
    text = format_looks([look])
    assert not set("\x1b\x9b\u202e") & set(text)
    assert "this would stop a boot" in text


def test_a_web_server_without_boot_img() -> None:
    pi = pi_of(board("pi5", ", eeprom: {BOOT_ORDER: 0xf7}"))
    with tcp(b"HTTP/1.1 404 " + ESCAPE.encode("utf-8") + b"\r\nContent-Length: 0\r\n\r\n") as port:
        found = http.fetch(pi, f"http://127.0.0.1:{port}/", None, time.monotonic() + 20)
    assert [file.result for file in found.files] == ["not found", "not found"]
    assert [one.id for one in found.findings] == ["http-boot", "http-boot"]
    found = http.fetch(pi, f"http://127.0.0.1:{closed()}/", None, time.monotonic() + 20)
    assert found.files[0].result.startswith("no answer")


@pytest.mark.parametrize(
    ("model", "program"), [("pi4", "eeprom"), ("pi5", "eeprom"), ("pi3b", "rom"), ("pi3bplus", "rom")]
)
def test_the_discover_is_the_firmware_s_octet_for_octet(model: str, program: str) -> None:
    """As the emulated board sends it, first of all after power-on; only an EEPROM's transaction id is random."""
    from harness.emulator import bootrom, bootrom_dhcp, lease  # noqa: PLC0415
    from harness.emulator.effects import Send  # noqa: PLC0415

    card = _Card(lambda _frame: [])
    ask(pi_of(board(model)), program, card, EXPECTED, QUICK)  # type: ignore[arg-type]
    m = pi_of(board(model)).machine
    client = bootrom_dhcp.client_of(model, strict=True) if program == "rom" else None
    steps = lease.obtain(m) if client is None else bootrom._attempt(m, client)
    effect = next(steps)
    assert isinstance(effect, Send)
    steps.close()

    def without_xid(frame: bytes) -> bytes:
        """And without the UDP checksum over it."""
        return frame[:40] + frame[42:46] + frame[50:] if client is None else frame

    assert without_xid(card.sent[0]) == without_xid(bytes(effect.frame))


@pytest.mark.parametrize(
    ("server", "router", "model", "found"),
    [
        (b"\x0a\x00\x00\x02", b"", "pi4", []),
        (b"\x0a\x09\x00\x02", b"", "pi4", ["dhcp-no-way"]),
        (b"\x0a\x09\x00\x02", b"\x03\x04\x0a\x00\x00\x01", "pi4", []),
        (b"\x0a\x09\x00\x02", b"\x03\x04\x0a\x00\x00\x01", "pi3bplus", []),
        (b"\x0a\x09\x00\x02", b"\x03\x04\x0a\x00\x00\x01", "pi3b", ["dhcp-no-way"]),
    ],
)
def test_a_tftp_server_to_which_the_board_has_no_way(
    server: bytes, router: bytes, model: str, found: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """This host may have one, so that the files come to it all the same."""
    monkeypatch.setattr("harness.emulator.bootrom.PATIENCE", 0.0)  # of the old boot ROM: another test is about it
    text = socket.inet_ntoa(server).encode()
    options = b"\x35\x01\x02\x36\x04\x0a\x00\x00\x01\x01\x04\xff\xff\xff\x00" + router
    options += b"\x42" + bytes([len(text)]) + text + b"\xff"

    def offer(frame: bytes) -> list[bytes]:
        fixed = bytearray(frame[42 : 42 + 240])
        fixed[0], fixed[16:20] = 2, b"\x0a\x00\x00\x32"
        macs, addresses = (b"\x02\0\0\0\0\x07", frame[6:12]), (b"\x0a\x00\x00\x01", b"\xff" * 4)
        answer = udp_frame(macs, addresses, (67, 68), bytes(fixed) + options, ttl=64, ident=1, checksum=True)
        return [answer]

    program = "eeprom" if model == "pi4" else "rom"
    expected = ExpectedServer(dhcp=("10.0.0.1",))
    told = ask(pi_of(board(model)), program, _Card(offer), expected, QUICK)  # type: ignore[arg-type]
    assert (told.ask.takes, told.ask.tftp_server) == (True, text.decode())
    assert [one.id for one in told.findings] == found
