# SPDX-License-Identifier: GPL-2.0-or-later
"""Looks at every external server of a lab on behalf of each board that boots from it; boards side by side. Bounded in time."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from harness.boot.expect import ExpectedServer
from harness.boot.record import Finding
from harness.boot.rootline import differences, root_of
from harness.config import BoardConfig, ExternalServer, InterfaceWire, LabConfig
from harness.errors import HarnessError
from harness.inspection.netboot import files, http
from harness.inspection.netboot.card import Card, own_addresses
from harness.inspection.netboot.dhcp import Told, Window, ask, programs_of
from harness.inspection.netboot.files import Fetched
from harness.inspection.netboot.interfaces import interface_for, networks
from harness.inspection.netboot.namespace import inside
from harness.inspection.netboot.pi import Pi, pi_of
from harness.inspection.netboot.roots import look_at_root
from harness.inspection.netboot.seen import ROOT_SERVER, Look, Point
from harness.lab.served import of_lab
from harness.masking import masked
from harness.sharing.leases import key_of, locks_of

#: Boards at once: their files come over one wire.
_WORKERS = 4
#: Seconds for the files of one board.
_FILES = 120.0


def look_at_servers(
    lab: LabConfig, progress: Callable[[str], None] = lambda _line: None, window: Window | None = None
) -> list[Look]:
    """In the file's order. Never raises for what servers do."""
    boards = [
        board
        for board in lab.boards.values()
        if isinstance(lab.server_of(board), ExternalServer) and not board.emulated
    ]
    if not boards:
        return []

    def one(board: BoardConfig) -> Look:
        progress(f"looking at server {board.server} as {board.name} ({board.model})")
        return _look(lab, board, window or Window())

    with ThreadPoolExecutor(min(_WORKERS, len(boards)), thread_name_prefix="look") as pool:
        return list(pool.map(one, boards))


def _look(lab: LabConfig, board: BoardConfig, window: Window) -> Look:
    server, wire = lab.server_of(board), lab.wire_of(board)
    assert isinstance(server, ExternalServer)  # noqa: S101 - chosen so
    empty = Look(str(board.server), board.name, board.model)
    namespace = wire.namespace if isinstance(wire, InterfaceWire) else None
    try:
        return inside(namespace, lambda: _all(lab, board, server, empty, window))
    except HarnessError as error:
        return _failed(empty, str(error.what), error.remedy)
    except Exception as error:  # what a server says must never end the look at others
        return _failed(empty, f"the look failed: {type(error).__name__}: {error}", "report this, with your lab.yaml")


def _failed(empty: Look, title: str, remedy: str) -> Look:
    finding = Finding(id="look-failed", title=title, stage="dhcp", who="lab", remedy=remedy)
    return Look(empty.server, empty.board, empty.model, findings=(finding,))


def _all(lab: LabConfig, board: BoardConfig, server: ExternalServer, empty: Look, window: Window) -> Look:
    expected, pi = of_lab(server, board), pi_of(board)
    skipped: list[str] = []
    findings: list[Finding] = []
    told = _dhcp(lab, board, pi, expected, window, skipped)
    for one in told:
        findings += one.findings
    last = told[-1].ask if told else None
    takes = all(one.ask.takes for one in told)
    address = last.tftp_server if last is not None and takes else None
    tftp = address or _given(pi) or expected.tftp
    if told and not takes and tftp is not None:
        skipped.append(f"whom the board would ask for files is not known from DHCP: {tftp} was asked, as lab.yaml says")
    fetched = _files(pi, tftp, last.address if last is not None else None, expected, skipped)
    found = root_of(fetched.cmdline or "") if fetched is not None else {}
    if fetched is not None:
        findings += fetched.findings
        findings += _root_line(expected, fetched.cmdline)
    root = server.root_for(serial_number=board.serial_number, mac=board.mac, name=board.name)
    points = tuple(look_at_root(root, found))
    if not points:
        skipped.append("the root: neither `root:` of the server nor a command line says where it is")
    findings += _of_points(points)
    return Look(
        server=empty.server,
        board=empty.board,
        model=empty.model,
        asks=tuple(one.ask for one in told),
        tftp_server=tftp,
        prefix=fetched.prefix if fetched is not None else None,
        files=fetched.files if fetched is not None else (),
        outcome=fetched.outcome if fetched is not None else "",
        cmdline=masked(fetched.cmdline) if fetched is not None and fetched.cmdline is not None else None,
        root=points,
        findings=tuple(dict.fromkeys(findings)),
        skipped=tuple(skipped),
    )


