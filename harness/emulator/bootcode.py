# SPDX-License-Identifier: GPL-2.0-or-later
"""bootcode.bin, the second stage of a 2B, 3B or 3B+: its own DISCOVER, ARP, and the files up to the start of start.elf.

Lines: strings of bootcode.bin, FW#868, FW#941, FW#1041, FW#1124, FW#1292. Request order and times: dnsmasq log of a 3B+
(norcal-technologies/pi-network-boot); list from a card: FW#935.
"""

from harness.emulator import configtxt, firmware, images, netboot
from harness.emulator.bootrom_dhcp import BOOTCODE, Client, Offers
from harness.emulator.bootrom_net import FileReader, answer_of, find_mac, send_discover
from harness.emulator.effects import Flush, Link, Steps
from harness.emulator.machine import Machine
from harness.emulator.packets import NO_IP
from harness.emulator.payload import Payload
from harness.emulator.stack import START4, Transport

#: As start4.elf fills in its packets: TTL 128, no IP identification, no UDP checksum (FW#1041); it answers ARP (I).
_TRANSPORT: Transport = START4
#: From its start to its DISCOVER (the 3B+ log: 104 ms after bootcode.bin had gone out).
_START_UP = 0.1
#: Between two DISCOVERs, real seconds.
_RETRY = 5.0
#: From a card: five DISCOVERs, a long pause, and again (FW#941); how long the pause is, is inferred.
_CARD_TRIES, _CARD_PAUSE = 5, 30.0
#: The first source port (FW#1041; an atftpd log of a 3B, in which start.elf begins again at the same number).
_FIRST_PORT = 49153
#: Seconds without progress after which a file counts as missing (FW#1292: 10.37 s).
_IDLE = 10.0
#: What `sed s/BOOT_UART=0/BOOT_UART=1/` makes of the file: the log is on.
_UART_ON = b"BOOT_UART=1"
#: bootcode_delay in config.txt: seconds, in the bounds of reason.
_LONGEST_DELAY = 600
_NO_START = "start.elf was not found: the LED flashes 4 times"


def from_network(m: Machine, code: bytes) -> Steps[Payload | str]:
    """Runs what the boot ROM has fetched; gives what to start, or in words why the board stands still."""
    m.uart.enabled = _UART_ON in code
    yield m.uart.bare("Raspberry Pi Bootcode")
    yield m.uart.bare("USB ethernet boot")
    yield from m.takes(_START_UP)
    m.stack.use(_TRANSPORT)
    if not (yield from _server(m, BOOTCODE, BOOTCODE.tries)):
        return f"{BOOTCODE.tries} DISCOVERs of bootcode.bin without a usable answer"
    return (yield from load(m))


def from_card(m: Machine) -> Steps[Payload | str]:
    """Runs bootcode.bin of a card that holds nothing else: with its log on, and for ever when nobody answers."""
    uart = m.uart
    uart.enabled = True
    yield uart.bare("Raspberry Pi Bootcode")
    yield uart.bare("Found SD card, config.txt = 0, start.elf = 0, recovery.elf = 0, timeout = 0")
    m.stack.use(_TRANSPORT)
    while True:
        for line in (
            *("Trying USB", "Hub device found at addr 4, enumerating HUB", "Initialise hub"),
            *("Found 5 ports, multi_tt = 1", "Setting interface 0", "Enabling PORT POWER on port 1"),
            "Waiting for devices to respond to reset",
        ):
            yield uart.bare(line)
        yield from m.until(m.model.to_network - _START_UP)
        for line in (
            *("Found device on port 1", "Found highspeed device", "Device found: type = Ethernet adapter, addr = 5"),
            "Trying booting from Ethernet device addr 5",
            f"Initialise ethernet with MAC {m.identity.mac_text}",
            "Wait for Link up",
        ):
            yield uart.bare(line)
        if (yield Link(up=True, deadline=m.clock() + _RETRY)):
            yield uart.bare("Link up")
            yield from m.takes(_START_UP)
            if (yield from _server(m, BOOTCODE, _CARD_TRIES)):
                return (yield from load(m))
        else:
            yield uart.bare("Failed to initialise link")
        yield from m.wait(_CARD_PAUSE)


def _server(m: Machine, client: Client, tries: int) -> Steps[bool]:
    """The board's addresses and the server's MAC; False after that many DISCOVERs."""
    for _ in range(tries):
        start = m.clock()
        m.stack.ip = m.stack.mask = m.stack.gateway = NO_IP
        yield Flush()
        yield m.uart.bare("Sending DHCP request")
        yield send_discover(m, client)
        yield m.uart.bare("Waiting for dhcp_reply")
        offers = Offers(client)
        while not offers.enough and (answer := (yield from answer_of(m, start + _RETRY))) is not None:
            offers.take(*answer)
        if offers.enough and (yield from find_mac(m, offers, client, start + _RETRY)):
            return True
        yield from m.wait(max(0.0, start + _RETRY - m.clock()))
    return False


def load(m: Machine) -> Steps[Payload | str]:
    files = FileReader(m, _FIRST_PORT, plain=False, idle=_IDLE)
    m.prefix = f"{m.identity.serial_text}/"
    if (yield from files.get(m.prefix + m.model.start_elf, probe=True)) is None:
        m.prefix = ""
    if (yield from files.get(m.prefix + "autoboot.txt")) is not None:
        m.notes.append("autoboot.txt is on the server; the partitions that it names do not exist here")
    if m.prefix:
        # A second look, in a directory alone: without one the known logs have none (FW#1362, an atftpd log of a 3B).
        yield from files.get(m.prefix + m.model.start_elf, probe=True)
    config = yield from _read(m, files, "config.txt", unit="")
    early = configtxt.Walk(m.conditions(), config or b"", includes=False).config
    m.uart.second_stage = early.flag("uart_2ndstage")
    if (yield from _read(m, files, "recovery.elf")) is not None:
        m.notes.append("recovery.elf is on the server; a real board would start it, this one goes on")
    delay = min(early.number("bootcode_delay"), _LONGEST_DELAY)
    if delay > 0:
        yield from m.takes(delay)
    elf, fixup = netboot.firmware_names(m, early)
    start = yield from _read(m, files, elf)
    if start is None:
        return _NO_START
    yield from _read(m, files, fixup)
    fault = images.elf_fault(start)
    if fault:
        return f"{elf} cannot be started: {fault}"
    return (yield from firmware.run(m, early, firmware.START))


def _read(m: Machine, files: FileReader, name: str, unit: str = " (bytes)") -> Steps[bytes | None]:
    found = yield from files.get(m.prefix + name)
    if found is None:
        return None
    yield m.uart.bare(f"Read File: {name}, {len(found.data)}{unit}")
    return found.data
