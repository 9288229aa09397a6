# SPDX-License-Identifier: GPL-2.0-or-later
"""Boot mode 7: boot.sig and boot.img over HTTP, every later file out of the image; TCP on a bad network."""

import hashlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.emulator.http_message import Response
from harness.emulator.stack import Stack
from harness.emulator.tcp import Exchange
from harness.emulator.tftp_message import Server
from harness.models import PI4, PI5, Model
from tests.emulator import samples
from tests.emulator.fatimage import image
from tests.emulator.netserver import BOARD_IP, SERVER_IP, SERVER_MAC, NetServer, together, udp
from tests.emulator.simulator import World, boot
from tests.emulator.test_pi5 import tree
from tests.emulator.webserver import FIN, ISN, RST, SYN, WebServer, ok

KEYS: dict[str, object] = {"BOOT_ORDER": "0xe7", "HTTP_HOST": "10.77.0.1"}
SIG, IMG = "/net_install/boot.sig", "/net_install/boot.img"
IMAGE = image(dict(tree("")))


def signature(data: bytes) -> bytes:
    return hashlib.sha256(data).hexdigest().encode() + b"\nts: 1700000000\nrsa2048: 00\n"


def web(data: bytes = IMAGE, *, folder: str = "/net_install", **knobs: Any) -> WebServer:
    answers = {f"{folder}/boot.sig": ok(signature(data)), f"{folder}/boot.img": ok(data)}
    return WebServer(answers | knobs.pop("answers", {}), **knobs)


def run(server: WebServer, *, model: Model = PI5, keys: dict[str, object] | None = None, **options: Any) -> World:
    # Any lease will do: there is no boot option in the offer.
    lease = NetServer(offer=(), siaddr=b"\0" * 4, tftp=False)
    return boot(together(lease, server), model=model, keys=KEYS | (keys or {}), **options)


def test_pi_5_boots_out_of_the_image():
    server = web()
    world = run(server)
    assert world.ended == "handover", world.text
    assert [request.split()[1] for request in server.requests] == [b"/net_install/boot.sig", b"/net_install/boot.img"]
    assert world.payload is not None
    assert world.payload.kernel.data == tree()["91cdf03d/kernel_2712.img"]
    assert world.payload.initramfs is not None
    assert any("boot.img" in note for note in world.payload.notes)
    assert not [packet for packet in map(udp, world.frames) if packet and packet.dport == 69]
    for line in (
        "Boot mode: HTTP (07) order e",
        "Loading boot.sig ...",
        "HTTP: GET request for http://10.77.0.1:80/net_install/boot.sig",
        "Loading boot.img ...",
        "HTTP: got ",
        "Read config.txt bytes",
        "Starting OS",
    ):
        assert line in world.text, line


def test_pi_4_boots_out_of_the_image_with_its_two_stages():
    data = image(samples.tree(""), 12)
    world = run(web(data), model=PI4)
    assert world.ended == "handover", world.text
    assert world.payload is not None
    assert world.payload.kernel.data == samples.kernel()
    assert world.payload.cmdline.startswith("console=ttyAMA0")
    assert "Starting start4.elf" in world.text
    assert not [packet for packet in map(udp, world.frames) if packet and packet.dport == 69]


def test_request_as_the_bootloader_writes_it():
    server = web(port=8000, folder="/lab")
    world = run(server, keys={"HTTP_PORT": 8000, "HTTP_PATH": "/lab/"})
    assert world.ended == "handover", world.text
    head = server.requests[0].split(b"\r\n")
    assert head[0] == b"GET /lab/boot.sig HTTP/1.1"
    assert b"Host: 10.77.0.1:8000" in head
    assert b"Connection: close" in head
    assert any(line.startswith(b"User-Agent: rpiboot/1.0 (d03114; version:") for line in head)
    assert server.requests[0].endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    "knobs",
    [
        {"lose": {2, 5, 9, 60}},
        {"swap": True},
        {"twice": True},
        {"lose_syn": 2},
        {"lose_request": 2},
        {"mss": 99},
        {"fin": False},
        {"lose": {3}, "twice": True, "lose_syn": 1},
    ],
    ids=str,
)
def test_bad_networks_are_overcome(knobs: dict[str, Any]):
    small = image(dict(tree("")), 12)
    if "mss" in knobs:
        small = small[:20_000]
    world = run(web(small, **knobs), seconds=300)
    assert world.ended == ("handover" if "mss" not in knobs else "halt"), world.text
    if "mss" in knobs:
        assert "Read boot.img bytes    20000" in world.text


