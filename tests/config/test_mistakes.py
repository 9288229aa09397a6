# SPDX-License-Identifier: GPL-2.0-or-later
"""Mistakes in lab.yaml: all at once, each in its place, each with what to write instead."""

import pickle

import pytest

from harness.config import LabFileError, Mistake, loads
from harness.errors import ConfigError
from tests.config.samples import GOOD, REAL, changed, mistakes, one, position

FIVE = """\
version: 1
name: bench
wires:
  w: {kind: emulated}
servers:
  s: {kind: emulated, root: debain}
boards:
  a:
    modle: pi4
    serial_number: 12345678
    mac: "e4:5f:01:09:02"
    wire: v
    server: s
    power: {driver: emulated}
    console: {driver: emulated}
    emulation: {memory: 64}
"""


def test_five_different_mistakes_are_all_told_each_in_its_place() -> None:
    found = mistakes(FIVE)
    assert [(mistake.line, mistake.column, mistake.path) for mistake in found] == [
        (*position(FIVE, "debain"), "servers.s.root"),
        (*position(FIVE, "modle"), "boards.a"),
        (*position(FIVE, "12345678"), "boards.a.serial_number"),
        (*position(FIVE, '"e4:5f'), "boards.a.mac"),
        (*position(FIVE, "v\n"), "boards.a.wire"),
        (*position(FIVE, "64"), "boards.a.emulation.memory"),
    ]
    instead = [mistake.instead for mistake in found]
    assert instead[0].startswith("did you mean debian?")
    assert instead[1].startswith("did you mean model?")
    assert instead[2] == 'quote it: serial_number: "12345678"'
    assert '"e4:5f:01:09:02:f7"' in instead[3]
    assert instead[4] == "write w"
    assert instead[5] == "write a number from 128 to 8192"


def test_the_error_is_a_config_error_that_lists_them_all() -> None:
    with pytest.raises(ConfigError) as caught:
        loads(FIVE, file="rack/lab.yaml")
    error = caught.value
    assert error.exit_code == 2
    text = str(error)
    assert text.startswith("rack/lab.yaml: 6 mistakes\n")
    for line in ("rack/lab.yaml:6:29: ", "rack/lab.yaml:9:5: ", "rack/lab.yaml:10:20: ", "rack/lab.yaml:11:10: "):
        assert line in text
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own, as pytest-xdist does it
    assert isinstance(again, LabFileError)
    assert (str(again), again.mistakes) == (text, error.mistakes)


def test_a_single_mistake_is_told_as_any_error_is() -> None:
    with pytest.raises(LabFileError) as caught:
        loads(changed("model: pi4", "model: pi44"))
    error = caught.value
    assert error.place == "lab.yaml:9:12"
    assert error.remedy.startswith("did you mean pi4?")
    assert error.what == "boards.a.model: 'pi44' is not a known model"


def test_a_misspelt_key_is_one_mistake_not_two() -> None:
    found = one(changed("serial_number:", "serial-number:"))
    assert (found.what, found.line, found.column) == ("unknown key 'serial-number'", 10, 5)
    assert found.instead.startswith("did you mean serial_number?")


