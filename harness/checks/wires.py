# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks of what a wire needs of this machine: interface, namespace, right to capture, ssh. `inspection` tries if it does."""

from collections.abc import Iterator
from pathlib import Path

from harness.checks.probes import Check, Probes
from harness.config import InterfaceWire, SshWire
from harness.config.wire import LabgridWire

#: Where `ip netns add` keeps its namespaces (ip-netns(8)).
_NAMESPACES = "/run/netns"


def wire_checks(wire: object, probes: Probes) -> Iterator[Check]:
    """What one wire of real boards needs; nothing for any other."""
    if isinstance(wire, InterfaceWire):
        yield _interface(wire, probes) if wire.namespace is None else _namespace(wire.namespace, probes)
        tcpdump = probes.which("tcpdump")
        if tcpdump is not None:
            yield _right(tcpdump, probes)
    elif isinstance(wire, SshWire | LabgridWire):
        yield _ssh(probes)
    if isinstance(wire, InterfaceWire | SshWire | LabgridWire) and wire.filter is not None:
        yield from _filter(wire, wire.filter, probes)


def _interface(wire: InterfaceWire, probes: Probes) -> Check:
    name, why = f"interface {wire.interface}", "seeing the boards' packets"
    state = probes.read(f"/sys/class/net/{wire.interface}/operstate").strip()
    if not state:
        known = ", ".join(sorted(Path(path).name for path in probes.glob("/sys/class/net/*")))
        return Check(name, False, "there is no such interface", f"write one of these in lab.yaml: {known}", why)
    if state in {"up", "unknown"}:
        return Check(name, True, f"it is {state}" if state == "up" else "it is there", "", why)
    # Without a link: a board that is off, on a cable of its own, looks like this too.
    return Check(name, None, f"it is {state}", f"sudo ip link set {wire.interface} up, and look at the cable", why)


def _namespace(namespace: str, probes: Probes) -> Check:
    name, why = f"namespace {namespace}", "seeing the boards' packets"
    if not probes.exists(f"{_NAMESPACES}/{namespace}"):
        known = ", ".join(Path(path).name for path in probes.glob(f"{_NAMESPACES}/*")) or "none"
        return Check(
            name, False, "there is no such network namespace", f"start what makes it (there are: {known})", why
        )
    if not probes.is_root():
        return Check(name, False, "only root may enter it", "run with sudo", why)
    return Check(name, True, "it is there", "", why)


def _right(tcpdump: str, probes: Probes) -> Check:
    if probes.is_root() or probes.has_capabilities(tcpdump):
        found = "root" if probes.is_root() else f"{tcpdump} has capabilities"
        return Check("right to capture", True, found, "", "captures")
    remedy = f"once: sudo setcap cap_net_raw=ep {tcpdump} (docs/wires.md), or run with sudo"
    return Check("right to capture", False, f"{tcpdump} may not open interfaces for you", remedy, "captures")


def _ssh(probes: Probes) -> Check:
    package, why = "openssh-client", "captures on other hosts"
    path = probes.which("ssh")
    if path is None:
        remedy = f"sudo apt-get install --no-install-recommends {package}"
        return Check("ssh", False, "not installed", remedy, why, package)
    return Check("ssh", True, path, "", why)


def _filter(wire: InterfaceWire | SshWire | LabgridWire, text: str, probes: Probes) -> Iterator[Check]:
    tcpdump = probes.which("tcpdump")
    if tcpdump is None:  # of a wire elsewhere none is needed here: the capture there will tell
        return
    status, output = probes.run([tcpdump, "-d", "-y", "EN10MB", text])
    said = (output.strip().splitlines() or [""])[-1].removeprefix("tcpdump: ")
    remedy = "correct filter: of this wire in lab.yaml (man pcap-filter)"
    name = f"filter of {wire.interface}" if not isinstance(wire, LabgridWire) else "filter of the labgrid wire"
    yield Check(name, status == 0, said if status else "valid", remedy if status else "", "captures")
