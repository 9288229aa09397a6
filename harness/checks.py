# SPDX-License-Identifier: GPL-2.0-or-later
"""Looks whether this machine has the tools and rights that one lab needs, and says what to install or to change.

Nobody's power, network or services are touched: what is tried is tried in namespaces that end at once.
"""

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.config import (
    BoardConfig,
    EmulatedServer,
    ExternalServer,
    InterfaceWire,
    LabConfig,
    PluginPower,
    SerialConsole,
)
from harness.config.gear import POWER_GROUP
from harness.config.mistakes import plain
from harness.errors import ConfigError
from harness.probes import Probes

_GIB = 1024**3
_MIB = 1024**2
#: What building the images takes in the cache folder while it is built, and what a run with built images writes; bytes.
_DISK_TO_BUILD, _DISK_TO_RUN = 3 * _GIB, 300 * _MIB
#: What the harness, its services and one QEMU's own heap take beside the guests' memory; bytes.
_MEMORY_BESIDE = 400 * _MIB


@dataclass(frozen=True)
class Check:
    """One thing looked at. ok: None when it could not be told, or does not stop a boot; found: what there is; remedy:
    what to do, "" when nothing; needed_for: what does not work without it; package: Debian's, that brings it.
    """

    name: str
    ok: bool | None
    found: str
    remedy: str
    needed_for: str
    package: str = ""


@dataclass(frozen=True)
class _Program:
    name: str
    package: str
    needed_for: str


_SERVING = (
    _Program("unshare", "util-linux", "namespaces of the emulated lab"),
    _Program("setpriv", "util-linux", "ending what a killed run left"),
    _Program("dnsmasq", "dnsmasq-base", "DHCP and TFTP of the emulated lab"),
    _Program("rpcbind", "rpcbind", "NFS of the emulated lab"),
    _Program("ganesha.nfsd", "nfs-ganesha", "NFS of the emulated lab"),
    _Program("qemu-system-aarch64", "qemu-system-arm", "running the kernel that an emulated board received"),
)
_BUILDING = (
    _Program("apt-get", "apt", "fetching the boards' kernel and firmware"),
    _Program("dpkg-deb", "dpkg", "unpacking the boards' kernel and firmware"),
    _Program("mmdebstrap", "mmdebstrap", "building the boards' Debian root"),
    _Program("arch-test", "arch-test", "building the boards' Debian root"),
    _Program("qemu-aarch64-static", "qemu-user-static", "building the boards' Debian root"),
)
_TCPDUMP = _Program("tcpdump", "tcpdump", "captures")

_FSAL = ("/usr/lib/*/ganesha/libfsalvfs.so", "/usr/lib/ganesha/libfsalvfs.so", "/usr/lib64/ganesha/libfsalvfs.so")
_KEYRING = ("/usr/share/keyrings/debian-archive-keyring.*",)

#: Makes, in a network namespace that ends with it, what a rig is made of.
_NETWORK = "ip link add name pt0 type veth peer name pt1 && ip link add name pt2 type bridge && ip tuntap add name pt3 mode tap"
_OVERLAY = (
    "mount -t tmpfs t /mnt && cd /mnt && mkdir l u w m && mount -t overlay o -o lowerdir=l,upperdir=u,workdir=w m"
)


def run_checks(lab: LabConfig, probes: Probes | None = None) -> list[Check]:
    """All checks of `lab`, in the order in which a boot would need them. Takes about half a second; never raises."""
    probes = probes or Probes()
    checks: list[Check] = []
    if lab.emulated:
        checks += _emulated(lab, probes)
    real = [board for board in lab.boards.values() if not board.emulated]
    if lab.emulated or any(board.wire is not None for board in real):
        checks.append(_program(_TCPDUMP, probes))
    for board in real:
        checks += _real(lab, board, probes)
    checks += _secrets(lab)
    # Several boards share a wire or a server: said once.
    return list(dict.fromkeys(checks))


def failed(checks: Iterable[Check]) -> list[Check]:
    """Those without which a boot cannot work."""
    return [check for check in checks if check.ok is False]


def format_table(checks: Sequence[Check], width: int = 100) -> str:
    """Plain text: one line per check, what to do below those that are not in order, and one apt line for all packages."""
    if not checks:
        return "nothing to check"
    words = {True: "ok", False: "MISSING", None: "note"}
    column = max(len(plain(check.name)) for check in checks)
    lines = []
    for check in checks:
        lines.append(f"{words[check.ok]:8}{plain(check.name):{column}}  {plain(check.found, 200)}")
        if check.ok is not True:
            for label, text in (("needed for", check.needed_for), ("do", check.remedy)):
                indent = " " * (10 + column)
                wrapped = textwrap.wrap(f"{label}: {plain(text, 1000)}", max(40, width - len(indent)))
                lines += [indent + line for line in wrapped] if text else []
    bad = failed(checks)
    packages = sorted({check.package for check in bad if check.package})
    lines.append("")
    if packages:
        lines.append(f"install: sudo apt-get install --no-install-recommends {' '.join(packages)}")
        lines.append("     or: script/setup, which also keeps their services from starting on this machine")
    lines.append(f"{len(bad)} of {len(checks)} missing" if bad else f"all {len(checks)} in order")
    return "\n".join(lines)


# --- the emulated lab ----------------------------------------------------------------------------------------------------


