# SPDX-License-Identifier: GPL-2.0-or-later
"""Steps that the boot ROM and bootcode.bin share: DISCOVER and its answers, ARP for the server, files in lock-step."""

from harness.emulator import bootrom_dhcp, dhcp
from harness.emulator.bootrom_dhcp import Client, Offers
from harness.emulator.dhcp import Reply, address_text
from harness.emulator.effects import Send, Steps, Stream
from harness.emulator.files import Found
from harness.emulator.machine import Machine
from harness.emulator.packets import BROADCAST_IP, BROADCAST_MAC
from harness.emulator.tftp import Transfer
from harness.emulator.tftp_message import Limits, Server

#: Requests for the server's MAC, and seconds between them (I).
_ARP_TRIES, _ARP_WAIT = 3, 1.0
#: A file that grows for longer than that is given up (I).
_WHOLE = 600.0


def send_discover(m: Machine, client: Client) -> Send:
    ports = (dhcp.CLIENT_PORT, dhcp.SERVER_PORT)
    return Send(m.stack.udp(BROADCAST_MAC, BROADCAST_IP, ports, bootrom_dhcp.discover(m.identity, client)))


def answer_of(m: Machine, until: float) -> Steps[tuple[Reply, bytes] | None]:
    """The next reply to this board and the address it came from, None when the time is over."""
    while (datagram := (yield from m.stack.receive(until))) is not None:
        reply = bootrom_dhcp.reply_to(m.identity, datagram)
        if reply is not None:
            return reply, datagram.src
        if m.clock() >= until:
            break  # a flood of other packets must not hold the board
    return None


def find_mac(m: Machine, offers: Offers, client: Client, deadline: float) -> Steps[bool]:
    """Takes the OFFERs' addresses, and asks for the server's MAC, or the gateway's; False when nobody answers."""
    stack = m.stack
    stack.ip, stack.mask, stack.gateway = offers.ip, offers.mask, offers.gateway
    m.server = offers.server
    hop = stack.next_hop(m.server) if client.routes else m.server
    for _ in range(_ARP_TRIES):
        if m.clock() >= deadline:
            break
        yield m.uart.bare(
            f"ARP request: my IP addr {address_text(stack.ip)} my eth_addr {m.identity.mac_text} "
            f"ARP for addr {address_text(hop)}"
        )
        found = yield from stack.resolve(hop, deadline, m.clock() + _ARP_WAIT)
        if found is not None:
            m.server_mac = found
            yield m.uart.bare(f"Done ARP for {address_text(hop)} got {found.hex(':')}")
            return True
    yield m.uart.bare("No response from ARP request")
    return False


class FileReader:
    """Downloads with blocks of 512 octets, a new source port for each; plain: requests without options.

    idle: seconds without a block after which a file counts as missing.
    """

    def __init__(self, m: Machine, port: int, *, plain: bool, idle: float) -> None:
        self._m = m
        self._plain = plain
        self._limits = Limits(file_timeout=_WHOLE, idle_timeout=idle)
        m.port = port

    def get(self, path: str, *, probe: bool = False) -> Steps[Found | None]:
        """The file, or after a probe only that it is there; None when the server does not deliver it."""
        m = self._m
        port, m.port = m.port, m.port + 1
        transfer = Transfer(
            m.stack,
            Server(m.server_mac, m.server),
            port,
            path,
            now=m.clock(),
            blksize=0,
            probe=probe,
            plain=self._plain,
            limits=self._limits,
        )
        yield Send(transfer.start())
        yield Stream(transfer)
        if transfer.outcome not in ("complete", "probed"):
            return None
        return Found(bytes(transfer.data), transfer.size, transfer.oack)
