# SPDX-License-Identifier: GPL-2.0-or-later
"""A boot for a person who watches: stage by stage on a terminal, plain lines anywhere else; and the verdict at the end.

On a terminal, stages that are over stand there as lines, and below them one line per running stage is kept up to date
(spinner, elapsed time, budget, what is being transferred). Anywhere else (file, pipe, CI) every event is one line with
the seconds since the view began, without any escape sequence. Text from wire and console is cleaned. A view never
makes a boot fail: when its stream breaks, it goes silent. `rich` is imported when a terminal is first drawn on.
"""

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

from harness.boot.record import BootRecord, Stage
from harness.boot.stages import STAGES
from harness.clock import now
from harness.report import text, words
from harness.report.terminal import Shield, is_terminal, make_console

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live

_REPEAT = 5.0  # seconds between plain lines about the same transfer
_COLOURS = {"passed": "green", "late": "yellow", "failed": "red", "infra": "blue", "config": "yellow"}
_SIGNS = {"passed": "✓", "late": "!", "failed": "✕"}
_PLAIN_SIGNS = {"passed": "ok", "late": "late", "failed": "FAILED"}
_NAME = max(len(stage) for stage in STAGES)


@dataclass
class _Board:
    """What is known of a board: the running stage with its begin (epoch seconds), and what it is busy with."""

    stage: str = ""
    since: float = 0.0
    note: str = ""
    budgets: Mapping[str, float] = field(default_factory=dict)
    said: dict[str, float] = field(default_factory=dict)  # plain lines: subject -> when it was last mentioned


