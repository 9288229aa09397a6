# SPDX-License-Identifier: GPL-2.0-or-later
"""What a lab wants of a board's EEPROM or OTP, and how what is there compares."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.board.bootconf import LARGEST, compare, otp_rows, otp_text, parse, text_of, wanted
from harness.board.setup import compared, read
from harness.checks.boards import board_checks
from harness.commands.eeprom import table
from harness.config import BoardConfig, LabConfig, loads
from harness.errors import InfraError

TEXT = """
version: 1
name: bench
wires: {mirror: {kind: interface, interface: eth1}}
servers: {nas: {kind: external, tftp: {address: 10.0.0.2, prefix: PREFIX}}}
boards:
  a:
    model: MODEL
    serial_number: "SERIAL"
    mac: "MAC"
    wire: mirror
    server: nas
    power: {driver: poe-snmp, host: 10.0.0.20, port: 7, community: {env: COMMUNITY}}
    console: {driver: serial, port: /dev/ttyUSB0}
"""


def bench(model: str = "pi4", prefix: str = "serial", more: str = "") -> tuple[LabConfig, BoardConfig]:
    serial, mac = ("8b07bcc6", "b8:27:eb:07:bc:c6") if model.startswith("pi3") else ("91cdf03d", "e4:5f:01:09:02:f7")
    text = TEXT.replace("MODEL", model).replace("PREFIX", prefix).replace("SERIAL", serial).replace('"MAC"', f'"{mac}"')
    lab = loads(text + more)
    return lab, lab.boards["a"]


def keys(model: str = "pi4", prefix: str = "serial", more: str = "") -> dict[str, str]:
    return {want.key: want.value for want in wanted(*bench(model, prefix, more))}


def test_what_a_lab_wants() -> None:
    assert keys() == {
        "BOOT_ORDER": "0xf2",
        "BOOT_UART": "1",
        "NET_INSTALL_ENABLED": "0",
        "BOOT_WATCHDOG_TIMEOUT": "240",
    }
    assert keys("pi5")["WAIT_FOR_POWER_BUTTON"] == "0"
    assert keys(prefix="mac")["TFTP_PREFIX"] == "2"
    fixed = keys(prefix='"pi4/"')
    assert (fixed["TFTP_PREFIX"], fixed["TFTP_PREFIX_STR"]) == ("1", "pi4/")
    assert "TFTP_PREFIX" not in keys(prefix="none")
    assert keys("pi3b") == {}
    lab, board = bench()
    assert "BOOT_UART" not in {want.key for want in wanted(lab, board.model_copy(update={"console": None}))}


def test_the_labs_own_keys_win() -> None:
    own = keys(more="    eeprom: {BOOT_ORDER: 0xf21, TFTP_IP: 10.0.0.2}\n")
    assert own["BOOT_ORDER"] == "0xf21"
    assert own["TFTP_IP"] == "10.0.0.2"


def test_the_watchdog_never_fires_under_watch() -> None:
    assert keys(more="    budgets: {firmware: 600}\n")["BOOT_WATCHDOG_TIMEOUT"] == "1320"


def test_the_file_is_read_back_as_it_was_meant() -> None:
    lab, board = bench("pi5")
    wants = wanted(lab, board)
    text = text_of(wants, "a")
    assert len(text.encode()) <= LARGEST
    assert [(key, value) for _, key, value in parse(text)] == [(want.key, want.value) for want in wants]
    assert all(row.verdict == "same" for row in compare(wants, text))


THERE = """[all]
BOOT_UART=0
BOOT_ORDER=0xF2
WAKE_ON_GPIO=1
# BOOT_UART=1 is a comment
NET_INSTALL_ENABLED = 0
[gpio4=1]
BOOT_ORDER=0xf1
[config.txt]
[ALL]
BOOT_UART=1
"""


def test_key_by_key() -> None:
    lab, board = bench(more="    eeprom: {DHCP_TIMEOUT: 45000, TFTP_IP: 10.0.0.2}\n")
    rows = {(row.section, row.key): row.verdict for row in compare(wanted(lab, board), THERE)}
    assert rows == {
        ("", "BOOT_ORDER"): "same",
        ("", "BOOT_UART"): "same",
        ("", "NET_INSTALL_ENABLED"): "same",
        ("", "BOOT_WATCHDOG_TIMEOUT"): "missing",
        ("", "DHCP_TIMEOUT"): "default",
        ("", "TFTP_IP"): "missing",
        ("", "WAKE_ON_GPIO"): "only there",
        ("gpio4=1", "BOOT_ORDER"): "only there",
    }


def test_a_difference_is_shown_with_both_values() -> None:
    lab, board = bench()
    rows = compare(wanted(lab, board), "BOOT_ORDER=0xf41\nEVIL=\x1b[2J\n")
    assert [row.key for row in rows if row.verdict == "differs"] == ["BOOT_ORDER"]
    shown = table(rows)
    assert "DIFFERS" in shown
    assert "0xf41" in shown
    assert "\x1b" not in shown


@given(st.text(max_size=300))
def test_whatever_a_board_says_is_no_error(text: str) -> None:
    lab, board = bench()
    assert table(compare(wanted(lab, board), text))
    otp_rows(board, text)


DUMP = "08:00000000\n16:00280000\n17:{}\n28:8b07bcc6\n66:02009eaa\n"


@pytest.mark.parametrize(
    ("row", "verdict"), [("3020000a", "same"), ("1020000a", "differs"), ("b020000a", "same"), ("", "missing")]
)
def test_otp(row: str, verdict: str) -> None:
    _, board = bench("pi3b")
    (found,) = otp_rows(board, DUMP.format(row))
    assert (found.key, found.wanted, found.verdict) == ("OTP row 17", "3020000a", verdict)


def test_otp_of_a_longer_usb_wait() -> None:
    _, board = bench("pi3b", more="    otp: {usb_boot_timeout: true}\n")
    rows = {row.key: row.verdict for row in otp_rows(board, DUMP.format("3020000a"))}
    assert rows == {"OTP row 17": "same", "OTP row 66": "differs"}
    assert "program_usb_boot_timeout=1" in otp_text(board)
    assert "program_usb_boot_mode=1" in otp_text(board)
    assert "program_usb_boot_mode=1" not in otp_text(bench("pi3bplus")[1])


class Says:
    """A shell that knows some programs."""

    def __init__(self, **programs: tuple[str, int]) -> None:
        self.programs = programs
        self.ran: list[str] = []

    def run(self, command: str, timeout: float = 30.0) -> tuple[str, int]:
        self.ran.append(command)
        found = next((name for name in self.programs if f"command -v {name.replace('_', '-')} " in command), None)
        return ("", 1) if found is None else self.programs[found]


def test_the_second_program_is_asked_when_the_first_is_not_there_or_says_nothing() -> None:
    lab, board = bench()
    for shell in (
        Says(rpi_eeprom_config=("BOOT_UART=1\n", 0)),
        Says(vcgencmd=('error=1 error_msg="Command not registered"', 255), rpi_eeprom_config=("BOOT_UART=1\n", 0)),
    ):
        assert read(board, shell) == "BOOT_UART=1\n"
        assert {row.key: row.verdict for row in compared(lab, board, shell)}["BOOT_UART"] == "same"


def test_a_system_that_cannot_tell() -> None:
    _, board = bench()
    with pytest.raises(InfraError, match="it has neither vcgencmd nor rpi-eeprom-config") as caught:
        read(board, Says())
    assert "raspi-utils" in caught.value.remedy
    with pytest.raises(InfraError, match=r"vcgencmd bootloader_config said 'VCHI initialization failed'"):
        read(board, Says(vcgencmd=("VCHI initialization failed\n", 255)))
    with pytest.raises(InfraError, match="does not tell its OTP settings: it has no vcgencmd"):
        read(bench("pi3b")[1], Says(rpi_eeprom_config=("BOOT_UART=1\n", 0)))


def notes(model: str, more: str = "") -> dict[str, str]:
    return {check.name: check.remedy for check in board_checks(*bench(model, more=more)) if check.ok is not True}


def test_what_check_says_of_a_board() -> None:
    assert set(notes("pi4")) == {"EEPROM of a", "PoE HAT of a", "switch ports of the boards"}
    assert "no other supply" in notes("pi4")["PoE HAT of a"]
    assert "piboot eeprom a > bootconf.txt" in notes("pi4")["EEPROM of a"]
    assert "PSU_MAX_CURRENT=5000" in notes("pi5")["EEPROM of a"]
    assert "program_usb_boot_mode=1" in notes("pi3b")["OTP of a"]
    assert "uart_2ndstage=1" in notes("pi3b")["UART of a"]
    assert "OTP of a" not in notes("pi3bplus")
    assert "portfast" in notes("pi4")["switch ports of the boards"]


def test_switch_ports_are_noted_also_where_the_wire_is_another_host_s(monkeypatch: pytest.MonkeyPatch) -> None:
    text = TEXT.replace("{kind: interface, interface: eth1}", "{kind: ssh, host: bench-pi, interface: eth1}")
    monkeypatch.setitem(globals(), "TEXT", text)
    assert "portfast" in notes("pi4")["switch ports of the boards"]
