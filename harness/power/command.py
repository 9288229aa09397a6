# SPDX-License-Identifier: GPL-2.0-or-later
"""`driver: command`: any program that switches, and one that tells the state."""

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass

from harness.errors import InfraError
from harness.power.port import Refused, Silent, State, Timing
from harness.power.program import Result, Runner
from harness.power.switched import SwitchedPort, Want, words


@dataclass(frozen=True)
class Expected:
    """What a state program must show. output: a regular expression found in what it prints; status: its exit status; either may
    be None: then it does not matter, except that an expectation of output alone wants status 0.
    """

    output: str | None = None
    status: int | None = None

    def fits(self, result: Result) -> bool:
        if self.output is None:
            return result.status == self.status
        status = 0 if self.status is None else self.status
        return result.status == status and re.search(self.output, result.output, re.MULTILINE) is not None


@dataclass(frozen=True)
class ReadBack:
    """A program that tells a port's state. off None: everything that is not `on` is unknown."""

    argv: Sequence[str]
    on: Expected
    off: Expected

    def state(self, runner: Runner) -> tuple[State, str]:
        """The state, and the program's words."""
        result = runner.run(self.argv)
        is_on, is_off = self.on.fits(result), self.off.fits(result)
        said = runner.words(result)
        if is_on == is_off:
            return "unknown", said
        return ("on" if is_on else "off"), said


class CommandPort(SwitchedPort):
    """name: for people, which port this is."""

    remedy = "run the program of lab.yaml by hand, as the user who runs the harness"

    def __init__(
        self,
        on: Sequence[str],
        off: Sequence[str],
        read_back: ReadBack,
        *,
        runner: Runner | None = None,
        timing: Timing | None = None,
    ) -> None:
        self._runner = runner or Runner()
        super().__init__(f"command {words(on[0], self._runner.secrets, 60)}", timing)
        self._on, self._off, self._read_back = on, off, read_back

    def order(self, want: Want) -> None:
        argv = self._on if want == "on" else self._off
        result = self._runner.run(argv)
        if result.status < 0:
            raise Silent(f"{argv[0]} was ended by signal {-result.status}")
        if result.status:
            raise Refused(f"{argv[0]} ended with {self._runner.words(result, 300)}")

    def look(self) -> State:
        state, self.detail = self._read_back.state(self._runner)
        return state

    def identify(self) -> str:
        """Where the programs are. InfraError: one is not installed."""
        found = []
        for argv in (self._on, self._off, self._read_back.argv):
            path = shutil.which(argv[0])
            if path is None:
                raise InfraError(
                    f"{argv[0]} cannot be run: no such program", remedy="install it, or name its full path in lab.yaml"
                )
            found.append(path)
        return ", ".join(dict.fromkeys(found))
