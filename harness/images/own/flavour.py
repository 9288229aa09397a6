# SPDX-License-Identifier: GPL-2.0-or-later
"""What an image's own initramfs lacks for a root by network and for the emulated machine, added behind it.

As `initramfs initramfs8 more.cpio followkernel` in config.txt would on a board. Modules are the image's own, of the very kernel.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from harness.errors import ConfigError, InfraError
from harness.images import BootSet, flavours
from harness.images.folders import cache_folder
from harness.images.own.kernels import Kernel
from harness.images.own.make import Own
from harness.images.parts import complete_modules
from harness.images.recipe import source_digest
from harness.images.root_image import root_image

_HERE = Path(__file__).parent
_LOADS = re.compile(r"(?im)^\s*(auto_initramfs\s*=\s*1|ramfsfile\s*=|initramfs\s+\S)")
#: The script by which an initramfs can do without what a flavour adds, and what a person would install for it.
_SCRIPTS = {"iscsi": "scripts/local-top/iscsi", "rbd": "scripts/rbd"}
_ADDED = {
    "nfs4": "an nfsmount that knows NFS v4 was added: on a board it needs that, too (docs/topologies.md)",
    "iscsi": "open-iscsi's part was added: on a board install open-iscsi in the image",
    "rbd": "the script for a root on RBD was added: on a board it needs that, too (docs/topology-ceph-rbd.md)",
}


def with_initramfs(
    images: BootSet,
    own: Own,
    wanted: str,
    *,
    machines: Sequence[str],
    used: Sequence[Kernel],
    cache: Path | None = None,
) -> tuple[BootSet, list[str]]:
    """The image with what the flavour `wanted` and QEMU's machines need; and what was added, in words.

    used: the kernels that are to boot. Raises ConfigError when the image's kernels cannot do it, InfraError.
    """
    flavour = flavours.FLAVOURS[wanted]
    changes: list[str] = []
    made: dict[str, Path] = {}
    if flavour != flavours.Flavour() and not _LOADS.search(own.config):
        raise ConfigError(
            f"the image's config.txt loads no initramfs: its kernel alone cannot mount a root for {wanted}",
            place=str(own.image),
            remedy="add auto_initramfs=1 to its config.txt, and an initramfs (update-initramfs -c -k RELEASE)",
        )
    for kernel in used:
        adds = tuple(dict.fromkeys(name for machine in machines for name in kernel.fit(machine).adds))
        more = flavour if _SCRIPTS.get(wanted, "") not in kernel.scripts else flavours.Flavour()
        if not kernel.initramfs or kernel.initramfs in made or (more == flavours.Flavour() and not adds):
            continue
        made[kernel.initramfs] = _made(images, own, kernel, wanted if more == flavour else "", adds, cache)
        if more != flavours.Flavour():
            changes.append(f"{kernel.initramfs}: {_ADDED[wanted]}")
        if adds:
            changes.append(
                f"{kernel.initramfs}: {', '.join(adds)} of the image's own modules added, for the emulated machine"
            )
    image = root_image(images, wanted, None, (), cache=cache) if flavour.block else None
    return replace(images, image=image, own=replace(own, initramfs=made)), changes


def _made(images: BootSet, own: Own, kernel: Kernel, wanted: str, adds: Sequence[str], cache: Path | None) -> Path:
    view = replace(images, kind="image" if kernel.merged else "light", kernel_release=kernel.release)
    base = flavours.FLAVOURS[wanted] if wanted else flavours.Flavour()
    names = (*base.modules, *adds)

    def complete(work_of: BootSet, work: Path) -> None:
        if base.complete is not None:
            base.complete(work_of, work)
        if kernel.merged and names:
            complete_modules(work_of, work, names)

    flavour = replace(base, modules=names, complete=complete)
    sources = [_HERE.parent / name for name in ("flavours.py", "cpio.py", "modules.py", "parts.py", *base.sources)]
    text = "\n".join([images.key, wanted, kernel.initramfs, kernel.release, *adds])
    digest = hashlib.sha256(f"{text}\n{source_digest([*sources, _HERE / 'flavour.py'])}".encode()).hexdigest()
    path = (cache or cache_folder()) / "initramfs" / f"image-{digest[:16]}"
    try:
        flavours.keep(path, lambda: flavours.make(view, flavour, images.boot / kernel.initramfs))
    except InfraError as error:
        if "has no module" not in error.what:
            raise
        raise ConfigError(
            f"the image's kernel {kernel.release} cannot mount this root: {error.what}",
            place=str(own.image),
            remedy="choose a topology with an NFS root, or a kernel with that module",
        ) from error
    return path