def test_answer_without_a_length_ends_with_the_connection():
    server = web(answers={IMG: ok(IMAGE, length=False)})
    assert run(server).ended == "handover"


@pytest.mark.parametrize(
    ("knobs", "line"),
    [
        ({"refuse": True}, "HTTP: web client failed"),
        ({"reset_at": 0}, "HTTP: web client failed"),
        ({"silent_at": 0}, "HTTP: timeout event"),
        ({"lose_syn": 99}, "HTTP: timeout event"),
        ({"answers": {SIG: b"HTTP/1.1 302 Found\r\nLocation: http://x/\r\n\r\n"}}, "Error 3 loading boot.sig"),
        ({"answers": {SIG: b"SSH-2.0-OpenSSH\r\n\r\n"}}, "Error 3 loading boot.sig"),
        ({"answers": {SIG: b"x" * 20_000}}, "Error 3 loading boot.sig"),
        ({"answers": {IMG: ok(b"short")[:-2]}}, "Error 3 loading boot.img"),
        ({"answers": {IMG: b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n"}}, "Error 3 loading boot.img"),
        ({"answers": {IMG: ok(IMAGE[:-1])}}, "File signature or hash mismatch"),
        ({"answers": {SIG: ok(b"")}}, "File signature or hash mismatch"),
    ],
    ids=lambda value: str(value)[:60],  # an image has megabytes, and every worker sends each test's name
)  # fmt: skip
def test_failures_lead_to_the_next_boot_mode(knobs: dict[str, Any], line: str):
    world = run(web(**knobs), seconds=200)
    assert line in world.text
    assert "NETBOOT init failed" in world.text
    assert world.halted == "BOOT_ORDER says STOP"


def test_image_that_is_no_file_system():
    world = run(web(b"\0" * 4000))
    assert "Partition is not FAT" in world.text
    assert world.halted == "BOOT_ORDER says STOP"


def test_without_a_host_a_name_would_have_to_be_looked_up():
    world = boot(NetServer(), model=PI5, keys={"BOOT_ORDER": "0xe7"})
    assert "Host 'fw-download-alias1.raspberrypi.com' not found." in world.text
    assert "HTTP: dns failed" in world.text
    assert world.halted == "BOOT_ORDER says STOP"


def test_network_mode_after_http_takes_its_files_by_tftp():
    server = NetServer(tree())
    world = boot(together(server, web(refuse=True)), model=PI5, keys=KEYS | {"BOOT_ORDER": "0xe27"})
    assert world.ended == "handover", world.text
    assert "G 91cdf03d/config.txt" in server.log


def test_mode_is_unknown_to_releases_before_2022():
    world = boot(NetServer(samples.tree()), keys=KEYS | {"BOOT_ORDER": "0xf27"}, date="2021-07-06")
    assert "Unsupported boot order 7" in world.text
    assert world.ended == "handover"


def test_server_beyond_the_gateway_is_reached_through_it():
    far = bytes((192, 168, 20, 105))
    server = web(ip=far)
    world = run(server, keys={"HTTP_HOST": "192.168.20.105"})
    assert world.ended == "handover", world.text
    assert "gw 10.77.0.1 tftp 192.168.20.105" in world.text


def test_connection_is_opened_and_closed_as_it_should_be():
    server = web()
    run(server)
    assert server.flags.count(SYN) == 2
    assert len([flag for flag in server.flags if flag & FIN]) == 2
    assert not [flag for flag in server.flags if flag & RST]


def exchange(response: Response | None = None) -> tuple[Exchange, WebServer]:
    stack = Stack(bytes.fromhex("e45f010902f7"))
    stack.ip, stack.mask = BOARD_IP, b"\xff\xff\xff\0"
    made = Exchange(
        stack,
        Server(SERVER_MAC, SERVER_IP),
        (40000, 80),
        b"GET / HTTP/1.1\r\n\r\n",
        response or Response(1 << 20),
        now=0.0,
        sequence=1000,
    )
    return made, WebServer({"/": ok(b"hello")})


def test_reset_out_of_nowhere_is_not_believed():
    made, server = exchange()
    syn = made.start()
    (answer,) = server(0.0, syn)
    blind = server.segment(syn, 40000, 1, 77, RST | 16, b"")
    assert made.on_frame(blind) is None
    assert not made.outcome
    request = made.on_frame(answer[1])
    assert request is not None
    assert made.on_frame(server.segment(syn, 40000, ISN + 5000, 0, RST, b"")) is None
    assert not made.outcome
    made.on_frame(server.segment(syn, 40000, ISN + 1, 0, RST, b""))
    assert made.outcome == "reset"


def test_overlapping_segments_are_taken_once():
    made, server = exchange()
    syn = made.start()
    made.on_frame(server(0.0, syn)[0][1])
    text = ok(b"0123456789")
    made.on_frame(server.segment(syn, 40000, ISN + 1, 1001, 16, text[:20]))
    made.on_frame(server.segment(syn, 40000, ISN + 1 + 10, 1001, 16, text[10:]))
    assert bytes(made.response.body) == b"0123456789"


@settings(deadline=None)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=120),
            st.tuples(
                st.sampled_from([0, ISN, ISN + 1, ISN + 2, 1 << 31]),
                st.sampled_from([0, 1001, 1019, 5]),
                st.integers(0, 63),
                st.binary(max_size=60) | st.just(ok(b"hi")),
            ),
        ),
        max_size=12,
    ),
    st.booleans(),
)
def test_any_segments_end_in_an_outcome(items: list[Any], opened: bool):
    made, server = exchange()
    syn = made.start()
    if opened:
        made.on_frame(server(0.0, syn)[0][1])
    for item in items:
        frame = item if isinstance(item, bytes) else server.segment(syn, 40000, *item)
        reply = made.on_frame(frame)
        assert reply is None or len(reply) >= 60
    now = 0.0
    for _ in range(200):
        if made.outcome:
            break
        now = made.deadline
        made.on_timer(now)
    assert made.outcome in {"complete", "refused", "reset", "timeout", "bad"}


