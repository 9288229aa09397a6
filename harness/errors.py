# SPDX-License-Identifier: GPL-2.0-or-later
"""The error tree: every error says who must act.

A class never turns into another on its way up: the exit code of `piboot`, the colour in the terminal and the verdict
on the record all follow from it.
"""

from typing import ClassVar

from harness.redaction import redacted


class HarnessError(Exception):
    """Base of all errors that a user may see.

    what: one sentence, what went wrong; place: where (file:line:column, a path, a port), may be empty;
    remedy: what to change, an imperative sentence, may be empty.
    """

    exit_code: ClassVar[int] = 4
    who: ClassVar[str] = "the harness"
    colour: ClassVar[str] = "magenta"

    def __init__(self, what: str, *, place: str = "", remedy: str = "") -> None:
        # Their texts may hold what a library or a device said, and they go to terminals, records and reports.
        self.what = redacted(what)
        self.place = redacted(place)
        self.remedy = redacted(remedy)
        super().__init__(self.what)

    def __str__(self) -> str:
        text = f"{self.place}: {self.what}" if self.place else self.what
        return f"{text}\n  -> {self.remedy}" if self.remedy else text

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross process borders (pytest-xdist); keyword-only arguments would be lost by the default.
        return (_rebuild, (type(self), self.__dict__.copy()))


def _rebuild(cls: type[HarnessError], state: dict[str, str]) -> HarnessError:
    error = cls(state["what"], place=state["place"], remedy=state["remedy"])
    error.__dict__.update(state)
    return error


class ConfigError(HarnessError):
    """lab.yaml, the command line or a record file is wrong: the user acts."""

    exit_code = 2
    who = "you: the configuration is wrong"
    colour = "yellow"


class InfraError(HarnessError):
    """The lab's gear (switch, console, capture, emulated lab, disk) failed: the lab's owner acts."""

    exit_code = 3
    who = "the lab's gear"
    colour = "blue"


class BootFailure(HarnessError):  # noqa: N818 - the design's word; it is a verdict on the board, not a defect of ours
    """The board, or the server that it boots from, failed at `stage`."""

    exit_code = 1
    who = "the board or its server"
    colour = "red"

    def __init__(self, what: str, *, stage: str = "", place: str = "", remedy: str = "") -> None:
        super().__init__(what, place=place, remedy=remedy)
        self.stage = stage


class HarnessBug(HarnessError):  # noqa: N818 - names who must act, as the others do
    """The harness itself is wrong: please report it."""

    exit_code = 4
    who = "the harness: this is a bug, please report it"
    colour = "magenta"
