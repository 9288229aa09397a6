# SPDX-License-Identifier: GPL-2.0-or-later
"""The NETWORK boot mode of the EEPROM bootloader: link, DHCP, ARP, and the files up to the start of start4.elf.

Lines: cmprovision#43, EE#376, EE#687, a public UART log of 2021; file order: dnsmasq logs L2 (2022) and L3 (2021),
and EE#74 for a server that has nothing.
"""

from harness.emulator import configtxt, images, lease, ramdisk
from harness.emulator.configtxt import Config
from harness.emulator.dhcp import address_text
from harness.emulator.effects import Flush, Link, Steps
from harness.emulator.files import BootloaderFiles, Found
from harness.emulator.machine import Machine
from harness.emulator.packets import NO_IP

#: From "Link ready" to the first DISCOVER (0.12 s on a Pi 5, EE#687).
_AFTER_LINK = 0.12
#: start.elf where start4.elf is missing: another board's firmware.
_OTHER_FIRMWARE = "start.elf"
#: The PHY of a BCM2711 board by whether the release is of 2024-04-17 or later (cmprovision#43) or older (FW#1575).
_PHY_LINES = {
    True: (
        *("GENET: RESET_PHY 1", "CTL 1140 PHY ID 600d 84a2", "MII_CONTROL 1140"),
        "MII APD 0021 SCTL3 0021 IDDQ 0000",
    ),
    False: ("GENET: RESET_PHY", "PHY ID 600d 84a2"),
}


def connect(m: Machine) -> Steps[bool]:
    """Link, addresses, and the MAC of the TFTP server or of the gateway towards it."""
    if not (yield from link(m)) or not (yield from lease.obtain(m)):
        return False
    return (yield from find_server(m))


def stop(m: Machine) -> Steps[None]:
    """The network is given up: MAC and PHY are reset (release notes 2020-06-12)."""
    yield m.uart.line("Stopping network")
    yield m.uart.line(m.stack.counters.text())
    if m.model.soc == "BCM2711":
        yield m.uart.line("GENET STOP: 0")
    yield m.uart.line("NETBOOT CANCEL")
    yield m.uart.line("NETBOOT init failed")
    yield Link(up=False)


def link(m: Machine, *, word: str = "") -> Steps[bool]:
    """The PHY is reset; waits for the link, at most DHCP_TIMEOUT. word: what waits, NETWORK unless told."""
    uart, mac = m.uart, m.identity.mac.hex()
    genet = m.model.soc == "BCM2711"  # no such lines on a Pi 5 (EE#687)
    for line in _PHY_LINES[m.release.iso_banner] if genet else ():
        yield uart.line(line)
    server = address_text(m.eeprom.tftp_ip or NO_IP)
    yield uart.line(f"{word or m.release.word}: {m.identity.mac_text} wait for link TFTP: {server}")
    yield from m.takes(m.model.link_up)
    if not (yield Link(up=True, deadline=m.clock() + m.eeprom.dhcp_timeout)):
        return False
    yield Flush()
    yield uart.line(f"LINK STATUS: speed: {m.model.link_speed} full duplex")
    yield uart.line("Link ready")
    if genet:
        yield uart.line("GENET START: 64 16 32")
        yield uart.line(f"GENET: UMAC_START 0x{mac[:8]} 0x{mac[8:]}0000")
    yield uart.line(m.stack.counters.text())
    yield from m.takes(_AFTER_LINK)
    return True


def find_server(m: Machine) -> Steps[bool]:
    """ARP for the TFTP server, or for the gateway when it is elsewhere; the NET line stands before and after."""
    stack = m.stack
    hop = stack.next_hop(m.server)
    gateway = NO_IP if hop == m.server else hop  # printed as 0.0.0.0 for a server on the link, in all known logs
    net = (
        f"NET {address_text(stack.ip)} {address_text(stack.mask)} gw {address_text(gateway)} "
        f"tftp {address_text(m.server)}"
    )
    yield m.uart.line("DHCP complete")
    yield m.uart.line(net)
    deadline = m.clock() + m.eeprom.tftp_file_timeout
    for _ in range(m.release.arp_tries):
        found = yield from stack.resolve(hop, deadline, m.clock() + m.release.arp_wait)
        if found is not None:
            m.server_mac = found
            yield m.uart.line(f"ARP {address_text(hop)} {found.hex(':')}")
            yield m.uart.line(net)
            yield m.uart.line(stack.counters.text())
            return True
    return False


