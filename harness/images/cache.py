# SPDX-License-Identifier: GPL-2.0-or-later
"""The cache of built boot sets: found by what makes them, checked before use, built at most once at a time.

    <cache>/images/<kind>-<recipe>/   boot/ root/ manifest.json    a complete set; the manifest is written last
    <cache>/images/.build-…           a build under way, or left by a killed one
    <cache>/images/debs/              Debian packages, kept for the next build
    <cache>/images/build.lock         held while building (flock: gone with its process, however that ends)

A set's folder is named by its recipe (the sources that make it), so that it is found without asking the network; which package
versions went into it stands in its manifest, and both together give the set's key.
"""

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from harness.errors import InfraError
from harness.images.folders import give_back, make_folder
from harness.images.tools import Progress, remove

SCHEMA = 1  # of manifest.json
LOCK_WAIT = 1800.0  # seconds that another process may build, before we give up
IN_USE = 3600.0  # seconds after its last use in which a set is not removed: its user may be about to mount it
KEEP = 2  # sets of a kind that stay: the one in use and the one before


@dataclass(frozen=True)
class Made:
    """What a builder tells of the set that it laid out in `boot/` and `root/`."""

    kernel_release: str
    packages: tuple[str, ...]


@dataclass(frozen=True)
class Manifest:
    """manifest.json: what a set was made from and what it consists of.

    boot: relative path → (bytes, SHA-256); root_files, root_bytes: count of entries and sum of the sizes of regular files;
    steps: seconds per step of the build.
    """

    kind: str
    key: str
    recipe: str
    kernel_release: str
    packages: tuple[str, ...]
    boot: dict[str, tuple[int, str]]
    root_files: int
    root_bytes: int
    steps: dict[str, float] = field(default_factory=dict)


def set_key(kind: str, recipe: str, packages: Iterable[str]) -> str:
    """The key of a set: kind, recipe and the very package versions."""
    return hashlib.sha256("\n".join([kind, recipe, *sorted(packages)]).encode()).hexdigest()


