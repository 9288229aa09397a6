# SPDX-License-Identifier: GPL-2.0-or-later
"""When the console was away, and what that means for the stages of a boot: what they print may have gone unheard."""

from collections.abc import Iterable, Sequence

from harness.boot.events import ConsoleGap
from harness.boot.expect import Expectation
from harness.boot.record import Gap, Stage
from harness.boot.stages import STAGES

#: Stages that packets prove where a board's wire is seen; power is proved by the power port.
_WIRED = ("link", "dhcp", "firmware")


def gaps_of(events: Iterable[ConsoleGap]) -> tuple[Gap, ...]:
    """Each loss with its return, in the order of time."""
    found: list[Gap] = []
    for event in events:
        if not event.back:
            found.append(Gap(start=event.t, why=event.reason, line=event.line, offset=event.offset))
        elif found and found[-1].end is None:
            found[-1] = found[-1].model_copy(update={"end": event.t, "back": event.reason})
    return tuple(found)


def with_gaps(
    stages: Sequence[Stage], gaps: Sequence[Gap], expectation: Expectation, ended: float
) -> tuple[tuple[Stage, ...], tuple[Gap, ...]]:
    """Both again: stages with a note where a gap lies in them, gaps with the stages that they may hide. ended: of the boot."""
    if not gaps:
        return tuple(stages), tuple(gaps)
    hidden: dict[int, list[str]] = {}
    noted = []
    for index, stage in enumerate(stages):
        window = _window(stages, index, ended) if _heard(stage, expectation) else None
        touched = [
            number
            for number, gap in enumerate(gaps)
            if window is not None and gap.start <= window[1] and (gap.end is None or gap.end >= window[0])
        ]
        for number in touched:
            hidden.setdefault(number, []).append(stage.name)
        noted.append(_noted(stage, sum(_seconds(gaps[number], ended) for number in touched)) if touched else stage)
    return tuple(noted), tuple(
        gap.model_copy(update={"stages": tuple(hidden.get(number, ()))}) for number, gap in enumerate(gaps)
    )


def by_console(stage: str, expectation: Expectation) -> bool:
    """Whether a stage can be known from the console alone."""
    return stage != "power" and not (expectation.has_wire and stage in _WIRED)


def _heard(stage: Stage, expectation: Expectation) -> bool:
    return stage.verdict not in {"not reached", "not asked"} and by_console(stage.name, expectation)


def _window(stages: Sequence[Stage], index: int, ended: float) -> tuple[float, float]:
    """When the stage may have been: of one that showed nothing of itself, all between its neighbours that did."""
    stage = stages[index]
    if stage.verdict != "unseen" and stage.start is not None:
        return stage.start, stage.end if stage.end is not None else ended
    before = [other.end for other in stages[:index] if other.verdict != "unseen" and other.end is not None]
    after = [other.end for other in stages[index:] if other.verdict != "unseen" and other.end is not None]
    return max(before, default=stage.start or 0.0), min(after, default=ended)


def _seconds(gap: Gap, ended: float) -> float:
    return max(0.0, (gap.end if gap.end is not None else ended) - gap.start)


def _noted(stage: Stage, seconds: float) -> Stage:
    away = f"the console was away for {seconds:.1f} s"
    text = {
        "unseen": f"{away}: this stage may lie in the gap",
        "failed": f"{away} of it: what was awaited may have been said in the gap",
    }.get(stage.verdict, f"{away} of it")
    return stage.model_copy(update={"note": f"{stage.note}; {text}" if stage.note else text})


assert set(_WIRED) <= set(STAGES)  # noqa: S101 - a stage that is renamed must be renamed here
