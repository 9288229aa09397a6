# SPDX-License-Identifier: GPL-2.0-or-later
"""A lease that a real client (busybox' udhcpc) renews at a real dnsmasq: an exchange of the running system's own."""

import queue
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from harness.boot.dhcp import exchanges
from harness.boot.events import DhcpMessage, Event
from harness.wire.capture import Capture
from tests.wire.conftest import Net

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(shutil.which("busybox") is None, reason="needs busybox: apt install busybox"),
]
SCRIPT = """#!/bin/sh
if [ "$1" = bound ]; then ip address replace "$ip/24" dev "$interface" && echo "has its address" >&2; fi
"""
_PATIENCE = 60


def test_udhcpc_renews_by_unicast_and_is_not_taken_for_a_bootloader(net: Net, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text(SCRIPT)
    script.chmod(0o755)
    mac = net.client.run("ip", "-brief", "link", "show", "dev", "tap").split()[2]
    serve = [
        "dnsmasq",
        "--no-daemon",
        "--port=0",
        "--conf-file=/dev/null",
        "--user=root",
        "--no-ping",
        "--interface=port",
    ]
    serve += ["--dhcp-range=10.99.0.50,10.99.0.60,255.255.255.0,10m", "--dhcp-authoritative"]
    serve += [f"--dhcp-leasefile={tmp_path / 'leases'}", "--pxe-service=0,Raspberry Pi Boot"]
    ask = ["busybox", "udhcpc", "-f", "-i", "tap", "-s", str(script), "-t", "20"]
    seen: queue.SimpleQueue[Event] = queue.SimpleQueue()
    messages: list[DhcpMessage] = []

    def until_acks(count: int) -> None:
        while sum(message.type == "ACK" for message in messages) < count:
            event = seen.get(timeout=_PATIENCE)
            if isinstance(event, DhcpMessage):
                messages.append(event)

    capture = Capture("tap", tmp_path / "capture.pcapng", macs={mac}, on_event=seen.put, spawn=net.client.spawn)
    with (
        subprocess.Popen(net.server.argv(*serve), stderr=subprocess.PIPE, text=True) as server,
        capture,
        subprocess.Popen(net.client.argv(*ask), stderr=subprocess.PIPE, text=True) as client,
    ):
        try:
            until_acks(1)
            assert client.stderr is not None
            assert any("has its address" in line for line in client.stderr)
            client.send_signal(signal.SIGUSR1)  # renew now
            until_acks(2)
        finally:
            client.terminate()
            server.terminate()
    first, renewal = exchanges(messages)
    assert (first.client, first.asked_by, first.result) == ("os", "udhcpc", "ack")
    assert (renewal.client, renewal.asked_by, renewal.result, renewal.discovers) == ("os", "udhcpc", "ack", 0)
    request = next(message for message in messages if message.packet == renewal.messages[0].packet)
    assert (request.type, request.ciaddr, request.dst_ip) == ("REQUEST", renewal.address, "10.99.0.1")
    assert request.option(50) is None
    assert request.option(54) is None
