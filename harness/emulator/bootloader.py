# SPDX-License-Identifier: GPL-2.0-or-later
"""The EEPROM bootloader from reset on: the loop over BOOT_ORDER, and what follows a failure.

Sources: bootflow-eeprom.adoc, cmprovision#43 (lines and times of 2024 and later), FW#1575, EE#417, and a public UART
log of 2021 (NETBOOT CANCEL path).
"""

from collections.abc import Callable

from harness.emulator import banners, firmware, http_boot, netboot, netconsole, pi5, watchdog
from harness.emulator.effects import Halt, HandOver, Link, Steps
from harness.emulator.machine import Machine
from harness.emulator.payload import Payload

_MODES = {
    **{0: "SD", 1: "SD", 2: "NETWORK", 3: "RPIBOOT", 4: "USB-MSD", 5: "BCM-USB-MSD", 6: "NVME", 7: "HTTP"},
    **{14: "STOP", 15: "RESTART"},
}
#: Seconds that a mode takes to find nothing: USB-MSD 25 s (EE#480), the others inferred.
_NOTHING_AFTER = {1: 0.3, 3: 5.0, 4: 25.0, 5: 25.0, 6: 1.0}
_RESTART_PAUSE = 0.1


def program(m: Machine) -> Steps[None]:
    """All that a board does from power-on; ends only by Halt."""
    warm = False
    while True:
        m.reset()
        yield Link(up=False)
        yield from banners.print_all(m, warm=warm)
        payload = yield from watchdog.guard(m, netconsole.echo(m, _boot_order(m)))
        warm = True
        if payload is None:
            continue
        ended = yield HandOver(payload)
        if ended == "shutdown":
            yield Halt("the operating system has switched the board off")
        if ended == "refused":
            # A real board jumps into whatever it was given, and is never heard of again.
            yield Halt("what was delivered as the kernel cannot run")
        if ended == "error":
            yield Halt("the virtual machine has failed")


def _boot_order(m: Machine) -> Steps[Payload | None]:
    """Tries one boot mode after the other; None means that the board resets itself."""
    restarts = 0
    order = m.eeprom.boot_order
    while True:
        mode = order & 0xF
        order >>= 4
        yield m.uart.line(f"Boot mode: {_MODES[mode]} ({mode:02x}) order {order:x}")
        if mode == 7 and not m.release.http:
            yield m.uart.line("Unsupported boot order 7")
        elif mode in (2, 7):
            payload = yield from _network(m, http_boot.load if mode == 7 else netboot.connect)
            if payload is not None:
                return payload
        elif mode == 0:
            # Also what is left when the order has come to its end: the board waits for a card (public log, 2021).
            yield m.uart.line("Insert SD-CARD")
            yield Halt("BOOT_ORDER has come to its end: the board waits for an SD card")
        elif mode == 14:
            yield m.uart.line("Halting")
            yield Halt("BOOT_ORDER says STOP")
        elif mode == 15:
            limit = m.eeprom.max_restarts
            if limit >= 0 and restarts >= limit:
                yield m.uart.line(f"Restart limit ({limit})exceeded. Watchdog reset")
                return None
            restarts += 1
            yield m.uart.line(f"Restart {restarts} max {limit}")
            yield from m.wait(_RESTART_PAUSE)
            order = m.eeprom.boot_order
        else:
            if mode == 1:
                yield m.uart.line("No SD card detected. Skipping once.")
            yield from m.takes(_NOTHING_AFTER[mode])


def load(m: Machine) -> Steps[Payload | str | None]:
    """The files, to the operating system; in words why the board stands still; None when the boot mode has failed."""
    if m.model.soc == "BCM2712":
        return (yield from pi5.load(m))
    early = yield from netboot.load(m)
    return None if early is None else (yield from firmware.run(m, early))


def _network(m: Machine, connect: Callable[[Machine], Steps[bool]]) -> Steps[Payload | None]:
    limit = m.eeprom.net_boot_max_retries
    tries = 0
    while True:
        m.forget_network()
        if (yield from connect(m)):
            started = yield from load(m)
            if isinstance(started, Payload):
                return started
            if started is not None:
                yield Halt(started)
        yield from netboot.stop(m)
        if 0 <= limit <= tries:
            return None
        tries += 1
        yield m.uart.line(f"Retry NETWORK {tries}")
        yield from m.wait(m.release.retry_pause)  # of software, so not scaled
