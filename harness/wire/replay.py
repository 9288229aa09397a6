# SPDX-License-Identifier: GPL-2.0-or-later
"""A recorded capture through the same decoder as live: the same events, to the last one."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from harness.boot.events import Event
from harness.boot.record import CaptureInfo
from harness.wire.decode import FrameDecoder
from harness.wire.links import ETHERNET, ethernet
from harness.wire.pcapfile import CaptureFile
from harness.wire.recorder import APPLICATION


@dataclass(frozen=True)
class Replay:
    """capture.complete: whole file, nothing dropped, as many packets as the kernel counted where the file says so (a
    file of ours always does, unless the harness or tcpdump was killed)."""

    events: list[Event]
    capture: CaptureInfo
    malformed: list[tuple[int, str]] = field(default_factory=list)
    malformed_count: int = 0


def replay(path: Path | str, macs: Iterable[str] | None = None) -> Replay:
    """All events of a pcap or pcapng file. Raises ConfigError when the file is none or is damaged."""
    events: list[Event] = []
    decoder = FrameDecoder(macs, events.append)
    count, last = 0, 0.0
    with CaptureFile(path) as file:
        frame = decoder.frame
        for number, t, link, data in file:
            if link == ETHERNET:
                frame(number, t, data)
            else:
                cooked(decoder, number, t, link, data)
            count, last = number, t
        ends = [interface.end for interface in file.interfaces if interface.end is not None]
        decoder.finish(max(ends, default=last))
        return Replay(events, _info(file, count), decoder.malformed, decoder.malformed_count)


def events_of(path: Path | str, macs: Iterable[str] | None = None) -> list[Event]:
    """The events alone."""
    return replay(path, macs).events


def cooked(decoder: FrameDecoder, number: int, t: float, link: int, data: bytes) -> None:
    """Give the decoder a packet of another link layer than Ethernet."""
    as_frame = ethernet(link, data)
    if as_frame is None:
        decoder.note(number, f"packet of {len(data)} octets of link type {link} is not read")
    else:
        decoder.frame(number, t, as_frame)


def _info(file: CaptureFile, count: int) -> CaptureInfo:
    received = _sum(interface.received for interface in file.interfaces)
    dropped = _sum(interface.dropped for interface in file.interfaces) or 0
    first = file.interfaces[0] if file.interfaces else None
    killed = received is None and file.application.startswith(APPLICATION)  # ours end with the kernel's counters
    return CaptureInfo(
        packets=count,
        dropped=dropped,
        received=received,
        file=file.path.name,
        interface=first.name if first else "",
        filter=first.filter if first else "",
        complete=file.truncated is None and not killed and dropped == 0 and received in {None, count},
    )


def _sum(counts: Iterable[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
