# SPDX-License-Identifier: GPL-2.0-or-later
"""Secrets: lab.yaml names where one is kept, never the secret itself; in memory it does not show itself by accident."""

import os
from pathlib import Path
from typing import Annotated, Any, NoReturn

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from harness.config.files import NotAFileError, open_regular
from harness.config.keyring import lookup
from harness.config.values import EnvironmentName, Section, matching
from harness.errors import ConfigError
from harness.redaction import hide

#: Longer is not a password but a wrong path.
_LONGEST = 4096


class Secret:
    """A secret in memory. str, repr and format are masked; `reveal()` gives it, at the one place that sends it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret('********')"

    def __str__(self) -> str:
        return "********"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(("Secret", self._value))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not written to files or sent to other processes; pass its SecretSource")


class SecretSource(Section):
    """Where a secret is kept: `{env: NAME}`, `{file: path}` or `{keyring: service/user}`. Never the secret itself."""

    env: EnvironmentName | None = Field(default=None, examples=["PI_PASSWORD"])
    """Name of the environment variable that holds the secret."""

    file: str | None = Field(default=None, min_length=1, examples=["~/.config/piboot/pi-password"])
    """File that holds the secret in its first line, readable by its owner only (mode 0600). A relative path starts at
    lab.yaml's folder."""

    keyring: (
        Annotated[
            str,
            AfterValidator(matching(r"[^/\s]{1,64}/[^/\s]{1,64}", "an entry", 'service and user: "piboot/switch-1"')),
        ]
        | None
    ) = Field(default=None, examples=["piboot/switch-1"])
    """Entry of the system's keyring, service and user, as `secret-tool store --label=piboot service piboot username switch-1`
    makes it. Read through Python's `keyring` if it is in the harness' venv, else through `secret-tool` (libsecret-tools)."""

    @model_validator(mode="before")
    @classmethod
    def _only_a_reference(cls, value: Any) -> Any:
        # Never show the value: it is the secret.
        if not isinstance(value, dict):
            raise PydanticCustomError(
                "mistake",
                "a secret must not stand in lab.yaml",
                {
                    "instead": "write {env: NAME} to take it from an environment variable, {file: path} to read it "
                    "from a file of mode 0600, or {keyring: service/user} for the system's keyring; "
                    "if this file was ever committed or shared, change the secret too"
                },
            )
        given = [key for key in ("env", "file", "keyring") if key in value]
        if len(given) != 1:
            found = (
                f"{'both ' if given[2:] == [] else ''}{' and '.join(given)} are given" if given else "no place is given"
            )
            raise PydanticCustomError(
                "mistake",
                "{found}",
                {"found": found, "instead": "write {env: NAME}, {file: path} or {keyring: service/user}"},
            )
        return value

    @field_validator("file")
    @classmethod
    def _from_the_folder_of_the_lab(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None:
            return None
        path = Path(value).expanduser() if not value.startswith("~") or value.startswith("~/") else Path(value)
        folder = (info.context or {}).get("folder")
        return str(folder / path if folder is not None else path)

    def resolve(self) -> Secret:
        """Read the secret now. ConfigError when it is not there, empty, or readable by others."""
        if self.env is not None:
            value = _from_environment(self.env)
        elif self.keyring is not None:
            value = lookup(*self.keyring.split("/", 1))
        else:
            value = _from_file(Path(self.file or ""))
        hide(value)
        return Secret(value)


def _from_environment(name: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise ConfigError(
            f"the environment variable {name} is {'empty' if name in os.environ else 'not set'}",
            place=f"${name}",
            remedy=f"export {name}=… before the run (under sudo: sudo --preserve-env={name} …)",
        )
    return value


def _from_file(path: Path) -> str:
    place = str(path)
    try:
        file, mode = open_regular(path)
    except NotAFileError:
        raise ConfigError("the secret's file is not a file", place=place, remedy="name a file with one line") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        remedy = "create it: one line, mode 0600"
        raise ConfigError(f"the secret's file cannot be read: {reason}", place=place, remedy=remedy) from error
    with file:
        if mode & 0o077:
            raise ConfigError(
                f"the secret's file can be read or changed by others (mode {mode:04o})",
                place=place,
                remedy=f"chmod 600 {place}",
            )
        first = file.read(_LONGEST + 1).split(b"\n", 1)[0].rstrip(b"\r")
    try:
        text = first.decode()
    except UnicodeDecodeError:
        # Not chained: that error's text holds the bytes.
        raise ConfigError("the secret's file is not UTF-8 text", place=place, remedy="one line of text") from None
    if not text or len(first) > _LONGEST:
        what = (
            "the secret's file has an empty first line"
            if not text
            else "the first line of the secret's file is too long"
        )
        raise ConfigError(what, place=place, remedy="put the secret into the first line")
    return text
