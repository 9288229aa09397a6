# SPDX-License-Identifier: GPL-2.0-or-later
"""Geometry of the pictures: order, bounds, budgets."""

import math
from itertools import pairwise

import pytest

from harness.boot.record import BootRecord, ConsoleInfo, Gap
from harness.report.svg import Axis, Picture, Shape, nice_step
from harness.report.timeline import timeline
from harness.report.waterfall import waterfall

from . import samples

WIDTHS = [1080, 356]


def bars(picture: Picture, cls: str = "bar") -> list[Shape]:
    return [shape for shape in picture.shapes if shape.kind == "rect" and cls in shape.cls.split()]


def inside(picture: Picture) -> None:
    for shape in picture.shapes:
        numbers = (shape.x, shape.y, shape.x + shape.w, shape.y + shape.h)
        assert all(map(math.isfinite, numbers)), shape
        assert -0.5 <= shape.x <= picture.width + 0.5, shape
        assert -0.5 <= shape.y <= picture.height + 0.5, shape
        if shape.kind in ("rect", "line"):
            assert shape.x + shape.w <= picture.width + 0.5, shape
            assert shape.y + shape.h <= picture.height + 0.5, shape
            assert shape.kind != "rect" or (shape.w >= 0 and shape.h > 0), shape


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("make", [samples.good, samples.late, samples.failed_dhcp, samples.infra, samples.hostile])
def test_everything_lies_within_the_picture(make: object, width: int) -> None:
    record = make()  # type: ignore[operator]
    for picture in (timeline(record, width), waterfall(record, width)):
        if picture is not None:
            inside(picture)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_gap_of_the_console_is_a_band_within_the_picture(width: int) -> None:
    record = samples.good()
    zero, inf = record.started, math.inf
    spans = [(-50.0, 1.0), (-50.0, -40.0), (3.0, 4.0), (5.0, None), (1e6, 2e6), (inf, None), (math.nan, 1.0)]
    gaps = tuple(Gap(start=zero + a, end=None if b is None else zero + b, why="x") for a, b in spans)
    picture = timeline(record.model_copy(update={"console": ConsoleInfo(gaps=gaps)}), width)
    assert picture is not None
    inside(picture)
    assert len(bars(picture, "gap")) == 3


@pytest.mark.parametrize("width", WIDTHS)
def test_stages_follow_one_another_left_to_right_and_down(width: int) -> None:
    picture = timeline(samples.good(), width)
    assert picture is not None
    drawn = bars(picture)
    assert [bar.title.split(":")[0] for bar in drawn] == list(samples.GOOD)
    for before, after in pairwise(drawn):
        assert before.y < after.y
        assert after.x >= before.x
        assert after.x == pytest.approx(before.x + before.w, abs=2.1)


def test_bars_are_in_proportion_to_their_time() -> None:
    picture = timeline(samples.good(), 1080)
    assert picture is not None
    widths = {bar.title.split(":")[0]: bar.w for bar in bars(picture)}
    seconds = {name: end - start for name, (start, end) in samples.GOOD.items()}
    assert widths["userspace"] / widths["firmware"] == pytest.approx(
        seconds["userspace"] / seconds["firmware"], rel=0.01
    )


def test_the_part_beyond_the_budget_is_a_shape_of_its_own_that_begins_at_the_limit() -> None:
    picture = timeline(samples.late(), 1080)
    assert picture is not None
    (over,) = bars(picture, "over")
    within = next(bar for bar in bars(picture, "late") if bar != over)
    limit = next(s for s in picture.shapes if s.cls == "limit" and s.title == "budget 60 s" and abs(s.x - over.x) < 1)
    assert over.x == pytest.approx(within.x + within.w, abs=0.05) == pytest.approx(limit.x, abs=0.05)
    assert over.w / within.w == pytest.approx((76.4 - 5.318 - 60) / 60, rel=0.02)


