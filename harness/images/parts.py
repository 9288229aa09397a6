# SPDX-License-Identifier: GPL-2.0-or-later
"""What flavours of an initramfs are made of: Debian's arm64 packages, scripts for initramfs-tools' stages, kernel modules."""

import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from harness.images import BootSet, apt, cache_folder, modules


def with_packages(names: Sequence[str], use: Callable[[Path], None]) -> None:
    """Give `use` a folder with arm64 packages unpacked into one tree; it is gone afterwards. Raises InfraError."""
    with tempfile.TemporaryDirectory(prefix="piboot-parts-") as folder:
        archive = apt.PrivateApt(Path(folder) / "apt")
        archive.update()
        tree = Path(folder) / "tree"
        for package in archive.download(names, cache_folder() / "images/debs").values():
            apt.unpack(package, tree)
        use(tree)


def add_scripts(work: Path, scripts: Mapping[str, str]) -> None:
    """Scripts of initramfs-tools: "local-top/iscsi" is run in its stage, "rbd" is read for `boot=rbd`."""
    for name, text in scripts.items():
        path = work / "scripts" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)
        if "/" in name:
            # As mkinitramfs writes it: init runs a stage's scripts by this list, and takes over what they tell it.
            tell = "[ -e /conf/param.conf ] && . /conf/param.conf"
            (path.parent / "ORDER").write_text(f'/scripts/{name} "$@"\n{tell}\n', encoding="utf-8")


def complete_modules(images: BootSet, work: Path, names: Iterable[str]) -> None:
    """For an initramfs with kmod: modules with all that they depend on, and the root's index, which knows these and its own."""
    source = images.root / "lib/modules" / images.kernel_release
    target = work / "usr/lib/modules" / images.kernel_release
    tree = modules.ModuleTree(source)
    modules.install(tree, tree.closure(names, required=names), target)
    for index in source.glob("modules.*"):
        shutil.copyfile(index, target / index.name)