@pytest.mark.parametrize(
    ("old", "new", "path", "at", "what", "instead"),
    [
        # Numbers and words that YAML takes for something else.
        ('"91cdf03d"', "91300000", "boards.a.serial_number", "91300000", "reads 91300000 as a number", '"91300000"'),
        ('"91cdf03d"', "91e03000", "boards.a.serial_number", "91e03000", "reads 91e03000 as a number", '"91e03000"'),
        ('"91cdf03d"', "00000012", "boards.a.serial_number", "00000012", "reads 00000012 as a number", '"00000012"'),
        ('"91cdf03d"', "0x12345678", "boards.a.serial_number", "0x12", "reads 0x12345678 as", '"0x12345678"'),
        ("name: bench", "name: true", "name", "true", "reads true as true or false", 'name: "true"'),
        ("name: bench", "name: 3", "name", "3\n", "reads 3 as a number", 'name: "3"'),
        # Values of the right type.
        ('"91cdf03d"', '"1cdf03d"', "boards.a.serial_number", '"1cd', "not a serial number", '"01cdf03d"'),
        ('"91cdf03d"', '"1000000091CDF03D"', "boards.a.serial_number", '"1000', "serial number", '"91cdf03d"'),
        ("e4:5f:01:09:02:f7", "e4-5f-01-09-02-f7", "boards.a.mac", '"e4-', "not a MAC", '"e4:5f:01:09:02:f7"'),
        ("e4:5f:01:09:02:f7", "e45f010902f7", "boards.a.mac", '"e45f', "not a MAC", '"e4:5f:01:09:02:f7"'),
        ("e4:5f:01:09:02:f7", "01:00:5e:00:00:01", "boards.a.mac", '"01:', "group address", "ip link"),
        ("e4:5f:01:09:02:f7", "00:00:00:00:00:00", "boards.a.mac", '"00:', "no address", "ip link"),
        ("version: 1", "version: 2", "version", "2", "not one of the choices", "write 1"),
        ("name: bench", "name: my bench", "name", "my bench", "not a usable name", "letters, digits"),
        ("  a:\n", "  a b:\n", "boards.a b", "a b:", "not a usable name", "at most 32"),
        (
            "{kind: emulated}\nservers",
            "{kind: emulatd}\nservers",
            "wires.w.kind",
            "emulatd",
            "known kind",
            "mean emulated?",
        ),
        ("{kind: emulated}\nservers", "{}\nservers", "wires.w.kind", "w:", "is missing", "kind: emulated or interface"),
        (
            "{kind: emulated}\nservers",
            "emulated\nservers",
            "wires.w",
            "emulated",
            "`key: value` lines",
            "{kind: emulated}",
        ),
        (
            "power: {driver: emulated}",
            "power: {driver: poe}",
            "boards.a.power.driver",
            "poe",
            "known driver",
            "poe-snmp",
        ),
        (
            "power: {driver: emulated}",
            "power: on",
            "boards.a.power",
            "on\n",
            "`key: value` lines",
            "{driver: emulated}",
        ),
        (
            "console: {driver: emulated}",
            "console:",
            "boards.a.console",
            "console:",
            "has no console",
            "driver: emulated",
        ),
        ("boards:\n", "boards:\n  b:\n", "boards.b", "b:", "is empty", "write b: {model: pi4}"),
        ("    model: pi4\n", "", "boards.a.model", "a:\n", "is missing", "add model: pi4"),
    ],
)
def test_one_mistake(old: str, new: str, path: str, at: str, what: str, instead: str) -> None:
    text = changed(old, new)
    found = next(mistake for mistake in mistakes(text) if mistake.path == path)
    assert what in found.what
    assert instead in found.instead
    assert (found.line, found.column) == position(text, at)


@pytest.mark.parametrize(
    ("line", "what", "instead"),
    [
        ("budgets: {userspace: 0}", "'0' is out of range", "above 0 to 86400"),
        ("budgets: {userspace: fast}", "'fast' is not a number", "without quotes"),
        ("budgets: {userspace: .nan}", "'.nan' is", "number"),
        ("budgets: {userspace: true}", "'true' is not a number", "number"),
        ("budgets: {usrspace: 3}", "unknown key 'usrspace'", "did you mean userspace?"),
        ("emulation: {memory: 512.5}", "'512.5' is not a whole number", "from 128 to 8192"),
        ("emulation: {speed: 5000}", "'5000' is out of range", "from 0.1 to 1000"),
        ("emulation: {machine: virtual}", "not one of the choices", "did you mean virt?"),
        ("labels: rack2", "'rack2' stands where a list should be", "labels: [rack2, poe]"),
        ("labels: [xfail]", "pytest has a mark of this name", "another word"),
        ("labels: [pi4]", "the model is a mark already", "remove it"),
        ("labels: [Rack 2]", "not a usable label", "small letters"),
        ("eeprom: {DHCP_TIMEOUT: 100}", "'100' is out of range", "from 5000 to"),
        ("eeprom: {TFTP_PREFIX: 3}", "'3' is out of range", "from 0 to 2"),
        ("eeprom: {TFTP_IP: 10.0.0.256}", "not an IPv4 address", "10.0.0.1"),
        ("eeprom: {BOOT_UART: yes}", "'yes' is not a whole number", "from 0 to 1"),
        ("eeprom: {BOOT_ORDER: 0xf28}", "the digit 8 of 0xf28", "0xf21"),
        ("eeprom: {SUBNET: 255.0.255.0}", "not a netmask", "255.255.255.0"),
        ("eeprom: {TFTP_PREFIX_STR: pä/}", "not plain ASCII", "bootloader"),
        ("eeprom: {TFTP_PREFIX: 1}", "has no TFTP_PREFIX_STR", "pi4/"),
        ("eeprom: {CLIENT_IP: 10.0.0.9}", "has no TFTP_IP", "DHCP after all"),
        ("eeprom: {boot_uart: 1}", "unknown key 'boot_uart'", "did you mean BOOT_UART?"),
        ("login: {}", "is missing", "add user"),
        ("login: {user: 'a b'}", "not a user's name", "root"),
        ("revision: 902120", "reads 902120 as a number", 'quote it: revision: "902120"'),
        ("eeprom: {TFTP_PREFIX_STR: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}", "too long", "at most 32"),
        ("labels: [rack2", "this is not YAML", "bracket"),
    ],
)
def test_one_mistake_in_an_optional_key(line: str, what: str, instead: str) -> None:
    found = one(f"{GOOD}    {line}\n")
    assert what in found.what
    assert instead in found.instead
    assert found.line >= GOOD.count("\n") + 1


