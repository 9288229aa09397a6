# SPDX-License-Identifier: GPL-2.0-or-later
"""A board: power port, console and wire in one hand. The only place where they meet; real and emulated boards alike."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from harness.board.beginning import Beginning
from harness.board.gear import Gate, Gear
from harness.board.losing import ClassGone, ConsoleSilent, take_power, wait
from harness.board.watch import Blind, Viewer, Watch, stopped_by
from harness.boot.events import Noted
from harness.boot.expect import Expectation
from harness.boot.restart import SHUTDOWN
from harness.clock import now
from harness.errors import BootFailure, HarnessBug, HarnessError, InfraError
from harness.power.evidence import Loss
from harness.power.journal import JournaledPort, PowerJournal
from harness.result import Boot
from harness.run import Run, journal, write_json
from harness.run.replay import replay

if TYPE_CHECKING:
    from harness.boot.events import PowerEdge
    from harness.config import Secret
    from harness.console.log import ConsoleLog
    from harness.console.shell import Shell

#: Opens what watches a boot, and starts it.
Begin = Callable[[Watch, Path, ExitStack], None]

#: For a shell that is ready. Where root may not, sudo must; a system that says no is seen not to go down.
_REBOOT = b'if [ "$(id -u)" = 0 ]; then reboot; else sudo -n reboot; fi\n'


@dataclass
class Board:
    """One board of the lab. `boot()` power-cycles it and follows it; afterwards it stays on until `off()` or the next boot."""

    name: str
    model: str
    expectation: Expectation
    gear: Gear
    run: Run
    user: str | None = None
    password: Callable[[], Secret | None] = field(default=lambda: None, repr=False)
    off_time: float = 2.0
    viewer: Viewer = field(default_factory=Blind, repr=False)
    _console: ConsoleLog | None = field(default=None, repr=False)
    _shell: Shell | None = field(default=None, repr=False)
    _folder: Path | None = field(default=None, repr=False)
    _off_since: float | None = field(default=None, repr=False)

    @property
    def shell(self) -> Shell:
        """A shell on the running board; InfraError when nobody is logged in."""
        if self._shell is None:
            raise InfraError(f"nobody is logged in on {self.name}", remedy="boot it first, with `login:` in lab.yaml")
        return self._shell

    @property
    def console(self) -> ConsoleLog:
        """The console while it is read, from before power-on to `off()`: its text, rates, breaks and SysRq. InfraError."""
        if self._console is None:
            raise InfraError(f"the console of {self.name} is not being read", remedy="boot the board first")
        return self._console

    def boot(self, until: str = "login") -> Boot:
        """Power off, watch, power on, follow the stages to `until`, and judge.

        Never raises for what the board, its server or the gear did: the verdict says it, and `error` holds what ended the watch.
        KeyboardInterrupt passes through, with the record written. All files lie in the boot's folder.
        """
        logged_in = self._shell is not None
        self.release()
        return self._watched(
            until, self.expectation.budgets, partial(self._power_cycle, until=until, logged_in=logged_in)
        )

    def reboot(self, until: str = "login") -> Boot:
        """Have the running system reboot, and follow what comes of it as boot() does, without an edge of the board's power.

        What the board has written stays. The `power` stage lasts until its reset. InfraError: nobody is logged in.
        """
        _ = self.shell
        self.release()
        return self._watched(until, {**self.expectation.budgets, "power": SHUTDOWN}, self._ask_to_reboot)

    def watch(self, until: str = "userspace", timeout: float = 3600.0) -> Boot:
        """Follow the next boot that somebody else starts, without touching its power, and judge it. Errors as in `boot`; one more
        is that none begins within `timeout` seconds. Up to "login" we log in, else nothing is typed.
        """
        self.release()
        made = self._watched(until, self.expectation.budgets, partial(self._await_next, timeout=timeout))
        self._folder = None  # its power is not ours to switch off
        if until != "login":
            self.release()
        return made

    def _watched(self, until: str, budgets: dict[str, float], begin: Begin) -> Boot:
        folder = self._folder = self.run.boot_folder(self.name)
        expectation = self.expectation.model_copy(update={"until": until, "budgets": budgets})
        write_json(folder / "expect.json", expectation.model_dump_json(indent=2))
        watch = Watch(expectation, folder, self.viewer, self.gear.alive)
        error: BaseException | None = None
        self.viewer.began(self.name, expectation.budgets)
        try:
            self._follow(watch, folder, until, begin)
        except BaseException as caught:
            error = caught
        boot = self._judge(watch, folder, error)
        self.viewer.finished(boot.record)
        if error is not None and not isinstance(error, HarnessError):
            if isinstance(error, KeyboardInterrupt):
                raise error
            raise HarnessBug(f"{type(error).__name__}: {error}", place=str(folder)) from error
        return boot

    def attach(self) -> Shell:
        """Log in on the board as it runs, without touching its power; its console is kept in a folder of the run.

        InfraError: it has no console, or no `login:` in lab.yaml; BootFailure: nobody answers there.
        """
        from harness.console.login import login  # noqa: PLC0415 - brings pexpect

        self.release()
        if self.expectation.emulated:
            raise InfraError(f"{self.name} is emulated: it runs only while a run boots it", remedy="boot it instead")
        self.gear.claim()
        if self.gear.open_console is None or self.user is None:
            missing = "console" if self.gear.open_console is None else "login"
            raise InfraError(f"{self.name} has no `{missing}:`", remedy=f"add {missing}: to the board in lab.yaml")
        folder = self.run.folder / f"{self.name}.running"
        folder.mkdir(parents=True, exist_ok=True)
        self._console = self.gear.open_console(folder, lambda _event: None, lambda _error: None)
        secret = self.password()
        self._shell = login(
            self._console,
            self.user,
            secret.reveal() if secret is not None else None,
            nudge=1.0,  # its prompt stands there since long ago
        )
        return self._shell

    def start(self) -> Path:
        """Switch it off and on, read its console, and judge nothing; the folder of its log. InfraError."""
        self.release()
        folder = self._folder = self.run.boot_folder(self.name)
        write_json(
            folder / "expect.json", self.expectation.model_copy(update={"until": "power"}).model_dump_json(indent=2)
        )
        self.gear.claim()
        if self.gear.open_console is not None:
            self._console = self.gear.open_console(folder, lambda _event: None, lambda _error: None)
        power = self._power(folder, lambda _edge: None)
        self._without_power(power, logged_in=False)
        self.gear.prepare("login")
        power.on()
        self._off_since = None
        return folder

    def off(self) -> None:
        """Switch the board off and stop reading its console. InfraError when the power port does not obey."""
        self.release()
        if self._folder is not None:
            self.gear.claim()
            self._power(self._folder, lambda _edge: None).off()
            self._off_since = time.monotonic()
            self.gear.released()

    def _ask_again(self) -> None:
        """A getty says its prompt once: it may have done so while the console was away."""
        if self._console is not None and self.user is not None:
            with suppress(HarnessError):  # lost again: its return brings the next one
                self._console.write(b"\n")

    def given_back(self) -> None:
        """Others may have it from now on: what is known of its power is no longer so."""
        self._off_since = None

    def release(self) -> None:
        """Stop reading its console; its power stays as it is."""
        self._shell = None
        if self._console is not None:
            self._console.close()
            self._console = None

    def _power(self, folder: Path, on_edge: Callable[[PowerEdge], None]) -> JournaledPort:
        return JournaledPort(self.gear.power(folder), PowerJournal(folder, on_edge))

    def _follow(self, watch: Watch, folder: Path, until: str, begin: Begin) -> None:
        with ExitStack() as stack:
            begin(watch, folder, stack)
            stages = list(watch.tracker.marks)
            last = stages.index(until)
            watch.until(stages[min(last, stages.index("userspace"))])
            if until == "login":
                self._log_in(watch)
            watch.drain()
            watch.ended("login" if until == "login" else "until")

    def _claim(self, watch: Watch, folder: Path) -> None:
        for remark in self.gear.claim():
            journal.append(folder / "harness.jsonl", Noted(now(), remark))
        watch.nudge = self._ask_again

    def _await_next(self, watch: Watch, folder: Path, stack: ExitStack, *, timeout: float) -> None:
        beginning = Beginning(
            watch.emit, self.expectation.mac, lambda began: journal.append(folder / "harness.jsonl", began)
        )
        if self.gear.open_capture is not None:
            stack.enter_context(self.gear.open_capture(folder, beginning, watch.fail))
        if self.gear.open_console is not None:
            self._console = self.gear.open_console(folder, beginning, watch.fail)
        self.viewer.progress(self.name, "waits for its next boot")
        watch.until_begun(lambda: beginning.begun, timeout)

    def _power_cycle(self, watch: Watch, folder: Path, stack: ExitStack, *, until: str, logged_in: bool) -> None:
        self._claim(watch, folder)
        power = self._power(folder, watch.emit)
        gate = Gate(watch.emit)
        if self.gear.open_console is not None:
            self._console = self.gear.open_console(folder, gate, watch.fail)
        self._without_power(power, logged_in=logged_in)
        self.gear.prepare(until)
        if self.gear.open_capture is not None:
            stack.enter_context(self.gear.open_capture(folder, watch.emit, watch.fail))
        gate.open()
        power.on()
        self._off_since = None

    def _ask_to_reboot(self, watch: Watch, folder: Path, stack: ExitStack) -> None:
        """By the shell that waits on the line; where its output goes is changed before, so that no word of the reset is lost."""
        if self.gear.open_console is None:
            raise HarnessBug(f"a shell on {self.name}, which has no console")
        self._claim(watch, folder)
        self._console = self.gear.open_console(folder, watch.emit, watch.fail)
        if self.gear.open_capture is not None:
            stack.enter_context(self.gear.open_capture(folder, watch.emit, watch.fail))
        self.gear.rebooting(folder)
        watch.rebooting("the system was asked to reboot")
        self._console.write(_REBOOT)

    def _without_power(self, power: JournaledPort, *, logged_in: bool) -> None:
        """The board off for `off_time` at least, with what proves it on the journal. InfraError: it cannot be switched, or
        lives on without its port."""
        if power.state() == "off":
            # Capacitors: a board that was off too briefly has not lost its state.
            since = self._off_since if self._off_since is not None else time.monotonic()
            wait(since, self.off_time)
            power.journal.loss(Loss(None, "it was off when the boot began, as its power port says"))
        else:
            with ExitStack() as stack:
                signs = list(self.gear.signs())
                if (delivers := getattr(power.port, "delivers", None)) is not None:
                    signs.append(ClassGone(delivers))
                if self._console is not None and self.off_time >= 1.0:
                    # A shell of ours has its echo off; an empty line brings its prompt.
                    silent = ConsoleSilent(self._console, b"\n" if logged_in else b".")
                    stack.callback(silent.close)
                    signs.append(silent)
                take_power(power, self.off_time, signs)
        self._off_since = time.monotonic()

    def _log_in(self, watch: Watch) -> None:
        """The dialogue, then a few questions to the system whose answers stand on the console, and so on the record."""
        if self.user is None or self._console is None:
            return
        from harness.console.login import login  # noqa: PLC0415 - brings pexpect
        from harness.console.probe import probe  # noqa: PLC0415

        expectation = watch.tracker.expectation
        allowed = expectation.budgets.get("login", 20.0) * expectation.grace
        secret = self.password()
        self._shell = login(self._console, self.user, secret.reveal() if secret is not None else None, timeout=allowed)
        probe(self._console, self._shell, settle=allowed)
        watch.until("login")

    def _judge(self, watch: Watch, folder: Path, error: BaseException | None) -> Boot:
        """The end is written down first; then the record is made from the files, as a replay would."""
        if error is not None:
            try:
                watch.ended(*_reason(error, watch))
            except InfraError as full:
                raise full from error
        record = replay(folder)
        write_json(folder / "record.json", record.model_dump_json(indent=2))
        return Boot(record, folder, error if isinstance(error, HarnessError) else None)


def _reason(error: BaseException, watch: Watch) -> tuple[str, str, str]:
    reason, detail, remedy = stopped_by(error)
    if isinstance(error, BootFailure) and watch.tracker.lost:
        reason = "fatal"
    return reason, detail, remedy
