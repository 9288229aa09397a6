# SPDX-License-Identifier: GPL-2.0-or-later
"""All gear of a lab, looked at side by side: one switch that does not answer must not make the others wait."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from harness.config import BoardConfig, InterfaceWire, LabConfig, SerialConsole, SshWire
from harness.config.labgrid import LabgridPower
from harness.inspection.seen import Kind, Seen, looked

Task = Callable[[], Seen]

#: Looks at once.
_WORKERS = 16


def survey(lab: LabConfig) -> list[Seen]:
    """A row for each wire that a real board uses, and for each real board's labgrid place, power port and console, in
    the file's order. An emulated board's gear is made when a run begins. Never raises for what the gear does.
    """
    tasks = list(_tasks(lab))
    if not tasks:
        return []
    with ThreadPoolExecutor(min(_WORKERS, len(tasks)), thread_name_prefix="look") as pool:
        return [future.result() for future in [pool.submit(task) for task in tasks]]


def _tasks(lab: LabConfig) -> Iterator[Task]:
    real = [board for board in lab.boards.values() if not board.emulated]
    for name, wire in lab.wires.items():
        mac = next((board.mac for board in real if board.wire == name), None)
        if mac is not None and isinstance(wire, InterfaceWire | SshWire):
            yield _wire(name, wire, mac)
    for board in real:
        if board.place is not None:
            yield _place(lab, board)
        if not isinstance(board.power, LabgridPower):
            yield _power(board)
        if isinstance(board.console, SerialConsole):
            yield _console(board.name, board.console)


def _row(kind: Kind, gear: str) -> Seen:
    return Seen(kind, gear)


def _wire(name: str, wire: InterfaceWire | SshWire, mac: str) -> Task:
    from harness.inspection.wires import look_at_wire  # noqa: PLC0415 - brings scapy

    where = f"{wire.host}:{wire.interface}" if isinstance(wire, SshWire) else wire.interface
    return lambda: looked(_row("wire", f"wire {name}: {where}"), lambda row: look_at_wire(wire, mac, row))


def _power(board: BoardConfig) -> Task:
    from harness.inspection.power import look_at_power  # noqa: PLC0415

    return lambda: looked(_row("power", f"power of {board.name}"), lambda row: look_at_power(board, row))


def _place(lab: LabConfig, board: BoardConfig) -> Task:
    from harness.inspection.places import look_at_place  # noqa: PLC0415

    return lambda: looked(
        _row("place", f"labgrid place {board.place} of {board.name}"), lambda row: look_at_place(lab, board, row)
    )


def _console(board: str, console: SerialConsole) -> Task:
    from harness.inspection.consoles import look_at_console  # noqa: PLC0415

    return lambda: looked(
        _row("console", f"console of {board}: {console.line}"), lambda row: look_at_console(console, row)
    )
