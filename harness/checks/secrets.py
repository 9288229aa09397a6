# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks that every secret which lab.yaml names is where it says, without showing any."""

from collections.abc import Iterator

from pydantic import BaseModel

from harness.checks.probes import Check
from harness.config import LabConfig
from harness.config.secret import Secret, SecretSource
from harness.errors import ConfigError
from harness.redaction import SHORTEST


def secret_checks(lab: LabConfig) -> Iterator[Check]:
    """One for each."""
    for board in lab.boards.values():
        for path, source in _sources(board):
            name, why = (
                f"{path} of {board.name}",
                "logging in" if path.startswith("login") else f"reaching {board.name}",
            )
            try:
                secret = source.resolve()
            except ConfigError as error:
                yield Check(name, False, f"{error.place}: {error.what}", error.remedy, why)
            else:
                yield _there(name, secret, why)


def _there(name: str, secret: Secret, why: str) -> Check:
    if len(secret.reveal()) >= SHORTEST:
        return Check(name, True, "there", "", why)
    found = f"there, but of fewer than {SHORTEST} characters: texts of others are not searched for it"
    return Check(name, None, found, "choose a longer one, else a device that says it back puts it into logs", why)


def _sources(section: BaseModel, path: str = "") -> Iterator[tuple[str, SecretSource]]:
    """Every secret that a section names, at any depth, with its keys: ("login.password", source)."""
    for key in type(section).model_fields:
        value = getattr(section, key)
        inner = value.items() if isinstance(value, dict) else [("", value)]
        for word, item in inner:
            here = ".".join(part for part in (path, key, word) if part)
            if isinstance(item, SecretSource):
                yield here, item
            elif isinstance(item, BaseModel):
                yield from _sources(item, here)
