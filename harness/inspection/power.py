# SPDX-License-Identifier: GPL-2.0-or-later
"""Looks at a board's power port without switching it."""

import os
import socket
from dataclasses import replace
from pathlib import Path

from harness.config import BoardConfig
from harness.config.power import GpioRelayPower
from harness.errors import InfraError
from harness.inspection.seen import Seen
from harness.power.opening import open_port
from harness.power.port import PowerPort

_ANSWER = 5.0


def look_at_power(board: BoardConfig, row: Seen) -> Seen:
    """What the port reads back, and what stands behind it. Raises as `open_port` and `PowerPort.state`."""
    config = board.power
    if isinstance(config, GpioRelayPower):
        return _relay(config, row)
    port = open_port(config)
    try:
        row = replace(row, gear=f"{row.gear}: {port.identity}")
        # First who it is: that answers also where the state cannot be told.
        row = replace(row, identity=identify(port), reachable=True)
        state = port.state()
        said = f"{state}, {port.detail}" if port.detail else state
        fix = "" if state in {"on", "off"} else "add read_back: to have the state read back, or look at the gear"
        return replace(row, rights=True, state=said, fix=fix)
    finally:
        if (close := getattr(port, "close", None)) is not None:
            close()


def identify(port: PowerPort) -> str:
    """What the gear says that it is; "" for a driver that has no way to ask. InfraError."""
    ask = getattr(port, "identify", None)
    return str(ask()) if ask is not None else ""


def _relay(config: GpioRelayPower, row: Seen) -> Seen:
    """A line is only asked when somebody holds it already: to take it could change its level, and so the board's power."""
    port = open_port(config.model_copy(update={"on_exit": "keep"}), starts=False)
    row = replace(row, gear=f"{row.gear}: {port.identity}")
    try:
        state = port.state()
    except InfraError as error:
        if "is busy" in error.what:
            return replace(row, reachable=True, rights=False, state=error.what, fix="wait for that run, or end it")
        if "is not there" not in error.what:
            raise
    else:
        return replace(
            row, reachable=True, rights=True, state=f"{state}, {port.detail}", identity="held for the harness"
        )
    finally:
        port.close()  # type: ignore[attr-defined]
    return _free_line(config, replace(row, state="nobody holds the line yet: its level is as the board's boot left it"))


def _free_line(config: GpioRelayPower, row: Seen) -> Seen:
    """Whether the line could be taken."""
    if config.factory == "pigpio":
        return _pigpiod(config.host or "localhost", config.tcp_port, row)
    if config.factory == "mock":
        return replace(row, reachable=True, rights=True, identity="gpiozero's mock pins")
    chips = [Path(f"/dev/gpiochip{config.chip}")] if config.chip is not None else sorted(Path("/dev").glob("gpiochip*"))
    chips = [chip for chip in chips if chip.exists()]
    if not chips:
        fix = "run this on the Pi with the relays, or use factory: pigpio with host:"
        return replace(row, reachable=False, state="this machine has no GPIO chip", fix=fix)
    row = replace(row, identity=", ".join(map(str, chips)))
    if any(os.access(chip, os.R_OK | os.W_OK) for chip in chips):
        return replace(row, reachable=True, rights=True)
    fix = "sudo adduser $USER gpio and log in again, or run with sudo"
    return replace(row, reachable=True, rights=False, state="may not be opened", fix=fix)


def _pigpiod(host: str, number: int, row: Seen) -> Seen:
    try:
        socket.create_connection((host, number), _ANSWER).close()
    except OSError as error:
        fix = f"start pigpiod on {host} (`pigpiod -n` with this host's address)"
        return replace(row, reachable=False, state=f"no pigpiod at {host}:{number}: {error}", fix=fix)
    return replace(row, reachable=True, identity=f"pigpiod at {host}:{number}")
