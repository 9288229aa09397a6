# SPDX-License-Identifier: GPL-2.0-or-later
"""What the EEPROM bootloader prints before its first boot mode, by SoC and release.

Sources: cmprovision#43 (2024 and later), FW#1575, EE#417 (2020 to 2022); of a Pi 5 EE#687 (times) and the log of
rtems-docs (lines). What is said before 2020-05-15 is inferred from strings of released images.
"""

import datetime

from harness.emulator.effects import Steps
from harness.emulator.machine import Machine

#: Seconds from power to the two banners: a CM4 (cmprovision#43), a Pi 5 (EE#687, rtems-docs).
_TIMES = {"BCM2711": (0.07, 2.12), "BCM2712": (1.43, 4.15)}
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
#: Memory chips by the board's MiB, as the bootloader names them (public logs of 2, 4 and 8 GB boards).
_CHIPS = {1024: "8Gb x1", 2048: "16Gb x1", 4096: "16Gb x2", 8192: "32Gb x2"}


def print_all(m: Machine, *, warm: bool) -> Steps[None]:
    """Up to the time of the first boot mode. warm: the board has reset itself."""
    first, second = _TIMES[m.model.soc]
    yield from m.until(first)
    if not m.release.iso_banner:
        yield from _old(m, "0x00000020" if warm else "0x00001000")
    elif m.model.soc == "BCM2711":
        yield from _banner(m, "BOOTSYS")
        yield m.uart.line(f"PM_RSTS: {'0x00000020' if warm else '0x00001000'}")
        yield m.uart.line("part 00000000 reset_info 00000000")
        yield m.uart.line("uSD voltage 3.3V")
        yield m.uart.line(_memory(m))
        yield from m.until(second)
        yield from _banner(m, "BOOTLOADER")
    else:
        yield from _banner(m, "BOOTSYS")
        yield m.uart.line(f"AON_RESET: 00000003 PM_RSTS {'00000020' if warm else '00001000'}")
        yield m.uart.line("RP1_BOOT chip ID: 0x20001927")
        yield m.uart.line(f"DDR 4267 1 0 {_gigabits(m)} 152 BL:1")
        yield from m.until(second)
        yield from _banner(m, "BOOTLOADER")
        yield m.uart.line("usb_pd_init status 3")
    yield from m.until(m.model.to_network)


def _gigabits(m: Machine) -> int:
    return m.identity.memory_mb // 128


def _memory(m: Machine) -> str:
    return (
        f"Initialising SDRAM 'Micron' {_CHIPS.get(m.identity.memory_mb, '32Gb x2')} "
        f"total-size: {_gigabits(m)} Gbit 3200"
    )


def _old(m: Machine, pm_rsts: str) -> Steps[None]:
    """Before 2024-04-17: one banner, before 2022-11-25 in one line (public logs of 2019-09, 2021-07, 2021-11, 2023-01)."""
    release, identity, date = m.release, m.identity, datetime.date.fromisoformat(m.release.date)
    in_letters = f"{_MONTHS[date.month - 1]} {date.day:2d} {date.year}"
    mode = f"BOOTMODE: 0x00000006 part: 0 BUILD_TIMESTAMP={release.stamp}"
    name = f"RPi: BOOTLOADER release VERSION:{release.version}"
    if not release.iso_date:
        yield m.uart.line(f"PM_RSTS: {pm_rsts}")
    if release.labelled:
        yield from _banner(m, "BOOTLOADER")
    elif release.named:
        day = date.strftime("%Y/%m/%d") if release.iso_date else in_letters
        board = f"0x{identity.serial_text} 0x{identity.revision:08x} 0x{round(m.seconds() * 1e6):08x}"
        yield m.uart.line(f"{name} DATE: {day} TIME: 12:00:00 {mode} {board}")
    else:
        yield m.uart.line(f"{name} {in_letters} 12:00:00 {mode}")
    if release.iso_date:
        yield m.uart.line(f"PM_RSTS: {pm_rsts}")
    yield m.uart.line("part 00000000 reset_info 00000000")
    yield m.uart.line("uSD voltage 3.3V")
    yield m.uart.line(_memory(m))


def _banner(m: Machine, name: str) -> Steps[None]:
    date = datetime.date.fromisoformat(m.release.date)
    yield m.uart.line(
        f"RPi: {name} release VERSION:{m.release.version} DATE: {date.strftime('%Y/%m/%d')} TIME: 12:00:00"
    )
    yield m.uart.line(_mode(m))


def _mode(m: Machine) -> str:
    return (
        f"BOOTMODE: 0x06 partition 0 build-ts BUILD_TIMESTAMP={m.release.stamp} serial {m.identity.serial_text} "
        f"boardrev {m.identity.revision:06x} stc {round(m.seconds() * 1e6)}"
    )
