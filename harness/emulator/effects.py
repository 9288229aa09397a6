# SPDX-License-Identifier: GPL-2.0-or-later
"""What a board's program may ask of the world: each effect is yielded, and its answer comes back from the yield.

A program is a generator of effects. In the emulated lab the runtime answers them with a tap, a pty and real time; in
tests a simulator answers them with a scripted server and a clock that jumps.
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from harness.emulator.payload import Payload

T = TypeVar("T")


class Receiver(Protocol):
    """Something that takes frames at full speed until it is done (a TFTP transfer).

    deadline is in the machine's clock.
    """

    @property
    def done(self) -> bool:
        """Nothing more is wanted."""

    @property
    def deadline(self) -> float:
        """When on_timer is due."""

    def on_frame(self, frame: bytes) -> bytes | bytearray | None:
        """Takes a received Ethernet frame; gives the frame to send at once, if any. Never raises for any bytes."""

    def on_timer(self, now: float) -> bytes | bytearray | None:
        """The deadline has passed; gives the frame to send, if any, and moves the deadline or is done."""


@dataclass(frozen=True, slots=True)
class Send:
    """Put a frame on the wire; lost when the link is down, as on a real board. No answer."""

    frame: bytes


@dataclass(frozen=True, slots=True)
class Recv:
    """Wait for the next frame. Answer: bytes, or None when the deadline (machine's clock) has passed."""

    deadline: float


@dataclass(frozen=True, slots=True)
class Stream:
    """Feed frames to the receiver until it is done. No answer."""

    receiver: Receiver


@dataclass(frozen=True, slots=True)
class Print:
    """Bytes out of the UART. No answer."""

    text: bytes


@dataclass(frozen=True, slots=True)
class Sleep:
    """Do nothing until then (machine's clock); frames that arrive meanwhile wait in the network card. No answer."""

    until: float


@dataclass(frozen=True, slots=True)
class Link:
    """Switch the PHY. up=True waits for the link until the deadline. Answer: bool, whether the link is up."""

    up: bool
    deadline: float = 0.0


@dataclass(frozen=True, slots=True)
class Flush:
    """Throw away the frames that wait in the network card. No answer."""


@dataclass(frozen=True, slots=True)
class Halt:
    """The board stands still for good (LED code, STOP, power off by the OS); why: for the log. Never answered."""

    why: str


@dataclass(frozen=True, slots=True)
class HandOver:
    """Start the operating system. Answer, when that has ended by itself: "reset", "shutdown", "refused" or "error" (qemu.py)."""

    payload: Payload


Effect = Send | Recv | Stream | Print | Sleep | Link | Flush | Halt | HandOver
#: A program, or a part of one, that ends with a T.
Steps = Generator[Effect, Any, T]
