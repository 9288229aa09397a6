# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks of what the emulated lab needs of this machine: programs, rights, kernel, images, disk and memory."""

from collections.abc import Iterator, Sequence

from harness.checks.machine import machine_checks
from harness.checks.probes import Check, Probes
from harness.checks.programs import BUILDING, FEEDING, IMAGE, NETBOOT, SERVING, program_check
from harness.config import EmulatedPower, EmulatedServer, LabConfig
from harness.errors import HarnessError

_GIB = 1024**3
_MIB = 1024**2
#: What building the images takes in the cache folder while it is built, and what a run with built images writes; bytes.
_DISK_TO_BUILD, _DISK_TO_RUN = 3 * _GIB, 300 * _MIB
#: What the harness, its services and one QEMU's own heap take beside the guests' memory; bytes.
_MEMORY_BESIDE = 400 * _MIB


_FSAL = ("/usr/lib/*/ganesha/libfsalvfs.so", "/usr/lib/ganesha/libfsalvfs.so", "/usr/lib64/ganesha/libfsalvfs.so")
_KEYRING = ("/usr/share/keyrings/debian-archive-keyring.*",)

#: Makes, in a network namespace that ends with it, what a rig is made of.
_NETWORK = "ip link add name pt0 type veth peer name pt1 && ip link add name pt2 type bridge && ip tuntap add name pt3 mode tap"
_OVERLAY = (
    "mount -t tmpfs t /mnt && cd /mnt && mkdir l u w m && mount -t overlay o -o lowerdir=l,upperdir=u,workdir=w m"
)


def emulated_checks(lab: LabConfig, probes: Probes) -> Iterator[Check]:
    yield _root(probes)
    topologies = sorted({server.topology for server in _used_servers(lab)})
    feeds = sorted({board.power.gear for board in lab.boards.values() if isinstance(board.power, EmulatedPower)})
    for program in (
        *SERVING,
        *(program for topology in topologies for program in NETBOOT[topology]),
        *(program for gear in feeds for program in FEEDING.get(gear, ())),
    ):
        yield program_check(program, probes)
    yield from machine_checks(lab)
    yield _files("ganesha's FSAL VFS", _FSAL, "nfs-ganesha-vfs", "NFS of the emulated lab", probes)
    yield _tun(probes)
    yield _kernel(
        "virtual network",
        ["unshare", "--net", "sh", "-c", _NETWORK],
        "veth, bridge and tap",
        "the board's wire",
        probes,
    )
    yield _kernel(
        "overlay file system",
        ["unshare", "--mount", "sh", "-c", _OVERLAY],
        "overlay",
        "a clean root for every boot",
        probes,
    )
    yield from _own_images(lab, probes)
    roots = sorted({server.root for server in _used_servers(lab) if server.image is None})
    built = {root: probes.image_is_built(root) for root in roots}
    for root in roots:
        yield _image(root, built[root])
    to_build = not all(built.values())
    if to_build:
        for program in BUILDING:
            if "debian" in roots or program.name not in {"mmdebstrap", "arch-test"}:
                yield program_check(program, probes)
        yield _files("Debian's archive keys", _KEYRING, "debian-archive-keyring", "building the boards' images", probes)
        if "debian" in roots:
            yield _binfmt(probes)
    yield _disk(probes, _DISK_TO_BUILD if to_build else _DISK_TO_RUN)
    yield _memory(lab, probes)


def _own_images(lab: LabConfig, probes: Probes) -> Iterator[Check]:
    """The user's own: whether they are laid out, and what that takes."""
    why, missing = "what the boards boot", False
    for image in sorted({server.image for server in _used_servers(lab) if server.image is not None}):
        found = probes.image_is_laid_out(image)
        name = f"image: {image.rpartition('/')[2]}"
        if isinstance(found, HarnessError):
            yield Check(name, False, found.what, found.remedy, why)
        elif found:
            yield Check(name, True, "laid out", "", why)
        else:
            missing = True
            yield Check(name, None, "not laid out yet", "nothing: the first boot does it, once, in some minutes", why)
    if missing:
        for program in IMAGE:
            yield program_check(program, probes)
        there = probes.exists("/dev/fuse")
        remedy = "" if there else "sudo modprobe fuse; in a container: give it this device"
        yield Check(
            "/dev/fuse", there, "is there" if there else "there is no such device", remedy, "the root of your image"
        )


def _used_servers(lab: LabConfig) -> Iterator[EmulatedServer]:
    for board in lab.boards.values():
        server = lab.server_of(board)
        if isinstance(server, EmulatedServer):
            yield server


