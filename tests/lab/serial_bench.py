# SPDX-License-Identifier: GPL-2.0-or-later
"""A board behind a serial line of lab.yaml's kind, and a USB adapter (socat) that can be pulled out."""

import os
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.board import Board
from harness.board.gear import Gear, serial_console
from harness.boot.expect import Expectation
from harness.config import SerialConsole
from harness.result import Boot
from harness.run import Run
from harness.run.replay import replay
from tests.boot.stream import BUDGETS
from tests.lab.doubles import MemoryPort


class Bench:
    """`script` is what happens once the board is switched on, in a thread of its own."""

    def __init__(
        self,
        run: Run,
        console: Mapping[str, Any],
        script: Callable[["Bench"], None],
        *,
        budgets: Mapping[str, float] = BUDGETS,
        user: str | None = None,
    ) -> None:
        self.run = run
        self._script = script
        self._threads: list[threading.Thread] = []
        self._trouble: list[BaseException] = []
        config = SerialConsole.model_validate({"driver": "serial", **console})
        port = MemoryPort(self._on)
        gear = Gear(power=lambda _folder: port, open_console=serial_console(config))
        expectation = Expectation(
            board="pi4-a",
            model="pi4",
            budgets=dict(budgets),
            has_wire=False,
            grace=1.0,
            has_console=True,
            login_user=user,
        )
        self.board = Board("pi4-a", "pi4", expectation, gear, run, user=user, off_time=0.0)

    def boot(self, until: str = "login") -> Boot:
        boot = self.board.boot(until=until)
        for thread in self._threads:
            thread.join(60)
        self.board.off()
        if self._trouble:
            raise self._trouble[0]
        assert replay(boot.folder).verdict == boot.verdict, "the files tell the same"
        return boot

    def heard(self, text: str) -> None:
        """Wait until the console's log has it."""
        log = self.run.folder / "pi4-a" / "console.log"
        self.until(lambda: text.encode() in log.read_bytes(), text)

    def is_back(self) -> None:
        """Wait until the console was lost and is there again."""
        self.until(lambda: any(gap.end is not None for gap in self.board.console.info().gaps), "the line to return")

    def is_lost(self) -> None:
        self.until(lambda: any(gap.end is None for gap in self.board.console.info().gaps), "the line to be lost")

    def until(self, predicate: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + 60.0
        while not predicate():
            assert time.monotonic() < deadline, f"waited in vain: {what}"
            time.sleep(0.01)

    def _on(self) -> None:
        def play() -> None:
            try:
                self._script(self)
            except BaseException as error:  # raised again by `boot`
                self._trouble.append(error)

        self._threads.append(threading.Thread(target=play, daemon=True))
        self._threads[-1].start()


class Adapter:
    """A serial adapter: `device` is its name in /dev, `say` is the board at its other end."""

    def __init__(self, folder: Path, name: str) -> None:
        self.device, self._far = folder / name, folder / f"{name}-board"
        argv = ["socat", f"pty,rawer,link={self.device}", f"pty,rawer,link={self._far}"]
        self._process = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + 30.0
        while not (self.device.exists() and self._far.exists()):
            assert self._process.poll() is None, "socat ended"
            assert time.monotonic() < deadline, "socat makes no ptys"
            time.sleep(0.01)

    def say(self, texts: Sequence[str]) -> None:
        fd = os.open(self._far, os.O_WRONLY | os.O_NOCTTY)
        os.write(fd, "".join(texts).encode())
        os.close(fd)

    def unplug(self) -> None:
        self._process.terminate()
        self._process.wait()


class Udev:
    """Keeps a name in by-id, as udev does: it leads to the device that the adapter got."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "by-id"
        self._folder.mkdir()
        self.name = self._folder / "usb-FTDI_FT232R_USB_UART_A50285BI-if00-port0"

    def plugged(self, adapter: Adapter) -> None:
        fresh = self._folder / "fresh"
        fresh.symlink_to(adapter.device)
        fresh.replace(self.name)

    def unplugged(self) -> None:
        self.name.unlink()
