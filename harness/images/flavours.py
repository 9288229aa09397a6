# SPDX-License-Identifier: GPL-2.0-or-later
"""Which initramfs goes with a boot set: its own mounts a root by NFS v3; for other roots something is added to it.

The kernel takes several cpio archives one after the other and lays the later over the earlier ones (early-userspace/
buffer-format.rst), so that a flavour is a boot set's own initramfs with a small archive behind it. On a real Pi the same is
`initramfs initramfs8 more.cpio followkernel` in config.txt.
"""

import hashlib
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.errors import HarnessBug, InfraError
from harness.images import BootSet, cache_folder, cpio, iscsi, modules, rbd
from harness.images.folders import make_folder
from harness.images.nfs4 import MODULES as NFS4_MODULES
from harness.images.nfs4 import NFSMOUNT
from harness.images.recipe import source_digest
from harness.images.root_image import root_image

_HERE = Path(__file__).parent
#: Seconds in which an older initramfs of the same flavour is not removed: somebody may be about to copy it.
_IN_USE = 3600.0


@dataclass(frozen=True)
class Flavour:
    """What is added. programs: name -> content of a script in /bin; modules: kernel modules, with all that they depend on, for
    a light initramfs (Debian's own brings them by its list of modules). complete: lays out what else there is, such as programs
    of Debian's packages, in a folder that stands for the initramfs' / (see `system`). sources: of this package, what decides
    what is in it. block: the root is a block device, so an image of it is made; root: what adds to a copy of the root for it.
    """

    modules: tuple[str, ...] = ()
    programs: Mapping[str, str] = field(default_factory=dict)
    complete: Callable[[BootSet, Path], None] | None = None
    sources: tuple[str, ...] = ()
    block: bool = False
    root: Callable[[BootSet, Path], None] | None = None


#: nfs: the boot set's own, whose klibc nfsmount knows NFS v3 only.
FLAVOURS: dict[str, Flavour] = {
    "nfs": Flavour(),
    "nfs4": Flavour(modules=NFS4_MODULES, programs={"nfsmount": NFSMOUNT}, sources=("nfs4.py",)),
    "iscsi": Flavour(
        modules=iscsi.MODULES,
        complete=iscsi.complete,
        sources=("iscsi.py", "elf.py", "apt.py", "parts.py"),
        block=True,
        root=iscsi.complete_root,
    ),
    "rbd": Flavour(modules=rbd.MODULES, complete=rbd.complete, sources=("rbd.py", "parts.py"), block=True),
}


def with_initramfs(images: BootSet, flavour: str, *, cache: Path | None = None) -> BootSet:
    """The boot set with the initramfs of a flavour, and its root as an image if need be; made first when not cached (seconds).

    Raises InfraError when it cannot be kept, and what its making raises.
    """
    if flavour not in FLAVOURS:
        raise HarnessBug(f"there is no initramfs {flavour!r}, only {', '.join(FLAVOURS)}")
    wanted = FLAVOURS[flavour]
    if wanted == Flavour():
        return images
    recipe = source_digest(_HERE / name for name in ("flavours.py", "cpio.py", "modules.py", *wanted.sources))
    digest = hashlib.sha256(f"{images.key}\n{flavour}\n{recipe}".encode()).hexdigest()
    folder = (cache or cache_folder()) / "initramfs"
    path = folder / f"{images.kind}-{flavour}-{digest[:16]}"
    keep(path, lambda: make(images, wanted))
    image = root_image(images, flavour, wanted.root, wanted.sources, cache=cache) if wanted.block else None
    return replace(images, initramfs=path, image=image)


def make(images: BootSet, flavour: Flavour, initramfs: Path | None = None) -> bytes:
    """The initramfs of a boot set, initramfs8 unless another is given, with what a flavour adds."""
    own = (initramfs or images.boot / "initramfs8").read_bytes()
    with tempfile.TemporaryDirectory(prefix="piboot-initramfs-") as name:
        work = Path(name)
        programs = system(images, work) / "bin"
        programs.mkdir(parents=True)
        for program, text in flavour.programs.items():
            (programs / program).write_text(text, encoding="utf-8")
            (programs / program).chmod(0o755)
        if images.kind == "light" and flavour.modules:
            _add_modules(images, own, flavour.modules, work)
        if flavour.complete is not None:
            flavour.complete(images, work)
        return own + bytes(-len(own) % 512) + cpio.archive(work)


def system(images: BootSet, work: Path) -> Path:
    """The folder of `bin` and `lib` in an initramfs that is laid out in `work`.

    Debian's has links of these names into /usr, which an archive with folders of the same names would replace.
    """
    return work if images.kind == "light" else work / "usr"


def _add_modules(images: BootSet, own: bytes, names: tuple[str, ...], work: Path) -> None:
    """The modules that the light initramfs lacks, and an index of them all."""
    tree = modules.ModuleTree(images.root / "lib/modules" / images.kernel_release)
    chosen = tree.closure(names, required=names)
    index = f"lib/modules/{images.kernel_release}/modules.dep"
    target = (work / index).parent
    before = {line.partition(":")[0]: line for line in _file(own, index).decode().splitlines()}
    modules.install(tree, [module for module in chosen if str(module.path) not in before], target)
    modules.write_index(chosen, target)
    added = {line.partition(":")[0]: line for line in (work / index).read_text().splitlines()}
    (work / index).write_text("".join(f"{line}\n" for line in (added | before).values()))
    aliases = _file(own, index.replace(".dep", ".alias")).decode()
    with (target / "modules.alias").open("a") as file:
        file.write(aliases)


def _file(archive: bytes, wanted: str) -> bytes:
    """A file of a cpio archive in the format newc (cpio.py). KeyError when it is not there."""
    at = 0
    while archive[at : at + 6] == cpio.MAGIC.encode():
        size, length = (int(archive[at + 6 + 8 * field : at + 14 + 8 * field], 16) for field in (6, 11))
        start = at + 110 + length + -(110 + length) % 4
        if archive[at + 110 : at + 109 + length] == wanted.encode():
            return archive[start : start + size]
        at = start + size + -size % 4
    raise KeyError(wanted)


def keep(path: Path, made: Callable[[], bytes]) -> None:
    """Make a cached initramfs when it is not there, and remove what older recipes made. Raises InfraError."""
    try:
        if not path.is_file():
            make_folder(path.parent)
            _keep(path, made())
            _prune(path)
    except OSError as error:
        raise InfraError(
            f"the initramfs {path.name} cannot be kept: {error.strerror}",
            place=str(error.filename or path),
            remedy="free some space, or set PIBOOT_CACHE to another disk",
        ) from error


def _keep(path: Path, data: bytes) -> None:
    """Whole or not at all."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".part-", delete=False) as file:
        part = Path(file.name)
        try:
            file.write(data)
            file.flush()
            part.chmod(0o644)
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


def _prune(path: Path) -> None:
    """Removes what older recipes made."""
    kind_and_flavour = path.name.rpartition("-")[0]
    for old in path.parent.glob(f"{kind_and_flavour}-*"):
        if old != path and time.time() - old.stat().st_mtime > _IN_USE:
            old.unlink(missing_ok=True)
