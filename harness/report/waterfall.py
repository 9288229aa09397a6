# SPDX-License-Identifier: GPL-2.0-or-later
"""The network phase enlarged: one row per file in the order of the first request, on an axis of its own."""

from harness.boot.record import BootRecord, TftpTransfer
from harness.report import text
from harness.report.svg import CHAR, NARROW, Axis, Picture, draw_axis, finite
from harness.report.timeline import draw_transfer, power_on, transfer_class

_ROW, _BAR = 19, 9
_GUTTER, _RIGHT = 262, 150
_MOST = 80  # rows; the table has them all


def waterfall(record: BootRecord, width: int = 1080) -> Picture | None:
    """The picture, or None when no file was asked for."""
    transfers = [t for t in record.tftp if len(finite([t.start, t.end])) == 2]
    if not transfers:
        return None
    zero = power_on(record)
    rows: dict[str, list[TftpTransfer]] = {}
    for transfer in sorted(transfers, key=lambda t: t.start):
        rows.setdefault(transfer.path, []).append(transfer)
    begin, end = min(t.start for t in transfers), max(t.end for t in transfers)
    narrow = width < NARROW
    margin = max((end - begin) * 0.01, 1e-3)
    left, right = (2.0, width - 4.0) if narrow else (float(_GUTTER), float(width - _RIGHT))
    axis = Axis(zero, begin - margin, end + margin, left, right)
    row = _ROW + 11 if narrow else _ROW
    shown = list(rows.items())[:_MOST]
    more = len(rows) - len(shown)
    top = 22.0
    picture = Picture(f"Files of {text.one_line(record.board, 60)}", width)
    picture.height = top + 4 + row * (len(shown) + (1 if more else 0)) + 4
    draw_axis(picture, axis, top, picture.height - 2)
    y = top + 4
    for path, asked in shown:
        _row(picture, axis, path, asked, y)
        y += row
    if more:
        picture.label(left, y + 12, f"and {text.count(more, 'more file')}: see the table", "note")
    return picture


def _row(picture: Picture, axis: Axis, path: str, asked: list[TftpTransfer], y: float) -> None:
    narrow = axis.left < _GUTTER
    middle = y + 20 if narrow else y + _ROW / 2
    label_y = y + 11 if narrow else middle + 4
    classes = {transfer_class(transfer) for transfer in asked}
    cls = "idle" if classes <= {"missing", "probe"} and "missing" in classes else ""
    value, speed = _values(asked, classes)
    taken = (len(value) + 13 if speed is not None else len(value)) * CHAR + 12
    chars = int((picture.width - taken) / CHAR) if narrow else int((_GUTTER - 12) / CHAR)
    name = text.shorten_middle(text.one_line(path), chars)
    x = axis.left if narrow else _GUTTER - 10
    picture.label(x, label_y, name, f"file {cls}", anchor="start" if narrow else "end", title=path)
    for transfer in asked:
        draw_transfer(picture, axis, transfer, middle - _BAR / 2, _BAR)
    right = picture.width - 1
    value_class = "failed" if "broken" in classes else "idle"
    picture.label(right - 72 if speed is not None else right, label_y, value, f"value {value_class}", anchor="end")
    if speed:
        picture.label(right, label_y, speed, "value", anchor="end")


def _values(asked: list[TftpTransfer], classes: set[str]) -> tuple[str, str | None]:
    """(what came, at what rate): "" where the file is too small for a rate to mean something, None where none came."""
    got = [transfer for transfer in asked if transfer_class(transfer) == "got"]
    if "broken" in classes:
        return text.one_line(next(t.result for t in asked if transfer_class(t) == "broken"), 20), None
    if got:
        times = f"{len(got)} times " if len(got) > 1 else ""
        return f"{times}{text.size(got[-1].bytes)}", text.rate(got[-1].throughput) if got[-1].bytes >= 100_000 else ""
    return "not found" if "missing" in classes else "probe only", None
