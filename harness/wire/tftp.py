# SPDX-License-Identifier: GPL-2.0-or-later
"""All TFTP reads of a capture: which packet belongs to which transfer (RFC 1350: by the two ports, the server's being
learnt from its first answer).
"""

from collections.abc import Callable

from harness.boot.events import Event, TransferStarted
from harness.wire import scapy_read
from harness.wire.clients import FIRMWARE, Habits, asked_by
from harness.wire.text import mac_text
from harness.wire.tftp_opcode import ACK, DATA, ERROR, OACK, RRQ, WRQ, opcode
from harness.wire.transfer import Transfer, Wrong
from harness.wire.udp import Datagram

PORT = 69

MAX_OPEN = 256
"""Transfers followed at a time; a Pi has one. Above it the oldest is given up: a flood of requests costs no memory."""

_MAX_CLIENTS = 4096
_MAX_RIVALS = 4

Handler = Callable[[int, float, int, int, bytes, int, int], None]


class TftpTracker:
    """`flows` maps the twelve octets source IP, destination IP, source port, destination port, as they stand in a
    packet, to what takes the packets of that flow: the decoder's short way.
    """

    def __init__(self, emit: Callable[[Event], None], wrong: Wrong) -> None:
        self.flows: dict[bytes, Handler] = {}
        self._open: dict[bytes, Transfer] = {}  # by the client's IP and port, oldest first
        self._after_fixup: dict[bytes, bytes] = {}  # IPs of clients that have asked for fixup*.dat, with their MAC
        self._dhcp_clients: dict[bytes, str] = {}  # MAC -> what it called itself in its last DHCP request
        self._emit = emit
        self._wrong = wrong

    def datagram(self, packet: Datagram, *, ours: bool) -> bool:
        """Take a datagram; False when it is not TFTP. ours: sent by a board that is watched (its requests count)."""
        if packet.dst_port == PORT:
            if ours:
                self._to_port_69(packet)
            return True
        handler = self.flows.get(packet.addresses)
        if handler is not None:
            op, word = opcode(packet)
            handler(packet.number, packet.t, op, word, packet.data, packet.start, packet.size)
            return True
        transfer = self._open.get(packet.destination)
        if transfer is not None:
            self._answered(transfer, packet)
            return True
        transfer = self._open.get(packet.source)
        if transfer is not None:
            self._other_port(transfer, packet)
            return True
        return False

    def unreachable(self, client: bytes, server_ip: str) -> None:
        """ICMP told `client` (IP and port) that nobody listens on the server's port any more."""
        transfer = self._open.get(client)
        if transfer is not None:
            transfer.note = f"ICMP port unreachable from {server_ip}"

    def named(self, mac: bytes, kind: str) -> None:
        """A DHCP request of `mac` said what kind of client it is."""
        if mac in self._dhcp_clients or len(self._dhcp_clients) < _MAX_CLIENTS:
            self._dhcp_clients[mac] = kind

    def restarted(self, mac: bytes, t: float) -> None:
        """The board began with DHCP again: whatever it was reading, it has given up."""
        for ip in [ip for ip, its in self._after_fixup.items() if its == mac]:
            del self._after_fixup[ip]
        for transfer in [one for one in self._open.values() if one.client_mac == mac]:
            transfer.given_up(t)

    def finish(self, t: float) -> None:
        for transfer in list(self._open.values()):
            transfer.cut_off(t)

    def _to_port_69(self, packet: Datagram) -> None:
        op, _ = opcode(packet)
        if op != RRQ:
            self._wrong(packet.number, f"TFTP opcode {op} to port 69" if op != WRQ else "TFTP write request")
            return
        if packet.size > scapy_read.MAX_REQUEST:
            self._wrong(packet.number, f"TFTP request of {packet.size} octets; {scapy_read.MAX_REQUEST} are allowed")
        request = scapy_read.request(packet.payload[2:])
        same = self._open.get(packet.source)
        if same is not None:
            if same.request == request and same.blocks <= 1:
                same.retransmissions += 1
                same.end = same.client_seen = packet.t
                same.last_packet = packet.number
                return
            same.given_up(packet.t)
        self._begin(packet, request)

    def _begin(self, packet: Datagram, request: scapy_read.Request) -> None:
        client_ip = packet.source[:4]
        habits = Habits(packet.ttl, packet.ip_id, packet.dont_fragment, packet.src_port, request.options)
        named = self._dhcp_clients.get(packet.src_mac, "")
        who = asked_by(habits, after_fixup=client_ip in self._after_fixup, dhcp_client=named)
        for other in [one for key, one in self._open.items() if key[:4] == client_ip]:
            if other.request.path == request.path or (who in FIRMWARE and other.asked_by in FIRMWARE):
                other.given_up(packet.t)
        if len(self._open) >= MAX_OPEN:
            oldest = next(iter(self._open.values()))
            self._wrong(packet.number, f"more than {MAX_OPEN} transfers at once: {oldest.request.path} is not followed")
            oldest.finish(packet.t, "incomplete")
        if request.path.rpartition("/")[2].startswith("fixup") and len(self._after_fixup) < _MAX_CLIENTS:
            self._after_fixup[client_ip] = packet.src_mac
        transfer = Transfer(packet, request, who, emit=self._emit, ended=self._forget, wrong=self._wrong)
        self._open[packet.source] = transfer
        self._emit(
            TransferStarted(
                t=packet.t,
                packet=packet.number,
                path=request.path,
                client_ip=transfer.client_ip,
                client_port=transfer.client_port,
                server_ip=transfer.server_ip,
                ttl=packet.ttl,
                ip_id=packet.ip_id,
                options=request.options,
                asked_by=who,
                client_mac=mac_text(packet.src_mac),
            )
        )

    def _answered(self, transfer: Transfer, packet: Datagram) -> None:
        """A packet for the client from a port that is not yet known as its server's."""
        op, word = opcode(packet)
        if op not in {DATA, OACK, ERROR}:
            self._wrong(packet.number, f"TFTP opcode {op} from a server")
        elif not transfer.server_port:
            self._bind(transfer, packet)
            transfer.from_server(packet.number, packet.t, op, word, packet.data, packet.start, packet.size)
        elif op in {DATA, OACK}:
            # A repeated request makes most servers begin a second transfer from another port: the client takes one.
            transfer.retransmissions += op == DATA
            if not transfer.engaged and len(transfer.rivals) < _MAX_RIVALS:
                transfer.rivals[packet.source] = packet

    def _other_port(self, transfer: Transfer, packet: Datagram) -> None:
        """A packet of the client for another port than its server's."""
        op, word = opcode(packet)
        rival = transfer.rivals.get(packet.destination)
        if op == ACK and rival is not None and not transfer.engaged:
            transfer.forget_answer()
            self._bind(transfer, rival)
            for one in (rival, packet):
                op, word = opcode(one)
                self.flows[one.addresses](one.number, one.t, op, word, one.data, one.start, one.size)
        elif op == ERROR and not transfer.server_port:
            # The server's answer is not in the capture, the client's refusal of it is.
            transfer.from_client(packet.number, packet.t, op, word, packet.data, packet.start, packet.size)

    def _bind(self, transfer: Transfer, packet: Datagram) -> None:
        """`packet` is from the server's port of this transfer."""
        self._unbind(transfer)
        transfer.server_ip, transfer.server_port = packet.src_ip, packet.src_port
        there = packet.addresses
        back = there[4:8] + there[0:4] + there[10:12] + there[8:10]
        transfer.flows = [there, back]
        self.flows[there] = transfer.from_server
        self.flows[back] = transfer.from_client

    def _unbind(self, transfer: Transfer) -> None:
        for key in transfer.flows:
            self.flows.pop(key, None)
        transfer.flows = []

    def _forget(self, transfer: Transfer) -> None:
        self._unbind(transfer)
        self._open.pop(transfer.client, None)
