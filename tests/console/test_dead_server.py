# SPDX-License-Identifier: GPL-2.0-or-later
"""A serial server that is gone without a word: the kernel asks after it."""

import os
import subprocess
import sys

import pytest

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(os.geteuid() != 0, reason="a network namespace is made by root"),
]

_DEAD = """
import socket, subprocess, time
from harness.console import net_port
from harness.console.port import PortGone, open_port

net_port._KEEPALIVE = ((socket.TCP_KEEPIDLE, 1), (socket.TCP_KEEPINTVL, 1), (socket.TCP_KEEPCNT, 2))
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
with socket.create_server(("127.0.0.1", 0)) as server:
    port = open_port(f"socket://127.0.0.1:{server.getsockname()[1]}")
    far, _ = server.accept()
    far.sendall(b"last words")
    assert port.read(60.0) == b"last words"
    subprocess.run(["ip", "link", "set", "lo", "down"], check=True)
    try:
        while True:
            assert port.read(60.0) == b"", "nothing can come"
    except PortGone as gone:
        print("gone:", gone)
"""


def test_a_server_whose_cable_is_out_is_gone() -> None:
    """In a network of its own, whose only link goes down under a connection."""
    argv = ["unshare", "--net", sys.executable, "-c", _DEAD]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.startswith("gone: "), done.stdout + done.stderr
