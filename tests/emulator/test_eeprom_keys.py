# SPDX-License-Identifier: GPL-2.0-or-later
"""What the keys of bootconf.txt and the date of the bootloader change on the wire and on the UART."""

import pytest

from harness.config import LabFileError, loads
from harness.config.eeprom import Eeprom
from harness.emulator import eeprom, releases
from harness.errors import ConfigError
from harness.models import PI4, PI5, Model
from tests.config.samples import GOOD
from tests.emulator import samples, test_pi5
from tests.emulator.netserver import NetServer, Packet, udp
from tests.emulator.simulator import MAC, World, boot, silence


def netconsole(world: World) -> list[tuple[bytes, Packet]]:
    found = [(frame, packet) for frame in world.frames if (packet := udp(frame)) and packet.dport == 6666]
    assert found, "nothing was sent"
    return found


@pytest.mark.parametrize("model", [PI4, PI5])
def test_netconsole_sends_the_bootloaders_log(model: Model):
    files = samples.tree() if model is PI4 else test_pi5.tree()
    world = boot(NetServer(files), model=model, keys={"NETCONSOLE": "6665@169.254.1.1/,6666@/"})
    assert world.ended == "handover", world.text
    sent = netconsole(world)
    frame, packet = sent[0]
    assert (packet.src, packet.dst, packet.sport) == (bytes((169, 254, 1, 1)), b"\xff" * 4, 6665)
    assert frame[:12] == b"\xff" * 6 + MAC
    assert b"NETCONSOLE 6665@169.254.1.1,6666:255.255.255.255/ff:ff:ff:ff:ff:ff\r\n" in packet.payload
    log = b"".join(packet.payload for _frame, packet in sent)
    assert b"NET_CONSOLE: wait for link" in world.uart
    assert b"TFTP_GET: 02:00:00:00:00:01 10.77.0.1" in log
    # From the line that says so on, the log is the UART's, as far as the bootloader itself speaks.
    spoken = bytes(world.uart)[bytes(world.uart).index(packet.payload) :]
    assert spoken.startswith(log)
    assert (b"MESS:" in log) == (model is PI5)


def test_netconsole_to_one_host():
    world = boot(silence, keys={"NETCONSOLE": "7@10.0.0.9/,9@10.0.0.1/"}, seconds=10)
    sent = [packet for packet in map(udp, world.frames) if packet and packet.dport == 9]
    assert {(packet.src, packet.dst, packet.sport) for packet in sent} == {
        (bytes((10, 0, 0, 9)), bytes((10, 0, 0, 1)), 7)
    }


def test_netconsole_waits_for_the_link_as_long_as_dhcp():
    world = boot(silence, link=False, keys={"NETCONSOLE": "@/,@/", "DHCP_TIMEOUT": 5000}, seconds=30)
    assert not world.frames
    assert world.text.index("NET_CONSOLE: wait for link") < world.text.index("Boot mode: NETWORK")


def test_netconsole_is_unknown_to_the_first_releases():
    world = boot(silence, keys={"NETCONSOLE": "@/,@/"}, date="2020-04-16", seconds=10)
    assert not [packet for packet in map(udp, world.frames) if packet and packet.dport == 6666]
    assert "NET_CONSOLE" not in world.text


@pytest.mark.parametrize(
    ("files", "seconds"),
    [(None, 30), ({}, 30), ({"91cdf03d/config.txt": b"os_check=0\n"}, 30)],
    ids=["no server", "no files", "no kernel"],
)
def test_boot_watchdog_resets_a_board_that_starts_nothing(files: dict[str, bytes] | None, seconds: int):
    wire = silence if files is None else NetServer(files)
    world = boot(wire, model=PI5, keys={"BOOT_WATCHDOG_TIMEOUT": seconds}, seconds=80)
    assert world.text.count("RPi: BOOTSYS") == 3
    assert "PM_RSTS 00000020" in world.text


def test_boot_watchdog_ends_a_halt_and_a_transfer_that_stalls():
    world = boot(silence, keys={"BOOT_WATCHDOG_TIMEOUT": 20, "BOOT_ORDER": "0xe"}, seconds=50)
    assert world.text.count("RPi: BOOTSYS") == 3
    assert world.text.count("Halting") == 3
    stalls = NetServer(samples.tree(), silent_after={"91cdf03d/start4.elf": 1})
    world = boot(stalls, keys={"BOOT_WATCHDOG_TIMEOUT": 20, "TFTP_FILE_TIMEOUT": 60000}, seconds=50)
    assert world.text.count("RPi: BOOTSYS") == 3


def test_boot_watchdog_is_cancelled_by_the_system_and_unknown_before_2025():
    world = boot(NetServer(samples.tree()), keys={"BOOT_WATCHDOG_TIMEOUT": 30}, answers=["shutdown"])
    assert world.ended == "halt"
    old = boot(silence, keys={"BOOT_WATCHDOG_TIMEOUT": 10}, date="2025-05-08", seconds=30)
    assert old.text.count("RPi: BOOTSYS") == 1