@pytest.mark.usefixtures("relay")
@pytest.mark.parametrize(
    ("old", "new", "what", "instead"),
    [
        ("10.0.0.1]", "10.0.0]", "not an IPv4 address", "four numbers"),
        ("[10.0.0.1]", "10.0.0.1", "where a list should be", '["10.0.0.1"]'),
        ("prefix: mac", "prefix: seral", "not a prefix", "did you mean serial?"),
        ("prefix: mac", "prefix: /////////////////////////////////////////", "too long", "32"),
        ("{serial}-{name}", "{hostname}", "unknown place holder {hostname}", "{serial}"),
        ('source: "10.0.0.2:/srv/nfs/{serial}-{name}"', "source: /srv/nfs", "not an NFS source", "SERVER:/path"),
        ("/dev/ttyUSB0", "ttyUSB0", "not an absolute path", "/dev/ttyUSB0"),
        ("interface: eth1", "interface: a/b", "not an interface's name", "ip link"),
        ("/dev/ttyUSB0}", "/dev/ttyUSB0, baud: 9}", "out of range", "1200"),
        ("driver: relay", "driver: relai", "not a known driver", "did you mean relay?"),
        ("{env: PI_PASSWORD}", "{env: $PI}", "not a variable's name", "no $"),
    ],
)
def test_one_mistake_in_a_real_lab(old: str, new: str, what: str, instead: str) -> None:
    found = mistakes(changed(old, new, REAL))[0]
    assert what in found.what
    assert instead in found.instead


def two_boards(second: str) -> str:
    return f"""{GOOD}  b:
    model: pi4
    serial_number: "00000002"
    mac: "02:00:00:00:00:02"
    wire: w
    server: s
    power: {{driver: emulated}}
    console: {{driver: emulated}}
{second}"""


@pytest.mark.parametrize(
    ("old", "new", "path", "noun"),
    [
        ("02:00:00:00:00:02", "E4:5F:01:09:02:F7", "boards.b.mac", "MAC address"),
        ("00000002", "91CDF03D", "boards.b.serial_number", "serial number"),
    ],
)
def test_two_boards_with_the_same_identity(old: str, new: str, path: str, noun: str) -> None:
    text = changed(f'"{old}"', f'"{new}"', two_boards(""))
    found = one(text)
    assert (found.path, found.what) == (path, f"the board 'a' has the same {noun}")
    assert (found.line, found.column) == position(text, f'"{new}"')


@pytest.mark.usefixtures("relay")
def test_two_boards_on_the_same_gear() -> None:
    second = REAL[REAL.index("    model") :].replace("91cdf03d", "00000002").replace("e4:5f", "e4:60")
    found = mistakes(f"{REAL}  c:\n{second}")
    assert {mistake.what for mistake in found} == {
        "the board 'b' has the same console port",
        "the board 'b' has the same power port",
    }


@pytest.mark.parametrize(
    ("key", "known", "instead"),
    [("wire", "w", "write w"), ("server", "s", "write s")],
)
def test_unknown_references_list_the_known(key: str, known: str, instead: str) -> None:
    found = one(changed(f"{key}: {known}\n", f"{key}: zz\n"))
    assert found.what == f"there is no {key} 'zz' in {key}s:"
    assert found.instead == instead


def test_a_reference_into_nothing_says_how_to_add_it() -> None:
    text = changed("wires:\n  w: {kind: emulated}\n", "")
    assert one(text).instead == "add it: wires: {w: {kind: emulated}}"


