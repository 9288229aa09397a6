# SPDX-License-Identifier: GPL-2.0-or-later
"""The EEPROM bootloader of BCM2711 from reset on: banners, the loop over BOOT_ORDER, and what follows a failure.

Sources: bootflow-eeprom.adoc, cmprovision#43 (lines and times of 2024 and later), FW#1575, EE#417, and a public UART
log of 2021 (NETBOOT CANCEL path).
"""

import datetime

from harness.emulator import firmware, netboot
from harness.emulator.effects import Halt, HandOver, Link, Steps
from harness.emulator.machine import Machine
from harness.emulator.payload import Payload

_MODES = {
    **{0: "SD", 1: "SD", 2: "NETWORK", 3: "RPIBOOT", 4: "USB-MSD", 5: "BCM-USB-MSD", 6: "NVME", 7: "HTTP"},
    **{14: "STOP", 15: "RESTART"},
}
#: Seconds that a mode takes to find nothing: USB-MSD 25 s (EE#480), the others inferred.
_NOTHING_AFTER = {1: 0.3, 4: 25.0, 5: 25.0, 6: 1.0, 7: 0.1}
#: Between two tries of the NETWORK mode (release notes 2020-06-03); a wait of software, not scaled.
_RETRY_PAUSE = 5.0
_RESTART_PAUSE = 0.1
_BOOTSYS, _BOOTLOADER = 0.07, 2.12
#: Memory chips by the board's MiB, as the bootloader names them (public logs of 2, 4 and 8 GB boards).
_CHIPS = {1024: "8Gb x1", 2048: "16Gb x1", 4096: "16Gb x2", 8192: "32Gb x2"}


def program(m: Machine) -> Steps[None]:
    """All that a board does from power-on; ends only by Halt."""
    warm = False
    while True:
        m.reset()
        yield Link(up=False)
        yield from _banners(m, warm=warm)
        payload = yield from _boot_order(m)
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


def _banners(m: Machine, *, warm: bool) -> Steps[None]:
    uart, release, identity = m.uart, m.release, m.identity
    date = datetime.date.fromisoformat(release.date)
    stamp = int(datetime.datetime(date.year, date.month, date.day, 12, tzinfo=datetime.UTC).timestamp())
    pm_rsts = "0x00000020" if warm else "0x00001000"
    size = identity.memory_mb
    memory = f"Initialising SDRAM 'Micron' {_CHIPS.get(size, '32Gb x2')} total-size: {size // 128} Gbit 3200"
    yield from m.until(_BOOTSYS)
    if not release.iso_banner:
        # Before 2024-04-17: one banner, the month in letters, board and serial number as bare numbers.
        yield uart.line(
            f"RPi: BOOTLOADER release VERSION:{release.version} DATE: {date.strftime('%b')} {date.day:2d} {date.year} "
            f"TIME: 12:00:00 BOOTMODE: 0x00000006 part: 0 BUILD_TIMESTAMP={stamp} 0x{identity.serial_text} "
            f"0x{identity.revision:08x}"
        )
        yield uart.line(f"PM_RSTS: {pm_rsts}")
        yield uart.line("part 00000000 reset_info 00000000")
        yield uart.line("uSD voltage 3.3V")
        yield uart.line(memory)
    else:
        words = f"release VERSION:{release.version} DATE: {date.strftime('%Y/%m/%d')} TIME: 12:00:00"
        mode = (
            f"BOOTMODE: 0x06 partition 0 build-ts BUILD_TIMESTAMP={stamp} serial {identity.serial_text} "
            f"boardrev {identity.revision:06x} stc {{}}"
        )
        yield uart.line(f"RPi: BOOTSYS {words}")
        yield uart.line(mode.format(round(m.seconds() * 1e6)))
        yield uart.line(f"PM_RSTS: {pm_rsts}")
        yield uart.line("part 00000000 reset_info 00000000")
        yield uart.line("uSD voltage 3.3V")
        yield uart.line(memory)
        yield from m.until(_BOOTLOADER)
        yield uart.line(f"RPi: BOOTLOADER {words}")
        yield uart.line(mode.format(round(m.seconds() * 1e6)))
    yield from m.until(m.model.to_network)


def _boot_order(m: Machine) -> Steps[Payload | None]:
    """Tries one boot mode after the other; None means that the board resets itself."""
    restarts = 0
    order = m.eeprom.boot_order
    while True:
        mode = order & 0xF
        order >>= 4
        yield m.uart.line(f"Boot mode: {_MODES[mode]} ({mode:02x}) order {order:x}")
        if mode == 2:
            payload = yield from _network(m)
            if payload is not None:
                return payload
        elif mode == 0:
            # Also what is left when the order has come to its end: the board waits for a card (public log, 2021).
            yield m.uart.line("Insert SD-CARD")
            yield Halt("BOOT_ORDER has come to its end: the board waits for an SD card")
        elif mode == 3:
            yield Halt("RPIBOOT: the board waits for a USB host")
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


def _network(m: Machine) -> Steps[Payload | None]:
    limit = m.eeprom.net_boot_max_retries
    tries = 0
    while True:
        m.forget_network()
        early = yield from netboot.load_firmware(m)
        if early is not None:
            started = yield from firmware.run(m, early)
            if isinstance(started, Payload):
                return started
            yield Halt(started)
        yield from netboot.stop(m)
        if 0 <= limit <= tries:
            return None
        tries += 1
        yield m.uart.line(f"Retry NETWORK {tries}")
        yield from m.wait(_RETRY_PAUSE)
