# SPDX-License-Identifier: GPL-2.0-or-later
"""Findings about the console itself: it was away, it said nothing, or nothing that is text."""

from collections.abc import Iterator

from harness.boot.facts import Facts
from harness.boot.record import Evidence, Finding
from harness.boot.stages import STAGES

#: Octets that are no text before anybody is told: a board that is switched on or off makes a few of them on its line.
_FEW = 64

#: Stages that only the console proves.
_HEARD = frozenset(STAGES[STAGES.index("kernel") :])


def garbled(facts: Facts) -> bool:
    """Whether the console sent so much that is no text that its rate must be wrong."""
    console = facts.console
    return console is not None and console.binary > max(_FEW, 0.05 * console.bytes)


def mute(facts: Facts) -> bool:
    """Whether the console was read, and not one octet came."""
    return facts.expectation.has_console and facts.console is not None and facts.console.bytes == 0


def console_garbled(facts: Facts) -> Iterator[Finding]:
    """The rates of the board and of the console's line differ."""
    console = facts.console
    if console is None or not garbled(facts):
        return
    failed = facts.failed
    yield Finding(
        id="console-garbled",
        title=f"{console.binary} of {console.bytes} octets on the console are no text: a wrong baud rate?",
        stage=failed or next((stage.name for stage in facts.stages if stage.verdict != "not asked"), STAGES[0]),
        who="config",
        remedy="set baud: of this console in lab.yaml to what the board has (115200 unless UART_BAUD or console= say otherwise; "
        "baud_after: where it changes), then look at the ground wire and that both ends speak 3.3 V",
        severity="fault" if failed in _HEARD or (failed and not facts.expectation.has_wire) else "warning",
        evidence=(Evidence(source="console", ref=1, text=f"{console.binary} of {console.bytes} octets"),),
    )


def console_mute(facts: Facts) -> Iterator[Finding]:
    """The board was seen on the wire, and its console said nothing: it hangs on another board, or on no wire at all."""
    if not mute(facts) or not facts.saw_board or facts.failed not in _HEARD:
        return
    yield Finding(
        id="console-mute",
        title="the board was seen on the wire, but not one octet came from its console",
        stage=facts.failed,
        who="lab",
        remedy="check the console's wires (the board's TX to the adapter's RX, and ground) and that the port in lab.yaml is this "
        "board's; then BOOT_UART=1 in its EEPROM, enable_uart=1 in config.txt and console=serial0,115200 in cmdline.txt",
        evidence=(Evidence(source="console", text="0 octets"),),
    )


def console_gaps(facts: Facts) -> Iterator[Finding]:
    """The console was away for a while."""
    for gap in facts.console.gaps if facts.console is not None else ():
        how_long = "and did not come back" if gap.end is None else f"for {gap.end - gap.start:.1f} s"
        hidden = f"; what {' and '.join(gap.stages)} said then was not heard" if gap.stages else ""
        yield Finding(
            id="console-gap",
            title=f"the console was lost {how_long}: {gap.why}{hidden}",
            stage=gap.stages[0] if gap.stages else "power",
            who="lab",
            remedy="check the serial adapter or server, its cable, and that no other program reads the port",
            severity="warning",
            evidence=(Evidence(source="console", ref=gap.line, t=gap.start, text=f"{gap.why} at byte {gap.offset}"),),
        )
