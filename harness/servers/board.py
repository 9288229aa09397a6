# SPDX-License-Identifier: GPL-2.0-or-later
"""A virtual board as the lab describes it, and where the rest of the harness finds it once its rig runs."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from harness.errors import ConfigError
from harness.servers.cable import Faults

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_SERIAL = re.compile(r"[0-9a-f]{8}")
_FOLDER = re.compile(r"([A-Za-z0-9._-]+/)*")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class OwnTexts(Protocol):
    """How the user's own image is changed for a topology; `wanted` is what the topology says for a set that is built here."""

    @property
    def initramfs(self) -> Mapping[str, Path]:
        """Name -> what takes the place of that file among the boot files."""

    def cmdline(self, wanted: str) -> str:
        """The command line that a board takes by default, without its end."""

    def boot_files(self, wanted: str) -> Mapping[str, str]:
        """config.txt and all command lines; wanted: the command line."""

    def root_files(self, wanted: Mapping[str, str]) -> Mapping[str, str]:
        """What differs in a board's root from the image's: relative path -> text."""


class BootSetLike(Protocol):
    """What a rig needs of a built boot set."""

    @property
    def boot(self) -> Path:
        """The boot partition's files, without config.txt and cmdline.txt: firmware, kernel, initramfs, DTBs, overlays/."""

    @property
    def root(self) -> Path:
        """The root file system as a directory; never written to."""

    @property
    def kind(self) -> str:
        """ "debian", "light" or "image"."""

    @property
    def initramfs(self) -> Path | None:
        """What takes the place of boot/initramfs8; None for that one itself."""

    @property
    def image(self) -> Path | None:
        """The root as an ext4 image; None where it is not served as a block device."""

    @property
    def own(self) -> OwnTexts | None:
        """What the user's own image says itself; None for a set that is built here."""


@dataclass(frozen=True)
class VirtualBoard:
    """An emulated Pi. serial_number: 8 hex digits, as in its TFTP directory; mac: lower case with colons.

    speed: how much faster than a real board its waits are. files: "folder", its boot files lie where its bootloader asks for
    them first, or "root", in the TFTP root, which it falls back to. machine: the QEMU machine; memory in MiB. otp: net_boot,
    usb_boot_timeout, strict and sd_card of a board that starts from its ROM. cable: what is wrong with it, None for nothing.
    repeats: what its start*.elf makes of a repeated DATA block, "answered" or "hang".
    Raises ConfigError for a name, serial number or MAC that cannot be.
    """

    name: str
    model: str
    serial_number: str
    mac: str
    revision: str = ""
    speed: float = 1.0
    machine: str = "virt"
    memory: int = 512
    eeprom: Mapping[str, str] = field(default_factory=dict)
    bootloader: str = ""
    otp: Mapping[str, Any] = field(default_factory=dict)
    files: str = "folder"
    cable: Faults | None = None
    repeats: str = "answered"

    def __post_init__(self) -> None:
        for what, value, pattern, form in (
            ("name", self.name, _NAME, "letters, digits, '.', '_' and '-', since it names a folder"),
            (
                "serial number",
                self.serial_number,
                _SERIAL,
                "8 hexadecimal digits in lower case, such as 5ce8a2f1",
            ),
            ("MAC", self.mac, _MAC, "six pairs in lower case, such as dc:a6:32:01:02:03"),
        ):
            if not pattern.fullmatch(value):
                raise ConfigError(f"board {self.name!r} has the {what} {value!r}", remedy=f"write {form}")
        if not _FOLDER.fullmatch(self.folder) or ".." in self.folder.split("/"):
            raise ConfigError(
                f"board {self.name!r} has the TFTP_PREFIX_STR {self.eeprom.get('TFTP_PREFIX_STR')!r}, which is no folder",
                remedy='write a folder below the TFTP root, with its slash: "pi4/"',
            )

    @property
    def folder(self) -> str:
        """Where its boot files lie below the TFTP root: "5ce8a2f1/", or "" for the root itself.

        A bootloader asks there first, by TFTP_PREFIX (eeprom-bootloader.adoc); one without an EEPROM knows serial numbers only.
        """
        if self.files == "root":
            return ""
        which = self.eeprom.get("TFTP_PREFIX", "0")
        if which == "1":
            return self.eeprom.get("TFTP_PREFIX_STR", "")
        return f"{self.mac.replace(':', '-')}/" if which == "2" else f"{self.serial_number}/"


@dataclass(frozen=True)
class BoardPort:
    """Where a board of a running rig is reached. `console` is empty until its emulator is ready.

    tap: its switch port, in `host`, where its packets are captured. cmdline: its cmdline.txt. console: path of the pty that is
    its serial line. control_socket: switches its power.
    """

    tap: str
    control_socket: Path
    status: Path
    cmdline: str
    console: str = ""
    host: str = "client"
