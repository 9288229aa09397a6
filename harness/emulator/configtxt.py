# SPDX-License-Identifier: GPL-2.0-or-later
"""config.txt as the firmware reads it: conditional filters, include, and the settings that a network boot depends on.

Source: raspberrypi/documentation, config_txt (conditional filters, boot options, what is config.txt); FW#1012 for the
size limit. Reading never raises, whatever the bytes.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

#: Characters of a line beyond this are not read (documentation).
LINE_LIMIT = 98
#: start4.elf ignores a longer config.txt that comes over TFTP (FW#1012).
SIZE_LIMIT = 4096
_MOST_INCLUDES = 16
_DEEPEST = 4
#: Which filters hold for a model, beside its own name and [all] (documentation, model filters).
_MODEL_FILTERS = {
    "pi1", "pi2", "pi3", "pi3+", "pi4", "pi5", "pi400", "pi500", "cm1", "cm3", "cm3+", "cm4", "cm4s", "cm5", "pi0",
    "pi0w", "pi02",
}  # fmt: skip
_IMPLIED = {
    "pi400": {"pi4"},
    "cm4": {"pi4"},
    "pi500": {"pi5"},
    "cm5": {"pi5"},
    "pi3bplus": {"pi3", "pi3+"},
    "pi3b": {"pi3"},
}
_BOARD_TYPES = {
    "pi2b": 0x04,
    "pi3b": 0x08,
    "pi3bplus": 0x0D,
    "pi4": 0x11,
    "pi400": 0x13,
    "cm4": 0x14,
    "pi5": 0x17,
    "cm5": 0x18,
}


@dataclass(frozen=True, slots=True)
class Conditions:
    """What filters are held against. gpio: levels of pins that are high; edid: names of attached displays."""

    model: str
    serial: int
    tryboot: bool = False
    gpio_high: frozenset[int] = frozenset()
    edid: frozenset[str] = frozenset()

    def holds(self, name: str) -> tuple[str, bool] | None:
        """(kind, whether it matches) of a filter's name without brackets; None when it is no known filter."""
        lower = name.lower()
        found: tuple[str, bool] | None = None
        if lower in _MODEL_FILTERS:
            found = "model", lower in {self.model, *_IMPLIED.get(self.model, ())}
        elif lower == "none":
            found = "none", False
        elif lower == "tryboot":
            found = "tryboot", self.tryboot
        elif re.fullmatch(r"0x[0-9a-f]{1,8}", lower):
            found = "serial", int(lower, 16) == self.serial
        elif match := re.fullmatch(r"board-type=(0x[0-9a-f]{1,4}|\d{1,4})", lower):
            found = "board-type", int(match[1], 0) == _BOARD_TYPES.get(self.model)
        elif match := re.fullmatch(r"gpio(\d{1,3})=([01])", lower):
            found = "gpio", (int(match[1]) in self.gpio_high) == (match[2] == "1")
        elif lower.startswith("edid="):
            found = "edid", name[5:] in self.edid
        elif re.fullmatch(r"hdmi:[01]", lower):
            found = "hdmi", True  # says which port the settings are for, not whether they are read
        elif match := re.fullmatch(r"(?:boot_)?partition=(\d{1,3})", lower):
            found = "partition", int(match[1]) == 0
        return found


@dataclass(slots=True)
class Config:
    """values: the last value of each key, lower case; overlays: (name, parameters) in order; missing: includes."""

    values: dict[str, str] = field(default_factory=dict)
    overlays: list[tuple[str, str]] = field(default_factory=list)
    dtparams: list[str] = field(default_factory=list)
    initramfs_line: str = ""

    def text(self, key: str, default: str = "") -> str:
        return self.values.get(key, default)

    def number(self, key: str, default: int = 0) -> int:
        """A value as a number, the default when it is none."""
        try:
            return int(self.values.get(key, ""), 0)
        except ValueError:
            return default

    def flag(self, key: str, *, default: bool = False) -> bool:
        return bool(self.number(key, int(default)))

    @property
    def initramfs_names(self) -> tuple[str, ...]:
        """Files named by `initramfs NAMES ADDRESS` or ramfsfile=, in order; several are joined with commas."""
        words = self.initramfs_line.split()
        names = words[0] if words else self.text("ramfsfile")
        return tuple(name for name in names.split(",") if name)


class Reader:
    """Reads config.txt line by line; a caller that meets `include` gets the file and feeds its lines in turn."""

    def __init__(self, conditions: Conditions) -> None:
        self.config = Config()
        self._conditions = conditions
        self._filters: dict[str, bool] = {}

    def lines(self, data: bytes) -> Iterator[str]:
        """Takes the text; yields the names of included files, which are to be read before going on."""
        for raw in data.split(b"\n"):
            line = raw[:LINE_LIMIT].split(b"\0")[0].decode("utf-8", "replace").strip()
            if not line or line.startswith("#"):
                continue
            if line.startswith("[") and line.endswith("]"):
                self._filter(line[1:-1].strip())
            elif all(self._filters.values()):
                words = line.split(None, 1)
                if words[0] == "include" and len(words) == 2:
                    yield words[1].strip()
                else:
                    self._set(line)

    def _filter(self, name: str) -> None:
        if name.lower() == "all":
            self._filters = {}
            return
        held = self._conditions.holds(name)
        if held is None:
            self._filters["unknown"] = False
            return
        # A filter replaces the former one of its kind; different kinds must hold together (documentation).
        self._filters.pop("unknown", None)
        if held[0] == "model":
            self._filters.pop("none", None)
        self._filters[held[0]] = held[1]

    def _set(self, line: str) -> None:
        if line.split(maxsplit=1)[0] == "initramfs":
            self.config.initramfs_line = line[len("initramfs") :].strip()
            return
        key, equals, value = line.partition("=")
        key, value = key.strip().lower(), value.strip()
        if not equals or not key:
            return
        if key == "dtoverlay":
            name, _comma, parameters = value.partition(",")
            if ":" in name:  # dtoverlay=name:parameters is the old spelling
                name, _colon, parameters = value.partition(":")
            if name:
                self.config.overlays.append((name.strip(), parameters))
        elif key == "dtparam":
            self.config.dtparams.append(value)
        else:
            self.config.values[key] = value


class Walk:
    """A depth-first walk through config.txt and what it includes, without doing the fetching itself.

    Feed the text of each file that `wanted` names (None when it is missing) until `wanted` is "".
    """

    def __init__(self, conditions: Conditions, data: bytes, *, includes: bool = True) -> None:
        self._reader = Reader(conditions)
        self._open = [self._reader.lines(data)]
        self._left = _MOST_INCLUDES if includes else 0
        self.wanted = ""
        self._advance()

    @property
    def config(self) -> Config:
        return self._reader.config

    def feed(self, data: bytes | None) -> None:
        if data is not None and len(self._open) < _DEEPEST:
            self._open.append(self._reader.lines(data))
        self._advance()

    def _advance(self) -> None:
        self.wanted = ""
        while self._open:
            name = next(self._open[-1], None)
            if name is None:
                self._open.pop()
            elif self._left > 0:
                self._left -= 1
                self.wanted = name
                return


def read(data: bytes, conditions: Conditions, fetch: Callable[[str], bytes | None] = lambda _name: None) -> Config:
    """The settings of a config.txt whose includes `fetch` gives."""
    walk = Walk(conditions, data)
    while walk.wanted:
        walk.feed(fetch(walk.wanted))
    return walk.config
