# SPDX-License-Identifier: GPL-2.0-or-later
"""The time line of a boot: one bar per stage on a common axis with its budget, and what wire and console showed."""

from collections.abc import Mapping, Sequence

from harness.boot.record import BootRecord, DhcpStep, Gap, HttpFetch, Stage, TftpTransfer
from harness.report import text
from harness.report.svg import CHAR, NARROW, Axis, Picture, draw_axis, finite, fits

#: Words of a stage's verdict -> class of the style sheet.
CLASSES = {
    "passed": "passed",
    "late": "late",
    "failed": "failed",
    "not reached": "idle",
    "unseen": "idle",
    "not asked": "idle",
}

Transfer = TftpTransfer | HttpFetch

_ROW, _ROW_NARROW, _BAR, _BUDGET = 26, 44, 12, 18
_GUTTER, _RIGHT = 92, 128
_LANE = 30


def power_on(record: BootRecord) -> float:
    """The zero of all times that people read: when power was asked for, else when the boot was started."""
    for stage in record.stages:
        if stage.name == "power" and stage.start is not None and finite([stage.start]):
            return stage.start
    return record.started


def timeline(record: BootRecord, width: int = 1080, hrefs: Mapping[str, str] | None = None) -> Picture | None:
    """The picture, or None when no stage has begun. hrefs: stage name -> link target of its bar."""
    zero = power_on(record)
    shown = finite(t for stage in record.stages for t in (stage.start, stage.end))
    shown += finite(t for exchange in record.dhcp for t in (exchange.start, exchange.end))
    shown += finite(t for transfer in record.tftp for t in (transfer.start, transfer.end))
    shown += finite(t for fetch in record.http for t in (fetch.start, fetch.end))
    shown += finite(milestone.t for milestone in record.milestones)
    if not shown or not finite([zero]):
        return None
    narrow = width < NARROW
    last = max(shown)
    left, right = (2.0, width - 2.0) if narrow else (float(_GUTTER), float(width - _RIGHT))
    axis = Axis(zero, zero, max(last + (last - zero) * 0.015, zero + 1e-3), left, right)
    picture = Picture(f"Time line of {text.one_line(record.board, 60)}", width)
    row = _ROW_NARROW if narrow else _ROW
    top = 22.0
    lanes = _lanes(record)
    lane_height = _LANE + 14 if narrow else _LANE
    picture.height = top + 10 + row * len(record.stages) + (8 + lane_height * len(lanes) if lanes else 0)
    draw_axis(picture, axis, top, picture.height - 2)
    y = top + 6
    for stage in record.stages:
        _stage(picture, axis, stage, y, ended=record.ended, href=(hrefs or {}).get(stage.name, ""))
        y += row
    y += 8
    for lane in lanes:
        if lanes[0] == lane:
            picture.line(0, y - 4, width, 0, "rule")
        label_y = y + 10 if narrow else y + _LANE / 2 + 4
        picture.label(left if narrow else 0, label_y, lane, "name")
        y += 14 if narrow else 0
        if lane in ("TFTP", "HTTP"):
            _files(picture, axis, record.tftp if lane == "TFTP" else record.http, y)
        else:
            {"DHCP": _dhcp, "console": _console}[lane](picture, axis, record, y)
        y += _LANE
    return picture


def _lanes(record: BootRecord) -> list[str]:
    console = (*record.milestones, *(record.console.gaps if record.console else ()))
    present = {"DHCP": record.dhcp, "TFTP": record.tftp, "HTTP": record.http, "console": console}
    return [lane for lane, content in present.items() if content]


def gap_text(gap: Gap, zero: float) -> str:
    """When the console was away and why, for people."""
    until = "not back" if gap.end is None else f"back {text.relative(gap.end, zero)}, {text.one_line(gap.back, 100)}"
    hidden = f"; may hide {text.listing(list(gap.stages))}" if gap.stages else ""
    return f"lost {text.relative(gap.start, zero)}: {text.one_line(gap.why, 160)}; {until}{hidden}"


