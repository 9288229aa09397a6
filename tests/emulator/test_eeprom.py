# SPDX-License-Identifier: GPL-2.0-or-later
"""The EEPROM configuration and the bootloader's releases: defaults, ranges, and what a mistake is told."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.emulator import eeprom, releases
from harness.errors import ConfigError


def test_defaults():
    config = eeprom.read({})
    assert (config.boot_order, config.dhcp_timeout, config.dhcp_req_timeout, config.tftp_file_timeout) == (
        0xF2,
        45,
        4,
        30,
    )
    assert config.boot_uart
    assert not config.static


def test_numbers_may_be_text_or_numbers():
    assert eeprom.read({"BOOT_ORDER": "0xf21"}).boot_order == 0xF21
    assert eeprom.read({"BOOT_ORDER": 0xF21}).boot_order == 0xF21
    assert eeprom.read({"DHCP_TIMEOUT": "5000"}).dhcp_timeout == 5.0
    assert eeprom.read({"BOOT_UART": False}).boot_uart is False


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("BOOT_ORDER", "0xf8", "8 means nothing"),
        ("BOOT_ORDER", "net", "number"),
        ("DHCP_TIMEOUT", 4999, "5000 to"),
        ("DHCP_REQ_TIMEOUT", 499, "500 to"),
        ("TFTP_FILE_TIMEOUT", "1", "5000 to"),
        ("NET_BOOT_MAX_RETRIES", -2, "-1 to"),
        ("TFTP_IP", "10.0.0", "IPv4 address"),
        ("TFTP_IP", "tftp.example.org", "IPv4 address"),
        ("SUBNET", "255.0.255.0", "netmask"),
        ("TFTP_PREFIX", 3, "0 to 2"),
        ("TFTP_PREFIX_STR", "x" * 33, "at most 32"),
        ("TFTP_PREFIX_STR", "a\nb", "printable"),
        ("MAC_ADDRESS", "dc:a6:32", "MAC address"),
        ("BOOT_UART", 2, "0 to 1"),
        ("DHCP_OPTION97", "RPi4", "number"),
        ("BOOT_ORDR", 1, "did you mean BOOT_ORDER?"),
        ("HTTP_HOST", "example.org", "IPv4 address"),
        ("HTTP_CACERT_HASH", "00", "not emulated"),
        ("SIGNED_BOOT", 1, "not emulated"),
        ("NETCONSOLE", "6665,6666", "6665@169.254.1.1/,6666@/"),
        ("NETCONSOLE", "70000@/,@/", "ports up to 65535"),
        ("NETCONSOLE", "6665@169.254.1.1/,6666@10.0.0.1/ff:ff", "at most 32"),
        ("HTTP_PORT", 0, "1 to 65535"),
        ("BOOT_WATCHDOG_TIMEOUT", -1, "0 to"),
        ("TFTP_PREFIX", 1, "needs TFTP_PREFIX_STR"),
        ("CLIENT_IP", "10.0.0.9", "needs TFTP_IP"),
    ],
)
def test_mistakes_name_the_key_and_what_is_allowed(key: str, value: object, words: str):
    with pytest.raises(ConfigError) as caught:
        eeprom.read({key: value})
    assert f"{key}: " in caught.value.what
    assert words in caught.value.what
    assert caught.value.remedy


def test_all_mistakes_at_once():
    with pytest.raises(ConfigError) as caught:
        eeprom.read({"DHCP_TIMEOUT": 1, "TFTP_PREFIX": 9, "NOPE": 1})
    assert all(key in caught.value.what for key in ("DHCP_TIMEOUT", "TFTP_PREFIX", "NOPE"))


def test_keys_without_effect_are_taken():
    eeprom.read({"POWER_OFF_ON_HALT": 0, "HDMI_DELAY": 1, "NET_INSTALL_ENABLED": 0})


@settings(max_examples=40)
@given(
    st.dictionaries(
        st.sampled_from(sorted(eeprom._KEYS)) | st.text(), st.none() | st.integers() | st.text() | st.floats()
    )
)
def test_any_mapping_gives_a_configuration_or_a_config_error(keys: dict[str, object]):
    with suppress(ConfigError):
        eeprom.read(keys)


@pytest.mark.parametrize(
    ("date", "fourcc", "blksize", "word", "stamped", "limit"),
    [
        ("2019-10-08", None, 1024, "NET_BOOT", False, 65535),
        ("2020-03-16", b"RPi4", 1024, "NET_BOOT", False, 65535),
        ("2022-03-10", b"4iPR", 1024, "NET_BOOT", False, 65535),
        ("2022-10-03", b"4iPR", 1468, "NET_BOOT", False, 65535),
        ("2022-11-25", b"4iPR", 1468, "NETWORK", False, 65535),
        ("2024-05-17", b"4iPR", 1468, "NETWORK", True, 65535),
        ("", b"4iPR", 1468, "NETWORK", True, 0),
    ],
)
def test_behaviour_by_release(date: str, fourcc: bytes | None, blksize: int, word: str, stamped: bool, limit: int):
    found = releases.release(date)
    assert (found.fourcc, found.blksize, found.word, found.stamped, found.block_limit) == (
        *(fourcc, blksize, word, stamped, limit),
    )
    assert len(found.version) == 8


@pytest.mark.parametrize("date", ["yesterday", "2018-01-01", "2024/07/30", "20240730"])
def test_dates_that_are_none(date: str):
    with pytest.raises(ConfigError, match="release date"):
        releases.release(date)
