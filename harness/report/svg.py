# SPDX-License-Identifier: GPL-2.0-or-later
"""Pictures as data: shapes with coordinates, which `templates/picture.svg.j2` writes as inline SVG.

Geometry is computed here in user units (1 unit = 1 CSS pixel at full size) and can be tested without a browser; all
colours come from the style sheet by class name; all text is escaped by the template.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

CHAR = 6.3  # width of an average character of the 11.5 px label font, on the generous side
NARROW = 600  # a picture less wide than this has its labels above the bars


@dataclass(frozen=True)
class Shape:
    """One element. kind: "rect" (x, y, w, h), "line" (x, y to x + w, y + h), "text" (x, y: base line, `text`), or
    "cross" (a small diagonal cross centred on x, y, w wide). cls: classes of the style sheet; title: shown on hover.
    """

    kind: Literal["rect", "line", "text", "cross"]
    x: float
    y: float
    w: float = 0.0
    h: float = 0.0
    cls: str = ""
    title: str = ""
    text: str = ""
    anchor: Literal["start", "middle", "end"] = "start"
    href: str = ""


@dataclass
class Picture:
    """Shapes in drawing order within 0..width, 0..height."""

    title: str
    width: float
    height: float = 0.0
    shapes: list[Shape] = field(default_factory=list)

    def rect(self, x: float, y: float, w: float, h: float, cls: str, *, title: str = "", href: str = "") -> None:
        self.shapes.append(Shape("rect", _r(x), _r(y), _r(max(w, 0.0)), _r(h), cls, title, href=href))

    def line(self, x: float, y: float, w: float, h: float, cls: str, *, title: str = "") -> None:
        self.shapes.append(Shape("line", _r(x), _r(y), _r(w), _r(h), cls, title))

    def cross(self, x: float, y: float, cls: str, *, title: str = "", size: float = 6.0) -> None:
        self.shapes.append(Shape("cross", _r(x), _r(y), size, size, cls, title))

    def label(
        self,
        x: float,
        y: float,
        text: str,
        cls: str = "",
        *,
        anchor: Literal["start", "middle", "end"] = "start",
        title: str = "",
        href: str = "",
    ) -> None:
        self.shapes.append(Shape("text", _r(x), _r(y), cls=cls, title=title, text=text, anchor=anchor, href=href))


@dataclass(frozen=True)
class Axis:
    """Maps epoch seconds t0..t1 to the x of a picture, left..right; times outside are clamped. People read times
    relative to `zero`.
    """

    zero: float
    t0: float
    t1: float
    left: float
    right: float

    @property
    def span(self) -> float:
        return max(self.t1 - self.t0, 1e-6)

    def x(self, t: float) -> float:
        share = (t - self.t0) / self.span
        return self.left + (self.right - self.left) * min(max(share, 0.0), 1.0)

    def ticks(self) -> list[tuple[float, str]]:
        """Round times, as (x, label): about one per 110 px."""
        zero, wanted = self.zero, max(5, int((self.right - self.left) / 110))
        step = nice_step(self.span / wanted)
        first = math.ceil((self.t0 - zero) / step - 1e-9)
        last = math.floor((self.t1 - zero) / step + 1e-9)
        digits = max(0, -math.floor(math.log10(step) + 1e-9))
        return [(self.x(zero + n * step), f"{n * step:.{digits}f} s") for n in range(first, last + 1)]


def nice_step(least: float) -> float:
    """The smallest of 1, 2, 5, 10, 15, 20, 30, 60, ... (or of its decimal parts) that is not below `least` seconds."""
    for step in (10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0):
        if 5.0 < least <= step:
            return step
    scale = 10.0 ** math.floor(math.log10(least))
    return next((factor * scale for factor in (1.0, 2.0, 5.0) if factor * scale >= least * (1 - 1e-9)), 10.0 * scale)


def draw_axis(picture: Picture, axis: Axis, top: float, bottom: float) -> None:
    """Grid lines from `top` to `bottom` with their times above."""
    room = -1e9
    for x, label in axis.ticks():
        picture.line(x, top, 0, bottom - top, "grid")
        half = len(label) * CHAR / 2
        centre = min(max(x, half), picture.width - half)
        if centre - half > room:
            picture.label(centre, top - 5, label, "tick", anchor="middle")
            room = centre + half + 6


def fits(text: str, width: float) -> bool:
    return len(text) * CHAR <= width


def finite(values: Iterable[float | None]) -> list[float]:
    """Those of `values` that are plausible times: known, finite, not absurd."""
    return [value for value in values if value is not None and math.isfinite(value) and abs(value) < 1e11]


def _r(value: float) -> float:
    return round(value, 2)
