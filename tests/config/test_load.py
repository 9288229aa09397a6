# SPDX-License-Identifier: GPL-2.0-or-later
"""What a good lab.yaml gives."""

from pathlib import Path

import pytest

from harness.config import (
    EmulatedPower,
    EmulatedServer,
    EmulatedWire,
    ExternalServer,
    InterfaceWire,
    PluginPower,
    SerialConsole,
    load,
    loads,
)
from harness.config.roots import NfsRoot
from harness.models import MODELS
from tests.config.samples import GOOD, REAL, changed

ROOT = Path(__file__).resolve().parents[2]


def test_the_shipped_lab_is_right() -> None:
    lab = load(ROOT / "lab.yaml")
    board = lab.boards["pi4-a"]
    assert (lab.name, lab.emulated, board.emulated) == ("emulated", True, True)
    assert (board.name, board.model, board.serial_number, board.mac) == (
        "pi4-a",
        "pi4",
        "91cdf03d",
        "e4:5f:01:09:02:f7",
    )
    assert board.speed == 4.0
    assert isinstance(lab.wire_of(board), EmulatedWire)
    server = lab.server_of(board)
    assert isinstance(server, EmulatedServer)
    assert (server.topology, server.root) == ("dnsmasq-nfs", "debian")
    assert lab.policy.after_run == "off"
    assert lab.path.endswith("lab.yaml")


def test_the_shipped_labs_boards_hang_on_gear() -> None:
    """Its first board is the one that `piboot boot` takes; the others log in within seconds."""
    lab = load(ROOT / "lab.yaml")
    assert next(iter(lab.boards)) == "pi4-a"
    gear = {board.model: board.power.gear for board in lab.boards.values() if isinstance(board.power, EmulatedPower)}
    assert gear == {"pi4": "poe-switch", "pi5": "poe-switch", "pi3bplus": "relay"}
    for name in ("pi5-a", "pi3bplus-a"):
        server = lab.server_of(lab.boards[name])
        assert isinstance(server, EmulatedServer)
        assert server.root == "light"


def test_defaults() -> None:
    lab = loads(GOOD)
    board = lab.boards["a"]
    assert (lab.emulation.speed, lab.emulation.guests) == (1.0, 2)
    assert (board.speed, board.emulation.machine, board.emulation.memory) == (1.0, "virt", 512)
    assert (board.login, board.revision, board.labels, board.eeprom.settings()) == (None, None, [], {})


def test_a_boards_speed_wins_over_the_labs_and_the_command_lines_over_both() -> None:
    text = GOOD + "    emulation: {speed: 10}\nemulation: {speed: 4}\n"
    lab = loads(text)
    assert lab.boards["a"].speed == 10.0
    fast = lab.with_speed(50.0)
    assert (fast.boards["a"].speed, lab.boards["a"].speed) == (50.0, 10.0)
    with pytest.raises(ValueError, match="speed 0"):
        lab.with_speed(0)


@pytest.mark.usefixtures("relay")
def test_a_real_lab() -> None:
    lab = loads(REAL)
    board = lab.boards["b"]
    wire, server = lab.wire_of(board), lab.server_of(board)
    assert not board.emulated
    assert not lab.emulated
    assert isinstance(wire, InterfaceWire)
    assert (wire.interface, wire.filter) == ("eth1", "not port 22")
    assert isinstance(board.power, PluginPower)
    assert (board.power.driver, board.power.options) == ("relay", {"pin": 17})
    assert isinstance(board.console, SerialConsole)
    assert board.console.baud == 115200
    assert isinstance(server, ExternalServer)
    own = {"serial_number": board.serial_number, "mac": board.mac}
    assert server.prefix_for(**own) == "e4-5f-01-09-02-f7/"
    root = server.root_for(**own, name=board.name)
    assert isinstance(root, NfsRoot)
    assert root.source == "10.0.0.2:/srv/nfs/91cdf03d-b"
    assert loads(REAL).with_speed(7.0).boards["b"].speed == 1.0, "nothing makes a real board faster"


