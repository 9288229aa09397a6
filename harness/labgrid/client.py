# SPDX-License-Identifier: GPL-2.0-or-later
"""labgrid-client (25.0 and newer, whose coordinator speaks gRPC), one process for each question, and what its errors mean.

Its exit status is 1 for all that went wrong; which it was stands in its words (labgrid/remote/client.py of 25.0 and 26.0):
"coordinator is unavailable", "place pattern X matches nothing", "already acquired by HOST/USER", "is not acquired" ...
"""

import getpass
import os
import socket
from dataclasses import dataclass

from harness.config.labgrid import LabgridLab
from harness.errors import ConfigError, HarnessError, InfraError
from harness.power.port import Silent
from harness.power.program import Result, Runner
from harness.power.switched import words

#: Variables that would tell labgrid's client of another place, state or environment than the one that we mean.
_IN_THE_WAY = ("PLACE", "LG_PLACE", "STATE", "LG_STATE", "LG_INITIAL_STATE", "LG_ENV", "LG_TOKEN")

#: What its client says when the coordinator is away.
_AWAY = ("coordinator is unavailable", "coordinator became unavailable", "Could not connect to coordinator")


@dataclass(frozen=True)
class Client:
    """coordinator: HOST:PORT; program: labgrid's client; lab: the file that says so, for errors. timeout: seconds for one call.

    What a place is acquired as is `me`: this host, and our user's name with ".piboot" behind it. So a place that the same person
    has acquired by hand is another's, and one that we find ours was left by a run of the harness on this host.
    """

    coordinator: str
    program: str = "labgrid-client"
    timeout: float = 30.0
    lab: str = ""

    @classmethod
    def of(cls, config: LabgridLab, lab: str) -> "Client":
        return cls(config.coordinator, config.client, config.timeout, lab)

    @property
    def user(self) -> str:
        return f"{getpass.getuser()}.piboot"

    @property
    def me(self) -> str:
        return f"{socket.gethostname()}/{self.user}"

    def run(self, *arguments: str, place: str = "") -> str:
        """What the client prints. InfraError: there is no such program, the coordinator does not answer in time, or labgrid says
        no; ConfigError: the coordinator knows no such place.
        """
        try:
            return self.ask(*arguments, place=place)
        except Silent as error:
            raise InfraError(
                f"the labgrid coordinator does not answer: {error}",
                place=self.coordinator,
                remedy="start labgrid-coordinator there, or correct labgrid.coordinator in lab.yaml (when it is slow: timeout)",
            ) from None

    def ask(self, *arguments: str, place: str = "") -> str:
        """As `run`, but Silent when the coordinator does not answer: asking again may help."""
        what = ["-p", place] if place else []
        try:
            result = self._runner().run([self.program, *what, *arguments])
        except InfraError as error:
            raise InfraError(
                error.what,
                place=self.lab,
                remedy="give labgrid a venv of its own (python3 -m venv /opt/labgrid; /opt/labgrid/bin/pip install labgrid) and "
                "name its client in lab.yaml: labgrid: {client: /opt/labgrid/bin/labgrid-client}",
            ) from None
        if result.status and any(text in result.output for text in _AWAY):
            raise Silent(_last_words(result.output))
        if result.status:
            raise self._error(result, place)
        return result.output

    def _runner(self) -> Runner:
        variables: dict[str, str | None] = dict.fromkeys(_IN_THE_WAY)
        variables |= {
            "LG_COORDINATOR": self.coordinator,
            "LG_HOSTNAME": socket.gethostname(),
            "LG_USERNAME": self.user,
        }
        # gRPC takes http_proxy for its own connections; a coordinator is not behind a web proxy.
        variables |= {"no_grpc_proxy": self.coordinator.rpartition(":")[0] or self.coordinator, **_quiet()}
        return Runner(self.timeout, variables=variables)

    def _error(self, result: Result, place: str) -> HarnessError:
        said = result.output
        if "matches nothing" in said or "matches multiple places" in said:
            return self.unknown(place)
        return InfraError(
            f"labgrid said of {place or self.coordinator}: {_last_words(said) or f'exit status {result.status}'}",
            place=self.coordinator,
            remedy=f"see what it is made of: labgrid-client -x {self.coordinator} -p {place} show",
        )

    def unknown(self, place: str) -> ConfigError:
        return ConfigError(
            f"the labgrid coordinator {self.coordinator} knows no place {place!r}",
            place=self.lab,
            remedy=f"correct place: in lab.yaml (labgrid-client -x {self.coordinator} places)",
        )


def _quiet() -> dict[str, str]:
    """gRPC's own log on stderr would stand between labgrid's words."""
    return {} if "GRPC_VERBOSITY" in os.environ else {"GRPC_VERBOSITY": "NONE"}


def _last_words(said: str) -> str:
    """The line that tells what went wrong: without log lines, the last is labgrid's own."""
    lines = [line.strip() for line in said.splitlines() if line.strip() and not line.startswith((" ", "Traceback"))]
    told = [line for line in lines if "rror: " in line or line.startswith("labgrid-client:")]
    return words((told or lines or [""])[0].removeprefix("labgrid-client: ").removeprefix("Error: "), limit=300)
