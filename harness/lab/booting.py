# SPDX-License-Identifier: GPL-2.0-or-later
"""What the boards of an emulated server boot: a set that is built here, or the user's own image, and what is said about that."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.boot.expect import ExpectedImage
from harness.boot.stages import STAGES
from harness.config import EmulatedServer
from harness.errors import ConfigError
from harness.images import BootSet, boot_set
from harness.images.flavours import with_initramfs
from harness.images.own.flavour import with_initramfs as own_initramfs
from harness.images.own.kernels import Kernel, chosen, refuse
from harness.images.own.make import Own, own_set
from harness.images.own.rewrite import settings
from harness.masking import masked
from harness.models import MODELS
from harness.run import Run, disk_error, write_json
from harness.servers import Topology, VirtualBoard


@dataclass(frozen=True)
class OwnImage:
    """The user's own image for one board. expected: what the judge is told; refusal: why its kernel cannot be booted here."""

    expected: ExpectedImage
    refusal: ConfigError | None = None

    def check(self, until: str) -> None:
        """Raise the refusal, when the boot is to go as far as the kernel."""
        if self.refusal is not None and STAGES.index(until) >= STAGES.index("kernel"):
            raise self.refusal


def images_for(
    server: EmulatedServer,
    boards: Sequence[VirtualBoard],
    users: Mapping[str, str],
    topology: Topology,
    run: Run,
    progress: Callable[[str], None],
) -> tuple[BootSet, dict[str, OwnImage]]:
    """The boot set with the initramfs that the topology needs, made first when it is not cached; and of the user's own image what
    is known, by board. users: board -> whom it logs in as.

    Raises ConfigError for an image that cannot be used, InfraError.
    """
    if server.image is None:
        return with_initramfs(boot_set(server.root, progress=progress), topology.initramfs), {}
    images, own = own_set(Path(server.image), progress=progress)
    machines = sorted({board.machine for board in boards})
    images, added = own_initramfs(images, own, topology.initramfs, machines=machines, used=_used(own, boards))
    told = {
        board.name: OwnImage(_expected(own, board, users.get(board.name, ""), topology, added), _refusal(own, board))
        for board in boards
    }
    _keep(own, told, run)
    return images, told


def _kernel(own: Own, board: VirtualBoard) -> Kernel | None:
    return chosen(own.kernels, settings(own.config), MODELS[board.model].kernels)


def _used(own: Own, boards: Sequence[VirtualBoard]) -> tuple[Kernel, ...]:
    """The kernels that these boards take; all when that cannot be told."""
    found = [_kernel(own, board) for board in boards]
    return tuple(kernel for kernel in own.kernels if None in found or kernel in found)


def _refusal(own: Own, board: VirtualBoard) -> ConfigError | None:
    """When the kernel that the board takes would not find its network card: a boot that fails for a reason that no board has."""
    kernel = _kernel(own, board)
    if kernel is not None and kernel.fit(board.machine).lacks:
        return refuse(own.image, kernel, board.name, board.model, board.machine)
    return None


def _expected(own: Own, board: VirtualBoard, user: str, topology: Topology, added: Sequence[str]) -> ExpectedImage:
    changes = (*own.changes(topology.cmdline(board), topology.root_files(board)), *added)
    no_login = list(own.system.no_login)
    if user and own.system.users and user not in own.system.users and not own.makes_users:
        who = ", ".join(own.system.users)
        no_login.append(
            f"{user} cannot log in there, but {who} can. Write that in lab.yaml: boards.{board.name}.login.user"
        )
    return ExpectedImage(
        file=own.image.name,
        sha256=own.sha256,
        system=own.system.name,
        # What is no UTF-8 in the image's files cannot stand in JSON.
        changes=tuple(masked(line).encode("utf-8", "replace").decode() for line in changes),
        no_login=tuple(no_login),
    )


def _keep(own: Own, told: Mapping[str, OwnImage], run: Run) -> None:
    """What the image is and what was changed in it: notes of the run, and <board>/image.json."""
    system = f"{own.system.name or 'a system without os-release'}, {own.system.processor or 'unknown processor'}"
    run.note(f"the image {own.image.name}: {system}")
    kernels = [{"file": kernel.file, "release": kernel.release} for kernel in own.kernels]
    for name, image in told.items():
        expected = image.expected
        run.note(f"the image {own.image.name}: {len(expected.changes)} changes for {name}, see {name}/image.json")
        for why in expected.no_login:
            run.note(f"the image {own.image.name}: {why}")
        facts = {
            "path": str(own.image),
            "processor": own.system.processor,
            "users": own.system.users,
            "kernels": kernels,
        }
        folder = run.folder / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise disk_error(error, folder) from error
        write_json(folder / "image.json", {**facts, **expected.model_dump(mode="json")})