@pytest.mark.usefixtures("relay")
def test_emulated_and_real_parts_do_not_mix() -> None:
    text = changed("console: {driver: emulated}", "console: {driver: serial, port: /dev/ttyUSB0}")
    found = one(text)
    assert (found.path, "its console is real" in found.what) == ("boards.a.console", True)
    assert (found.line, found.column) == position(text, "{driver: serial")
    real = one(changed("driver: serial, port: /dev/ttyUSB0", "driver: emulated", REAL))
    assert "its console is emulated" in real.what
    outside = one(changed("w: {kind: emulated}", "w: {kind: interface, interface: eth1}"))
    assert (outside.path, "its wire is real" in outside.what) == ("boards.a.wire", True)


@pytest.mark.parametrize("part", ["wire: w", "server: s", "console: {driver: emulated}"])
def test_an_emulated_board_needs_all_its_parts(part: str) -> None:
    found = one(changed(f"    {part}\n", ""))
    assert f"has no {part.partition(':')[0]}" in found.what
    assert found.instead.startswith(f"add {part.partition(':')[0]}: ")


@pytest.mark.usefixtures("relay")
def test_emulation_of_a_real_board() -> None:
    found = one(REAL + "    emulation: {speed: 4}\n")
    assert (found.path, found.instead) == ("boards.b.emulation", "remove it")


def test_two_emulated_servers_on_one_wire() -> None:
    text = changed("  s: {kind: emulated}\n", "  s: {kind: emulated}\n  t: {kind: emulated}\n", two_boards(""))
    text = text[::-1].replace("s :revres", "t :revres", 1)[::-1]
    found = one(text)
    assert (found.path, "both would answer" in found.what) == ("boards.b.server", True)


@pytest.mark.parametrize("topology", ["dnsmasq-iscsi", "ceph-rbd"])
def test_an_nfs_version_for_a_root_that_is_none(topology: str) -> None:
    keys = 's: {kind: emulated, nfs: "4.1", topology: TOPOLOGY}'
    found = one(changed("s: {kind: emulated}", keys.replace("TOPOLOGY", topology)))
    assert found.path == "servers.s"
    assert "block device" in found.what
    assert "dnsmasq-nfs" in found.instead
    loads(changed("s: {kind: emulated}", keys.replace("TOPOLOGY", "isc-hpa")))


def test_two_boards_with_their_files_in_the_tftp_root() -> None:
    key = "    emulation: {boot_files: root}\n"
    assert loads(GOOD + key).boards["a"].emulation.boot_files == "root"
    found = one(two_boards(key).replace("  b:", key + "  b:", 1))
    assert (found.path, "TFTP root already" in found.what) == ("boards.b.emulation.boot_files", True)


def test_a_key_that_stands_twice() -> None:
    text = GOOD + '    mac: "02:00:00:00:00:01"\n'
    found = one(text)
    assert found.what == "the key stands here a second time (first in line 11)"
    assert (found.line, found.column) == (16, 5)


def test_a_password_in_the_file_is_refused_and_never_shown() -> None:
    for written in ("geheim-42", "{value: geheim-42}", "[geheim-42]", "4242424242"):
        with pytest.raises(LabFileError) as caught:
            loads(f"{GOOD}    login: {{user: pi, password: {written}}}\n")
        assert "geheim" not in str(caught.value)
        assert "4242" not in str(caught.value)
        assert any("{env: NAME}" in mistake.instead for mistake in caught.value.mistakes)
    assert one(f"{GOOD}    login: {{user: pi, password: x}}\n").what == "a secret must not stand in lab.yaml"
    both = one(f"{GOOD}    login: {{user: pi, password: {{env: A, file: b}}}}\n")
    assert both.what == "both env and file are given"


def test_nothing_of_the_file_reaches_a_terminal_raw() -> None:
    for mistake in mistakes(changed("model: pi4", 'model: "\\e[31mred\\a\\u202e"') + '    "\\e]0;title\\a": 1\n'):
        assert str(mistake).isprintable() or "\x1b" not in str(mistake)
        assert not set(str(mistake)) & set("\x1b\x07\u202e")


def test_a_file_of_nonsense_is_cut_short() -> None:
    with pytest.raises(LabFileError) as caught:
        loads(GOOD + "".join(f"key{number}: 1\n" for number in range(300)))
    assert len(caught.value.mistakes) == 300
    assert str(caught.value).count("\n") < 120
    assert "... and 250 more" in str(caught.value)


def test_mistakes_are_in_the_order_of_the_file() -> None:
    found = mistakes(FIVE)
    assert found == sorted(found, key=lambda mistake: (mistake.line, mistake.column))
    assert str(Mistake("f", 0, 0, "", "what", "")) == "f: what"
