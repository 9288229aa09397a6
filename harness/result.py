# SPDX-License-Identifier: GPL-2.0-or-later
"""A boot as tests read it: `boot.stages.dhcp.duration`, `boot.tftp["kernel8.img"].size`, `boot.console.text`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Generic, TypeVar

from harness.boot.record import BootRecord, DhcpExchange, Finding, HttpFetch, Stage, TftpTransfer
from harness.boot.stages import STAGES
from harness.errors import HarnessError

T = TypeVar("T", TftpTransfer, HttpFetch)


class StageView:
    """One stage: `start`, `end` (epoch seconds), `duration`, `budget` (seconds), `verdict`, `reached`."""

    def __init__(self, stage: Stage) -> None:
        self.record = stage
        self.name = stage.name
        self.start = stage.start
        self.end = stage.end
        self.duration = stage.duration_s
        self.budget = stage.budget_s
        self.verdict = stage.verdict
        self.note = stage.note

    @property
    def reached(self) -> bool:
        """The stage was done, in time or late, with evidence of its own or by that of a later one."""
        return self.verdict in {"passed", "late", "unseen"}

    def __repr__(self) -> str:
        return f"<stage {self.name}: {self.verdict}, {self.duration} s of {self.budget} s>"


class Stages:
    """The nine stages by name: `stages.dhcp`, `stages["dhcp"]`, or in order."""

    def __init__(self, stages: tuple[Stage, ...]) -> None:
        self._stages = {stage.name: StageView(stage) for stage in stages}

    def __getitem__(self, name: str) -> StageView:
        return self._stages[name]

    def __getattr__(self, name: str) -> StageView:
        try:
            return self.__dict__["_stages"][name]  # type: ignore[no-any-return]
        except KeyError:
            raise AttributeError(f"no stage {name!r}; the stages are {', '.join(STAGES)}") from None

    def __iter__(self) -> Iterator[StageView]:
        return iter(self._stages.values())


class Transfers(Generic[T]):
    """Files over TFTP or HTTP: by path (`tftp["91cdf03d/start4.elf"]`) or last path part (`http["boot.img"]`), or all in order.

    A file that was asked for several times gives its complete transfer if there is one, else the last.
    """

    def __init__(self, transfers: tuple[T, ...]) -> None:
        self._transfers: tuple[T, ...] = transfers

    def __iter__(self) -> Iterator[T]:
        return iter(self._transfers)

    def __len__(self) -> int:
        return len(self._transfers)

    def of(self, name: str) -> tuple[T, ...]:
        """All transfers of this path or last path part, in order."""
        return tuple(t for t in self._transfers if name in (t.path, t.path.rsplit("/", 1)[-1]))

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and bool(self.of(name))

    def __getitem__(self, name: str) -> T:
        found = self.of(name)
        if not found:
            asked = ", ".join(dict.fromkeys(t.path for t in self._transfers)) or "nothing"
            raise KeyError(f"{name} was never asked for; the board asked for {asked}")
        return next((transfer for transfer in reversed(found) if transfer.complete), found[-1])

    @property
    def complete(self) -> tuple[T, ...]:
        """The transfers that delivered their file whole."""
        return tuple(transfer for transfer in self._transfers if transfer.complete)


class ConsoleText:
    """The console log of the boot, as a file and as text (bytes that are no UTF-8 as backslash escapes)."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def raw(self) -> bytes:
        return self.path.read_bytes() if self.path.exists() else b""

    @property
    def text(self) -> str:
        return self.raw.decode("utf-8", "backslashreplace")


class Boot:
    """One boot: its record, its folder, and the error that ended the watch, if one did."""

    def __init__(self, record: BootRecord, folder: Path, error: HarnessError | None = None) -> None:
        self.record = record
        self.folder = folder
        self.error = error
        #: What kept the lab from being left as its policy says, once the boot was over: a port that does not switch off.
        self.left: HarnessError | None = None
        self.stages = Stages(record.stages)
        self.tftp = Transfers(record.tftp)
        self.http = Transfers(record.http)
        self.console = ConsoleText(folder / "console.log")

    @property
    def verdict(self) -> str:
        return self.record.verdict

    @property
    def passed(self) -> bool:
        return self.record.passed

    @property
    def failed_stage(self) -> str | None:
        return self.record.failed_stage

    @property
    def dhcp(self) -> tuple[DhcpExchange, ...]:
        return self.record.dhcp

    @property
    def findings(self) -> tuple[Finding, ...]:
        return self.record.findings

    def reached(self, stage: str) -> bool:
        """Whether the boot came through `stage`."""
        return self.stages[stage].reached

    def milestone(self, name: str) -> str | None:
        """The text of the first console line with this meaning; None when there was none."""
        return next((m.text for m in self.record.milestones if m.name == name), None)

    def __repr__(self) -> str:
        return f"<boot of {self.record.board}: {self.record.verdict}>"