def test_a_good_boot_has_nothing_beyond_a_budget() -> None:
    picture = timeline(samples.good(), 1080)
    assert picture is not None
    assert bars(picture, "over") == []
    assert len(bars(picture, "budget")) == 9


def test_stages_that_were_not_reached_are_said_to_be() -> None:
    picture = timeline(samples.failed_dhcp(), 1080)
    assert picture is not None
    assert sum(shape.text == "not reached" for shape in picture.shapes) == 6
    assert any(shape.text.startswith("failed") for shape in picture.shapes)


def test_unanswered_discovers_are_ticks_with_names() -> None:
    picture = timeline(samples.failed_dhcp(), 1080)
    assert picture is not None
    ticks = [shape for shape in picture.shapes if shape.cls == "dhcp ask"]
    assert len(ticks) == 6
    assert [tick.x for tick in ticks] == sorted(tick.x for tick in ticks)
    assert any(shape.text == "DISCOVER" for shape in picture.shapes)


def test_files_stand_in_the_order_of_the_first_request_with_probes_and_missing_ones_marked() -> None:
    record = samples.good()
    picture = waterfall(record, 1080)
    assert picture is not None
    names = [shape.title for shape in picture.shapes if shape.cls.startswith("file")]
    assert names == list(dict.fromkeys(transfer.path for transfer in record.tftp))
    assert len(bars(picture, "probe")) == sum(t.kind == "probe" for t in record.tftp)
    assert sum(shape.kind == "cross" for shape in picture.shapes) == sum(t.result == "not found" for t in record.tftp)
    kernel = max(bars(picture, "got"), key=lambda bar: bar.w)
    assert "kernel8.img: complete" in kernel.title
    assert kernel.h > bars(picture, "probe")[0].h


def test_a_hundred_files_are_cut_with_a_word() -> None:
    one = samples.transfers()[6]
    many = tuple(one.model_copy(update={"path": f"file{n}"}) for n in range(100))
    picture = waterfall(samples.good(tftp=many), 1080)
    assert picture is not None
    inside(picture)
    assert any("20 more files" in shape.text for shape in picture.shapes)


@pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan, 1e300])
def test_senseless_times_do_not_spoil_the_picture(bad: float) -> None:
    record = samples.good()
    stage = record.stages[4].model_copy(update={"end": bad, "duration_s": bad})
    transfer = record.tftp[0].model_copy(update={"start": bad})
    spoiled = record.model_copy(update={"stages": (*record.stages[:4], stage), "tftp": (transfer, *record.tftp[1:])})
    for picture in (timeline(spoiled, 1080), waterfall(spoiled, 1080)):
        assert picture is not None
        inside(picture)


def test_nothing_began_nothing_drawn() -> None:
    record: BootRecord = samples.infra().model_copy(update={"stages": ()})
    assert timeline(record) is None
    assert waterfall(record) is None


def test_a_stage_that_still_runs_reaches_to_the_end_of_what_was_seen() -> None:
    record = samples.good()
    running = record.stages[4].model_copy(update={"end": None, "duration_s": None})
    picture = timeline(record.model_copy(update={"stages": (*record.stages[:4], running), "milestones": ()}), 1080)
    assert picture is not None
    (bar,) = bars(picture, "running")
    assert bar.w > 100


def test_ticks_are_round_and_within_the_axis() -> None:
    axis = Axis(100.0, 100.0, 147.3, 92.0, 952.0)
    ticks = axis.ticks()
    assert [label for _, label in ticks] == ["0 s", "10 s", "20 s", "30 s", "40 s"]
    assert all(92.0 <= x <= 952.0 for x, _ in ticks)


@pytest.mark.parametrize(
    ("least", "step"), [(0.0011, 0.002), (0.4, 0.5), (1.0, 1.0), (3.0, 5.0), (5.5, 10.0), (11.0, 15.0), (70.0, 120.0)]
)
def test_steps_are_ones_that_people_count_in(least: float, step: float) -> None:
    assert nice_step(least) == pytest.approx(step)