def _dhcp(
    lab: LabConfig, board: BoardConfig, pi: Pi, expected: ExpectedServer, window: Window, skipped: list[str]
) -> list[Told]:
    wire, programs = lab.wire_of(board), programs_of(pi)
    if not programs:
        skipped.append("DHCP: the board has its addresses in its EEPROM (CLIENT_IP, TFTP_IP)")
        return []
    if not isinstance(wire, InterfaceWire):
        where = "the board has no `wire:`" if wire is None else "its wire is on another host: run `piboot check` there"
        skipped.append(f"DHCP: {where}; a DISCOVER needs an interface of this machine in the board's network")
        return []
    state, holder = locks_of(lab).look(key_of(lab, board))
    if state == "held":
        who = holder.words if holder is not None else "somebody"
        skipped.append(f"DHCP: {who} has the board; packets with its MAC address would disturb it")
        return []
    servers = [*expected.dhcp, *([expected.tftp] if expected.tftp else [])]
    known = networks()
    name = interface_for(wire.interface, servers, known)
    try:
        with Card(name, pi.settings.identity.mac, local=bool({*servers} & own_addresses())) as card:
            if not card.running:
                skipped.append(f"DHCP: {name} is down, or has no cable: ip link set {name} up")
                return []
            told = [ask(pi, program, card, expected, window) for program in programs]
    except HarnessError as error:
        how = "sudo .venv/bin/piboot check" if "CAP_NET_RAW" in error.what else error.remedy
        skipped.append(f"DHCP: {error.what}: {how}")
        return []
    return [_on(name, one, addressed=name in known) for one in told]


def _on(interface: str, told: Told, *, addressed: bool) -> Told:
    """With the interface's name. No answer is no fault of the server's where nothing may ever have gone out."""
    findings = told.findings
    if not addressed and not told.ask.answers:
        findings = tuple(
            one.model_copy(
                update={
                    "severity": "warning",
                    "title": f"{one.title}: asked on {interface}, which has no address here, and may be a mirror port",
                    "remedy": "give this host an address in the boards' network: the DISCOVER then goes out by that interface",
                }
            )
            for one in findings
        )
    return replace(told, ask=replace(told.ask, interface=interface), findings=findings)


def _given(pi: Pi) -> str | None:
    """TFTP_IP of the board's EEPROM."""
    given = None if pi.is_rom else pi.settings.eeprom.tftp_ip
    return ".".join(map(str, given)) if given is not None else None


def _files(
    pi: Pi, tftp: str | None, address: str | None, expected: ExpectedServer, skipped: list[str]
) -> Fetched | None:
    deadline = time.monotonic() + _FILES
    # BOOT_ORDER is read from the right: 2 is the network, 7 HTTP.
    order = f"{pi.settings.eeprom.boot_order:x}"[::-1]
    if expected.http is not None and not pi.is_rom and "7" in order.partition("2")[0]:
        return http.fetch(pi, expected.http, expected.http_root, deadline)
    if tftp is None:
        skipped.append("the files: neither DHCP nor `tftp:` of the server says who has them")
        return None
    return files.fetch(pi, tftp, address, expected, deadline)


def _root_line(expected: ExpectedServer, cmdline: str | None) -> Iterator[Finding]:
    wrong = differences(expected.root_parts, cmdline or "")
    if wrong:
        yield Finding(
            id="root-not-as-described",
            title=f"cmdline.txt has another root than lab.yaml: {'; '.join(wrong)}",
            stage="root",
            who="server",
            remedy="correct the board's cmdline.txt, or `root:` of the server in lab.yaml",
        )


def _of_points(points: tuple[Point, ...]) -> Iterator[Finding]:
    for point in points:
        if point.state == "fault":
            title = f"{point.what}: {point.said}"
            yield Finding(id=ROOT_SERVER, title=title, stage="root", who="server", remedy=point.fix)
