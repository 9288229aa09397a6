# SPDX-License-Identifier: GPL-2.0-or-later
"""The rig's network as its keeper builds it: hosts (network namespaces), a bridge, veth pairs, taps. Runs in the keeper alone.

No namespace gets a name, so nothing of it is left when the last process of the rig is gone.
"""

import array
import fcntl
import os
import select
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pyroute2.iproute.linux import IPRoute

from harness.servers import kernel

_RTMGRP_LINK = 1
_TUN = "/dev/net/tun"
_TUNSETIFF, _TUNSETPERSIST = 0x400454CA, 0x400454CB  # linux/if_tun.h
_IFF_TAP, _IFF_NO_PI = 0x0002, 0x1000
_SIOCETHTOOL = 0x8946
# linux/ethtool.h: transmit checksums, scatter-gather, TCP segmentation, generic segmentation, generic receive. A small IP
# stack sees bad checksums, and a capture sees frames that never were on a wire, when the kernel leaves these for later.
_OFFLOADS = {"tx": 0x17, "sg": 0x19, "tso": 0x1F, "gso": 0x24, "gro": 0x2C}


class Network:
    """The hosts by name. Not thread-safe: it moves the calling thread between namespaces."""

    def __init__(self) -> None:
        self._home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self._hosts: dict[str, int] = {}
        self._routes: dict[str, IPRoute] = {}

    @contextmanager
    def inside(self, host: str) -> Iterator[None]:
        """The calling thread is in that host for as long as this lasts. Raises KeyError for an unknown host."""
        kernel.set_net(self._hosts[host])
        try:
            yield
        finally:
            kernel.set_net(self._home)

    def add_host(self, host: str) -> None:
        """A new network namespace with `lo` up, and without IPv6, so that captures hold only what a boot is about."""
        if host in self._hosts:
            raise FileExistsError(f"host {host} is there already")
        try:
            kernel.unshare_net()
            self._hosts[host] = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            for which in ("all", "default"):
                knob = Path(f"/proc/sys/net/ipv6/conf/{which}/disable_ipv6")
                if knob.exists():
                    knob.write_text("1")
            self._routes[host] = IPRoute()
            self._up(host, "lo")
        finally:
            kernel.set_net(self._home)

    def add_bridge(self, host: str, name: str) -> None:
        """A switch: forwards at once (no spanning tree, no delay), sends nothing of its own (no multicast queries)."""
        self._routes[host].link(
            "add",
            ifname=name,
            kind="bridge",
            br_forward_delay=0,
            br_stp_state=0,
            br_mcast_snooping=0,
        )
        self._up(host, name)

    def add_cable(self, host: str, name: str, bridge_host: str, bridge: str, port: str) -> None:
        """A veth pair: interface `name` of `host` is plugged into `port` of a bridge; both ends up."""
        self._routes[host].link(
            "add", ifname=name, kind="veth", peer={"ifname": port, "net_ns_fd": self._hosts[bridge_host]}
        )
        for where, interface in ((host, name), (bridge_host, port)):
            with self.inside(where):
                _offloads_off(interface)
        self._enslave(bridge_host, port, bridge)
        self._up(bridge_host, port)
        self._up(host, name)

    def add_tap(self, host: str, name: str, bridge: str) -> None:
        """A persistent tap, up; it has a carrier only while a process holds it open. bridge: whose port it is; "" for none."""
        with self.inside(host):
            fd = os.open(_TUN, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI))
                fcntl.ioctl(fd, _TUNSETPERSIST, 1)
            finally:
                os.close(fd)
        if bridge:
            self._enslave(host, name, bridge)
        self._up(host, name)

    def add_address(self, host: str, name: str, address: str) -> None:
        """address: "10.77.0.1/24"."""
        plain, _, length = address.partition("/")
        self._routes[host].addr("add", index=self._index(host, name), address=plain, prefixlen=int(length))

    def wait_up(self, host: str, names: list[str], timeout: float) -> None:
        """Until all the interfaces have operstate UP (a bridge takes up to a second). Raises TimeoutError with the states."""
        deadline = time.monotonic() + timeout
        with self.inside(host):
            news = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        with news:
            # Subscribed before the first look, so that no change falls between.
            news.bind((0, _RTMGRP_LINK))
            while True:
                states = {link.get("ifname"): link.get("operstate") for link in self._routes[host].get_links()}
                if all(states.get(name) == "UP" for name in names):
                    return
                left = deadline - time.monotonic()
                if left <= 0:
                    seen = ", ".join(f"{name} is {states.get(name, 'absent')}" for name in names)
                    raise TimeoutError(f"not all interfaces of {host} came up within {timeout:g} s: {seen}")
                if select.select([news], [], [], left)[0]:
                    news.recv(65536)

    def _index(self, host: str, name: str) -> int:
        with self.inside(host):
            return socket.if_nametoindex(name)

    def _enslave(self, host: str, name: str, bridge: str) -> None:
        self._routes[host].link("set", index=self._index(host, name), master=self._index(host, bridge))

    def _up(self, host: str, name: str) -> None:
        self._routes[host].link("set", index=self._index(host, name), state="up")


def _offloads_off(name: str) -> None:
    """As `ethtool -K NAME tx off sg off tso off gso off gro off`, for an interface of the present namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for command in _OFFLOADS.values():
            value = array.array("I", [command, 0])
            fcntl.ioctl(sock, _SIOCETHTOOL, struct.pack("16sP16x", name.encode(), value.buffer_info()[0]))
