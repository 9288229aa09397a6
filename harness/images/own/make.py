# SPDX-License-Identifier: GPL-2.0-or-later
"""The user's image as a boot set: laid out once, then found in the cache until the file changes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from pydantic import TypeAdapter

from harness.errors import ConfigError, InfraError
from harness.images import BootSet, cache
from harness.images.folders import cache_folder
from harness.images.own import disk, extract, kernels, rewrite, source, system
from harness.images.recipe import source_digest
from harness.images.tools import need

KIND = "image"
TOOLS = ("sfdisk", "blkid", "mcopy", "mdir", "e2fsck", "fuse2fs", "unshare", "setpriv")
_HERE = Path(__file__).parent
#: What decides how an image is laid out.
_SOURCES = ("source.py", "disk.py", "extract.py", "make.py", "system.py", "kernels.py", "initramfs.py")
#: Small files of a boot partition that a system looks for on /boot at its first boot.
_SEEDS = ("userconf.txt", "userconf", "ssh", "ssh.txt", "custom.toml", "user-data", "meta-data", "network-config")


@dataclass(frozen=True)
class Notes:
    """image.json of a set: what was found when it was laid out. sha256: of the image's file."""

    sha256: str
    kernels: tuple[kernels.Kernel, ...]
    system: system.System


_NOTES = TypeAdapter(Notes)


@dataclass(frozen=True)
class Own:
    """What an image brings of its own, and how it is changed for a topology.

    cmdlines: path in the boot partition -> text, the first is the one that a board takes by default. seeds: text files for the
    root's boot folder, which systems look at when they boot first. initramfs: name -> what takes its place.
    """

    image: Path
    sha256: str
    cmdlines: Mapping[str, str]
    config: str
    fstab: str
    kernels: tuple[kernels.Kernel, ...]
    system: system.System
    seeds: Mapping[str, str] = field(default_factory=dict)
    initramfs: Mapping[str, Path] = field(default_factory=dict)

    @property
    def makes_users(self) -> bool:
        """Whether its boot partition has the system make users at the first boot."""
        return any(path.rpartition("/")[2] in system.MAKE_USERS for path in self.seeds)

    def cmdline(self, wanted: str, name: str = "") -> str:
        """The command line in a file of the boot partition, of which `wanted` is the topology's part."""
        own = self.cmdlines[name] if name else next(iter(self.cmdlines.values()))
        return rewrite.cmdline(own, wanted).text

    def boot_files(self, wanted: str) -> dict[str, str]:
        """config.txt and all command lines, changed."""
        lines = {name: self.cmdline(wanted, name) + "\n" for name in self.cmdlines}
        return {"config.txt": rewrite.config_txt(self.config).text, **lines}

    def root_files(self, wanted: Mapping[str, str]) -> dict[str, str]:
        """What differs in a board's root from the image's."""
        table = rewrite.fstab(self.fstab, wanted.get("etc/fstab", ""))
        return {**self.seeds, **wanted, "etc/fstab": table.text}

    def changes(self, wanted: str, files: Mapping[str, str]) -> list[str]:
        """All that is changed in the image for a board, in words."""
        name, own = next(iter(self.cmdlines.items()))
        found = [*rewrite.cmdline(own, wanted).changes, *rewrite.config_txt(self.config).changes]
        found += [f"{other}: changed as {name}" for other in list(self.cmdlines)[1:]]
        found += rewrite.fstab(self.fstab, files.get("etc/fstab", "")).changes
        found += [f"/{path}: copied from the boot partition" for path in self.seeds if path not in files]
        return [*found, *(f"/{path}: written" for path in files if path != "etc/fstab")]


