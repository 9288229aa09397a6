# SPDX-License-Identifier: GPL-2.0-or-later
"""The emulator's configuration file: which boards it plays. All mistakes at once, each with its place."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.emulator import eeprom, otp, raspi, releases
from harness.emulator.dhcp import Identity
from harness.emulator.eeprom import Eeprom
from harness.emulator.otp import Otp
from harness.emulator.releases import Release
from harness.errors import ConfigError
from harness.models import MODELS, Model

#: A Unix socket's path has 108 bytes with its NUL (unix(7)).
_SOCKET_PATH = 107
_INTERFACE = 15
#: "none": the kernel is received and checked, but not started.
MACHINES = ("virt", *raspi.MODELS, "none")
WIRES = ("tap", "interface")


@dataclass(frozen=True, slots=True)
class Settings:
    """One board. memory: of the virtual machine, MiB; paths are absolute. tap: the interface's name, wire: what it is."""

    name: str
    model: Model
    identity: Identity
    eeprom: Eeprom
    release: Release
    tap: str
    speed: float
    machine: str
    memory: int
    control: Path
    status: Path
    artefacts: Path
    log: Path
    otp: Otp = Otp()  # noqa: RUF009 - immutable
    wire: str = "tap"
    repeats: str = "answered"


class _Mistakes(Exception):  # noqa: N818 - a collection on its way up, not an error of its own
    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        super().__init__("; ".join(lines))


def load(path: Path) -> list[Settings]:
    """Raises ConfigError; its place is the file."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", place=str(path)) from error
    except ValueError as error:
        raise ConfigError(f"no JSON: {error}", place=str(path)) from error
    boards = data.get("boards") if isinstance(data, dict) else None
    if not isinstance(boards, list) or not boards:
        raise ConfigError('there must be {"boards": [...]} with at least one board', place=str(path))
    found: list[Settings] = []
    mistakes: list[str] = []
    for number, entry in enumerate(boards):
        try:
            found.append(_board(entry))
        except _Mistakes as wrong:
            mistakes += [f"boards[{number}].{line}" for line in wrong.lines]
    for key in ("name", "tap", "control", "status"):
        values = [str(getattr(one, key)) for one in found]
        mistakes += [f"two boards have the {key} {value!r}" for value in sorted(set(values)) if values.count(value) > 1]
    if mistakes:
        raise ConfigError("; ".join(mistakes), place=str(path))
    return found


def board(entry: object) -> Settings:
    """One board's entry alone. Raises ConfigError without a place."""
    try:
        return _board(entry)
    except _Mistakes as wrong:
        raise ConfigError("; ".join(wrong.lines)) from None


def status_paths(path: Path) -> list[Path]:
    """Where the boards of a configuration that may be wrong want their status; those that can be told."""
    try:
        boards = json.loads(path.read_text(encoding="utf-8"))["boards"]
        paths = [entry["status"] for entry in boards]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [Path(text) for text in paths if isinstance(text, str) and text.startswith("/")]


