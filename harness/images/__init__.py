# SPDX-License-Identifier: GPL-2.0-or-later
"""What a Pi boots in the emulated lab: a boot partition and a root file system, made from Debian's own packages.

    images = boot_set("light", progress=print)
    images.boot / "kernel8.img", images.root, images.kernel_release

Kinds: `debian` is what a user's netbooted Pi has (systemd, udev, initramfs-tools' own initramfs; 25-60 s to login under
emulation); `light` is a busybox root for tests (3-5 s), with the same kernel and an initramfs of the same scripts.
Both want an NFS v3 root: `root=/dev/nfs nfsroot=IP:/PATH,vers=3,tcp rw ip=dhcp` on the kernel's command line.

Built once (light about 15 s, debian about 3 minutes, root needed), then found in the cache without network and without root.
Debian 12 has neither a DTB for the Pi 5 nor overlays: overlays/ holds disable-bt.dtbo alone, and no overlay_map.dtb.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import HarnessBug
from harness.images import cache as _cache
from harness.images.folders import cache_folder
from harness.images.recipe import source_digest

if TYPE_CHECKING:
    from harness.images.own.make import Own

__all__ = ["KINDS", "BootSet", "boot_set", "cache_folder", "cached"]

KINDS = ("debian", "light")

_HERE = Path(__file__).parent
# The sources that decide what is in a set; the cache's own code and this file do not.
_SHARED = ("apt.py", "firmware.py", "modules.py", "overlays.py", "initramfs.py", "build.py")
_RECIPES = {
    "debian": (*_SHARED, "debian_root.py"),
    "light": (*_SHARED, "cpio.py", "light_initramfs.py", "light_root.py"),
}


@dataclass(frozen=True)
class BootSet:
    """One kind of system to boot. `boot` and `root` are read-only: copy them, or lay an overlay over them.

    key: hex digest of what it was made from; boot: a Pi's boot partition without config.txt and cmdline.txt;
    root: an arm64 root owned by root; packages: name=version of what it was made from; initramfs: what takes the place of
    boot/initramfs8, None for that one itself; image: the root as an ext4 image, where its flavour of initramfs wants one; own:
    what the user's own image says itself (its boot has config.txt and cmdline.txt), None for a set that is built here.
    """

    kind: str
    key: str
    boot: Path
    root: Path
    kernel_release: str
    packages: tuple[str, ...]
    initramfs: Path | None = None
    image: Path | None = None
    own: "Own | None" = None


def recipe(kind: str) -> str:
    """Digest of the sources that make `kind`."""
    if kind not in _RECIPES:
        raise HarnessBug(f"there is no boot set {kind!r}, only {', '.join(KINDS)}")
    return source_digest(_HERE / name for name in _RECIPES[kind])


def _quiet(_line: str) -> None:
    pass


def boot_set(kind: str, *, cache: Path | None = None, progress: Callable[[str], None] = _quiet) -> BootSet:
    """The boot set of `kind`, built first when it is not cached or its cache is broken.

    progress: takes a line per step of a build, with the seconds since its start; silent when nothing is built.
    Raises InfraError: no root, a tool missing (naming its Debian package), no network, disk full.
    """
    store = _cache.Store(cache or cache_folder())
    made_by = recipe(kind)

    def build(builder: _cache.Builder) -> _cache.Made:
        # Only now: a cached set must not cost the imports of the build.
        from harness.images.build import build as build_set  # noqa: PLC0415

        return build_set(kind, builder)

    return _opened(store, store.get(kind, made_by, build, progress))


def cached(kind: str, *, cache: Path | None = None) -> BootSet | None:
    """The boot set of `kind` when it is cached, complete and intact; None otherwise. Builds nothing, needs no root."""
    store = _cache.Store(cache or cache_folder())
    manifest = store.find(kind, recipe(kind))
    return _opened(store, manifest) if manifest else None


def _opened(store: _cache.Store, manifest: _cache.Manifest) -> BootSet:
    place = store.place(manifest.kind, manifest.recipe)
    return BootSet(
        manifest.kind, manifest.key, place / "boot", place / "root", manifest.kernel_release, manifest.packages
    )