class LiveView:
    """Feed it from any thread. `terminal` overrides what is found out about `stream` (default: standard output)."""

    def __init__(self, stream: TextIO | None = None, *, terminal: bool | None = None) -> None:
        import sys  # noqa: PLC0415 - sys.stdout as it is now, not as it was at import

        stream = stream if stream is not None else sys.stdout
        self._stream = Shield(stream)
        self._terminal = is_terminal(stream) if terminal is None else terminal
        self._begun = now()
        self._boards: dict[str, _Board] = {}
        self._note = ""
        self._lock = threading.RLock()
        self._console: Console | None = None
        self._live: Live | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Take the live lines off the terminal. What stands there stays."""
        with self._lock:
            self._boards.clear()
            self._note = ""
            self._redraw()

    def began(self, board: str, budgets: Mapping[str, float]) -> None:
        """A boot begins; budgets: stage -> seconds."""
        with self._lock:
            self._boards[board] = _Board(budgets=dict(budgets))

    def note(self, line: str) -> None:
        """What the lab is doing before or between boots."""
        with self._lock:
            self._note = text.one_line(line, 200)
            if self._terminal:
                self._redraw()
            else:
                self._line(self._note)

    def stage_started(self, board: str, stage: str, t: float) -> None:
        with self._lock:
            self._note = ""
            state = self._boards.setdefault(board, _Board())
            state.stage, state.since, state.note = stage, t, ""
            if self._terminal:
                self._redraw()
            else:
                budget = state.budgets.get(stage)
                of = f" (budget {text.budget(budget)})" if budget is not None else ""
                self._line(f"{text.one_line(board, 40)}: {stage} ...{of}", t)

    def stage_ended(self, board: str, stage: str, t: float, duration: float) -> None:
        """`stage` is done at `t` after `duration` seconds; late when that is over its budget."""
        with self._lock:
            state = self._boards.setdefault(board, _Board())
            if state.stage == stage:
                state.stage = state.note = ""
            budget = state.budgets.get(stage)
            verdict = "late" if budget is not None and duration > budget else "passed"
            self._stage_line(board, stage, verdict, duration, budget, t=t)

    def progress(self, board: str, line: str) -> None:
        """What the running stage is busy with: a file and how far it is."""
        with self._lock:
            state = self._boards.setdefault(board, _Board())
            state.note = text.one_line(line, 200)
            if self._terminal:
                if not state.stage:  # before power-on: no stage has a row yet
                    self._note = f"{text.one_line(board, 40)}: {state.note}"
                self._redraw()
                return
            subject, moment = state.note.partition(":")[0], now()
            if moment - state.said.get(subject, 0.0) >= _REPEAT:
                state.said[subject] = moment
                self._line(f"{text.one_line(board, 40)}:   {state.note}")

    def finished(self, record: BootRecord) -> None:
        """The boot is judged: what was still running is over, too."""
        with self._lock:
            state = self._boards.pop(record.board, _Board())
            for stage in record.stages:
                if stage.verdict == "failed":
                    self._stage_line(record.board, stage.name, "failed", stage.duration_s, stage.budget_s)
            if not self._terminal:
                self._line(f"{text.one_line(record.board, 40)}: {words.verdict(record)}")
            elif state.stage:
                self._redraw()

    def _stage_line(
        self, board: str, stage: str, verdict: str, spent: float | None, budget: float | None, *, t: float | None = None
    ) -> None:
        name, of = text.one_line(board, 40), f" of {text.budget(budget)}" if budget is not None else ""
        if not self._terminal:
            self._line(f"{name}: {stage} {_PLAIN_SIGNS[verdict]}, {text.duration(spent)}{of}", t)
            return
        self._redraw()
        from rich.text import Text  # noqa: PLC0415

        row = Text(no_wrap=True, overflow="ellipsis")
        row.append(f"{name}  ", "dim")
        row.append(f"{self._stream.fit(_SIGNS[verdict])} ", f"bold {_COLOURS[verdict]}")
        row.append(f"{stage:<{_NAME}}  ")
        row.append(
            f"{self._stream.fit(text.duration(spent)):>10}", "" if verdict == "passed" else f"bold {_COLOURS[verdict]}"
        )
        row.append(of, "dim")
        self._drawn().print(row)

    def _line(self, line: str, t: float | None = None) -> None:
        """A plain line with the seconds from the view's begin to `t` (now if None)."""
        self._stream.write(self._stream.fit(f"[{(now() if t is None else t) - self._begun:8.3f} s] {line}") + "\n")
        self._stream.flush()

    def _drawn(self) -> "Console":
        if self._console is None:
            self._console = make_console(self._stream, terminal=True)
        return self._console

    def _redraw(self) -> None:
        """Keep the live region only while something runs: other programs (pytest) write to the terminal in between."""
        busy = self._terminal and (self._note or any(state.stage for state in self._boards.values()))
        if busy and self._live is None:
            from rich.live import Live  # noqa: PLC0415

            self._live = Live(
                get_renderable=self._running,
                console=self._drawn(),
                refresh_per_second=8,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start(refresh=True)
        elif busy and self._live is not None:
            self._live.refresh()
        elif self._live is not None:
            live, self._live = self._live, None
            live.stop()

    def _running(self) -> "RenderableType":
        """One row per running stage."""
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        frames = "⠋⠙⠹⠸⠼⠴⠦⠧" if self._stream.fit("⠋") == "⠋" else "|/-\\"
        frame = frames[int(now() * 8) % len(frames)]
        table = Table.grid(padding=(0, 1))
        # No lock: this runs in rich's thread under rich's lock, and a caller that holds ours may wait for that one.
        for name, state in list(self._boards.items()):
            if not state.stage:
                continue
            spent, budget = max(now() - state.since, 0.0), state.budgets.get(state.stage)
            over = budget is not None and spent > budget
            of = f" of {text.budget(budget)}" if budget is not None else ""
            table.add_row(
                Text(self._stream.fit(text.one_line(name, 40)), "dim"),
                Text(frame, "cyan"),
                Text(f"{state.stage:<{_NAME}}", "bold"),
                Text(f"{spent:8.1f} s", "bold yellow" if over else ""),
                Text(of + (" over" if over else ""), "yellow" if over else "dim"),
                Text(self._stream.fit(state.note), "dim", no_wrap=True, overflow="ellipsis"),
            )
        if self._note:
            table.add_row(
                Text(""), Text(frame, "cyan"), Text(self._stream.fit(self._note), no_wrap=True, overflow="ellipsis")
            )
        return table


def summary(record: BootRecord, folder: Path | None, stream: TextIO, *, report: Path | None = None) -> None:
    """Print what became of a boot: verdict, one sentence, findings with remedies, stages, where the files lie."""
    from rich.text import Text  # noqa: PLC0415

    shield = Shield(stream)
    console = make_console(shield, terminal=is_terminal(stream))

    def say(line: str = "", style: str = "") -> None:
        console.print(Text(shield.fit(text.clean(line)), style), soft_wrap=True)

    colour = _COLOURS.get(words.outcome(record), "magenta")
    say()
    say(f"{text.one_line(record.board, 60)}: {words.verdict(record)}", f"bold {colour}")
    say(f"  {text.one_line(words.sentence(record), 600)}")
    for note in record.notes:
        say(f"  Note: {text.one_line(note, 600)}")
    for finding in record.findings:
        fault = finding.severity == "fault"
        say()
        say(
            f"  {'Fault' if fault else 'Warning'}: {text.one_line(finding.title)}",
            f"bold {'red' if fault else 'yellow'}",
        )
        say(f"    To act: {text.one_line(words.WHO.get(finding.who, finding.who))}")
        say(f"    -> {text.one_line(finding.remedy, 600)}")
        for evidence in finding.evidence[:5]:
            say(f"       {words.place(evidence)}: {text.one_line(evidence.text, 160)}", "dim")
        if len(finding.evidence) > 5:
            say(f"       and {len(finding.evidence) - 5} more in the record", "dim")
    say()
    say("  " + _stages_words(record.stages))
    files = {name: folder / file for name, file in record.artefacts.items()} if folder is not None else {}
    if folder is not None:
        files = {"record": folder / "record.json"} | files
    if report is not None:
        files["report"] = report
    shown = {name: path for name, path in files.items() if path.exists()}
    width = max((len(name) for name in shown), default=0)
    for name, path in shown.items():
        say(f"  {text.one_line(name, 30):<{min(width, 30)}}  {text.one_line(os.path.normpath(path), 400)}", "dim")


def _stages_words(stages: tuple[Stage, ...]) -> str:
    """All stages in one line, those without a time of their own together at the end."""
    timed, rest = [], dict[str, list[str]]()
    for stage in stages:
        if stage.verdict == "passed":
            timed.append(f"{stage.name} {text.duration(stage.duration_s)}")
        elif stage.verdict in ("late", "failed"):
            spent, of = text.duration(stage.duration_s), text.budget(stage.budget_s)
            timed.append(f"{stage.name} {stage.verdict.upper()} {spent} of {of}")
        else:
            rest.setdefault(stage.verdict, []).append(stage.name)
    return "; ".join(filter(None, (", ".join(timed), *(f"{word}: {', '.join(names)}" for word, names in rest.items()))))
