# SPDX-License-Identifier: GPL-2.0-or-later
"""Files as two stages ask for them: the EEPROM bootloader by TFTP_GET, start4.elf (start.elf) by probe and get.

Request forms and ports: golden vectors of a Pi 400, dnsmasq logs L2 and L3. Lines: IMG2711 strings, FW#1420.
"""

from collections.abc import Callable
from dataclasses import dataclass

from harness.emulator.dhcp import address_text
from harness.emulator.effects import Halt, Print, Send, Steps, Stream
from harness.emulator.machine import Machine
from harness.emulator.tftp import Transfer
from harness.emulator.tftp_message import Limits, Server

#: start4.elf asks for this block size at any bootloader date.
_FIRMWARE_BLKSIZE = 1468
#: Its first source port; one more for each request.
_FIRMWARE_PORT = 49153
#: Seconds without progress after which start.elf takes a file for missing (FW#1292: 10.37 s); start4.elf: inferred.
_FIRMWARE_IDLE = 10.0
_FIRMWARE_WHOLE = 600.0


@dataclass(frozen=True, slots=True)
class Found:
    """A file that is there. data: b"" after a probe; size: -1 when the server did not tell; oack: it knew options."""

    data: bytes
    size: int
    oack: bool


def _run(transfer: Transfer) -> Steps[Found | None]:
    yield Send(transfer.start())
    yield Stream(transfer)
    if transfer.outcome in ("complete", "probed"):
        return Found(bytes(transfer.data), transfer.size, transfer.oack)
    return None


class BootloaderFiles:
    """The EEPROM stage: a random first port, `TFTP_GET` lines, the server's own words in the log."""

    def __init__(self, m: Machine) -> None:
        self._m = m
        #: How its lines are printed; a Pi 5's later ones look like start4.elf's.
        self.say: Callable[[str | bytes], Print] = m.uart.line
        #: A file that times out leaves the board hanging (EE#687).
        self.hangs = False
        if not m.port:
            m.port = m.rng.randrange(1024, 49000)

    def probe(self, path: str) -> Steps[Found | None]:
        return (yield from self._fetch(path, probe=True))

    def get(self, path: str) -> Steps[Found | None]:
        found = yield from self._fetch(path, probe=False)
        if found is not None:
            yield self.say(f"Read {path} bytes {len(found.data):8d} hnd 0x0")
        return found

    def _fetch(self, path: str, *, probe: bool) -> Steps[Found | None]:
        m = self._m
        port, m.port = m.port, m.port + 1
        yield self.say(f"TFTP_GET: {m.server_mac.hex(':')} {address_text(m.server)} {path}")
        limits = Limits(
            file_timeout=m.eeprom.tftp_file_timeout,
            idle_timeout=m.eeprom.tftp_file_timeout,
            block_limit=m.release.block_limit,
            repeats_again=m.release.repeats_again,
        )
        server = Server(m.server_mac, m.server)
        transfer = Transfer(
            m.stack, server, port, path, now=m.clock(), blksize=m.release.blksize, probe=probe, limits=limits
        )
        found = yield from _run(transfer)
        if transfer.repeats:
            block = -(-len(transfer.data) // (m.release.blksize or 512))
            yield self.say(f"Duplicate block {block} expected {block + 1}")
        if transfer.outcome == "complete":
            yield self.say(f"TFTP: complete {len(transfer.data)}")
        elif transfer.outcome == "error":
            code, text = transfer.error
            former = m.release.prints("TFTP ERROR:")
            yield self.say(
                f"TFTP ERROR: {code}: '".encode() + text + b"'" if former else f"TFTP {code}: ".encode() + text
            )
        elif transfer.outcome == "timeout":
            m.disconnects += 1
            yield self.say(f"TFTP: disconnect: timeouts {m.disconnects}")
            yield self.say(f"{path} transfer timed out")
            if self.hangs:
                yield Halt(f"{path} timed out after config.txt: this release of the bootloader hangs then (EE#687)")
        elif transfer.outcome == "oack":
            yield self.say("BAD OACK")
        elif transfer.outcome == "large":
            yield self.say(f"File is too large. Max size {limits.largest}")
        return found


@dataclass(frozen=True, slots=True)
class Asking:
    """How a start.elf asks. blksize: 0 for none; port: the first one; needs_options: every file counts as missing on a
    server without OACK (start.elf of 2020-04-16 and later, FW#1913).
    """

    blksize: int = _FIRMWARE_BLKSIZE
    port: int = _FIRMWARE_PORT
    needs_options: bool = False


class FirmwareFiles:
    """The start4.elf stage: its own transport, a probe before every get, `brfs:` lines."""

    def __init__(self, m: Machine, asking: Asking = Asking()) -> None:
        self._m = m
        self._asking = asking
        m.port = asking.port

    def probe(self, name: str) -> Steps[Found | None]:
        """Whether the server has it; says nothing on the UART, unless the server is not good enough."""
        found = yield from _run(self._transfer(name, probe=True))
        if found is not None and self._asking.needs_options and not found.oack:
            yield self._m.uart.firmware("brfs: File read: -2 bytes")
            return None
        return found

    def get(self, name: str, *, needs_size: bool = False) -> Steps[bytes | None]:
        """The whole file without a probe before it. needs_size: unreadable from a server without OACK (FW#1012)."""
        m = self._m
        found = yield from _run(self._transfer(name, probe=False))
        if found is None or (needs_size and not found.oack):
            yield m.uart.firmware("brfs: File read: -2 bytes")
            return None
        yield m.uart.firmware(f"brfs: File read: {len(found.data)} bytes")
        return found.data

    def load(self, name: str, *, probes: int = 1, needs_size: bool = False, note: str = "") -> Steps[bytes | None]:
        """Probes, then the file; None when it is not there. note: a line between the two, `{size}` is its size."""
        found: Found | None = None
        for _ in range(probes):
            found = yield from self.probe(name)
            if found is None:
                return None
        yield self._m.uart.firmware(f"brfs: File read: /mfs/sd/{name}")
        if note and found is not None:
            yield self._m.uart.firmware(note.replace("{size}", f"0x{max(found.size, 0):x}"))
        return (yield from self.get(name, needs_size=needs_size))

    def _transfer(self, name: str, *, probe: bool) -> Transfer:
        m = self._m
        port, m.port = m.port, m.port + 1
        return Transfer(
            m.stack,
            Server(m.server_mac, m.server),
            port,
            m.prefix + name,
            now=m.clock(),
            blksize=self._asking.blksize,
            probe=probe,
            limits=Limits(file_timeout=_FIRMWARE_WHOLE, idle_timeout=_FIRMWARE_IDLE, repeats_hang=m.repeats == "hang"),
        )
