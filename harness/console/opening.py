# SPDX-License-Identifier: GPL-2.0-or-later
"""From lab.yaml's `console:` to a line that is opened, as often as it must be."""

from collections.abc import Callable
from pathlib import Path

from harness.boot.events import ConsoleGap, Milestone
from harness.config.console import SerialConsole
from harness.console.log import ConsoleLog
from harness.console.milestones import NAMES
from harness.console.port import BytePort, open_port
from harness.console.sending import Pace
from harness.console.usb import Identity, find
from harness.errors import ConfigError, HarnessError


def open_line(config: SerialConsole) -> BytePort:
    """Open the line that one console of lab.yaml stands for. ConfigError, InfraError."""
    return open_port(device_of(config), config.baud)


def device_of(config: SerialConsole) -> str:
    """The device or URL of a console, now. InfraError: its USB adapter is not there; ConfigError: several fit."""
    return find(Identity(**config.usb.model_dump())) if config.usb is not None else config.line


def console_log(
    config: SerialConsole,
    folder: Path,
    *,
    on_event: Callable[[Milestone | ConsoleGap], None],
    on_error: Callable[[HarnessError], None],
    opened: Callable[[SerialConsole], BytePort] = open_line,
) -> ConsoleLog:
    """The log of a console in `folder`, not started yet. ConfigError: `baud_after` names no milestone."""
    check_milestones(config)
    return ConsoleLog(
        lambda: opened(config),
        folder,
        name=config.line,
        on_event=on_event,
        on_error=on_error,
        baudrate=config.baud,
        baud_after=config.baud_after,
        pace=Pace(config.send.char_delay, config.send.line_delay, config.send.chunk),
        reconnect_for=config.reconnect,
    )


def check_milestones(config: SerialConsole) -> None:
    """ConfigError: the rate of a line is to change at a milestone that there is none of."""
    for name in config.baud_after:
        if name not in NAMES:
            family = ", ".join(sorted(known for known in NAMES if known.split(".")[0] == name.split(".")[0]))
            raise ConfigError(
                f"there is no milestone {name!r}: baud_after would never happen",
                remedy=f"choose of: {family or ', '.join(sorted(NAMES))}",
            )