def test_every_mode_without_a_device_says_so_and_gives_way():
    world = boot(NetServer(samples.tree()), keys={"BOOT_ORDER": "0xf26543" + "1"}, seconds=200)
    modes = [line.split("Boot mode: ")[1] for line in world.text.splitlines() if "Boot mode" in line]
    assert modes == [
        *("SD (01) order f26543", "RPIBOOT (03) order f2654", "USB-MSD (04) order f265", "BCM-USB-MSD (05) order f26"),
        *("NVME (06) order f2", "NETWORK (02) order f"),
    ]
    assert "No SD card detected. Skipping once." in world.text
    assert world.ended == "handover"


def test_static_addresses_leave_dhcp_out_on_a_pi_5():
    keys: dict[str, object] = {"TFTP_IP": "10.77.0.1", "CLIENT_IP": "10.77.0.9", "SUBNET": "255.255.255.0"}
    server = NetServer(test_pi5.tree())
    world = boot(server, model=PI5, keys=keys)
    assert world.ended == "handover"
    assert not server.discovers
    assert "wait for link TFTP: 10.77.0.1" in world.text
    assert {packet.src for packet in map(udp, world.frames) if packet} == {bytes((10, 77, 0, 9))}


@pytest.mark.parametrize(
    ("key", "prefix"),
    [({"TFTP_PREFIX": 1, "TFTP_PREFIX_STR": "lab/"}, "lab/"), ({"TFTP_PREFIX": 2}, "e4-5f-01-09-02-f7/")],
)
def test_prefix_of_a_pi_5(key: dict[str, object], prefix: str):
    server = NetServer(test_pi5.tree(prefix))
    assert boot(server, model=PI5, keys=key).ended == "handover"
    assert server.log[0] == f"G {prefix}config.txt"


@pytest.mark.parametrize(
    ("date", "there", "absent"),
    [
        (
            "2019-09-25",
            [" Sep 25 2019 12:00:00 BOOTMODE: 0x00000006 part: 0 BUILD"],
            ["Boot mode:", "NET 10", "ARP 10", "DHCP src", "Link ready"],
        ),
        ("2020-01-09", ["DHCP complete", "DHCP src", "NET_BOOT: ", "TFTP 1: "], ["Boot mode:", "TFTP ERROR"]),
        ("2020-05-15", ["Boot mode: NETWORK (02) order f", "NET 10.77.0.50", "ARP 10.77.0.1"], ["DHCP complete"]),
        (
            "2021-10-27",
            ["GENET: RESET_PHY\r\n", "PHY ID 600d 84a2", "0x91cdf03d 0x00d03114 0x000", "DATE: 2021/10/27"],
            ["MII APD"],
        ),
        (
            "2022-11-25",
            ["NETWORK: e4:5f", "DATE: 2022/11/25 TIME: 12:00:00\r\nBOOTMODE: 0x06 ", "serial 91cdf03d boardrev d03114"],
            ["BOOTSYS"],
        ),
        ("2024-04-17", ["RPi: BOOTSYS release", "DATE: 2024/04/17", "GENET: RESET_PHY 1\r\n"], ["  0.07 RPi:"]),
        ("2025-05-08", ["  0.07 RPi: BOOTSYS", "  2.12 RPi: BOOTLOADER", "  5.30 Link ready"], ["NET_BOOT:"]),
    ],
)
def test_lines_by_release(date: str, there: list[str], absent: list[str]):
    text = boot(NetServer(samples.tree()), date=date).text
    for line in there:
        assert line in text, line
    for line in absent:
        assert line not in text, line


def test_error_of_the_server_in_the_words_of_2019():
    text = boot(NetServer(samples.tree()), date="2019-11-18").text
    assert "TFTP ERROR: 1: 'file /srv/tftp/91cdf03d/vl805.sig not found'" in text


@pytest.mark.parametrize(("model", "date"), [(PI4, "2025-09-21"), (PI5, "2025-09-21")])
def test_block_counter_ends_at_65535_until_september_2025(model: Model, date: str):
    assert releases.release(date, model.soc).block_limit == 65535
    assert releases.release("2025-09-22", model.soc).block_limit == 0


def test_dates_before_the_first_release_of_a_soc():
    with pytest.raises(ConfigError, match="2023-09-13"):
        releases.release("2023-09-12", "BCM2712")
    with pytest.raises(ConfigError, match="release date"):
        releases.release("2024-13-01", "BCM2712")


@pytest.mark.parametrize("key", ["USE_IPV6", "SIGNED_BOOT", "NET_INSTALL_AT_POWER_ON"])
def test_switches_of_what_is_not_emulated_may_be_off(key: str):
    eeprom.read({key: 0})
    with pytest.raises(ConfigError, match="not emulated"):
        eeprom.read({key: 1})