def own_set(image: Path, *, progress: Callable[[str], None], folder: Path | None = None) -> tuple[BootSet, Own]:
    """The boot set of an image, and what it has of its own; laid out first when it is not cached.

    Raises ConfigError for an image that cannot be used, InfraError: no root, a tool missing, disk full.
    """
    found = source.identify(image)
    made_by = _key(found)
    store = cache.Store(folder or cache_folder())
    manifest = store.get(KIND, made_by, partial(_build, found), progress)
    place = store.place(KIND, made_by)
    boot, root = place / "boot", place / "root"
    own = _own(image, boot, root, _NOTES.validate_json((place / "image.json").read_bytes()))
    return BootSet(KIND, manifest.key, boot, root, manifest.kernel_release, manifest.packages, own=own), own


def laid_out(image: Path, *, folder: Path | None = None) -> bool:
    """Whether the image is in the cache. Raises ConfigError for what is no file."""
    store = cache.Store(folder or cache_folder())
    return store.find(KIND, _key(source.identify(image))) is not None


def _key(found: source.Source) -> str:
    return source_digest([_HERE / name for name in _SOURCES], found.identity)


def _build(found: source.Source, builder: cache.Builder) -> cache.Made:
    try:
        return _laid_out(found, builder)
    except OSError as error:
        raise InfraError(
            f"{found.path.name} cannot be laid out: {error.strerror or error}",
            place=str(error.filename or builder.folder),
            remedy="free some space there, up to three times what the image takes unpacked, or set PIBOOT_CACHE to another disk",
        ) from error


def _laid_out(found: source.Source, builder: cache.Builder) -> cache.Made:
    need(TOOLS)
    # Its set-uid programs, whatever they are made for, are nobody's to run on this machine.
    builder.folder.chmod(0o700)
    image, path = found.path, found.path
    if found.packing:
        builder.step(f"unpacking {image.name}")
        path = builder.folder / "disk.img"
        source.unpack(found, path, builder.tell)
    builder.step("reading its partitions")
    table = disk.read(path, image)
    boot, root = builder.folder / "boot", builder.folder / "root"
    extract.boot_files(table, disk.boot_partition(table), boot)
    cmdlines = _cmdlines(boot, image)
    words = next(iter(cmdlines.values())).split()
    wanted = next((word.removeprefix("root=") for word in words if word.startswith("root=")), "")
    builder.step("copying its root")
    extract.root_tree(table, disk.root_partition(table, wanted), root)
    if found.packing:
        path.unlink()
    builder.step("looking at its kernels and its system")
    inside = system.look(root, boot, image)
    those = kernels.find(boot, root)
    (builder.folder / "image.json").write_bytes(_NOTES.dump_json(Notes(source.digest(found), those, inside), indent=1))
    return cache.Made(next((one.release for one in those if one.release), ""), (f"image={image.name}",))


def _own(image: Path, boot: Path, root: Path, noted: Notes) -> Own:
    fstab = system.text(root, "etc/fstab")
    where = next((place for place in rewrite.BOOT_PLACES if system.inside(root, place) is not None), "")
    found = sorted(path.name for path in boot.iterdir() if path.name in _SEEDS and path.is_file())
    seeds = {f"{where[1:]}/{name}": system.text(boot, name) for name in found if where}
    lines, config = _cmdlines(boot, image), _text(boot / "config.txt")
    return Own(image, noted.sha256, lines, config, fstab, noted.kernels, noted.system, seeds=seeds)


def _cmdlines(boot: Path, image: Path) -> dict[str, str]:
    """The command lines that are there, those first that config.txt names."""
    names = rewrite.cmdline_files(_text(boot / "config.txt"))
    found = {name: " ".join(_text(boot / name).split()) for name in names if (boot / name).is_file()}
    if not found:
        raise ConfigError(
            "the image's boot partition has no cmdline.txt",
            place=str(image),
            remedy="name an image of a Raspberry Pi system",
        )
    return found


def _text(path: Path) -> str:
    """Whatever its octets: what is no UTF-8 comes out again as it was."""
    return path.read_text(encoding="utf-8", errors="surrogateescape") if path.is_file() else ""
