# SPDX-License-Identifier: GPL-2.0-or-later
"""Milestones before an operating system: boot ROM's bootcode.bin, EEPROM bootloader, start.elf, BL31, U-Boot, UEFI, iPXE.

Sources: UART logs in issues of raspberrypi/firmware (FW#) and raspberrypi/rpi-eeprom (EE#); strings of released EEPROM
images (IMG2711, IMG2712); release notes of rpi-eeprom (RN). Lines may carry seconds since power-on ("  5.02 ", since
2024-05-17, jumping back until 2025-05-08) and "MESS:HH:MM:SS.UUUUUU:0: "; both are taken off before these patterns see them.
Since 2025 a stamp may also stand behind the text of a DHCP option (EE#687), so those rows are open at their end.
"""

from harness.console.rule import Fields, Rule, rule

_MAC = r"(?:[0-9A-Fa-fX]{2}:){5}[0-9A-Fa-fX]{2}"
_IP = r"[\dA-Fa-f:.]{2,45}"

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def iso_date(text: str) -> str:
    """ "2021/11/22" and "Sep 10 2019" as "2021-11-22", "2019-09-10"; anything else unchanged."""
    parts = text.replace("/", " ").split()
    if len(parts) == 3 and parts[0] in _MONTHS and parts[1].isdigit() and parts[2].isdigit():
        return f"{int(parts[2]):04d}-{_MONTHS.index(parts[0]) + 1:02d}-{int(parts[1]):02d}"
    if len(parts) == 3 and all(part.isdigit() for part in parts):
        return f"{int(parts[0]):04d}-{int(parts[1]):02d}-{int(parts[2]):02d}"
    return text


def _dated(fields: Fields) -> Fields:
    fields["date"] = iso_date(fields.get("date", ""))
    # Until 2022 the board's revision stood as a bare word ("0x00b03111") behind the serial number.
    if "boardrev" in fields:
        fields["boardrev"] = fields["boardrev"].lstrip("0")
    return fields


BOOTLOADER: tuple[Rule, ...] = (
    rule(
        "bootloader.banner",
        "RPi: ",
        r"RPi: (?P<kind>BOOTSYS|BOOTLOADER) (?P<build>\w{1,16}) VERSION:(?P<version>[0-9a-f]{4,40})"
        r"(?: DATE:)? {1,2}(?P<date>\d{4}/\d\d/\d\d|[A-Z][a-z]{2} {1,2}\d{1,2} \d{4})"
        r"(?:.{0,80}BUILD_TIMESTAMP=\d{1,12} 0x(?P<serial>[0-9a-f]{8}) 0x(?P<boardrev>[0-9a-f]{8}))?",
        "IMG2711, IMG2712; EE#376, EE#687",
        fix=_dated,
    ),
    rule(
        "bootloader.banner",
        "Raspberry Pi Bootcode",
        r"Raspberry Pi Bootcode",
        "FW#868, FW#1124",
        kind="bootcode",
        version="",
        date="",
    ),
    rule(
        "bootloader.board",
        "boardrev ",
        r"BOOTMODE: 0x(?P<bootmode>[0-9a-f]{1,8}) partition \d{1,3} .{0,60}serial (?P<serial>[0-9a-f]{1,16}) "
        r"boardrev (?P<boardrev>[0-9a-f]{4,8})",
        "cmprovision#43 (2024), IMG2711 since 2022-11-25",
    ),
    rule(
        "bootloader.mode",
        "Boot mode: ",
        r"Boot mode: (?P<mode>[\w-]{1,16}) \((?P<code>[0-9a-f]{2})\) order (?P<order>[0-9a-f]{1,8})",
        "IMG2711 since 2020-05-15",
    ),
    rule("bootloader.retry", "Retry ", r"Retry (?P<mode>[\w-]{1,16}) (?P<count>\d{1,5})", "IMG2711"),
    rule("bootloader.restart", "Restart ", r"Restart (?P<count>\d{1,5}) max (?P<max>-?\d{1,5})", "IMG2711"),
    rule("bootloader.insert_sd", "Insert SD-CARD", r"Insert SD-CARD", "EE#480"),
    rule("bootloader.vl805", "VL805 EEPROM", r"VL805 EEPROM is up to date", "recovery.bin on a Pi 4"),
    rule("bootloader.eeprom_updated", "EEPROM: UPDATED", r"BOOT-EEPROM: UPDATED", "recovery.bin"),
    rule("firmware.not_found", "Firmware not found", r"Firmware not found", "IMG2711"),
    rule(
        "firmware.boot_error",
        "BOOT ERROR",
        r"BOOT ERROR: code (?P<code>[0-9A-Fa-fx]{1,10}) - '?(?P<text>[^']{0,120})",
        "IMG2711, IMG2712 since 2024",
    ),
    rule("firmware.halt", "Halting", r"Halting", "IMG2711"),
    rule("firmware.halt", "ELF loader error", r"ELF loader error: (?P<text>.{0,120})", "IMG2711"),
)