def measure_boot(boot: Path) -> dict[str, tuple[int, str]]:
    """Size and SHA-256 of every file under `boot`."""
    files = sorted(path for path in boot.rglob("*") if path.is_file())
    return {
        str(path.relative_to(boot)): (path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in files
    }


def measure_root(root: Path) -> tuple[int, int]:
    """Entries below `root`, and the sum of its regular files' sizes in bytes."""
    entries = size = 0
    stack = [str(root)]
    while stack:
        with os.scandir(stack.pop()) as found:
            for entry in found:
                entries += 1
                if entry.is_dir(follow_symlinks=False):
                    stack.append(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    size += entry.stat(follow_symlinks=False).st_size
    return entries, size


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of `folder`; None when there is none that can be understood."""
    try:
        data = json.loads((folder / "manifest.json").read_text())
        if data.pop("schema") != SCHEMA:
            return None
        data["packages"] = tuple(data["packages"])
        data["boot"] = {name: (int(size), str(digest)) for name, (size, digest) in data["boot"].items()}
        return Manifest(**data)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def fault(folder: Path, kind: str, recipe: str) -> str:
    """What is wrong with the set in `folder`, in words; empty when it is complete and intact."""
    if not folder.exists():
        return "not built yet"
    manifest = read_manifest(folder)
    if manifest is None:
        return "it has no readable manifest"
    if (manifest.kind, manifest.recipe) != (kind, recipe) or manifest.key != set_key(kind, recipe, manifest.packages):
        return "its manifest is of another set"
    try:
        boot, root = measure_boot(folder / "boot"), measure_root(folder / "root")
    except OSError as error:
        return f"it cannot be read: {error}"
    changed = sorted(name for name in {*boot, *manifest.boot} if boot.get(name) != manifest.boot.get(name))
    if changed:
        return f"boot/{changed[0]} is not what was built"
    return "" if root == (manifest.root_files, manifest.root_bytes) else "root/ is not what was built"


class Builder:
    """What a build is given: `folder` to lay out boot/ and root/ in, `debs` to keep packages in, `step()` to report."""

    def __init__(self, folder: Path, debs: Path, progress: Progress) -> None:
        self.folder = folder
        self.debs = debs
        self.steps: dict[str, float] = {}
        self._progress = progress
        self._started = self._last = time.monotonic()
        self._name = ""

    def step(self, name: str) -> None:
        """Ends the step before and says that `name` begins, with the seconds since the start."""
        self.finish()
        self._name = name
        self.tell(name)

    def tell(self, line: str) -> None:
        """How far the present step is."""
        self._progress(f"[{time.monotonic() - self._started:4.0f} s] {line}")

    def finish(self) -> None:
        now = time.monotonic()
        if self._name:
            self.steps[self._name] = round(now - self._last, 1)
        self._last = now
        self._name = ""


Build = Callable[[Builder], Made]


class Store:
    """The sets under `cache`."""

    def __init__(self, cache: Path) -> None:
        self.folder = cache / "images"

    def place(self, kind: str, recipe: str) -> Path:
        return self.folder / f"{kind}-{recipe[:16]}"

    def find(self, kind: str, recipe: str) -> Manifest | None:
        """The set's manifest when it is there, complete and intact. No lock, no network, no root needed."""
        place = self.place(kind, recipe)
        if fault(place, kind, recipe):
            return None
        with suppress(OSError):
            os.utime(place)  # when it was last used, for prune(); another user's set stays as it is
        return read_manifest(place)

    def get(self, kind: str, recipe: str, build: Build, progress: Progress, *, wait: float = LOCK_WAIT) -> Manifest:
        """The set, built by `build` when it is missing or broken. One process builds, others wait up to `wait` s for it."""
        if manifest := self.find(kind, recipe):
            return manifest
        make_folder(self.folder)
        lock = FileLock(self.folder / "build.lock", thread_local=False)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            progress("another process is building; waiting for it")
            try:
                lock.acquire(timeout=wait)
            except Timeout:
                raise InfraError(
                    f"another process has been building the {kind} set for {wait:.0f} s",
                    place=lock.lock_file,
                    remedy="look what that process does (fuser -v on that file) and end it, then run this again",
                ) from None
        try:
            give_back(Path(lock.lock_file))
            # Who held the lock may have built just this one.
            return self.find(kind, recipe) or self._build(kind, recipe, build, progress)
        finally:
            lock.release()

    def _build(self, kind: str, recipe: str, build: Build, progress: Progress) -> Manifest:
        place = self.place(kind, recipe)
        for left in self.folder.glob(".build-*"):
            progress(f"removing {left.name}, left by a build that was killed")
            remove(left)
        if place.exists():
            progress(f"the cached {kind} set is broken ({fault(place, kind, recipe)}): building it again")
        folder = Path(tempfile.mkdtemp(prefix=f".build-{kind}-", dir=self.folder))
        try:
            folder.chmod(0o755)
            give_back(folder)
            builder = Builder(folder, make_folder(self.folder / "debs"), progress)
            made = build(builder)
            builder.step("checking and keeping")
            entries, size = measure_root(folder / "root")
            boot = measure_boot(folder / "boot")
            builder.finish()
            manifest = Manifest(
                kind,
                set_key(kind, recipe, made.packages),
                recipe,
                made.kernel_release,
                made.packages,
                boot,
                entries,
                size,
                builder.steps,
            )
            text = json.dumps({"schema": SCHEMA, **manifest.__dict__}, indent=1)
            (folder / "manifest.json").write_text(text + "\n")
            for path in (folder / "manifest.json", folder / "boot", *(folder / "boot").rglob("*")):
                give_back(path)
            os.sync()  # the rename must not reach the disk before the files do
            remove(place)
            folder.rename(place)
        except OSError as error:
            raise InfraError(
                f"the {kind} set cannot be kept: {error.strerror}",
                place=str(error.filename or folder),
                remedy="see that the cache's disk has 1 GB free, or set PIBOOT_CACHE to another one",
            ) from error
        finally:
            remove(folder)
        self.prune(kind, place, progress)
        return manifest

    def prune(self, kind: str, current: Path, progress: Progress) -> None:
        """Removes old sets of `kind`, but KEEP of them, and none that was used lately or that some overlay still mounts."""
        others = [path for path in self.folder.glob(f"{kind}-*") if path != current]
        others.sort(key=lambda path: path.lstat().st_mtime, reverse=True)
        for old in others[KEEP - 1 :]:
            if time.time() - old.lstat().st_mtime > IN_USE and not mounted(old):
                progress(f"removing {old.name}, made by an older recipe")
                remove(old)


def mounted(folder: Path) -> bool:
    """Whether any process' mount namespace names `folder` in a mount, e.g. as the lower layer of an overlay."""
    for table in Path("/proc").glob("[0-9]*/mountinfo"):
        try:
            if str(folder) in table.read_text(errors="replace"):
                return True
        except OSError:
            continue  # ended meanwhile, or another user's
    return False