def _board(entry: object) -> Settings:
    if not isinstance(entry, Mapping):
        raise _Mistakes(["must be an object"])
    mistakes: list[str] = []

    def take(key: str, read: Callable[[Any], Any], default: object = None) -> Any:
        if key not in entry and default is None:
            mistakes.append(f"{key}: is missing")
            return None
        try:
            return read(entry.get(key, default))
        except (ConfigError, ValueError, TypeError) as error:
            mistakes.append(str(error.what) if isinstance(error, ConfigError) else f"{key}: {error}")
            return None

    known = {*_KEYS}
    mistakes += [f"{key}: no such key" for key in entry if key not in known]
    model: Model | None = take("model", _model)
    config: Eeprom | None = take("eeprom", _eeprom, {})
    soc = model.soc if model is not None else "BCM2711"
    release: Release | None = take("bootloader", lambda value: releases.release(_string(value), soc), "")
    mac: bytes | None = take("mac", _mac)
    serial: int | None = take("serial_number", _hexadecimal(8))
    revision: str | None = take("revision", _string, "")
    values = {
        "name": take("name", _word),
        "otp": take("otp", _otp, {}),
        "tap": take("tap", _tap),
        "speed": take("speed", _speed, 1.0),
        "wire": take("wire", _one_of(WIRES), "tap"),
        "repeats": take("repeats", _one_of(("answered", "hang")), "answered"),
        "machine": take("machine", _one_of(MACHINES), "virt"),
        "memory": take("memory", _memory, 512),
        "control": take("control", _socket),
        "status": take("status", _path),
        "artefacts": take("artefacts", _path),
        "log": take("log", _path),
    }
    fits = raspi.MODELS.get(values["machine"])
    if model is not None and fits is not None and model.name not in fits:
        mistakes.append(f"machine: {values['machine']} is a {' or '.join(fits)}, not a {model.name}")
    code = 0
    if model is not None and revision is not None:
        try:
            code = _hexadecimal(6)(revision or model.revision)
        except ValueError as error:
            mistakes.append(f"revision: {error}")
    if mistakes or model is None or config is None or release is None or mac is None or serial is None:
        raise _Mistakes(mistakes)
    config = eeprom.known_to(release, config)
    fourcc = config.option97 or release.fourcc if config.option97 is not None else None
    identity = Identity(config.mac_address or mac, serial, code, fourcc, release.mac_in_guid)
    return Settings(model=model, identity=identity, eeprom=config, release=release, **values)


_KEYS = (
    *("name", "model", "serial_number", "mac", "revision", "tap", "speed", "eeprom", "bootloader", "machine", "memory"),
    *("otp", "wire", "repeats"),
    *("control", "status", "artefacts", "log"),
)


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("must be text")
    return value


def _word(value: object) -> str:
    text = _string(value)
    if not text:
        raise ValueError("must not be empty")
    return text


def _model(value: object) -> Model:
    if value not in MODELS:
        raise ValueError(f"{value!r} is not one of {', '.join(MODELS)}")
    return MODELS[str(value)]


def _eeprom(value: object) -> Eeprom:
    if not isinstance(value, Mapping):
        raise TypeError("must be an object of keys as in bootconf.txt")
    return eeprom.read(value)


def _otp(value: object) -> Otp:
    if not isinstance(value, Mapping):
        raise TypeError("must be an object")
    return otp.read(value)


def _mac(value: object) -> bytes:
    if not re.fullmatch(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}", _string(value)):
        raise ValueError(f"{value!r} is not a MAC address such as dc:a6:32:01:36:c2")
    mac = bytes.fromhex(str(value).replace(":", ""))
    if mac[0] & 1:
        raise ValueError(f"{value!r} is a group address, not a board's")
    return mac


def _hexadecimal(digits: int) -> Callable[[object], int]:
    def read(value: object) -> int:
        if not re.fullmatch(rf"[0-9A-Fa-f]{{{1 if digits == 6 else digits},{digits}}}", _string(value)):
            raise ValueError(f"{value!r} is not {digits} hexadecimal digits")
        return int(str(value), 16)

    return read


def _tap(value: object) -> str:
    text = _word(value)
    if len(text) > _INTERFACE:
        raise ValueError(f"{text!r} is longer than {_INTERFACE} characters")
    return text


def _speed(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.01 <= value <= 10_000:
        raise ValueError(f"{value!r} is not a number from 0.01 to 10000")
    return float(value)


def _memory(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 64 <= value <= 8192:
        raise ValueError(f"{value!r} is not a number of MiB from 64 to 8192")
    return value


def _one_of(known: tuple[str, ...]) -> Callable[[object], str]:
    def read(value: object) -> str:
        if value not in known:
            raise ValueError(f"{value!r} is not one of {', '.join(known)}")
        return str(value)

    return read


def _path(value: object) -> Path:
    path = Path(_word(value))
    if not path.is_absolute():
        raise ValueError(f"{value!r} is not an absolute path")
    return path


def _socket(value: object) -> Path:
    path = _path(value)
    if len(str(path).encode()) > _SOCKET_PATH:
        raise ValueError(f"{value!r} is longer than {_SOCKET_PATH} bytes, the most for a socket")
    return path
