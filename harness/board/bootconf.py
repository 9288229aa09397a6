# SPDX-License-Identifier: GPL-2.0-or-later
"""What a board needs once before it boots from the network in a lab: its EEPROM's bootconf.txt, or the OTP of one without EEPROM;
and how what is there compares with that. Pure text.

Sources: raspberrypi/documentation, eeprom-bootloader.adoc (keys, defaults), otp-bits.adoc (rows 17 and 66), boot-net.adoc;
raspberrypi/rpi-eeprom, release notes of 2711 and 2712.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from harness.config import BoardConfig, ExternalServer, LabConfig
from harness.config.mistakes import plain
from harness.models import MODELS

#: Larger files do not work with `vcgencmd bootloader_config` (rpi-eeprom-config).
LARGEST = 2024

#: What a bootloader does when the key is absent, where that is documented for all releases of the last years.
DEFAULTS: Mapping[str, str] = {
    "BOOT_ORDER": "0xf41",
    "NET_INSTALL_ENABLED": "1",
    "BOOT_WATCHDOG_TIMEOUT": "0",
    "TFTP_PREFIX": "0",
    "NET_BOOT_MAX_RETRIES": "0",
    "MAX_RESTARTS": "-1",
    "DHCP_TIMEOUT": "45000",
    "DHCP_REQ_TIMEOUT": "4000",
    "TFTP_FILE_TIMEOUT": "30000",
    "UART_BAUD": "115200",
    "WAIT_FOR_POWER_BUTTON": "0",
}

#: OTP row 17: USB host boot, which covers Ethernet; row 66: longer wait for USB devices.
_HOST_BOOT, _USB_TIMEOUT = 1 << 29, 1 << 24

Verdict = Literal["same", "default", "differs", "missing", "only there"]


@dataclass(frozen=True)
class Want:
    """One line of bootconf.txt, and why the lab wants it."""

    key: str
    value: str
    why: str


@dataclass(frozen=True)
class Row:
    """One key of the comparison. wanted, there: None where it is not. section: the filter that it stands under on the board."""

    key: str
    wanted: str | None
    there: str | None
    verdict: Verdict
    section: str = ""

    @property
    def good(self) -> bool:
        return self.verdict in {"same", "default", "only there"}


def wanted(lab: LabConfig, board: BoardConfig) -> list[Want]:
    """The keys that this lab wants in the board's EEPROM; those of its `eeprom:` win. Empty for a board without an EEPROM."""
    model = MODELS[board.model]
    if model.bootloader != "eeprom":
        return []
    budgets = board.budgets_for(model)
    # Longer than the harness ever waits for these stages: it is for boards that nobody watches.
    patience = 60 * math.ceil(2 * sum(budgets[stage] for stage in ("link", "dhcp", "firmware")) / 60)
    found = [Want("BOOT_ORDER", "0xf2", "network only, again and again: a forgotten card or stick changes nothing")]
    if board.console is not None:
        found.append(Want("BOOT_UART", "1", "the bootloader tells on the serial console what it does"))
    found += [
        Want("NET_INSTALL_ENABLED", "0", "net install asks for addresses of its own and waits for a keyboard"),
        Want("BOOT_WATCHDOG_TIMEOUT", str(patience), "a bootloader that hangs is reset (releases from June 2025 on)"),
    ]
    if model.soc == "BCM2712":
        found.append(Want("WAIT_FOR_POWER_BUTTON", "0", "it starts when its power comes"))
    found += _prefix(lab.server_of(board))
    own = {key: _spelt(key, value) for key, value in board.eeprom.settings().items()}
    merged = {want.key: want for want in found}
    merged |= {key: Want(key, value, "eeprom: in lab.yaml") for key, value in own.items()}
    return list(merged.values())


def _prefix(server: object) -> Iterator[Want]:
    if not isinstance(server, ExternalServer) or server.tftp is None:
        return
    why = "tftp: prefix: of its server in lab.yaml"
    match server.tftp.prefix:
        case "serial":
            return
        case "mac":
            yield Want("TFTP_PREFIX", "2", why)
        case "none":
            # There is no such setting: the bootloader drops the folder by itself when start4.elf or config.txt is not in it.
            return
        case fixed:
            yield Want("TFTP_PREFIX", "1", why)
            yield Want("TFTP_PREFIX_STR", fixed, why)


