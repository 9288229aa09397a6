# SPDX-License-Identifier: GPL-2.0-or-later
"""Two hosts and a cable between them: network namespaces that end with this process, however it ends."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from harness.wire.process import Process, local

TOOLS = ("tcpdump", "dnsmasq", "curl", "ip", "ethtool", "nsenter", "unshare", "setpriv")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "netns: needs root and network namespaces")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    missing = [
        tool for tool in TOOLS if shutil.which(tool, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is None
    ]
    reason = (
        f"not installed: {', '.join(missing)}" if missing else "" if os.geteuid() == 0 else "needs root (namespaces)"
    )
    for item in items:
        if reason and item.path.parent == Path(__file__).parent and item.get_closest_marker("netns"):
            item.add_marker(pytest.mark.skip(reason=reason))


class Host:
    """A network namespace, held by a `cat` that ends with our end of its pipe: also when we are killed."""

    def __init__(self, stack: ExitStack, interface: str, address: str) -> None:
        self.interface, self.address = interface, address
        self._holder = stack.enter_context(
            subprocess.Popen(
                ["unshare", "--net", "sh", "-c", "echo ready; exec cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
        )
        assert self._holder.stdin is not None
        assert self._holder.stdout is not None
        stack.callback(self._holder.stdin.close)
        self._holder.stdout.readline()
        self.pid = self._holder.pid
        self.run("ip", "link", "set", "lo", "up")

    def argv(self, *argv: str) -> list[str]:
        return ["nsenter", f"--target={self.pid}", "--net", *argv]

    def run(self, *argv: str, timeout: float = 60) -> str:
        done = subprocess.run(self.argv(*argv), check=False, capture_output=True, text=True, timeout=timeout)
        assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
        return done.stdout

    def spawn(self, argv: Sequence[str], stdout_fd: int, stderr_fd: int) -> Process:
        """For Capture: nsenter becomes the program, so signals reach it."""
        return local(self.argv(*argv), stdout_fd, stderr_fd)


class Net:
    """host `server` (10.99.0.1, interface `port`) and host `client` (10.99.0.2, interface `tap`)."""

    def __init__(self, stack: ExitStack) -> None:
        self.server = Host(stack, "port", "10.99.0.1")
        self.client = Host(stack, "tap", "10.99.0.2")
        self.server.run(
            "ip", "link", "add", "name", "port", "type", "veth", "peer", "name", "tap", "netns", str(self.client.pid)
        )
        for host in (self.server, self.client):
            # No router solicitations and the like: the tests count packets.
            host.run("sh", "-c", f"echo 1 > /proc/sys/net/ipv6/conf/{host.interface}/disable_ipv6")
            host.run("ethtool", "-K", host.interface, "tx", "off", "gso", "off", "gro", "off")
            host.run("ip", "address", "add", f"{host.address}/24", "dev", host.interface)
            host.run("ip", "link", "set", host.interface, "up")


@pytest.fixture
def net() -> Iterator[Net]:
    with ExitStack() as stack:
        yield Net(stack)
