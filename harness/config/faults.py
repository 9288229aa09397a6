# SPDX-License-Identifier: GPL-2.0-or-later
"""`emulation: {wire}`: what is wrong with the cables of the emulated lab."""

from typing import Annotated

from pydantic import Field, model_validator

from harness.config.values import Section, mistake

Share = Annotated[float, Field(strict=True, ge=0, le=1)]
#: Seconds on the way; more than a minute is no wire.
OnTheWay = Annotated[float, Field(strict=True, ge=0, le=60)]
Block = Annotated[int, Field(strict=True, ge=1, le=1_000_000)]
Blocks = Annotated[tuple[Block, ...], Field(max_length=1000)]


class WireFaults(Section):
    """A bad cable between a board and its switch port, both ways alike. The capture is made at the board's end: it does not hold
    what was lost on the way to it. What is random is the same in every run with the same `seed`."""

    loss: Share = 0.0
    """Share of all frames that are lost: 0.01 is one in a hundred."""
    lose_data: Blocks = ()
    """DATA blocks that are lost in every TFTP transfer, once each, counted from 1: what the server sends again arrives."""
    duplicate: Share = 0.0
    """Share of all frames that arrive twice."""
    duplicate_data: Blocks = ()
    """DATA blocks that arrive twice in every TFTP transfer, counted from 1."""
    delay: OnTheWay = 0.0
    """Seconds that every frame is late, each way."""
    jitter: OnTheWay = 0.0
    """The delay of a frame lies within delay - jitter and delay + jitter, seconds: frames then overtake each other."""
    reorder: Share = 0.0
    """Share of all frames that are not delayed, and so overtake those before them. Needs `delay`."""
    rate: Annotated[int, Field(strict=True, ge=10_000, le=10_000_000_000)] | None = Field(
        default=None, examples=[10_000_000]
    )
    """Bits per second, each way: 10_000_000 is a port that negotiated 10 Mbit/s. What would wait longer than 0.4 s is lost."""
    spanning_tree: Annotated[float, Field(strict=True, ge=0, le=600)] = Field(default=0.0, examples=[30.0])
    """Seconds of silence each time the link comes up, as a switch port without portfast has them (usually 30); `speed` makes them
    no shorter, nor what boards wait for an answer."""
    seed: Annotated[int, Field(strict=True, ge=0, le=4_294_967_295)] = 1
    """Where the random faults begin."""

    @model_validator(mode="after")
    def _sound(self) -> "WireFaults":
        if self.reorder and not self.delay:
            raise mistake("reorder without a delay changes no order", "add delay: 0.005, or remove reorder")
        if self.jitter > self.delay:
            raise mistake(
                f"the jitter, {self.jitter:g} s, is more than the delay, {self.delay:g} s",
                "a frame cannot arrive before it was sent: make delay at least as long",
            )
        return self
