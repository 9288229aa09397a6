# SPDX-License-Identifier: GPL-2.0-or-later
"""lab.yaml: read, checked, typed. Every mistake is reported at once, each with file:line:column and what to write.

`load(path)` gives a `LabConfig` or raises `LabFileError`; `board_index(path, cache)` gives names, models and labels
only, from a cache, for pytest's collection. Names are imported when first used: pydantic and ruamel.yaml together cost
more than an empty pytest session, and collection needs neither.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.config.board import BoardConfig
    from harness.config.console import EmulatedConsole, SerialConsole
    from harness.config.gear import EmulatedPower, Login, PluginPower
    from harness.config.index import BoardBrief, board_index
    from harness.config.lab import LabConfig
    from harness.config.mistakes import LabFileError, Mistake
    from harness.config.reader import load, loads
    from harness.config.secret import Secret, SecretSource
    from harness.config.server import EmulatedServer, ExternalServer
    from harness.config.wire import EmulatedWire, InterfaceWire, SshWire

_HOME = {
    "BoardBrief": "index",
    "BoardConfig": "board",
    "EmulatedConsole": "console",
    "EmulatedPower": "gear",
    "EmulatedServer": "server",
    "EmulatedWire": "wire",
    "ExternalServer": "server",
    "InterfaceWire": "wire",
    "LabConfig": "lab",
    "LabFileError": "mistakes",
    "Login": "gear",
    "Mistake": "mistakes",
    "PluginPower": "gear",
    "Secret": "secret",
    "SecretSource": "secret",
    "SerialConsole": "console",
    "SshWire": "wire",
    "board_index": "index",
    "load": "reader",
    "loads": "reader",
}

__all__ = [
    "BoardBrief",
    "BoardConfig",
    "EmulatedConsole",
    "EmulatedPower",
    "EmulatedServer",
    "EmulatedWire",
    "ExternalServer",
    "InterfaceWire",
    "LabConfig",
    "LabFileError",
    "Login",
    "Mistake",
    "PluginPower",
    "Secret",
    "SecretSource",
    "SerialConsole",
    "SshWire",
    "board_index",
    "load",
    "loads",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value
