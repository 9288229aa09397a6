# SPDX-License-Identifier: GPL-2.0-or-later
"""Lays out a TFTP root: a directory per board, where its bootloader looks for it, with real copies, so that a fault can be made
by editing a file and meets one board of one rig alone."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from harness.errors import InfraError
from harness.models import MODELS, Model
from harness.servers.board import BootSetLike, VirtualBoard
from harness.servers.device_tree import stand_in
from harness.servers.topology import Topology

# The boot ROM of a 3B asks for it before it knows of directories, so it lies in the root, too.
_SHARED = ("bootcode.bin",)
# What turns its log on the serial line on: `sed -i s/BOOT_UART=0/BOOT_UART=1/ bootcode.bin` (Raspberry Pi documentation).
_SILENT, _TALKING = b"BOOT_UART=0", b"BOOT_UART=1"


def lay_out(tftp_root: Path, board: VirtualBoard, topology: Topology, boot_set: BootSetLike | None) -> Path:
    """Fill the board's folder below `tftp_root` and give it. Without a boot set it holds config.txt and cmdline.txt only.

    All files are readable by everyone: dnsmasq hands out no others. Raises InfraError when the disk is full.
    """
    directory = tftp_root / board.folder
    try:
        tftp_root.mkdir(parents=True, exist_ok=True)
        if boot_set is not None:
            # Symbolic links become files: a TFTP server must not be led out of its root.
            shutil.copytree(boot_set.boot, directory, copy_function=shutil.copyfile, dirs_exist_ok=True)
        directory.mkdir(parents=True, exist_ok=True)
        own = boot_set.own if boot_set is not None else None
        if boot_set is not None and own is None:
            _complete(directory, MODELS.get(board.model))
            if boot_set.initramfs is not None:
                shutil.copyfile(boot_set.initramfs, directory / "initramfs8")
        for name, content in topology.boot_files(board).items():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            (directory / name).write_bytes(content)
        for name, text in (
            own.boot_files(topology.cmdline(board)) if own else _texts(directory, board, topology)
        ).items():
            (directory / name).write_text(text, encoding="utf-8", errors="surrogateescape")
        for name, path in (own.initramfs if own else {}).items():
            shutil.copyfile(path, directory / name)
        for name in _SHARED:
            if (directory / name).is_file():
                (tftp_root / name).write_bytes((directory / name).read_bytes().replace(_SILENT, _TALKING))
        for path in (tftp_root, *tftp_root.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
    except OSError as error:
        raise InfraError(
            f"the boot files of board {board.name} could not be laid out: {error}",
            place=str(directory),
            remedy="free some space, or set PIBOOT_SCRATCH to a directory on a larger disk",
        ) from error
    return directory


def _texts(directory: Path, board: VirtualBoard, topology: Topology) -> Mapping[str, str]:
    """config.txt and cmdline.txt of a set that is built here."""
    return {"config.txt": topology.config_txt(directory), "cmdline.txt": topology.cmdline(board) + "\n"}


def _complete(directory: Path, model: Model | None) -> None:
    """Put a stand-in where the boot set has no device tree for the board."""
    if model is not None and not (directory / model.dtb).exists():
        (directory / model.dtb).write_bytes(stand_in(model))
