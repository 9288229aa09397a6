# SPDX-License-Identifier: GPL-2.0-or-later
"""A relay that switches an emulated board: a process of the rig that holds a mock pin of gpiozero's, as the holder of a real
pin does; the pin pulls the relay in, and the relay's contact is the board's power.

As a program: `python -m harness.servers.services.relay LINE-SOCKET WIRING CONTROL-SOCKET FOLDER-FILE`.
"""

import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.power.gpio_holder import Holder, listening
from harness.power.gpio_line import Line, Wiring
from harness.power.gpio_relay import line_name
from harness.servers.keeper_client import Keeper
from harness.servers.process import Process
from harness.servers.services.service import Service

#: Seconds: an emulated board that is switched off ends its virtual machine first.
_PATIENCE = 20.0


class Relay(Service):
    """wiring: its pin, factory "mock"; control: the power socket of the board. The relay pulls in at high level, and the board
    hangs on its normally open contact.

    `boot_folder` has to be told before it is switched on: the emulated board leaves its files there.
    """

    program = sys.executable

    def __init__(self, keeper: Keeper, host: str, folder: Path, *, wiring: Wiring, control: Path, name: str) -> None:
        super().__init__(name, keeper, host, folder)
        self.wiring = wiring
        self.control = control
        # Unix socket addresses are short: beside the boards' own, not in the run's folder.
        self.line = control.parent / f"{control.stem}.relay"

    def boot_folder(self, folder: Path) -> None:
        """Where the board leaves the files of its next boot."""
        self._folder_file.write_text(f"{folder.absolute()}\n", encoding="utf-8")

    def render(self) -> str:
        self.line.mkdir(mode=0o700, exist_ok=True)
        self._socket.unlink(missing_ok=True)
        return ""

    def command(self) -> Sequence[str]:
        wiring = json.dumps(asdict(self.wiring))
        words = [str(self._socket), wiring, str(self.control), str(self._folder_file)]
        return [sys.executable, "-P", "-u", "-m", "harness.servers.services.relay", *words]

    def launch(self) -> Process:
        return self.keeper.spawn(self.host, self.command(), stdout=self.log, stderr=self.log)

    def awaited(self) -> str:
        return "" if self._socket.exists() else "its line is not held"

    @property
    def _socket(self) -> Path:
        return self.line / f"{line_name(self.wiring)}.sock"

    @property
    def _folder_file(self) -> Path:
        return self.folder / f"{self.name}.folder"


def mock_line(wiring: Wiring, contact: Callable[[bool], None]) -> Line:
    """A line on a mock pin; `contact` is told whenever the pin changes: True, the relay has pulled in."""
    from gpiozero.pins.mock import MockFactory, MockPin  # noqa: PLC0415 - only relays need it

    class Coil(MockPin):  # type: ignore[misc] # gpiozero is not typed
        def _change_state(self, value: bool) -> bool:
            changed = bool(super()._change_state(value))
            if changed:
                contact(value)
            return changed

    return Line(wiring, MockFactory(pin_class=Coil))


def switch_board(control: Path, folder: Path, closed: bool) -> None:
    """The contact: a board that does not take the power, because its emulator is gone, is no matter of the relay's."""
    try:
        where = folder.read_text(encoding="utf-8").strip() if closed else ""
        request: dict[str, Any] = {"op": "on", "folder": where} if closed else {"op": "off"}
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_PATIENCE)
            connection.connect(str(control))
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as stream:
                answer = stream.readline(65536).decode("utf-8", "replace").strip()
    except OSError as error:
        answer = f"{type(error).__name__}: {error}"
    print(f"contact {'closed' if closed else 'open'}: {answer}", file=sys.stderr)


def main() -> None:
    path, wiring = Path(sys.argv[1]), Wiring(**json.loads(sys.argv[2]))
    control, folder = Path(sys.argv[3]), Path(sys.argv[4])
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    line = mock_line(wiring, lambda closed: switch_board(control, folder, closed))
    Holder(line, listening(path)).serve()


if __name__ == "__main__":
    main()
