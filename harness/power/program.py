# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs that drive gear: run by argument vector, never through a shell, with a deadline, and cleanly ended at it."""

import contextlib
import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from harness.config import Secret
from harness.errors import InfraError
from harness.power.port import Silent
from harness.power.switched import words

#: Octets of output that are looked at.
_LARGEST = 64 * 1024


@dataclass(frozen=True)
class Result:
    """status: as a shell tells it, negative for a signal. output: of both streams, at most 64 KiB."""

    status: int
    output: str


@dataclass(frozen=True)
class Runner:
    """timeout: seconds for one run. environment: variables beside this process' own, their values never shown; variables: others,
    which are no secrets; None takes one of this process' away.
    """

    timeout: float = 10.0
    environment: Mapping[str, Secret] = field(default_factory=dict, repr=False)
    variables: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def secrets(self) -> list[str]:
        return [secret.reveal() for secret in self.environment.values()]

    def run(self, argv: Sequence[str]) -> Result:
        """InfraError: there is no such program; Silent: it did not end in time, and was killed with its children."""
        wanted = {**os.environ, **self.variables, **{name: key.reveal() for name, key in self.environment.items()}}
        with tempfile.TemporaryFile() as output:
            try:
                process = subprocess.Popen(
                    list(argv),
                    stdin=subprocess.DEVNULL,
                    stdout=output,  # a file, not a pipe: a grandchild that keeps a pipe open would keep us
                    stderr=subprocess.STDOUT,
                    env={name: value for name, value in wanted.items() if value is not None},
                    start_new_session=True,
                )
            except OSError as error:
                raise InfraError(
                    f"{argv[0]} cannot be run: {error.strerror}", remedy="install it, or name its full path in lab.yaml"
                ) from None
            try:
                status = process.wait(self.timeout)
            except subprocess.TimeoutExpired:
                raise Silent(f"{argv[0]} did not end within {self.timeout:g} s") from None
            finally:
                _end(process)
            output.seek(0)
            return Result(status, output.read(_LARGEST).decode("utf-8", "replace"))

    def words(self, result: Result, limit: int = 120) -> str:
        """Status and output, safe to show."""
        said = words(result.output, self.secrets, limit)
        return f"exit status {result.status}" + (f": {said}" if said else "")


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # its own session, hence its own group
        process.wait()
