# SPDX-License-Identifier: GPL-2.0-or-later
"""The steps that make a boot set, in their order."""

from pathlib import Path

from harness.images import apt, debian_root, firmware, light_initramfs, light_root, modules
from harness.images.cache import Builder, Made
from harness.images.tools import need, remove, run

TOOLS = ("apt-get", "apt-cache", "apt-config", "dpkg-deb", "setpriv", "unshare", "qemu-aarch64-static")
DEBIAN_TOOLS = (*TOOLS, "mmdebstrap", "arch-test")
LIGHT_PARTS = ("initramfs-tools-core", "klibc-utils", "libklibc", "busybox-static")


def build(kind: str, builder: Builder) -> Made:
    """Lays out `boot/` and `root/` in the builder's folder; needs root, tools and network (InfraError names what lacks)."""
    need(DEBIAN_TOOLS if kind == "debian" else TOOLS, keyring=True, root=True)
    work = builder.folder / "work"
    work.mkdir()
    builder.step("reading Debian's package lists")
    archive = apt.PrivateApt(work / "apt")
    archive.update()
    kernel_name = archive.depends("linux-image-arm64", "linux-image-")
    names = [kernel_name, "raspi-firmware", *(LIGHT_PARTS if kind == "light" else ())]
    builder.step("downloading kernel and firmware" if kind == "debian" else "downloading kernel, firmware and busybox")
    got = archive.download(names, builder.debs)
    builder.step("unpacking kernel and firmware")
    for name in (kernel_name, "raspi-firmware"):
        apt.unpack(got[name], work / name)
    boot = builder.folder / "boot"
    release = firmware.make_boot(work / "raspi-firmware", work / kernel_name, boot)
    versions = [str(package) for package in got.values()]
    root = builder.folder / "root"
    if kind == "debian":
        versions += _debian(builder, archive, root, work / kernel_name, release)
    else:
        _light(builder, got, root, work, work / kernel_name, release)
    (boot / "initramfs8").chmod(0o644)
    remove(work)
    return Made(release, tuple(sorted(set(versions))))


def _debian(builder: Builder, archive: apt.PrivateApt, root: Path, kernel: Path, release: str) -> list[str]:
    builder.step("making the Debian root: mmdebstrap, about two minutes")
    debian_root.bootstrap(archive, root)
    builder.step("configuring the Debian root")
    debian_root.add_modules(root, kernel, release)
    debian_root.configure(root)
    builder.step("making the initramfs: initramfs-tools under emulation, about one minute")
    (builder.folder / "boot/initramfs8").write_bytes(debian_root.initramfs(root, release))
    return debian_root.packages(root)


def _light(builder: Builder, got: dict[str, apt.Package], root: Path, work: Path, kernel: Path, release: str) -> None:
    builder.step("making the light root and its initramfs")
    parts = work / "parts"
    for name in LIGHT_PARTS:
        apt.unpack(got[name], parts)
    busybox = parts / "bin/busybox"
    listed = run(["qemu-aarch64-static", busybox, "--list-full"], "asking busybox for its commands", deadline=60)
    applets = listed.split()
    light_root.make(root, busybox, applets)
    tree = modules.ModuleTree(kernel / "lib/modules" / release)
    chosen = tree.closure(modules.WANTED, required=modules.LIGHT_BOOT)
    target = root / "lib/modules" / release
    modules.install(tree, chosen, target)
    modules.write_index(chosen, target)
    names = [applet.rsplit("/", 1)[-1] for applet in applets]
    data = light_initramfs.make(parts, names, tree, release, work / "initramfs")
    (builder.folder / "boot/initramfs8").write_bytes(data)
