# SPDX-License-Identifier: GPL-2.0-or-later
"""Files over HTTP: boot mode 7 of a Pi's EEPROM (boot.sig, boot.img), and whatever else asks a web server while it boots.

Any TCP port will do: what a client says first tells (RFC 9110, 9112). As with TFTP, an octet counts when the client has
acknowledged it, and what is not seen does not go into a SHA-256. Of a connection that is no HTTP nothing is kept.
"""

import re
from collections.abc import Callable

from harness.boot.events import Event, HttpAsked, HttpEnded
from harness.wire.fetch import Fetch, Request
from harness.wire.tcp import ACK, FIN, MODULUS, RST, SYN, Connection, Segment, has_timestamps
from harness.wire.text import ip_text, mac_text

MAX_OPEN = 128
"""Connections followed at a time; a Pi's bootloader has one. Above it the oldest is given up."""

_METHODS = (b"GET ", b"HEAD ")
_MOST_REQUEST = 8192
_MOST_PENDING = 1 << 18
#: A client that was silent for so many seconds when the capture ended had given up.
GIVE_UP = 5.0
_AGENT = re.compile(rb"\r\nuser-agent:[ \t]*([^\r\n]*)", re.IGNORECASE)
_HOST = re.compile(rb"\r\nhost:[ \t]*([^\r\n]*)", re.IGNORECASE)