def stage_title(stage: Stage, zero: float) -> str:
    """What hovering over a bar says."""
    parts = [f"{stage.name}: {stage.verdict}"]
    if stage.start is not None:
        parts.append(f"from {text.relative(stage.start, zero)}")
    if stage.duration_s is not None:
        parts.append(f"{text.duration(stage.duration_s)} of {text.budget(stage.budget_s)} budget")
    if stage.note:
        parts.append(stage.note)
    return ", ".join(parts)


def _stage(picture: Picture, axis: Axis, stage: Stage, y: float, *, ended: float, href: str) -> None:
    narrow = axis.left < _GUTTER
    cls = CLASSES[stage.verdict]
    middle = y + 25 if narrow else y + _ROW / 2
    label_y = y + 11 if narrow else middle + 4
    picture.label(axis.left if narrow else 0, label_y, stage.name, f"name {cls}", href=href)
    title = stage_title(stage, axis.zero)
    if not finite([stage.start]) or stage.start is None:
        picture.label(axis.left + 6, middle + 4, stage.verdict, "note")
        return
    end = stage.end if stage.end is not None and finite([stage.end]) else max(stage.start, ended)
    x0, x1 = axis.x(stage.start), max(axis.x(end), axis.x(stage.start) + 2)
    budget = stage.budget_s if stage.budget_s is not None and stage.budget_s > 0 else None
    if budget is not None:
        x_budget = axis.x(stage.start + budget)
        cut = stage.start + budget > axis.t1
        picture.rect(x0, middle - _BUDGET / 2, x_budget - x0, _BUDGET, "budget cut" if cut else "budget", title=title)
        if not cut:
            picture.line(
                x_budget, middle - _BUDGET / 2 - 2, 0, _BUDGET + 4, "limit", title=f"budget {text.budget(budget)}"
            )
    over = budget is not None and end > stage.start + budget
    inside = min(x1, axis.x(stage.start + budget)) if over and budget is not None else x1
    running = " running" if stage.end is None else ""
    picture.rect(x0, middle - _BAR / 2, inside - x0, _BAR, f"bar {cls}{running}", title=title, href=href)
    if over:
        picture.rect(inside, middle - _BAR / 2, x1 - inside, _BAR, f"bar over {cls}", title=title, href=href)
    spent = text.duration(stage.duration_s if stage.duration_s is not None else end - stage.start)
    of = f" of {text.budget(budget)}" if budget is not None else ""
    word = f"{stage.verdict}  " if stage.verdict in ("late", "failed") else ""
    picture.label(picture.width - 1, label_y, f"{word}{spent}{of}", f"value {cls}", anchor="end")


def _dhcp(picture: Picture, axis: Axis, record: BootRecord, y: float) -> None:
    """Messages as ticks; those too close for a label each share one: "DISCOVER … ACK" or the initials."""
    steps: list[tuple[str, DhcpStep]] = [(e.client, m) for e in record.dhcp for m in e.messages if finite([m.t])]
    steps.sort(key=lambda pair: pair[1].t)
    groups: list[list[tuple[str, DhcpStep]]] = []
    for client, step in steps:
        if groups and axis.x(step.t) - axis.x(groups[-1][0][1].t) < 34:
            groups[-1].append((client, step))
        else:
            groups.append([(client, step)])
    for index, group in enumerate(groups):
        start = axis.x(group[0][1].t)
        room = (axis.x(groups[index + 1][0][1].t) if index + 1 < len(groups) else axis.right) - start - 8
        for client, step in group:
            cls = "reply" if step.type in ("OFFER", "ACK") else "nak" if step.type == "NAK" else "ask"
            title = f"{step.type} ({client}), {text.relative(step.t, axis.zero)}, packet {step.packet}"
            picture.line(axis.x(step.t), y + 2, 0, _LANE - 8, f"dhcp {cls}", title=title)
        label = _message_label([step.type for _, step in group], room)
        anchor_end = start + len(label) * CHAR > picture.width
        x = start - 4 if anchor_end else axis.x(group[-1][1].t) + 4
        types = ", ".join(step.type for _, step in group)
        picture.label(x, y + 13, label, "small", anchor="end" if anchor_end else "start", title=types)