#: The HDMI diagnostics screen, which some people copy beside the serial text.
DIAGNOSTICS: tuple[Rule, ...] = (
    rule(
        "diag.board",
        "Raspberry Pi ",
        r"(?P<board>Raspberry Pi [\w ]{1,40}?) - (?P<memory>\d{1,3}GB)$",
        "HDMI diagnostics",
    ),
    rule(
        "diag.bootloader",
        "ootloader: ",
        r"[Bb]ootloader: (?P<version>[0-9a-f]{6,40}) (?P<date>\d{4}/\d\d/\d\d)",
        "HDMI diagnostics",
        fix=_dated,
    ),
    rule(
        "diag.boot",
        "boot: mode",
        r"boot: mode (?P<mode>[\w-]{1,16}) (?P<code>\w{1,2}) order (?P<order>[0-9a-f]{1,8})"
        r"(?: retry (?P<retry>\d{1,5}/-?\d{1,5}))?(?: restart (?P<restart>\d{1,5}/-?\d{1,5}))?",
        "HDMI diagnostics",
    ),
    rule("diag.net", "net: ", rf"net: (?P<state>\w{{1,12}}) ip: (?P<ip>{_IP})", "HDMI diagnostics"),
    rule("diag.tftp", "tftp: ", rf"tftp: (?P<ip>{_IP}) (?P<mac>{_MAC})", "HDMI diagnostics"),
)

_FILE = r"(?P<file>[^'\"]{1,200})"