def _emulated(lab: LabConfig, probes: Probes) -> Iterator[Check]:
    yield _root(probes)
    for program in _SERVING:
        yield _program(program, probes)
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
    roots = sorted({server.root for server in _used_servers(lab)})
    built = {root: probes.image_is_built(root) for root in roots}
    for root in roots:
        yield _image(root, built[root])
    to_build = not all(built.values())
    if to_build:
        for program in _BUILDING:
            # arm64 programs run at build time only for the Debian root.
            if "debian" in roots or program.name in {"apt-get", "dpkg-deb"}:
                yield _program(program, probes)
        yield _files("Debian's archive keys", _KEYRING, "debian-archive-keyring", "building the boards' images", probes)
        if "debian" in roots:
            yield _binfmt(probes)
    yield _disk(probes, _DISK_TO_BUILD if to_build else _DISK_TO_RUN)
    yield _memory(lab, probes)


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


def _program(program: _Program, probes: Probes) -> Check:
    path = probes.which(program.name)
    remedy = f"sudo apt-get install --no-install-recommends {program.package}"
    if path is None:
        return Check(program.name, False, "not installed", remedy, program.needed_for, program.package)
    return Check(program.name, True, path, "", program.needed_for)


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
    minutes = "a few minutes" if root == "debian" else "about a minute"
    found = "not built yet" if built is False else "not known whether it is built"
    return Check(name, None, found, f"nothing: the first boot builds it, once, in {minutes}", why)


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
    remedy = f"free {wanted / _GIB:.1f} GiB there, or set XDG_CACHE_HOME to a folder with more room"
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


# --- real boards ---------------------------------------------------------------------------------------------------------


def _real(lab: LabConfig, board: BoardConfig, probes: Probes) -> Iterator[Check]:
    wire, server = lab.wire_of(board), lab.server_of(board)
    if isinstance(wire, InterfaceWire):
        yield from _interface(wire, probes)
    if isinstance(board.console, SerialConsole):
        yield _serial(board.name, board.console, probes)
    if isinstance(board.power, PluginPower):
        why = f"switching {board.name}"
        yield Check(f"power driver {board.power.driver}", True, f"installed (entry point of {POWER_GROUP})", "", why)
    if isinstance(server, ExternalServer) and server.tftp is not None and server.tftp.root is not None:
        yield _tftp_root(server.tftp.root, probes)


def _interface(wire: InterfaceWire, probes: Probes) -> Iterator[Check]:
    name, why = f"interface {wire.interface}", "seeing the boards' packets"
    state = probes.read(f"/sys/class/net/{wire.interface}/operstate").strip()
    if not state:
        known = ", ".join(sorted(Path(path).name for path in probes.glob("/sys/class/net/*")))
        yield Check(name, False, "there is no such interface", f"write one of these in lab.yaml: {known}", why)
        return
    if state in {"up", "unknown"}:
        yield Check(name, True, f"it is {state}" if state == "up" else "it is there", "", why)
    else:
        # Without a link: a board that is off, on a cable of its own, looks like this too.
        yield Check(name, None, f"it is {state}", f"sudo ip link set {wire.interface} up, and look at the cable", why)
    tcpdump = probes.which("tcpdump")
    if tcpdump is None:
        return
    if probes.is_root() or probes.has_capabilities(tcpdump):
        yield Check(
            "right to capture", True, "root" if probes.is_root() else f"{tcpdump} has capabilities", "", "captures"
        )
    else:
        remedy = f"sudo setcap cap_net_raw,cap_net_admin=ep {tcpdump}, or run with sudo"
        yield Check("right to capture", False, f"{tcpdump} may not open interfaces for you", remedy, "captures")
    if wire.filter is not None:
        status, output = probes.run([tcpdump, "-d", "-y", "EN10MB", wire.filter])
        said = (output.strip().splitlines() or [""])[-1].removeprefix("tcpdump: ")
        remedy = "correct filter: of this wire in lab.yaml (man pcap-filter)"
        yield Check(
            f"filter of {wire.interface}",
            status == 0,
            said if status else "valid",
            remedy if status else "",
            "captures",
        )


def _serial(board: str, console: SerialConsole, probes: Probes) -> Check:
    name, why = f"console {console.port}", f"reading {board}"
    if not probes.exists(console.port):
        known = probes.glob("/dev/serial/by-id/*") or probes.glob("/dev/tty[UA][SM][BA]*")
        there = ", ".join(known) if known else "no serial adapter is plugged in"
        return Check(name, False, "there is no such port", f"plug the adapter in, or correct port: ({there})", why)
    if not probes.is_character_device(console.port):
        return Check(name, False, "this is not a device", "correct port: in lab.yaml", why)
    if not probes.may(console.port, "rw"):
        remedy = "sudo adduser $USER dialout and log in again, or run with sudo"
        return Check(name, False, "may not be read and written", remedy, why)
    users = probes.users_of(console.port)
    if users:
        pid, program = users[0]
        remedy = f"end it (process {pid}): two readers tear a console's text apart"
        return Check(name, False, f"open in {program}", remedy, why)
    return Check(name, True, "free, may be read and written", "", why)


def _tftp_root(root: str, probes: Probes) -> Check:
    name, why = f"TFTP root {root}", "comparing what was delivered with the files"
    if not probes.exists(root):
        remedy = "correct tftp.root: in lab.yaml, or remove it when the server is another machine"
        return Check(name, False, "there is no such folder", remedy, why)
    if not probes.may(root, "rx"):
        return Check(name, False, "may not be read", f"let yourself read it, or run with sudo (ls -ld {root})", why)
    return Check(name, True, "may be read", "", why)


def _secrets(lab: LabConfig) -> Iterator[Check]:
    for board in lab.boards.values():
        if board.login is None or board.login.password is None:
            continue
        name, why = f"password of {board.name}", "logging in"
        try:
            board.login.password.resolve()
        except ConfigError as error:
            yield Check(name, False, f"{error.place}: {error.what}", error.remedy, why)
        else:
            yield Check(name, True, "there", "", why)
