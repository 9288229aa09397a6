# SPDX-License-Identifier: GPL-2.0-or-later
"""What all servers of a rig have in common: a configuration file to read, a process, a readiness check, a log."""

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.errors import HarnessBug, InfraError
from harness.servers.keeper_client import Keeper
from harness.servers.process import Process, last_lines
from harness.servers.programs import find

READY_TIMEOUT = 20.0
"""Seconds; a server is ready in well under one, but the machine may be busy."""
_ASK_EVERY = 0.02


class Service(ABC):
    """A server on a host of the rig.

    start(), stop() and restart() may be called at any time, also in the midst of a boot, which is how faults are made.
    name: unique in its rig; its configuration is <folder>/<name>.conf, its log <folder>/<name>.log, which is appended to.
    """

    program: str

    def __init__(self, name: str, keeper: Keeper, host: str, folder: Path) -> None:
        self.name = name
        self.keeper = keeper
        self.host = host
        self.folder = folder
        self.config = folder / f"{name}.conf"
        self.log = folder / f"{name}.log"
        self.process: Process | None = None
        self._log_start = 0

    @abstractmethod
    def render(self) -> str:
        """The text of its configuration file; empty for a server without one."""

    @abstractmethod
    def command(self) -> Sequence[str]:
        """Program and arguments, such that it stays in the foreground."""

    @abstractmethod
    def awaited(self) -> str:
        """What it does not answer yet, asked of the server itself; empty when it is ready for clients."""

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.running

    def start(self) -> None:
        """Write the configuration, start, and wait until it answers. Does nothing when it runs.

        Raises InfraError with the log's last lines when it ends or stays silent; names the package if it is not installed.
        """
        if self.running:
            return
        find(self.program)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._log_start = self.log.stat().st_size if self.log.exists() else 0
        if text := self.render():
            self.config.write_text(text, encoding="utf-8")
        self.process = self.launch()
        self.await_ready(self.process)

    def launch(self) -> Process:
        """Start the process. A server that needs others first starts them here."""
        # Its log is read by people and by readiness checks, so it speaks English wherever it runs.
        return self.keeper.spawn(self.host, self.command(), stdout=self.log, stderr=self.log, env={"LC_ALL": "C"})

    def await_ready(self, process: Process, timeout: float = READY_TIMEOUT) -> None:
        deadline = time.monotonic() + timeout
        while awaited := self.awaited():
            if process.ended(_ASK_EVERY):
                raise InfraError(
                    f"{self.name} ended with code {process.returncode} instead of serving" + self.last_words(),
                    place=str(self.log),
                    remedy=f"look at {self.config}" if self.config.exists() else "",
                )
            if time.monotonic() > deadline:
                self.stop()
                raise InfraError(
                    f"{self.name} was started, but {awaited} within {timeout:g} s" + self.last_words(),
                    place=str(self.log),
                )

    def stop(self) -> None:
        """End it (TERM, then KILL). Does nothing when it does not run."""
        if self.process is not None:
            self.process.stop()

    def restart(self) -> None:
        """Stop and start, with the configuration as it is now."""
        self.stop()
        self.start()

    def new_log(self) -> str:
        """What it has written to its log since its last start."""
        try:
            with self.log.open("rb") as file:
                file.seek(self._log_start)
                return file.read().decode("utf-8", "replace")
        except OSError:
            return ""

    def last_words(self) -> str:
        """The end of its log, ready to be put behind an error's sentence; empty when it has said nothing."""
        return last_lines(self.log)


def render(template: str, values: Mapping[str, Any]) -> str:
    """A configuration file from `templates/`. Raises HarnessBug for a value that the template wants and did not get."""
    import jinja2  # noqa: PLC0415 - takes longer to import than all else here; only needed once a server starts

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("harness.servers", "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - configuration files, not HTML
    )
    try:
        return environment.get_template(template).render(values)
    except jinja2.TemplateError as error:
        raise HarnessBug(f"the template {template} is broken: {error}") from error
