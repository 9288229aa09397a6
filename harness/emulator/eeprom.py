# SPDX-License-Identifier: GPL-2.0-or-later
"""The EEPROM configuration: the keys of bootconf.txt that matter for a network boot, checked.

Defaults and ranges: raspberrypi/documentation, eeprom-bootloader.adoc. Two defaults are a lab's and not the factory's:
BOOT_ORDER is 0xf2 (network only, again and again) and BOOT_UART is 1 (a board without console text cannot be judged).
"""

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from harness.emulator.dhcp import dotted
from harness.emulator.packets import BROADCAST_IP, BROADCAST_MAC, NO_IP
from harness.emulator.releases import Release
from harness.errors import ConfigError

_INFINITE = -1


@dataclass(frozen=True, slots=True)
class NetConsole:
    """Where the log goes. Defaults of the bootloader; that the source address is 0.0.0.0 when not given is inferred."""

    source_port: int = 6665
    source: bytes = NO_IP
    port: int = 6666
    target: bytes = BROADCAST_IP
    mac: bytes = BROADCAST_MAC


@dataclass(frozen=True, slots=True)
class Eeprom:
    """Times are seconds; addresses are four bytes or None; option97: None for the serial four times, b"" for default.

    http_path: without slashes at its ends; boot_watchdog_timeout: 0 for none.
    """

    boot_order: int = 0xF2
    net_boot_max_retries: int = 0
    max_restarts: int = _INFINITE
    dhcp_timeout: float = 45.0
    dhcp_req_timeout: float = 4.0
    tftp_file_timeout: float = 30.0
    tftp_ip: bytes | None = None
    client_ip: bytes | None = None
    subnet: bytes | None = None
    gateway: bytes | None = None
    tftp_prefix: int = 0
    tftp_prefix_str: str = ""
    pxe_option43: str = "Raspberry Pi Boot"
    option97: bytes | None = b""
    mac_address: bytes | None = None
    boot_uart: bool = True
    uart_baud: int = 115200
    netconsole: NetConsole | None = None
    http_host: bytes | None = None
    http_port: int = 80
    http_path: str = "net_install"
    boot_watchdog_timeout: int = 0

    @property
    def static(self) -> bool:
        """DHCP is left out: both ends are given."""
        return self.client_ip is not None and self.tftp_ip is not None


class _BadValueError(Exception):
    """str(): what is allowed."""


def _number(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        try:
            value = int(text, 0)
        except ValueError:
            raise _BadValueError(f"a number from {low} to {high}") from None
        if not low <= value <= high:
            raise _BadValueError(f"a number from {low} to {high}")
        return value

    return read


def _milliseconds(low: int) -> Callable[[str], float]:
    return lambda text: _number(low, 3_600_000)(text) / 1000


def _flag(text: str) -> bool:
    return bool(_number(0, 1)(text))


def _address(text: str) -> bytes | None:
    if not text:
        return None
    value = dotted(text.encode("ascii", "replace"))
    if value is None:
        raise _BadValueError("an IPv4 address such as 192.168.1.10, or nothing")
    return value


def _mask(text: str) -> bytes | None:
    value = _address(text)
    if value is not None and "01" in f"{int.from_bytes(value, 'big'):032b}":
        raise _BadValueError("a netmask such as 255.255.255.0")
    return value


def _mac(text: str) -> bytes | None:
    if not text:
        return None
    if not re.fullmatch(r"[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}", text):
        raise _BadValueError("a MAC address such as dc:a6:32:01:36:c2")
    return bytes.fromhex(re.sub("[:-]", "", text))


def _text(most: int) -> Callable[[str], str]:
    def read(text: str) -> str:
        if len(text) > most or not (text.isascii() and (text.isprintable() or not text)):
            raise _BadValueError(f"at most {most} printable ASCII characters")
        return text

    return read


def _boot_order(text: str) -> int:
    value = _number(0, 0xFFFFFFFF)(text)
    unknown = {digit for digit in f"{value:x}" if digit in "89abcd"}
    if unknown:
        raise _BadValueError(
            "hexadecimal digits 0 to 7, e and f, read from the right, such as 0xf21; "
            f"{', '.join(sorted(unknown))} means nothing"
        )
    return value


_NETCONSOLE = re.compile(r"(\d{0,5})@([\d.]*)/[A-Za-z0-9]*,(\d{0,5})@([\d.]*)/([0-9A-Fa-f:]*)")


def _netconsole(text: str) -> NetConsole | None:
    """`source port@address/device,target port@address/MAC`, at most 32 characters (eeprom-bootloader.adoc)."""
    if not text:
        return None
    found = _NETCONSOLE.fullmatch(text)
    ports = [int(port) for port in found.group(1, 3) if port] if found else []
    if found is None or len(text) > 32 or any(port > 65535 for port in ports):
        raise _BadValueError("like 6665@169.254.1.1/,6666@/ in at most 32 characters, ports up to 65535")
    default = NetConsole()
    return NetConsole(
        int(found[1] or default.source_port),
        _address(found[2]) or default.source,
        int(found[3] or default.port),
        _address(found[4]) or default.target,
        _mac(found[5]) or default.mac,
    )


def _path(text: str) -> str:
    return _text(64)(text).strip("/")


def _option97(text: str) -> bytes | None:
    value = _number(0, 0xFFFFFFFF)(text)
    return value.to_bytes(4, "big") if value else None


_KEYS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "BOOT_ORDER": ("boot_order", _boot_order),
    "NET_BOOT_MAX_RETRIES": ("net_boot_max_retries", _number(-1, 1_000_000)),
    "MAX_RESTARTS": ("max_restarts", _number(-1, 1_000_000)),
    "DHCP_TIMEOUT": ("dhcp_timeout", _milliseconds(5000)),
    "DHCP_REQ_TIMEOUT": ("dhcp_req_timeout", _milliseconds(500)),
    "TFTP_FILE_TIMEOUT": ("tftp_file_timeout", _milliseconds(5000)),
    "TFTP_IP": ("tftp_ip", _address),
    "CLIENT_IP": ("client_ip", _address),
    "SUBNET": ("subnet", _mask),
    "GATEWAY": ("gateway", _address),
    "TFTP_PREFIX": ("tftp_prefix", _number(0, 2)),
    "TFTP_PREFIX_STR": ("tftp_prefix_str", _text(32)),
    "PXE_OPTION43": ("pxe_option43", _text(64)),
    "DHCP_OPTION97": ("option97", _option97),
    "MAC_ADDRESS": ("mac_address", _mac),
    "NETCONSOLE": ("netconsole", _netconsole),
    "HTTP_HOST": ("http_host", _address),
    "HTTP_PORT": ("http_port", _number(1, 65535)),
    "HTTP_PATH": ("http_path", _path),
    "BOOT_WATCHDOG_TIMEOUT": ("boot_watchdog_timeout", _number(0, 65535)),
    "BOOT_UART": ("boot_uart", _flag),
    "UART_BAUD": ("uart_baud", _number(300, 4_000_000)),
}
#: Keys that a real bootconf.txt may hold and that change nothing here: taken without a word.
_WITHOUT_EFFECT = frozenset(
    (
        *(
            "POWER_OFF_ON_HALT",
            "WAKE_ON_GPIO",
            "WAIT_FOR_POWER_BUTTON",
            "PSU_MAX_CURRENT",
            "HDMI_DELAY",
            "DISABLE_HDMI",
        ),
        *("ENABLE_SELF_UPDATE", "FREEZE_VERSION", "VL805", "PCIE_PROBE", "XHCI_DEBUG", "SDRAM_BANKLOW"),
        *("BOOT_MENU_OPTIONS", "NET_INSTALL_ENABLED", "NET_INSTALL_KEYBOARD_WAIT"),
        *("SD_BOOT_MAX_RETRIES", "SD_QUIRKS", "SD_OVERCURRENT_CHECK", "USB_MSD_DISCOVER_TIMEOUT"),
        *("USB_MSD_LUN_TIMEOUT", "USB_MSD_PWR_OFF_TIME", "USB_MSD_STARTUP_DELAY", "PARTITION", "PARTITION_WALK"),
        *("BOOT_WATCHDOG_PARTITION", "REBOOT_ON_FATAL_ERROR"),
    )
)
#: Keys that would change what is seen on the wire: better refused than ignored.
_NOT_EMULATED = frozenset((*("HTTP_CACERT_HASH", "MAC_ADDRESS_OTP", "DNS_IP"),))
#: Switches that must be off, for the same reason.
_OFF = frozenset(("USE_IPV6", "SIGNED_BOOT", "NET_INSTALL_AT_POWER_ON"))