@pytest.mark.usefixtures("relay")
@pytest.mark.parametrize(("written", "expected"), [("serial", "91cdf03d/"), ("none", ""), ('"pi4/"', "pi4/")])
def test_tftp_prefixes(written: str, expected: str) -> None:
    server = loads(changed("prefix: mac", f"prefix: {written}", REAL)).servers["nas"]
    assert isinstance(server, ExternalServer)
    assert server.prefix_for(serial_number="91cdf03d", mac="e4:5f:01:09:02:f7") == expected


def test_budgets_are_the_models_then_the_emulations_then_the_boards() -> None:
    model = MODELS["pi4"]
    plain = loads(GOOD).boards["a"].budgets_for(model)
    assert plain["dhcp"] == model.budgets["dhcp"]
    assert plain["userspace"] > model.budgets["userspace"], "QEMU under TCG is slower than a Pi"
    own = loads(GOOD + "    budgets: {userspace: 7, dhcp: 1.5}\n").boards["a"].budgets_for(model)
    assert own == {**plain, "userspace": 7.0, "dhcp": 1.5}


@pytest.mark.usefixtures("relay")
def test_a_real_boards_budgets_are_the_models() -> None:
    model = MODELS["pi4"]
    assert loads(REAL).boards["b"].budgets_for(model) == dict(model.budgets)


def test_addresses_are_normalised() -> None:
    text = changed('"91cdf03d"', '"0x91CDF03D"', changed("e4:5f:01:09:02:f7", "E4:5F:01:09:02:F7"))
    board = loads(text).boards["a"]
    assert (board.serial_number, board.mac) == ("91cdf03d", "e4:5f:01:09:02:f7")


def test_eeprom_settings_keep_their_words() -> None:
    board = loads(GOOD + "    eeprom: {BOOT_ORDER: 0xf21, DHCP_TIMEOUT: 45000, TFTP_PREFIX_STR: pi/}\n").boards["a"]
    assert board.eeprom.settings() == {"BOOT_ORDER": 0xF21, "DHCP_TIMEOUT": 45000, "TFTP_PREFIX_STR": "pi/"}


def test_anchors_merges_and_x_keys() -> None:
    text = """\
version: 1
name: bench
x-common: &common
  model: pi4
  wire: w
  server: s
  power: &virtual {driver: emulated}
  console: *virtual
wires: {w: {kind: emulated}}
servers: {s: {kind: emulated}}
boards:
  a: {<<: *common, serial_number: "00000001", mac: "02:00:00:00:00:01"}
  b: {serial_number: "00000002", mac: "02:00:00:00:00:02", <<: [*common], labels: [rack2]}
"""
    lab = loads(text)
    assert [board.model for board in lab.boards.values()] == ["pi4", "pi4"]
    assert lab.boards["b"].labels == ["rack2"]


def test_own_keys_win_over_merged_ones() -> None:
    text = changed("  s: {kind: emulated}", "  s: &s {kind: emulated, root: debian}\n  t: {<<: *s, root: light}")
    lab = loads(changed("server: s", "server: t", text))
    server = lab.server_of(lab.boards["a"])
    assert isinstance(server, EmulatedServer)
    assert server.root == "light"


def test_off_is_a_word_in_this_format() -> None:
    assert loads(GOOD + "policy: {after_run: off}\n").policy.after_run == "off"


@pytest.mark.parametrize("text", ["\ufeff" + GOOD, GOOD.replace("\n", "\r\n")], ids=["byte order mark", "Windows"])
def test_files_of_other_systems(tmp_path: Path, text: str) -> None:
    path = tmp_path / "lab.yaml"
    path.write_bytes(text.encode())
    assert load(path).boards["a"].model == "pi4"


def test_dump_holds_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PI_PASSWORD", "planted-secret")
    lab = loads(GOOD + "    login: {user: pi, password: {env: PI_PASSWORD}}\n")
    login = lab.boards["a"].login
    assert login is not None
    assert login.password is not None
    assert login.password.resolve().reveal() == "planted-secret"
    assert "planted-secret" not in str(lab.dump()) + repr(lab)
    assert lab.dump()["boards"]["a"]["login"] == {"user": "pi", "password": {"env": "PI_PASSWORD"}}


def test_how_long_a_board_stays_without_power(relay: None) -> None:
    assert loads(REAL).policy.off_time == 2.0
    assert loads(REAL + "policy: {off_time: 7.5}\n").policy.off_time == 7.5
