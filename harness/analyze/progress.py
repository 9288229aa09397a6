# SPDX-License-Identifier: GPL-2.0-or-later
"""How far a boot came: stages with their evidence, what it waits for, what broke it. Fed in the order of time."""

from dataclasses import dataclass, field

from harness.analyze.result import StageSeen
from harness.boot.record import Evidence, Stage, StageVerdict
from harness.boot.stages import STAGES

_KEPT = 3  # pieces of evidence per stage


@dataclass(frozen=True)
class Sign:
    """A stage, and what shows it; final: nothing that comes later heals it."""

    stage: str
    evidence: Evidence
    final: bool = False


@dataclass
class Progress:
    """`payload`: another boot loader that has the board; `special`: an outcome that is no stage."""

    reached: dict[str, list[Evidence]] = field(default_factory=dict)
    waits: Sign | None = None
    failure: Sign | None = None
    payload: str = ""
    special: str = ""

    def reach(self, stage: str, evidence: Evidence) -> None:
        found = self.reached.setdefault(stage, [])
        if len(found) < _KEPT:
            found.append(evidence)
        index = STAGES.index(stage)
        if self.waits is not None and STAGES.index(self.waits.stage) <= index:
            self.waits = None
        if self.failure is not None and not self.failure.final:
            failed = STAGES.index(self.failure.stage)
            # The lines of a stage go on around its failure in userspace and at the login: only a later stage heals those.
            if failed < index or (failed == index and stage not in {"userspace", "login"}):
                self.failure = None
        if index >= STAGES.index("kernel"):
            self.payload = ""
        self.special = ""

    def wait(self, stage: str, evidence: Evidence) -> None:
        if self.failure is None:
            self.waits = Sign(stage, evidence)

    def fail(self, stage: str, evidence: Evidence, *, final: bool = False) -> None:
        if self.failure is None or (final and not self.failure.final):
            self.failure = Sign(stage, evidence, final)

    def has(self, stage: str) -> bool:
        return stage in self.reached

    @property
    def top(self) -> int:
        """Index of the last stage that was reached; -1 for none."""
        return max((STAGES.index(stage) for stage in self.reached), default=-1)

    @property
    def outcome(self) -> str:
        if self.failure is not None:
            return f"failed({self.failure.stage})"
        if self.waits is not None and STAGES.index(self.waits.stage) >= self.top:
            return f"waiting({self.waits.stage})"
        if self.payload or self.special:
            return self.payload or self.special
        return STAGES[self.top] if self.top >= 0 else "unknown"

    @property
    def failed_stage(self) -> str | None:
        return self.failure.stage if self.failure is not None else None

    def stages(self) -> tuple[StageSeen, ...]:
        """Those that show, in the order of a boot."""
        found = []
        waits = self.waits if self.outcome.startswith("waiting") else None
        for name in STAGES:
            evidence = list(self.reached.get(name, ()))
            if self.failure is not None and self.failure.stage == name:
                evidence = [*evidence[: _KEPT - 1], self.failure.evidence]
                state = "failed"
            elif waits is not None and waits.stage == name:
                evidence = [*evidence[: _KEPT - 1], waits.evidence]
                state = "waiting"
            elif evidence:
                state = "reached"
            else:
                continue
            found.append(
                StageSeen.model_validate(
                    {"name": name, "state": state, "t": evidence[0].t, "evidence": tuple(evidence)}
                )
            )
        return tuple(found)

    def judged(self) -> tuple[Stage, ...]:
        """The same as stages of a boot record, for the rules that draw findings from them."""
        failed = self.failed_stage
        last = STAGES.index(failed) if failed is not None else self.top
        found = []
        for index, name in enumerate(STAGES):
            evidence = tuple(self.reached.get(name, ()))
            verdict: StageVerdict = "not reached"
            if name == failed and self.failure is not None:
                verdict, evidence = "failed", (*evidence, self.failure.evidence)
            elif evidence and index <= last:
                verdict = "passed"
            elif index < last:
                verdict = "unseen"
            found.append(Stage(name=name, verdict=verdict, evidence=evidence))
        return tuple(found)


def joined(one: Progress, other: Progress) -> Progress:
    """Two views of the same boot, wire and console: what either shows has happened."""
    both = Progress(special=one.special or other.special)
    for view in (one, other):
        for stage, evidence in view.reached.items():
            both.reached.setdefault(stage, []).extend(evidence)
    # A view that ends earlier, or cannot see later stages, still waits or fails for what the other saw to pass.
    for view in (one, other):
        if view.failure is not None and (view.failure.final or STAGES.index(view.failure.stage) > both.top):
            both.fail(view.failure.stage, view.failure.evidence, final=view.failure.final)
        elif view.failure is not None and view.top == both.top:
            both.fail(view.failure.stage, view.failure.evidence)
    for view in (one, other):
        if view.waits is not None and STAGES.index(view.waits.stage) > both.top:
            both.wait(view.waits.stage, view.waits.evidence)
    if both.top < STAGES.index("kernel"):
        both.payload = one.payload or other.payload
    return both
