# SPDX-License-Identifier: GPL-2.0-or-later
"""Looks at a board's labgrid place without acquiring it: what labgrid shows of it to everybody."""

from dataclasses import replace

from harness.config import BoardConfig, LabConfig
from harness.config.labgrid import LabgridConsole
from harness.config.wire import LabgridWire
from harness.inspection.seen import Seen
from harness.lab.places import place_of
from harness.labgrid.gear import INTERFACE, SERIAL


def look_at_place(lab: LabConfig, board: BoardConfig, row: Seen) -> Seen:
    """Whether the coordinator knows it, who has it, and whether it brings what lab.yaml takes from it. Raises as `Place.show`.

    Its power can only be asked by who has acquired it: that is seen with the first boot.
    """
    place = place_of(lab, board)
    assert place is not None  # noqa: S101 - such boards only are looked at
    shown = place.show()
    mine = f"acquired by {shown.acquired}" if shown.acquired else "free"
    there = ", ".join(f"{resource.name} ({resource.cls})" for resource in shown.resources) or "no resources"
    wanted = {
        "serial port": SERIAL if isinstance(board.console, LabgridConsole) else (),
        "network interface": INTERFACE if isinstance(lab.wire_of(board), LabgridWire) else (),
    }
    found = {resource.cls for resource in shown.resources if resource.avail}
    missing = [what for what, classes in wanted.items() if classes and not found.intersection(classes)]
    fix = "" if shown.resources else "does its exporter run, and do the place's matches fit?"
    if shown.resources and missing:
        fix = f"it lacks what lab.yaml takes from it: {', '.join(missing)}"
    return replace(
        row,
        reachable=bool(shown.resources) and not missing,
        rights=None,
        identity=f"coordinator {place.client.coordinator}",
        state=f"{mine}; {there}",
        fix=fix,
    )