def prefix(m: Machine) -> str:
    """TFTP_PREFIX as text, with its slash; boot.img has none."""
    if m.ramdisk is not None:
        return ""
    kind = m.eeprom.tftp_prefix
    if kind == 1:
        return m.eeprom.tftp_prefix_str
    return f"{m.identity.serial_text}/" if kind == 0 else f"{m.identity.mac.hex('-')}/"


def load(m: Machine) -> Steps[Config | None]:
    """BCM2711: the files up to "Starting start4.elf"; gives config.txt as read, None when the mode has failed."""
    files = ramdisk.bootloader_files(m)
    m.prefix = prefix(m)
    if m.prefix:
        found = yield from files.probe(m.prefix + m.model.start_elf)
        if found is None:
            found = yield from files.probe(m.prefix + _OTHER_FIRMWARE)
        if found is None:
            m.prefix = ""
    text = yield from files.get(m.prefix + "config.txt")
    early = configtxt.Walk(m.conditions(), text.data if text else b"", includes=False).config
    m.uart.second_stage = early.flag("uart_2ndstage") and m.release.hands_uart
    if early.flag("boot_ramdisk") and m.ramdisk is None:
        return (yield from load(m)) if (yield from ramdisk.enter(m, files)) else None
    yield from _optional(m, files, "vl805.sig" if m.release.sig_first else "", "pieeprom.sig")
    for name in ("recover4.elf", "recovery.elf"):
        if (yield from files.get(m.prefix + name)) is None:
            yield m.uart.line(f"{name} not found (6)")
        else:
            m.notes.append(f"{name} is on the server; a real board would start it, this one goes on")
    elf, fixup = firmware_names(m, early)
    start = yield from files.get(m.prefix + elf)
    if start is None and not early.text("start_file"):
        start = yield from files.get(m.prefix + _OTHER_FIRMWARE)
        if start is not None:
            yield m.uart.line(f"{_OTHER_FIRMWARE}: is not compatible")
            yield m.uart.line("This board requires newer software")
            start = None
    if start is None:
        yield m.uart.line("Firmware not found")
        return None
    return early if (yield from _start(m, files, elf, start, fixup)) else None


def _optional(m: Machine, files: BootloaderFiles, *names: str) -> Steps[None]:
    for name in filter(None, names):
        if (yield from files.get(m.prefix + name)) is not None:
            m.notes.append(f"{name} is on the server; the self-update that it may start is not emulated")


def _start(m: Machine, files: BootloaderFiles, elf: str, start: Found, fixup: str) -> Steps[bool]:
    patch = yield from files.get(m.prefix + fixup)
    if patch is None:
        yield m.uart.line(f"Missing/empty '{fixup}' continuing")
    fault = images.elf_fault(start.data)
    if fault:
        yield m.uart.line(f"ELF loader error: '{fault}'")
        return False
    yield m.uart.line("MEM GPU: 76 ARM: 948 TOTAL: 1024")
    yield m.uart.line(f"Starting {elf} @ 0xfec00200 partition 0")
    yield m.uart.bare("")
    return True


def firmware_names(m: Machine, config: Config) -> tuple[str, str]:
    """start_file and fixup_file, or what start_x, start_debug and a GPU memory of 16 MB make of them (documentation)."""
    stem, tail = m.model.start_elf.removesuffix(".elf"), m.model.fixup.removesuffix(".dat")
    kind = ""
    if config.flag("start_debug"):
        kind = "db"
    elif config.flag("start_x"):
        kind = "x"
    elif config.number("gpu_mem", 76) == 16:
        kind = "cd"
    return (
        config.text("start_file") or f"{stem}{kind}.elf",
        config.text("fixup_file") or f"{tail}{kind}.dat",
    )
