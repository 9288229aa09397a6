# SPDX-License-Identifier: GPL-2.0-or-later
"""lab.yaml: read, checked, typed. Every mistake is reported at once, each with file:line:column and what to write.

`load(path)` gives a `LabConfig` or raises `LabFileError`; `board_index(path, cache)` gives names, models and labels
only, from a cache, for pytest's collection. Names are imported when first used: pydantic and ruamel.yaml together cost
more than an empty pytest session, and collection needs neither.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.config.index import BoardBrief, board_index
    from harness.config.lab import (
        BoardConfig,
        EmulatedConsole,
        EmulatedPower,
        EmulatedServer,
        EmulatedWire,
        ExternalServer,
        InterfaceWire,
        LabConfig,
        Login,
        PluginPower,
        SerialConsole,
        SshWire,
    )
    from harness.config.mistakes import LabFileError, Mistake
    from harness.config.reader import load, loads
    from harness.config.secret import Secret, SecretSource

_HOME = {
    "BoardBrief": "index",
    "board_index": "index",
    "load": "reader",
    "loads": "reader",
    "LabFileError": "mistakes",
    "Mistake": "mistakes",
    "Secret": "secret",
    "SecretSource": "secret",
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
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME.get(name, 'lab')}"), name)
    globals()[name] = value
    return value
