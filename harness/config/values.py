# SPDX-License-Identifier: GPL-2.0-or-later
"""The kinds of value that lab.yaml holds: names, addresses, numbers, each with what to write instead of a wrong one."""

import ipaddress
import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from harness.config.mistakes import show, suggest
from harness.models import MODELS


class Section(BaseModel):
    """A mapping in lab.yaml: unknown keys are mistakes; what was read does not change. Docstrings are the reference."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


def mistake(what: str, instead: str, *, at: tuple[str, ...] = ()) -> PydanticCustomError:
    """The error of a value: what is wrong (after the path, "boards.a.mac: …") and what to write instead.

    at: the keys inside the value that it stands at, when the whole is checked.
    """
    return PydanticCustomError("mistake", "{what}", {"what": what, "instead": instead, "at": at})


def matching(pattern: str, what: str, instead: str) -> Callable[[str], str]:
    """A validator: the whole text matches `pattern`, or the mistake names the value."""
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if compiled.fullmatch(value) is None:
            raise mistake(f"{show(value)} is not {what}", instead)
        return value

    return check


def _mac(value: str) -> str:
    text = value.strip().lower()
    digits = re.sub(r"[:.\-]", "", text)
    if re.fullmatch(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", text) is None:
        instead = 'six pairs of hex digits with colons, in quotes: "e4:5f:01:09:02:f7"'
        if re.fullmatch(r"[0-9a-f]{12}", digits):
            instead = f'write "{":".join(digits[index : index + 2] for index in range(0, 12, 2))}"'
        raise mistake(f"{show(value)} is not a MAC address", instead)
    if int(text[:2], 16) & 1 or text == "00:00:00:00:00:00":
        kind = "no address" if not int(digits, 16) else "a group address"
        raise mistake(
            f"{show(value)} is {kind}, no board has it", "take the one that the board's label or `ip link` shows"
        )
    return text


def _serial_number(value: str) -> str:
    text = value.strip().lower().removeprefix("0x")
    if re.fullmatch(r"[0-9a-f]{8}", text):
        return text
    instead = 'the last 8 hex digits of "Serial" in the board\'s /proc/cpuinfo, in quotes: "91cdf03d"'
    if re.fullmatch(r"[0-9a-f]{16}", text):
        instead = f'write its last 8 digits: "{text[8:]}" (the name of the board\'s TFTP folder)'
    elif re.fullmatch(r"[0-9a-f]{1,7}", text):
        instead = f'write all 8 digits, with the leading zeros: "{text:0>8}"'
    raise mistake(f"{show(value)} is not a serial number", instead)


def _revision(value: str) -> str:
    text = value.strip().lower().removeprefix("0x")
    if re.fullmatch(r"[0-9a-f]{4,8}", text) is None:
        raise mistake(
            f"{show(value)} is not a revision code",
            'the hex digits of "Revision" in /proc/cpuinfo, in quotes: "d03114"',
        )
    return text


def _ipv4(value: str) -> str:
    try:
        return str(ipaddress.IPv4Address(value))
    except ValueError:
        raise mistake(
            f"{show(value)} is not an IPv4 address", "four numbers from 0 to 255 with dots: 10.0.0.1"
        ) from None


def _model(value: str) -> str:
    if value not in MODELS:
        raise mistake(f"{show(value)} is not a known model", suggest(value, MODELS))
    return value


def _absolute(value: str) -> str:
    if not value.startswith("/") or "\0" in value:
        raise mistake(
            f"{show(value)} is not an absolute path",
            f"start it with a slash, as in {'/dev/ttyUSB0' if 'tty' in value else '/srv/tftp'}",
        )
    return value


def _texts(schema: dict[str, Any]) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", **schema})


#: Names of boards, wires and servers: they become folder names, host names and tap names.
NAME_PATTERN = "[A-Za-z0-9][A-Za-z0-9_-]{0,31}"
Name = Annotated[
    str,
    AfterValidator(
        matching(
            NAME_PATTERN, "a usable name", "letters, digits, - and _, first a letter or digit, at most 32 characters"
        )
    ),
    _texts({"pattern": f"^{NAME_PATTERN}$"}),
]
Mac = Annotated[
    str,
    AfterValidator(_mac),
    _texts({"pattern": "^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}$", "examples": ["e4:5f:01:09:02:f7"]}),
]
SerialNumber = Annotated[
    str, AfterValidator(_serial_number), _texts({"pattern": "^(0x)?[0-9A-Fa-f]{8}$", "examples": ["91cdf03d"]})
]
Revision = Annotated[
    str, AfterValidator(_revision), _texts({"pattern": "^(0x)?[0-9A-Fa-f]{4,8}$", "examples": ["d03114"]})
]
Ipv4 = Annotated[str, AfterValidator(_ipv4), _texts({"format": "ipv4", "examples": ["10.0.0.1"]})]
ModelName = Annotated[str, AfterValidator(_model), _texts({"enum": sorted(MODELS)})]
AbsolutePath = Annotated[str, AfterValidator(_absolute), _texts({"pattern": "^/"})]
EnvironmentName = Annotated[
    str,
    AfterValidator(matching("[A-Za-z_][A-Za-z0-9_]*", "a variable's name", "letters, digits and _, no $: PI_PASSWORD")),
    _texts({"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"}),
]
#: Interface names of Linux: at most 15 bytes, no slash, no white space.
InterfaceName = Annotated[
    str,
    AfterValidator(matching(r"(?!\.{1,2}$)[!-.0-~]{1,15}", "an interface's name", "as `ip link` shows it: eth1")),
    _texts({"pattern": "^[!-.0-~]{1,15}$"}),
]
Seconds = Annotated[float, Field(strict=True, gt=0, le=86400)]
Speed = Annotated[float, Field(strict=True, ge=0.1, le=1000)]

#: Marks that pytest and its plug-ins give a meaning to: a label must not be one of them.
_RESERVED = {
    *("parametrize", "skip", "skipif", "xfail", "usefixtures", "filterwarnings", "tryfirst", "trylast", "timeout"),
    *("xdist_group", "and", "or", "not", "netns", "qemu", "slow", "needs"),
}


def _label(value: str) -> str:
    if re.fullmatch("[a-z][a-z0-9_]{0,31}", value) is None:
        raise mistake(f"{show(value)} is not a usable label", "small letters, digits and _, first a letter: rack2")
    if value in _RESERVED or value in MODELS:
        why = "the model is a mark already" if value in MODELS else "pytest has a mark of this name"
        raise mistake(
            f"{show(value)} cannot be a label: {why}", "remove it" if value in MODELS else "take another word"
        )
    return value


Label = Annotated[str, AfterValidator(_label), _texts({"pattern": "^[a-z][a-z0-9_]{0,31}$"})]
