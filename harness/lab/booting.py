# SPDX-License-Identifier: GPL-2.0-or-later
"""What the boards of an emulated server boot: a set that is built here, or the user's own image, and what is said about that."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from harness.config import EmulatedServer
from harness.images import BootSet, boot_set
from harness.images.flavours import with_initramfs
from harness.images.own.flavour import with_initramfs as own_initramfs
from harness.images.own.kernels import chosen, refuse
from harness.images.own.make import Own, own_set
from harness.images.own.rewrite import settings
from harness.masking import masked
from harness.models import MODELS
from harness.run import Run, write_json
from harness.servers import Topology, VirtualBoard

_VIRT = "virt"


def images_for(
    server: EmulatedServer,
    boards: Sequence[VirtualBoard],
    topology: Topology,
    run: Run,
    progress: Callable[[str], None],
) -> BootSet:
    """The boot set with the initramfs that the topology needs; made first when it is not cached.

    Raises ConfigError for an image that cannot be used, InfraError.
    """
    if server.image is None:
        return with_initramfs(boot_set(server.root, progress=progress), topology.initramfs)
    images, own = own_set(Path(server.image), progress=progress)
    for board in boards:
        _check_kernel(own, board)
    virtual = any(board.machine == _VIRT for board in boards)
    images, added = own_initramfs(images, own, topology.initramfs, virtual=virtual)
    _tell(own, boards, topology, run, added)
    return images


def _check_kernel(own: Own, board: VirtualBoard) -> None:
    """ConfigError when the kernel that the board takes would not find its network card: of no use to anybody."""
    kernel = chosen(own.kernels, settings(own.config), MODELS[board.model].kernels)
    if board.machine == _VIRT and kernel is not None and kernel.lacks:
        raise refuse(own.image, kernel, board.name, board.model)


def _tell(own: Own, boards: Sequence[VirtualBoard], topology: Topology, run: Run, added: Sequence[str]) -> None:
    """What the image is, and all that was changed in it, as notes of the run and in <board>/image.json."""
    run.note(f"image {own.image.name}: {own.system.name or 'a system without os-release'}, {own.system.processor}")
    for warning in own.system.warnings:
        run.note(f"image {own.image.name}: {warning}")
    for board in boards:
        changes = [masked(line) for line in (*own.changes(topology.cmdline(board), topology.root_files(board)), *added)]
        run.note(f"image {own.image.name}: {len(changes)} changes for {board.name}, see {board.name}/image.json")
        folder = run.folder / board.name
        folder.mkdir(parents=True, exist_ok=True)
        facts = {"name": own.system.name, "processor": own.system.processor, "users": own.system.users}
        kernels = [{"file": kernel.file, "release": kernel.release} for kernel in own.kernels]
        content = {
            "image": str(own.image),
            **facts,
            "kernels": kernels,
            "warnings": own.system.warnings,
            "changes": changes,
        }
        write_json(folder / "image.json", json.dumps(content, indent=2, ensure_ascii=False))
