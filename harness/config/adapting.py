# SPDX-License-Identifier: GPL-2.0-or-later
"""A lab with what a command line says instead of lab.yaml: `--speed`, `--root`, `--topology`, `--image`."""

from collections.abc import Mapping
from pathlib import Path
from typing import get_args

from harness.config import EmulatedServer, LabConfig
from harness.config.files import why_no_file
from harness.errors import ConfigError


def adapted(
    config: LabConfig,
    *,
    speed: float | None = None,
    root: str | None = None,
    topology: str | None = None,
    image: Path | None = None,
) -> LabConfig:
    """A copy of the lab; what is None stays as it is. ConfigError: an option that does not fit it."""
    if speed is not None:
        try:
            config = config.with_speed(speed)
        except ValueError as error:
            raise ConfigError(str(error), place="--speed", remedy="give a number between 0.1 and 1000") from None
    if root is not None and image is not None:
        raise ConfigError(
            "--root and --image exclude each other", remedy="leave one of them out: an image has its own root"
        )
    for key, wanted in (("root", root), ("topology", topology)):
        if wanted is not None:
            known = get_args(EmulatedServer.model_fields[key].annotation)
            if wanted not in known:
                raise ConfigError(
                    f"there is no {key} {wanted!r}", place=f"--{key}", remedy=f"choose of: {', '.join(known)}"
                )
            config = _with_emulated(config, key, {key: wanted, **({"image": None} if key == "root" else {})})
    if image is None:
        return config
    if why := why_no_file(image):
        raise ConfigError(f"{image} {why}", place="--image", remedy="name an image's file: .img or .img.xz")
    return _with_emulated(config, "image", {"image": str(image)})


def _with_emulated(config: LabConfig, key: str, values: Mapping[str, str | None]) -> LabConfig:
    """The lab with other values for all of its emulated servers, as the option --KEY says."""
    emulated = [name for name, server in config.servers.items() if isinstance(server, EmulatedServer)]
    if not emulated:
        raise ConfigError(
            "this lab has no emulated server", place=f"--{key}", remedy="leave it out: it is for emulated labs"
        )
    config = config.model_copy(deep=True)
    for name in emulated:
        config.servers[name] = config.servers[name].model_copy(update=values)
    return config