START: tuple[Rule, ...] = (
    rule(
        "firmware.start_elf",
        "Starting start",
        r"Starting (?P<file>\w{1,24}\.elf) @ ",
        "IMG2711",
    ),
    rule(
        "firmware.read_file",
        "Read ",
        r"Read (?P<path>\S{1,255}) bytes {1,8}(?P<bytes>\d{1,12}) hnd",
        "IMG2711, IMG2712",
    ),
    rule(
        "firmware.read_file",
        "Read File: ",
        r"Read File: (?P<path>[^,]{1,255}), (?P<bytes>\d{1,12})",
        "bootcode.bin, FW#1292",
    ),
    rule("firmware.read_file", "Loading ", r"Loading (?P<path>[\w.-]{1,255}) hnd: ", "IMG2711 2019", bytes=""),
    rule("firmware.open", "brfs: File read: /", r"brfs: File read: (?P<path>/\S{1,255})", "FW#1292: also for TFTP"),
    rule("firmware.mess_start", "*** Restart logging", r"\*\*\* Restart logging", "start.elf"),
    rule(
        "firmware.load",
        "Loading '",
        rf"Loading '{_FILE}' to (?P<address>0x[0-9a-f]{{1,16}})"
        r"(?: size (?P<size>0x[0-9a-f]{1,16}))?(?: offset (?P<offset>0x[0-9a-f]{1,16}))?",
        "FW#1292 (size 0x0: failed); EE#720 on a Pi 5 (offset)",
    ),
    rule("firmware.dtb", "dtb_file '", rf"dtb_file '{_FILE}'", "FW#1292"),
    rule(
        "firmware.dtb_failed",
        "Failed to load Device",
        rf"(?:dterror: )?Failed to load Device Tree file '{_FILE}'",
        "start.elf",
    ),
    rule("firmware.dtb_failed", "dterror: not a", r"dterror: not a valid FDT", "start.elf", file=""),
    rule(
        "firmware.dtb_loaded",
        "Device tree loaded",
        r"Device tree loaded to (?P<address>0x[0-9a-f]{1,16}) \(size (?P<size>0x[0-9a-f]{1,12})\)",
        "start.elf",
    ),
    rule("firmware.missing", 'BMD "', r"BMD \"(?P<file>[^\"]{1,200})\" not found", "IMG2712"),
    rule("firmware.missing", " not found", r"\[[\w-]{1,16}\] (?P<file>\S{1,200}) not found$", "IMG2711, IMG2712"),
    rule("firmware.missing", "Failed to open command", rf"Failed to open command line file '{_FILE}'", "start.elf"),
    rule("firmware.missing", "Device-tree file", r"Device-tree file \"(?P<file>[^\"]{1,200})\" not found", "start.elf"),
    rule("firmware.missing", "Missing/empty", rf"Missing/empty '{_FILE}' continuing", "IMG2711"),
    rule(
        "firmware.read_failed", "Failed to read", r"Failed to read (?P<file>\S{1,200}) error: (?P<code>\d{1,5})", "2019"
    ),
    rule("firmware.read_failed", "transfer timed out", r"(?P<file>\S{1,200}) transfer timed out", "IMG2711"),
    rule("firmware.cmdline_file", "Read command line from", rf"Read command line from file '{_FILE}'", "start.elf"),
    rule(
        "firmware.initramfs",
        "initramfs (",
        r"initramfs \((?P<file>[^)]{1,200})\) loaded to (?P<address>0x[0-9a-f]{1,16}) \(size (?P<size>0x[0-9a-f]{1,12})\)",
        "IMG2712",
    ),
    rule(
        "firmware.initramfs_failed", "initramfs disabled", rf"Failed to load '{_FILE}' - initramfs disabled", "IMG2712"
    ),
    rule(
        "firmware.initramfs_failed",
        "No matching initramfs",
        r"No matching initramfs found \(expected (?P<file>[^)]{1,200})\)",
        "IMG2712",
    ),
    rule("firmware.kernel_missing", "No compatible kernel", r"No compatible kernel found", "IMG2712", file=""),
    rule("firmware.kernel_missing", "kernel file ", r"kernel file (?P<file>\S{1,200}) does not exist", "IMG2712"),
    rule("firmware.kernel_missing", "kernel GZIP", r"kernel GZIP decompression failed", "IMG2712", file=""),
    rule("firmware.incompatible", "newer software", r"This board requires newer software", "IMG2711"),
    rule("firmware.incompatible", "is not compatible", r"(?P<file>\S{1,200}): is not compatible", "IMG2711"),
    rule("firmware.incompatible", "does not indicate support", r".{0,80}does not indicate support for", "IMG2712"),
    rule("firmware.start_os", "Starting OS", r"Starting OS (?P<ms>\d{1,9}) ms", "EE#720"),
    rule("firmware.start_arm", "Starting ARM", r"(?:arm_loader: )?Starting ARM with (?P<memory>\w{1,12})", "FW#1292"),
    rule("firmware.bl31", "BL31: v", r"NOTICE: {1,4}BL31: (?P<version>v\S{1,60})", "Pi 5"),
)

BOOTCODE: tuple[Rule, ...] = (
    rule("bootcode.sd", "SD card", r"Found SD card", "FW#868", found="yes"),
    rule("bootcode.sd", "SD card", r"No SD card found", "FW#868", found="no"),
    rule("bootcode.usb_ethernet", "USB ethernet boot", r"USB ethernet boot", "FW#1124: after the ROM's own netboot"),
    rule(
        "bootcode.usb_ethernet",
        "Ethernet device addr",
        r"Trying booting from Ethernet device addr (?P<addr>\d{1,3})",
        "FW#941",
    ),
    rule("bootcode.ethernet", "Initialise ethernet", rf"Initialise ethernet with MAC (?P<mac>{_MAC})", "FW#941"),
    rule("bootcode.link_wait", "Wait for Link up", r"Wait for Link up", "FW#941"),
    rule("bootcode.link", "Link up", r"Link up", "FW#941"),
    rule("bootcode.link_fail", "Failed to initialise link", r"Failed to initialise link", "FW#1041"),
    rule("bootcode.dhcp_request", "Sending DHCP request", r"Sending DHCP request$", "FW#941: every 5 s"),
    rule("bootcode.dhcp_wait", "Waiting for dhcp_reply", r"Waiting for dhcp_reply", "FW#941"),
    rule(
        "bootcode.arp",
        "ARP request: my IP",
        rf"ARP request: my IP addr (?P<ip>{_IP}) my eth_addr (?P<mac>{_MAC}) ARP for addr (?P<target>{_IP})",
        "FW#1292",
    ),
    rule("bootcode.arp_ok", "Done ARP", rf"Done ARP for (?P<ip>{_IP}) got (?P<mac>{_MAC})", "FW#1292"),
    rule("bootcode.arp_fail", "No response from ARP", r"No response from ARP request", "FW#1292"),
)

