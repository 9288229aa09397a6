# SPDX-License-Identifier: GPL-2.0-or-later
"""NETCONSOLE: the bootloader's log as UDP datagrams, beside the UART.

Form and defaults: eeprom-bootloader.adoc; lines: strings of released images (`NET_CONSOLE: wait for link`, `NETCONSOLE
%d@%i,%d:%i/%e`). One datagram per printed line, and that start4.elf's own log is not sent, are inferred.
"""

from typing import Any

from harness.emulator.dhcp import address_text
from harness.emulator.effects import Flush, Link, Print, Send, Steps, T
from harness.emulator.machine import Machine
from harness.emulator.packets import udp_frame
from harness.emulator.stack import EEPROM


def echo(m: Machine, steps: Steps[T]) -> Steps[T]:
    """Runs a part of the bootloader; while the link is up, what it prints goes out as UDP, too."""
    console = m.eeprom.netconsole if m.release.netconsole else None
    if console is None:
        return (yield from steps)
    up = yield from _wait_for_link(m)
    answer: Any = None
    try:
        while True:
            try:
                effect = steps.send(answer)
            except StopIteration as end:
                found: T = end.value
                return found
            answer = yield effect
            if isinstance(effect, Link):
                up = bool(answer)
            elif up and isinstance(effect, Print) and effect.text and m.stack.transport is EEPROM:
                yield _datagram(m, effect.text)
    finally:
        steps.close()


def _wait_for_link(m: Machine) -> Steps[bool]:
    """Blocks until the link is up or DHCP_TIMEOUT is over."""
    console = m.eeprom.netconsole
    assert console is not None  # noqa: S101 - asked by echo alone
    yield m.uart.line("NET_CONSOLE: wait for link")
    yield from m.takes(m.model.link_up)
    up = bool((yield Link(up=True, deadline=m.clock() + m.eeprom.dhcp_timeout)))
    yield Flush()
    said = m.uart.line(
        f"NETCONSOLE {console.source_port}@{address_text(console.source)},"
        f"{console.port}:{address_text(console.target)}/{console.mac.hex(':')}"
    )
    yield said
    if up and said.text:
        yield _datagram(m, said.text)
    return up


def _datagram(m: Machine, text: bytes) -> Send:
    console = m.eeprom.netconsole
    assert console is not None  # noqa: S101
    transport = m.stack.transport
    return Send(
        udp_frame(
            (m.identity.mac, console.mac),
            (console.source, console.target),
            (console.source_port, console.port),
            text,
            ttl=transport.ttl,
            ident=m.stack.next_ident(),
            checksum=transport.udp_checksum,
        )
    )
