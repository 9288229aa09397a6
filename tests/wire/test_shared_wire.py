# SPDX-License-Identifier: GPL-2.0-or-later
"""One mirror port that sees two boards, captured separately; and interfaces in named namespaces. The real tcpdump."""

import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from harness.boot.events import DhcpMessage, Event, FirstFrame, TransferEnded
from harness.config import InterfaceWire
from harness.errors import HarnessError, InfraError
from harness.lab.captures import local_capture
from harness.wire.capture import Capture
from harness.wire.pcapfile import CaptureFile
from tests.wire import frames
from tests.wire.conftest import Net
from tests.wire.test_capture import until

pytestmark = pytest.mark.netns

#: Sends the frames of a file, each behind its length, as they are.
PLAY = """
import socket, struct, sys
data = open(sys.argv[1], "rb").read()
out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
out.bind((sys.argv[2], 0))
at = 0
while at < len(data):
    (size,) = struct.unpack_from(">H", data, at)
    out.send(data[at + 2 : at + 2 + size])
    at += 2 + size
"""
OTHER, OTHER_IP = "e4:5f:01:09:02:f7", "10.77.0.101"


def play(net: Net, folder: Path, sent: Sequence[bytes]) -> None:
    path = folder / "frames"
    path.write_bytes(b"".join(len(frame).to_bytes(2) + frame for frame in sent))
    net.server.run(sys.executable, "-c", PLAY, str(path), "port")


def as_other(frame: bytes) -> bytes:
    """The same of the other board."""
    return frame.replace(frames.mac(frames.PI), frames.mac(OTHER)).replace(
        frames.ip4(frames.PI_IP), frames.ip4(OTHER_IP)
    )


def boot() -> list[bytes]:
    """A board's DISCOVER, an OFFER that is sent to all, and a file."""
    discover = frames.from_client(frames.bootp((53, b"\1"), (60, b"PXEClient:Arch:00000:UNDI:002001")))
    answer = frames.bootp((53, b"\2"), (54, b"\n\x4d\0\1"), op=2, yiaddr=frames.PI_IP)
    datagram = frames.ip(frames.SERVER_IP, "255.255.255.255", 17, frames.udp(67, 68, answer))
    offer = frames.ethernet(frames.SERVER, frames.BROADCAST, 0x0800, datagram)
    return [discover, offer, *frames.download("kernel8.img", b"k" * 20_000)]


def open_on(net: Net, folder: Path, mac: str, events: list[Event], errors: list[HarnessError]) -> Capture:
    """As lab.yaml's wire does, but for the namespace without a name."""
    folder.mkdir()
    wire = InterfaceWire(kind="interface", interface="tap", filter="not port 22")
    capture = local_capture(wire, mac)(folder, events.append, errors.append)
    assert isinstance(capture, Capture)
    capture._spawn = net.client.spawn
    return capture


@pytest.mark.parametrize("tagged", [False, True], ids=["untagged", "in a VLAN"])
def test_two_boards_on_one_mirror_port(net: Net, tmp_path: Path, tagged: bool) -> None:
    ours, theirs = boot(), [as_other(frame) for frame in boot()]
    if tagged:
        ours, theirs = ([one[:12] + b"\x81\0\0\x07" + one[12:] for one in both] for both in (ours, theirs))
    mixed = [frame for pair in zip(ours, theirs, strict=True) for frame in pair]
    events: dict[str, list[Event]] = {frames.PI: [], OTHER: []}
    errors: list[HarnessError] = []
    with ExitStack() as stack:
        captures = {
            mac: stack.enter_context(open_on(net, tmp_path / mac.replace(":", ""), mac, seen, errors))
            for mac, seen in events.items()
        }
        play(net, tmp_path, mixed)
        for seen in events.values():
            until(lambda seen=seen: any(isinstance(event, TransferEnded) for event in seen))  # type: ignore[misc]
    assert errors == []
    for mac, other in ((frames.PI, OTHER), (OTHER, frames.PI)):
        assert captures[mac].info.complete
        (first,) = [event for event in events[mac] if isinstance(event, FirstFrame)]
        assert first.mac == mac
        asked = [event for event in events[mac] if isinstance(event, DhcpMessage)]
        assert [(message.type, message.chaddr) for message in asked] == [("DISCOVER", mac), ("OFFER", mac)]
        (transfer,) = [event.transfer for event in events[mac] if isinstance(event, TransferEnded)]
        assert (transfer.result, transfer.bytes) == ("complete", 20_000)
        with CaptureFile(captures[mac].path) as file:
            kept = [data for _, _, _, data in file]
        # What is sent to all is everybody's; what the other board and the server say to each other is not.
        strange = [data for data in kept if frames.mac(other) in data[:12] and not data[0] & 1]
        assert strange == []


def test_an_interface_in_a_named_namespace(net: Net, tmp_path: Path) -> None:
    name = f"piboot-test-{net.client.pid}"
    subprocess.run(["ip", "netns", "attach", name, str(net.client.pid)], check=True)
    try:
        wire = InterfaceWire(kind="interface", interface="tap", namespace=name)
        events: list[Event] = []
        with local_capture(wire, frames.PI)(tmp_path, events.append, lambda _: None):
            play(net, tmp_path, boot())
            until(lambda: any(isinstance(event, TransferEnded) for event in events))
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)
    with pytest.raises(InfraError, match=f"no network namespace '{name}'") as caught:
        local_capture(wire, frames.PI)(tmp_path, events.append, lambda _: None).__enter__()
    assert "ip netns list" in caught.value.remedy