class HttpTracker:
    """segment() takes the TCP segments of a capture, in its order."""

    def __init__(self, emit: Callable[[Event], None], wrong: Callable[[int, str], None]) -> None:
        self._emit, self._wrong = emit, wrong
        self._open: dict[bytes, Connection] = {}  # by the client's and the server's IP and port, oldest first

    def segment(
        self, number: int, t: float, addresses: bytes, data: bytes, span: tuple[int, int], src_mac: bytes, *, ours: bool
    ) -> bool:
        """Take a segment whose header of at least twenty octets stands at span[0]; False when it is none of HTTP.

        addresses: IPs, then ports as in the packet; span: where header and payload begin and end (the payload may be cut);
        ours: sent by a board that is watched.
        """
        at, end = span
        start = at + (data[at + 12] >> 4) * 4
        sequence, acknowledged = int.from_bytes(data[at + 4 : at + 8]), int.from_bytes(data[at + 8 : at + 12])
        segment = Segment(number, t, data[at + 13], sequence, acknowledged, data[start:end], max(end - start, 0))
        begins = segment.flags & (SYN | ACK | RST) == SYN
        key = addresses[0:4] + addresses[8:10] + addresses[4:8] + addresses[10:12]
        connection = self._open.get(key)
        repeated = (
            connection is not None and not connection.opened and connection.next_asked == (sequence + 1) % MODULUS
        )
        if connection is not None and begins and connection.answered and not repeated:
            self._over(connection, t, "client error")  # the same port again: the board has begun anew
            connection = None
        if connection is not None:
            self._from_client(connection, segment)
            return connection.fetch is not None
        connection = self._open.get(key[6:] + key[:6])
        if connection is not None:
            self._from_server(connection, segment)
            return connection.fetch is not None
        if not ours:
            return False
        if begins:
            connection = self._begin(key, number, t, src_mac)
            connection.small_stack = not has_timestamps(data[at + 20 : start])
            connection.next_asked = (sequence + 1) % MODULUS
        elif segment.payload.startswith(_METHODS):
            connection = self._begin(key, number, t, src_mac)
            connection.answered = True
            connection.next_asked, connection.base = sequence, acknowledged
            self._from_client(connection, segment)
        return connection is not None and connection.fetch is not None

    def restarted(self, mac: bytes, t: float) -> None:
        """The board began with DHCP again: whatever it was reading, it has given up."""
        for connection in [one for one in self._open.values() if one.client_mac == mac]:
            self._over(connection, t, "no answer" if connection.fetch is None else "client error")

    def finish(self, t: float) -> None:
        """The capture ends here."""
        for connection in list(self._open.values()):
            silent = t - connection.end >= GIVE_UP
            if connection.fetch is not None:
                self._over(connection, t, "timeout" if silent else "incomplete")
            else:
                self._over(connection, t, "no answer" if silent or connection.again else "incomplete")

    def _begin(self, key: bytes, number: int, t: float, mac: bytes) -> Connection:
        if len(self._open) >= MAX_OPEN:
            oldest = next(iter(self._open.values()))
            if oldest.fetch is not None:
                self._wrong(number, f"more than {MAX_OPEN} HTTP connections at once: the oldest is not followed")
            self._over(oldest, t, "incomplete")
        made = self._open[key] = Connection(key[:6], key[6:], mac, t, number, number, t)
        return made

    # -- the client's side -----------------------------------------------------------------------------------------------

    def _from_client(self, one: Connection, seen: Segment) -> None:
        one.last_packet, one.end = seen.number, seen.t
        if seen.flags & RST:
            self._over(one, seen.t, "client error")
            return
        if seen.flags & SYN:
            one.again += 1
            return
        one.opened = True
        if seen.flags & ACK and one.base >= 0:
            self._acknowledged(one, seen.number, seen.t, one.offset(seen.acknowledged))
            if not self._followed(one):
                return
        skip = (one.next_asked - seen.sequence) % MODULUS
        if skip < seen.size:
            one.next_asked = (seen.sequence + seen.size) % MODULUS
            if not self._asks(one, seen.number, seen.t, seen.payload[skip:]):
                return
        elif seen.size:
            one.again += 1
        if seen.flags & FIN and one.fetch is None:
            self._forget(one)

    def _followed(self, one: Connection) -> bool:
        return self._open.get(one.client + one.server) is one

    def _asks(self, one: Connection, number: int, t: float, payload: bytes) -> bool:
        """The client says something new; False when it is no HTTP, and no longer followed."""
        if one.fetch is not None:
            return True  # a request behind the request: not looked at
        one.request += payload
        if not bytes(one.request[:5]).startswith(_METHODS):
            self._forget(one)
            return False
        head = one.request.find(b"\r\n\r\n")
        if head < 0:
            if len(one.request) <= _MOST_REQUEST:
                return True
            self._wrong(number, f"HTTP request of more than {_MOST_REQUEST} octets")
            self._forget(one)
            return False
        text = bytes(one.request[:head])
        one.request.clear()
        words = text.split(b"\r\n", 1)[0].split(b" ")
        path, agent, host = words[1] if len(words) > 1 else b"", _AGENT.search(text), _HOST.search(text)
        asked = Request(
            words[0].decode("ascii"), path, host[1] if host else b"", agent[1].decode("latin-1") if agent else ""
        )
        first = not one.acked
        one.fetch = Fetch(asked, one.start if first else t, one.first_packet if first else number, one.have)
        self._emit(
            HttpAsked(
                t=t,
                packet=number,
                path=one.fetch.path,
                client_ip=ip_text(one.client[:4]),
                server_ip=ip_text(one.server[:4]),
                server_port=int.from_bytes(one.server[4:]),
                asked_by=one.fetch.asked_by,
                client_mac=mac_text(one.client_mac),
            )
        )
        return True

    def _acknowledged(self, one: Connection, number: int, t: float, upto: int) -> None:
        if upto <= one.acked:
            return
        lacking = (upto if one.closes_at < 0 else min(upto, one.closes_at)) - one.have
        if lacking > 0:
            # Octets that the capture lacks: the client has them all the same.
            if one.fetch is not None:
                one.fetch.lacks(lacking)
                self._wrong(number, f"{lacking} octets of an HTTP answer were not seen: no SHA-256")
            one.have += lacking
            self._catch_up(one)
        one.acked = upto
        fetch = one.fetch
        if fetch is None:
            return
        if fetch.all_by(upto) or 0 <= one.closes_at <= upto:
            self._finished(one, t)
        elif (news := fetch.progress(t, upto)) is not None:
            self._emit(news)

    # -- the server's side -----------------------------------------------------------------------------------------------

    def _from_server(self, one: Connection, seen: Segment) -> None:
        one.last_packet = seen.number
        if seen.flags & RST:
            self._over(one, seen.t, "incomplete" if one.answered else "no server")
            return
        one.answered = True
        if one.base < 0:
            one.base = (seen.sequence + bool(seen.flags & SYN)) % MODULUS
        if seen.flags & SYN:
            return
        offset, size, payload = one.offset(seen.sequence), seen.size, seen.payload
        if seen.flags & FIN and one.closes_at < 0:
            one.closes_at = offset + size
        if not size or one.fetch is None:
            return
        if len(payload) < size:
            one.fetch.cut()
            payload = payload.ljust(size, b"\0")
        if offset + size <= one.have:
            one.fetch.retransmissions += 1
        elif offset <= one.have:
            self._take(one, payload[one.have - offset :])
            self._catch_up(one)
        elif one.pending_octets + size <= _MOST_PENDING:
            one.pending_octets += size - len(one.pending.get(offset, b""))
            one.pending[offset] = payload

    def _take(self, one: Connection, octets: bytes) -> None:
        one.have += len(octets)
        if one.fetch is not None:
            one.fetch.feed(octets)

    def _catch_up(self, one: Connection) -> None:
        """What came before its turn."""
        while one.pending:
            offset = min(one.pending)
            if offset > one.have:
                return
            payload = one.pending.pop(offset)
            one.pending_octets -= len(payload)
            if offset + len(payload) > one.have:
                self._take(one, payload[one.have - offset :])

    # -- ends ------------------------------------------------------------------------------------------------------------

    def _finished(self, one: Connection, t: float) -> None:
        """The client has the whole answer; it may ask for more on the same connection."""
        self._end_fetch(one, t, "")
        if one.closes_at >= 0:
            self._forget(one)

    def _over(self, one: Connection, t: float, how: str) -> None:
        """The connection has ended with how: what was being fetched is over, as complete as it is."""
        self._forget(one)
        if one.fetch is not None:
            self._end_fetch(one, t, how)
        elif one.small_stack and not one.opened and how != "incomplete":
            if one.answered:
                how = "no connection"
            one.fetch = Fetch(Request("", b"", b"", ""), one.start, one.first_packet, 0)
            one.fetch.retransmissions = one.again
            self._end_fetch(one, t, how)

    def _end_fetch(self, one: Connection, t: float, how: str) -> None:
        fetch, one.fetch = one.fetch, None
        if fetch is None:
            return
        found = fetch.result(
            how,
            closed=one.closes_at >= 0,
            acked=one.acked,
            end=one.end,
            last_packet=one.last_packet,
            client=one.client,
            server=one.server,
        )
        self._emit(HttpEnded(t, found))

    def _forget(self, one: Connection) -> None:
        self._open.pop(one.client + one.server, None)