def _message_label(types: list[str], room: float) -> str:
    """The longest way to name these messages that fits."""
    first, last = text.one_line(types[0], 14), text.one_line(types[-1], 14)
    for label in (first if len(types) == 1 else f"{first} … {last}", "·".join(word[:1] for word in types)):
        if fits(label, room) and len(label) < 32:
            return label
    return first[:1] if len(types) == 1 else ""


def _files(picture: Picture, axis: Axis, transfers: Sequence[Transfer], y: float) -> None:
    """Deliveries as bars, probes thin, files that were not there as small crosses."""
    sound = [t for t in transfers if len(finite([t.start, t.end])) == 2]
    for transfer in sound:
        # What was not there is marked below the bars: many names are asked for within milliseconds.
        missing = transfer_class(transfer) == "missing"
        draw_transfer(picture, axis, transfer, y + 18 if missing else y + 2, 8 if missing else 14)
    for transfer in sound:
        x0, x1 = axis.x(transfer.start), axis.x(transfer.end)
        name = text.one_line(transfer.path.rsplit("/", 1)[-1], 40)
        if transfer.complete and fits(name, x1 - x0 - 6):
            picture.label(
                (x0 + x1) / 2, y + 13, name, "inbar", anchor="middle", title=transfer_title(transfer, axis.zero)
            )


def transfer_title(transfer: Transfer, zero: float) -> str:
    """What hovering over a transfer says."""
    what = f"{text.one_line(transfer.path, 120) or 'connection'}: {text.one_line(transfer.result, 40)}"
    amount = f", {text.size(transfer.bytes)} in {text.duration(transfer.duration_s)}" if transfer.bytes else ""
    when = text.relative(transfer.start, zero)
    return f"{what}{amount}, {when}, packets {transfer.first_packet}-{transfer.last_packet}"


def transfer_class(transfer: Transfer) -> str:
    if isinstance(transfer, TftpTransfer) and transfer.kind == "probe":
        return "probe"
    return {"complete": "got", "not found": "missing"}.get(transfer.result, "broken")


def draw_transfer(picture: Picture, axis: Axis, transfer: Transfer, y: float, height: float) -> None:
    cls, title = transfer_class(transfer), transfer_title(transfer, axis.zero)
    x0, x1 = axis.x(transfer.start), axis.x(transfer.end)
    if cls == "missing":
        picture.cross(x0, y + height / 2, "missing", title=title, size=min(5.0, height))
    elif cls == "probe":
        picture.rect(x0, y + height / 2 - 1.5, max(x1 - x0, 3.0), 3, "probe", title=title)
    else:
        picture.rect(x0, y, max(x1 - x0, 1.6), height, cls, title=title)


def _console(picture: Picture, axis: Axis, record: BootRecord, y: float) -> None:
    """When it was away, as a band, then what it said."""
    for gap in record.console.gaps if record.console else ():
        end = gap.end if gap.end is not None else record.ended
        if len(finite([gap.start, end])) == 2 and end >= axis.t0 and gap.start <= axis.t1:
            x0 = min(axis.x(gap.start), axis.right - 2.0)
            picture.rect(x0, y, max(axis.x(end) - x0, 2.0), _LANE - 4, "gap", title=gap_text(gap, axis.zero))
    _milestones(picture, axis, record, y)


def _milestones(picture: Picture, axis: Axis, record: BootRecord, y: float) -> None:
    """A tick per milestone, with its name where there is room on one of two lines; names lie over ticks."""
    seen = sorted((m for m in record.milestones if finite([m.t])), key=lambda m: m.t)
    named: list[tuple[float, str, str]] = []
    for milestone in seen:
        x, name = axis.x(milestone.t), text.one_line(milestone.name, 24)
        when = text.relative(milestone.t, axis.zero)
        title = f"{name}, {when}, line {milestone.line}: {text.one_line(milestone.text, 160)}"
        picture.line(x, y + 2, 0, _LANE - 8, "milestone", title=title)
        named.append((x, name, title))
    room = [-1e9, -1e9]  # right end of the last name, upper and lower line
    for x, name, title in named:
        width = len(name) * CHAR + 8
        line = next((n for n in (0, 1) if room[n] <= x and x + width <= picture.width), None)
        if line is not None:
            picture.label(x + 4, y + 11 + 12 * line, name, "small", title=title)
            room[line] = x + width