def _root(probes: Probes) -> Check:
    why = "the emulated lab: its NFS server opens files by handle, which only root may"
    if probes.is_root():
        return Check("root", True, "running as root", "", why)
    return Check("root", False, "running as an ordinary user", "run it with sudo: sudo .venv/bin/piboot boot", why)


def _files(name: str, patterns: Sequence[str], package: str, needed_for: str, probes: Probes) -> Check:
    found = next((path for pattern in patterns for path in probes.glob(pattern)), None)
    if found is not None:
        return Check(name, True, found, "", needed_for)
    return Check(
        name, False, "not installed", f"sudo apt-get install --no-install-recommends {package}", needed_for, package
    )


def _tun(probes: Probes) -> Check:
    path, why = "/dev/net/tun", "the network card of an emulated board"
    if not probes.exists(path):
        return Check(
            path, False, "there is no such device", "sudo modprobe tun (in a container: give it this device)", why
        )
    if not probes.may(path, "rw"):
        return Check(path, False, "may not be read and written", f"sudo chmod 666 {path}, or run with sudo", why)
    return Check(path, True, "may be read and written", "", why)


def _kernel(name: str, argv: Sequence[str], what: str, needed_for: str, probes: Probes) -> Check:
    if not probes.is_root():
        return Check(name, None, "tried by root only", "run this check with sudo", needed_for)
    if probes.which(argv[0]) is None or ("ip " in argv[-1] and probes.which("ip") is None):
        return Check(
            name,
            None,
            "could not be tried: ip or unshare is missing",
            "sudo apt-get install iproute2 util-linux",
            needed_for,
        )
    status, output = probes.run(argv)
    if status == 0:
        return Check(name, True, f"the kernel gives {what}", "", needed_for)
    said = output.strip().splitlines()[-1:] or [f"exit status {status}"]
    remedy = "use a kernel with these modules (Debian's own have them); in a container: run it privileged"
    return Check(name, False, f"the kernel does not give {what}: {said[0]}", remedy, needed_for)


def _image(root: str, built: bool | None) -> Check:
    name, why = f"image: {root}", "what the boards boot"
    if built:
        return Check(name, True, "built", "", why)
    takes = "3-5 minutes" if root == "debian" else "half a minute"
    found = "not built yet" if built is False else "not known whether it is built"
    return Check(name, None, found, f"nothing: the first boot builds it, once, in {takes}", why)


def _binfmt(probes: Probes) -> Check:
    name, why = "arm64 programs", "building the boards' Debian root"
    if probes.exists("/proc/sys/fs/binfmt_misc/register"):
        return Check(name, True, "the kernel can be told how to run them (binfmt_misc)", "", why)
    listed = "binfmt_misc" in probes.read("/proc/filesystems")
    if listed and probes.is_root():
        return Check(name, True, "binfmt_misc is there, and is mounted when it is needed", "", why)
    remedy = "sudo modprobe binfmt_misc; in a container: run it privileged, or register qemu-user-static on its host"
    return Check(name, None, "binfmt_misc is not mounted", remedy, why)


def _disk(probes: Probes, wanted: int) -> Check:
    name, why = "free disk", "the boards' images, captures and reports"
    folder, free = probes.free_disk()
    if free is None:
        return Check(name, None, f"could not be told for {folder}", "", why)
    found = f"{free / _GIB:.1f} GiB in {folder}"
    if free >= wanted:
        return Check(name, True, found, "", why)
    remedy = f"free {wanted / _GIB:.1f} GiB there, or set PIBOOT_CACHE to a folder with more room"
    return Check(name, False, found, remedy, why)


def _memory(lab: LabConfig, probes: Probes) -> Check:
    name, why = "free memory", "the boards' virtual machines"
    sizes = sorted((board.emulation.memory for board in lab.boards.values() if board.emulated), reverse=True)
    at_once = min(lab.emulation.guests, len(sizes))
    wanted = sum(sizes[:at_once]) * _MIB + _MEMORY_BESIDE
    free = probes.free_memory()
    if free is None:
        return Check(name, None, "could not be told", "", why)
    found = f"{free / _GIB:.1f} GiB; {at_once} at once need {wanted / _GIB:.1f}"
    if free >= wanted:
        return Check(name, True, found, "", why)
    remedy = "lower emulation.guests, or a board's emulation.memory, in lab.yaml; or end other programs"
    return Check(name, False, found, remedy, why)