#: First releases for a BCM2711 that know these fields; an older one passes over their keys (release notes).
_SINCE: Mapping[str, tuple[str, ...]] = {
    "2019-10-08": ("tftp_prefix", "tftp_prefix_str"),
    "2019-11-18": ("mac_address",),
    "2020-03-04": ("client_ip", "subnet", "gateway", "pxe_option43", "option97"),
}
#: The time-out for a file was shorter before this release, unless it was configured.
_LONGER_SINCE, _SHORTER = "2019-09-25", 15.0


def known_to(release: Release, config: Eeprom) -> Eeprom:
    """What a bootloader of that release makes of the configuration. One that knows NETCONSOLE or BOOT_WATCHDOG_TIMEOUT says so
    itself."""
    default = Eeprom()
    unknown = [name for since, names in _SINCE.items() if release.date < since for name in names]
    if release.date < _LONGER_SINCE and config.tftp_file_timeout == default.tftp_file_timeout:
        config = replace(config, tftp_file_timeout=_SHORTER)
    return replace(config, **{name: getattr(default, name) for name in unknown})


def read(keys: Mapping[str, Any]) -> Eeprom:
    """Checks keys as in bootconf.txt; values may be text or numbers. Raises ConfigError that names every mistake."""
    values: dict[str, Any] = {}
    mistakes = []
    for key, value in keys.items():
        text = str(int(value)) if isinstance(value, bool) else str(value if value is not None else "").strip()
        if key in _KEYS:
            field, reader = _KEYS[key]
            try:
                values[field] = reader(text)
            except _BadValueError as bad:
                mistakes.append(f"{key}: {text!r} is not allowed: it must be {bad}")
        elif key in _OFF and text in ("", "0"):
            continue
        elif key in _NOT_EMULATED or key in _OFF:
            mistakes.append(f"{key}: not emulated")
        elif key not in _WITHOUT_EFFECT:
            near = difflib.get_close_matches(str(key), [*_KEYS, *_WITHOUT_EFFECT], n=1)
            mistakes.append(f"{key}: no such key" + (f", did you mean {near[0]}?" if near else ""))
    if values.get("tftp_prefix") == 1 and not values.get("tftp_prefix_str"):
        mistakes.append("TFTP_PREFIX: 1 needs TFTP_PREFIX_STR")
    if values.get("client_ip") and not values.get("tftp_ip"):
        mistakes.append("CLIENT_IP: needs TFTP_IP too, else DHCP is used and CLIENT_IP is not")
    if mistakes:
        raise ConfigError("eeprom: " + "; ".join(mistakes), remedy="correct these keys of `eeprom:`")
    return Eeprom(**values)