OTHERS: tuple[Rule, ...] = (
    rule("uboot.banner", "U-Boot ", r"U-Boot (?P<version>\d{4}\.\S{1,60})(?: \((?P<date>[^)]{1,60})\))?", "U-Boot"),
    rule(
        "uboot.board", "RPI ", r"(?P<board>RPI [\w +.-]{1,40}) \(0x(?P<boardrev>[0-9a-f]{4,8})\)", "U-Boot rpi_3, rpi_4"
    ),
    rule("uboot.no_ethernet", "No ethernet found", r"(?:Net: {1,6})?No ethernet found", "U-Boot"),
    rule("uboot.autoboot", "Hit any key to stop autoboot", r"Hit any key to stop autoboot", "U-Boot"),
    rule("uboot.prompt", "U-Boot>", r"U-Boot>(?: |$)", "U-Boot"),
    rule("uboot.prompt", "=> ", r"=> ", "U-Boot on an emulated machine"),
    rule("uboot.dhcp", "DHCP client bound", rf"DHCP client bound to address (?P<ip>{_IP})", "U-Boot"),
    rule(
        "uboot.tftp",
        "TFTP from server",
        rf"TFTP from server (?P<server>{_IP}); our IP address is (?P<ip>{_IP})",
        "U-Boot",
    ),
    rule(
        "uboot.device", "Using ", r"Using (?P<device>(?:ethernet@[0-9a-f]{4,16}|[\w-]{1,32}#\d{1,2})) device", "U-Boot"
    ),
    rule("uboot.file", "Filename '", rf"Filename '{_FILE}'", "U-Boot"),
    rule("uboot.tftp_retry", "#T ", r"(?:Loading: )?[#T \t*]{0,200}#T [#T *]{0,200}", "U-Boot: T is a time-out"),
    rule("uboot.tftp_retry", "Loading: T", r"Loading: T [#T *]{0,200}", "U-Boot: before the first block"),
    rule("uboot.bytes", "Bytes transferred", r"Bytes transferred = (?P<bytes>\d{1,12})", "U-Boot"),
    rule("uboot.start_kernel", "Starting kernel ...", r"Starting kernel \.\.\.", "U-Boot"),
    rule("uefi.banner", "UEFI firmware", r"UEFI firmware \(version (?P<version>[^)]{1,120})\)?", "EDK2"),
    rule("uefi.banner", "EFI Firmware:", r"EFI Firmware: (?P<version>.{1,80})", "seen by FreeBSD's loader"),
    rule("uefi.pxe", "Start PXE over", r">>\s?Start PXE over (?P<family>IPv[46])", "EDK2"),
    rule("uefi.file", "NBP filename is", r"NBP filename is (?P<path>\S{1,255})", "EDK2"),
    rule("uefi.pxe_error", "PXE-E", r"PXE-E(?P<code>\d{2}): (?P<text>.{0,120})", "EDK2"),
    rule("uefi.shell", "UEFI Interactive Shell", r"UEFI Interactive Shell (?P<version>\S{1,12})", "EDK2"),
    rule("ipxe.banner", "iPXE ", r"iPXE (?P<version>\d\S{1,40}) .{0,4}-- Open Source", "iPXE"),
    rule("ipxe.file", "... ok", r"(?P<url>(?:tftp|http|https|nfs)://\S{1,255})\.\.\. ok", "iPXE"),
    rule("grub.banner", "GNU GRUB", r"GNU GRUB {1,2}version (?P<version>\S{1,40})", "GRUB"),
    rule("freebsd.loader", "EFI loader", r"FreeBSD/arm64 EFI loader, Revision (?P<version>\S{1,12})", "FreeBSD"),
    rule("freebsd.kernel", "---<<BOOT>>---", r"---<<BOOT>>---", "FreeBSD"),
    rule("freebsd.version", "FreeBSD ", r"FreeBSD (?P<release>\d{1,2}\.\d-\S{1,40}) ", "FreeBSD"),
    rule("freebsd.root", "Trying to mount root from", r"Trying to mount root from (?P<source>\S{1,120})", "FreeBSD"),
)

RULES: tuple[Rule, ...] = BOOTLOADER + DIAGNOSTICS + START + BOOTCODE + OTHERS