@settings(deadline=None)
@given(st.lists(st.binary(max_size=80), max_size=20))
def test_any_answer_is_read_without_raising(pieces: list[bytes]):
    for start in (b"", b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n"):
        response = Response(64)
        for piece in (start, *pieces):
            response.feed(piece)
        response.end()
        assert response.over


@pytest.mark.parametrize("model", [PI4, PI5])
def test_boot_ramdisk_takes_the_image_by_tftp(model: Model):
    inside = samples.tree("") if model is PI4 else dict(tree(""))
    inside["config.txt"] = inside["config.txt"] + b"boot_ramdisk=1\n"
    served = {"91cdf03d/config.txt": b"boot_ramdisk=1\n", "91cdf03d/boot.img": image(inside, 12)}
    server = NetServer(served | ({"91cdf03d/start4.elf": b"old"} if model is PI4 else {}))
    world = boot(server, model=model)
    assert world.ended == "handover", world.text
    assert "G 91cdf03d/boot.img" in server.log
    assert not any("kernel" in line for line in server.log)
    assert world.payload is not None
    assert world.payload.kernel.data == samples.kernel()
    assert any("boot_ramdisk" in note for note in world.payload.notes)


@pytest.mark.parametrize("data", [None, b"no file system" * 100])
def test_boot_ramdisk_without_an_image_fails(data: bytes | None):
    files = {"91cdf03d/config.txt": b"boot_ramdisk=1\n"} | ({"91cdf03d/boot.img": data} if data else {})
    world = boot(NetServer(files), model=PI5, keys={"BOOT_ORDER": "0xe2"})
    assert world.halted == "BOOT_ORDER says STOP"