@pytest.mark.parametrize(
    ("line", "what", "instead"),
    [
        ("eeprom: {SIGNED_BOOT: 1}", "SIGNED_BOOT is not emulated", "signatures"),
        ("eeprom: {NET_INSTALL_ENABLED: 1}", "NET_INSTALL_ENABLED is not emulated", "keyboard"),
        ("eeprom: {USE_IPV6: 1}", "USE_IPV6 is not emulated", "IPv6"),
        ("eeprom: {HTTP_HOST: example.org}", "not an IPv4 address", "10.0.0.1"),
        ("eeprom: {HTTP_PORT: 70000}", "out of range", "from 1 to 65535"),
        ("eeprom: {NETCONSOLE: 'udp'}", "not a netconsole", "6665@169.254.1.1/,6666@/"),
        ("eeprom: {NETCONSOLE: '@999.1.1.1/,@/'}", "not an IPv4 address", "0 to 255"),
        ("eeprom: {MAC_ADDRESS: '02:00:00:00:00:09'}", "mac: is", "the same address"),
        ("eeprom: {BOOT_WATCHDOG_TIMEOUT: -1}", "out of range", "from 0 to 65535"),
        ("bootloader: yesterday", "not a date", "2025-05-08"),
        ("bootloader: 2018-01-01", "there was none for a pi4", "2019-09-23"),
    ],
)
def test_mistakes_in_lab_yaml_have_their_line(line: str, what: str, instead: str):
    with pytest.raises(LabFileError) as caught:
        loads(GOOD + f"    {line}\n")
    (mistake,) = caught.value.mistakes
    assert what in mistake.what
    assert instead in mistake.instead
    assert mistake.line == 1 + len(GOOD.splitlines())


@pytest.mark.parametrize(
    ("key", "values", "words"),
    [
        ("BOOT_ORDER", ["0x1ffffffff", "-1", "0xf8", "first"], {"0xf8": "0 to 7, e and f", "first": "number"}),
        ("NET_BOOT_MAX_RETRIES", ["-2", "1000001"], "from -1 to 1000000"),
        ("MAX_RESTARTS", ["-2", "1000001"], "from -1 to 1000000"),
        ("DHCP_TIMEOUT", ["4999", "3600001"], "from 5000 to 3600000"),
        ("DHCP_REQ_TIMEOUT", ["499", "3600001"], "from 500 to 3600000"),
        ("TFTP_FILE_TIMEOUT", ["4999", "3600001"], "from 5000 to 3600000"),
        ("TFTP_IP", ["10.0.0.256", "server"], "10.0.0.1"),
        ("CLIENT_IP", ["10.0.0"], "10.0.0.1"),
        ("SUBNET", ["/24"], "10.0.0.1"),
        ("SUBNET", ["255.0.255.0"], "ones, then zeros"),
        ("GATEWAY", ["10.0.0.1/24"], "10.0.0.1"),
        ("TFTP_PREFIX", ["3", "-1"], "from 0 to 2"),
        ("TFTP_PREFIX_STR", ["x" * 33], "32"),
        ("PXE_OPTION43", ["x" * 65], "64"),
        ("DHCP_OPTION97", ["0x100000000", "-1"], "from 0 to 4294967295"),
        ("MAC_ADDRESS", ["dc:a6:32:01:02"], "e4:5f:01:09:02:f7"),
        ("NETCONSOLE", ["6665@169.254.1.1,6666@"], "6665@169.254.1.1/,6666@/"),
        ("HTTP_HOST", ["example.org"], "10.0.0.1"),
        ("HTTP_PORT", ["0", "65536"], "from 1 to 65535"),
        ("HTTP_PATH", ["x" * 65], "64"),
        ("BOOT_WATCHDOG_TIMEOUT", ["-1", "65536"], "from 0 to 65535"),
        ("BOOT_UART", ["2", "-1"], "from 0 to 1"),
        ("UART_BAUD", ["299", "4000001"], "from 300 to 4000000"),
    ],
)
def test_each_key_has_its_line_and_what_is_allowed(key: str, values: list[str], words: str | dict[str, str]):
    for value in values:
        text = f"{GOOD}    eeprom:\n      # of this board\n      {key}: {value}\n"
        with pytest.raises(LabFileError) as caught:
            loads(text)
        mistake = caught.value.mistakes[0]
        assert mistake.line == len(text.splitlines())
        assert (words if isinstance(words, str) else words.get(value, "from 0 to 4294967295")) in mistake.instead
        # The emulator, which is told the same keys by `piboot emulate --eeprom`, says so, too.
        with pytest.raises(ConfigError, match=f"{key}: .*(allowed|needs)"):
            eeprom.read({key: value})


def test_no_key_is_left_out():
    (mark,) = test_each_key_has_its_line_and_what_is_allowed.pytestmark  # type: ignore[attr-defined]
    assert {row[0] for row in mark.args[1]} == set(Eeprom.model_fields)


def test_bootloader_of_lab_yaml_is_a_date():
    assert loads(GOOD + "    bootloader: 2025-05-08\n").boards["a"].bootloader == "2025-05-08"
    assert loads(GOOD).boards["a"].bootloader is None
