# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks of the gear around real boards: interfaces, serial ports, power drivers, the server's files."""

from collections.abc import Iterator
from pathlib import Path

from harness.checks_boards import board_checks
from harness.checks_console import console_checks
from harness.config import BoardConfig, ExternalServer, InterfaceWire, LabConfig, PluginPower, SerialConsole
from harness.config.gear import POWER_GROUP
from harness.probes import Check, Probes


def gear_checks(lab: LabConfig, board: BoardConfig, probes: Probes) -> Iterator[Check]:
    """What stands around one real board."""
    wire, server = lab.wire_of(board), lab.server_of(board)
    if isinstance(wire, InterfaceWire):
        yield from _interface(wire, probes)
    if isinstance(board.console, SerialConsole):
        yield from console_checks(board.name, board.console, probes)
    if isinstance(board.power, PluginPower):
        why = f"switching {board.name}"
        yield Check(f"power driver {board.power.driver}", True, f"installed (entry point of {POWER_GROUP})", "", why)
    if isinstance(server, ExternalServer) and server.tftp is not None and server.tftp.root is not None:
        yield _tftp_root(server.tftp.root, probes)
    yield from board_checks(lab, board)


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


def _tftp_root(root: str, probes: Probes) -> Check:
    name, why = f"TFTP root {root}", "comparing what was delivered with the files"
    if not probes.exists(root):
        remedy = "correct tftp.root: in lab.yaml, or remove it when the server is another machine"
        return Check(name, False, "there is no such folder", remedy, why)
    if not probes.may(root, "rx"):
        return Check(name, False, "may not be read", f"let yourself read it, or run with sudo (ls -ld {root})", why)
    return Check(name, True, "may be read", "", why)
