# SPDX-License-Identifier: GPL-2.0-or-later
"""What a UART makes of text that was sent at another rate: 8N1, start bits found by their edge, bits sampled in their middle."""

from itertools import chain


def sampled(data: bytes, sent: int, read: int) -> bytes:
    """`data` sent at `sent` baud without pauses, as a receiver at `read` baud delivers it (framing errors are let through)."""
    line = [*chain.from_iterable([0, *(octet >> bit & 1 for bit in range(8)), 1] for octet in data)]
    width = sent / read  # of one of the reader's bits, in bits of the sender
    step = min(1.0, width) / 8

    def level(at: float) -> int:
        return line[int(at)] if int(at) < len(line) else 1

    out, at = bytearray(), 0.0
    while at < len(line):
        if level(at) or level(at + width / 2):  # idle, or a spike
            at += step
            continue
        out.append(sum(level(at + width * (1.5 + bit)) << bit for bit in range(8)))
        at += width * 9.5
        while at < len(line) and not level(at):  # no stop bit: the next edge comes after the line was idle
            at += step
    return bytes(out)