def _spelt(key: str, value: int | str) -> str:
    return f"0x{value:x}" if key in {"BOOT_ORDER", "DHCP_OPTION97"} and isinstance(value, int) else str(value)


def text_of(wants: Sequence[Want], name: str) -> str:
    """bootconf.txt, at most LARGEST octets."""
    lines = [f"# {plain(name)}: wanted by its lab", "[all]"]
    for want in wants:
        lines += [f"# {plain(want.why)}", f"{want.key}={want.value}"]
    text = "\n".join(lines) + "\n"
    if len(text.encode()) > LARGEST:
        text = "[all]\n" + "".join(f"{want.key}={want.value}\n" for want in wants)
    return text


def parse(text: str) -> list[tuple[str, str, str]]:
    """(section, key, value) of a bootconf.txt in its order; "" for what holds always (no section, [all]). Never raises."""
    section = ""
    found: list[tuple[str, str, str]] = []
    for raw in text.splitlines():
        line = raw.strip()
        if header := re.fullmatch(r"\[([^\]]{1,60})\]", line):
            section = "" if header[1].lower() == "all" else header[1]
        elif pair := re.fullmatch(r"([A-Za-z0-9_]{1,40})\s*=\s*(.{0,200})", line):
            found.append((section, pair[1], pair[2].strip()))
    return found


def compare(wants: Sequence[Want], text: str) -> list[Row]:
    """Key by key. text: what the board has. Of several lines with one key the last holds, as in the bootloader; those under a
    filter ([gpio4=1], [0x…], [config.txt]) are shown and not judged.
    """
    there = parse(text)
    always = {key: value for section, key, value in there if not section}
    rows = []
    for want in wants:
        value = always.get(want.key)
        if value is None:
            default = DEFAULTS.get(want.key)
            verdict: Verdict = "default" if default is not None and _same(want.value, default) else "missing"
        else:
            verdict = "same" if _same(want.value, value) else "differs"
        rows.append(Row(want.key, want.value, value, verdict))
    known = {want.key for want in wants}
    rows += [Row(key, None, value, "only there") for key, value in always.items() if key not in known]
    rows += [Row(key, None, value, "only there", section) for section, key, value in there if section]
    return rows


def _same(one: str, other: str) -> bool:
    try:
        return int(one, 0) == int(other, 0)
    except ValueError:
        return one == other


# --- boards without an EEPROM ----------------------------------------------------------------------------------------------


def otp_rows(board: BoardConfig, text: str) -> list[Row]:
    """As `compare`, for a board that starts from its boot ROM. text: `vcgencmd otp_dump`."""
    rows = {int(row[1]): int(row[2], 16) for row in re.finditer(r"^(\d\d):([0-9a-f]{8})\s*$", text, re.MULTILINE)}
    found = []
    checks = [(17, "3020000a", _HOST_BOOT)] if board.otp.net_boot else []
    if board.otp.usb_boot_timeout:
        checks.append((66, f"{_USB_TIMEOUT:08x}", _USB_TIMEOUT))
    for number, value, bit in checks:
        there = rows.get(number)
        verdict: Verdict = "missing" if there is None else "same" if there & bit else "differs"
        found.append(Row(f"OTP row {number}", value, None if there is None else f"{there:08x}", verdict))
    return found


def otp_text(board: BoardConfig) -> str:
    """What to do once with a board without an EEPROM."""
    lines = [
        f"# {plain(board.name)}: a {board.model} has no EEPROM; what it boots from is fused into it (OTP), for good."
    ]
    if board.model == "pi3bplus":
        lines.append("# It leaves the factory ready for network boot.")
    else:
        lines += [
            "# Boot it once from an SD card with this line in config.txt, then take the card out:",
            "program_usb_boot_mode=1",
        ]
    if board.otp.usb_boot_timeout:
        lines.append("program_usb_boot_timeout=1")
    lines.append("# To see it: vcgencmd otp_dump | grep 17:     must say 17:3020000a")
    return "\n".join(lines) + "\n"
