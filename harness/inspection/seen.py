# SPDX-License-Identifier: GPL-2.0-or-later
"""What was seen of one piece of gear."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from harness.errors import ConfigError, HarnessError
from harness.power.port import Refused

Kind = Literal["power", "console", "wire", "place"]


@dataclass(frozen=True)
class Seen:
    """gear: "power of pi4-a". reachable, rights: None when it was not (or could not be) found out. identity: what the gear says
    that it is; state: what it does now; fix: what to do, "" when nothing.
    """

    kind: Kind
    gear: str
    reachable: bool | None = None
    rights: bool | None = None
    identity: str = ""
    state: str = ""
    fix: str = ""

    @property
    def ok(self) -> bool:
        """Whether a boot may begin with it."""
        return self.reachable is not False and self.rights is not False

    def failed(self, error: HarnessError) -> "Seen":
        """This row, when `error` ended the look."""
        said = f"{error.place}: {error.what}" if error.place else error.what
        if isinstance(error, ConfigError):
            return replace(self, rights=False, state=said, fix=error.remedy)
        # The gear answered, and said no: it is there.
        answered = isinstance(error.__context__, Refused) or isinstance(error.__cause__, Refused) or _no_right(error)
        return replace(
            self,
            reachable=answered,
            rights=False if answered else None,
            state=said,
            fix=error.remedy,
        )


def _no_right(error: HarnessError) -> bool:
    return error.what.startswith("no right ") or "not allowed" in error.what or "does not let us log in" in error.what


def looked(row: Seen, look: Callable[[Seen], Seen]) -> Seen:
    """What `look` makes of `row`; its errors become the row's."""
    try:
        return look(row)
    except HarnessError as error:
        return row.failed(error)
    except Exception as error:  # a driver of another package may raise what it likes
        return replace(
            row, reachable=None, state=f"{type(error).__name__}: {error}", fix="report this, with your lab.yaml"
        )
