# SPDX-License-Identifier: GPL-2.0-or-later
"""The other servers: ISC dhcpd, tftpd-hpa, Kea and atftpd. What they are told, and what they then say on the wire."""

import json
import re
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest

from harness.errors import InfraError
from harness.servers import Rig, topology_named
from harness.servers.services.atftpd import Atftpd, AtftpdOptions
from harness.servers.services.confined import unconfined
from harness.servers.services.isc_dhcpd import IscDhcpd, IscOptions
from harness.servers.services.kea import Kea, KeaOptions
from harness.servers.services.service import Service
from harness.servers.services.tftpd_hpa import HpaOptions, TftpdHpa
from tests.servers.conftest import BOARDS, TinyBootSet, needs
from tests.servers.wire import Card, NfsClient, give_client_address, mounted
from tests.wire.test_capture import until

StartRig = Callable[..., Rig]
TOPOLOGIES = ("isc-hpa", "kea-atftpd")
FIRST = "5ce8a2f1"


def isc(folder: Path, **options: object) -> str:
    service = IscDhcpd(Mock(), "server", folder, address="10.77.0.1/24")
    service.options = replace(IscOptions(), **options)  # type: ignore[arg-type]
    return service.render()


def kea(folder: Path, **options: object) -> dict[str, object]:
    service = Kea(Mock(), "server", folder, address="10.77.0.1/24")
    service.options = replace(KeaOptions(), **options)  # type: ignore[arg-type]
    return json.loads(re.sub(r"(?m)^\s*//.*$", "", service.render()))["Dhcp4"]  # type: ignore[no-any-return]


# What they are told -------------------------------------------------------------------------------------------------------


def test_dhcpd_offers_both_options(tmp_path: Path) -> None:
    text = isc(tmp_path)
    assert 'option vendor-encapsulated-options "Raspberry Pi Boot   ";' in text
    assert 'option tftp-server-name "10.77.0.1";' in text
    assert "range 10.77.0.100 10.77.0.199;" in text
    assert "next-server" not in text


@pytest.mark.parametrize(
    ("options", "gone", "added"),
    [
        ({"option_43": ""}, "vendor-encapsulated-options", ""),
        ({"option_66": ""}, "tftp-server-name", ""),
        ({"option_66": "tftp.lan"}, '"10.77.0.1"', 'tftp-server-name "tftp.lan";'),
        ({"next_server": True}, "", "next-server 10.77.0.1;"),
        ({"extra": ['filename "x";']}, "", 'filename "x";'),
        ({"lease": 120}, "3600", "default-lease-time 120;"),
    ],
)
def test_a_fault_of_dhcpd_changes_one_thing(tmp_path: Path, options: dict[str, object], gone: str, added: str) -> None:
    usual, changed = isc(tmp_path), isc(tmp_path, **options)
    assert not gone or (gone in usual and gone not in changed)
    assert not added or (added not in usual and added in changed)


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({}, {"vendor-class-identifier", "vendor-encapsulated-options", "discovery-control", "boot-menu", "menu-prompt",
              "tftp-server-name"}),
        ({"menu": ""}, {"tftp-server-name"}),
        ({"option_66": ""}, {"vendor-class-identifier", "vendor-encapsulated-options", "discovery-control", "boot-menu",
                             "menu-prompt"}),
        ({"menu": "", "option_66": ""}, set()),
        ({"menu": "", "router": "10.77.0.1"}, {"routers", "tftp-server-name"}),
        ({"menu": "", "option_66": "", "router": "10.77.0.1"}, {"routers"}),
    ],
)  # fmt: skip
def test_kea_is_told_in_valid_json(tmp_path: Path, options: dict[str, object], names: set[str]) -> None:
    (subnet,) = kea(tmp_path, **options)["subnet4"]  # type: ignore[misc]
    assert {option["name"] for option in subnet["option-data"]} == names  # type: ignore[index]
    assert "next-server" not in subnet
    (other,) = kea(tmp_path, next_server=True)["subnet4"]  # type: ignore[misc]
    assert other["next-server"] == "10.77.0.1"  # type: ignore[index]


def test_tftp_servers_can_be_told_to_know_no_options(tmp_path: Path) -> None:
    places = {"address": "10.77.0.1", "tftp_root": tmp_path}
    keeper = Mock(rootless=False)
    hpa = TftpdHpa(keeper, "server", tmp_path, options=HpaOptions(refuse=("tsize",), blocksize=1024), **places)  # type: ignore[arg-type]
    assert " --refuse tsize --blocksize 1024 " in " ".join(hpa.command())
    atftpd = Atftpd(keeper, "server", tmp_path, options=AtftpdOptions(tsize=False, blksize=False), **places)  # type: ignore[arg-type]
    assert " --no-tsize --no-blksize " in " ".join(atftpd.command())
    assert not {"--no-tsize", "--no-blksize"} & set(Atftpd(keeper, "server", tmp_path, **places).command())  # type: ignore[arg-type]


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_facts(name: str) -> None:
    facts = topology_named(name).facts(BOARDS[0])
    assert (facts.dhcp_servers, facts.tftp_server, facts.tftp_prefix) == (("10.77.0.1",), "10.77.0.1", "5ce8a2f1/")
    assert (facts.boot_option, facts.root_source) == ("66", "10.77.0.1:/srv/nfs/5ce8a2f1")


@pytest.mark.parametrize(
    ("profiles", "wrapped"),
    [
        ("/usr/sbin/dhcpd (enforce)\n/usr/bin/man (enforce)\n", True),
        ("/usr/sbin/dhcpd6 (enforce)\n", False),
        ("", False),
        (None, False),
    ],
)
def test_a_confined_server_is_let_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, profiles: str | None, wrapped: bool
) -> None:
    monkeypatch.setattr("harness.servers.services.confined.find", lambda name: f"/usr/sbin/{name}")
    monkeypatch.setattr("harness.servers.services.confined.shutil.which", lambda *_, **__: "/usr/bin/aa-exec")
    file = tmp_path / "profiles"
    if profiles is not None:
        file.write_text(profiles)
    usual = ["dhcpd", "-f"]
    free = ["aa-exec", "-p", "unconfined", "--", "/usr/sbin/dhcpd", "-f"]
    assert unconfined(usual, file) == (free if wrapped else usual)


# What they say on the wire ------------------------------------------------------------------------------------------------


def restarted(service: Service, **options: object) -> None:
    service.options = replace(service.options, **options)  # type: ignore[attr-defined]
    service.restart()


def offer(rig: Rig) -> dict[int, bytes]:
    with Card(rig, "first") as card:
        (found,) = card.offers(5)
    return {code: values[0] for code, values in found.items()}


@pytest.mark.netns
@needs("isc-hpa")
def test_dhcpd_on_the_wire(start_rig: StartRig) -> None:
    rig = start_rig(topology="isc-hpa")
    said = offer(rig)
    assert said[43] == b"Raspberry Pi Boot   "
    assert (said[60], said[66], said[-1]) == (b"PXEClient", b"10.77.0.1", bytes(4))
    restarted(rig.services["dhcpd"], option_43="", option_66="tftp.lan", next_server=True)
    said = offer(rig)
    assert 43 not in said
    assert (said[66], said[-1]) == (b"tftp.lan", bytes((10, 77, 0, 1)))


@pytest.mark.netns
@needs("kea-atftpd")
def test_kea_on_the_wire(start_rig: StartRig) -> None:
    rig = start_rig(topology="kea-atftpd")
    said = offer(rig)
    menu = b"\x09\x17\0\0\x14Raspberry Pi Boot   "
    assert said[43] == b"\x06\x01\x03" + menu + b"\x0a\x04\0PXE"
    assert (said[60], said[66], said[-1]) == (b"PXEClient", b"10.77.0.1", bytes(4))
    restarted(rig.services["kea"], menu="", option_66="tftp.lan", next_server=True)
    said = offer(rig)
    assert 43 not in said
    assert (said[66], said[-1]) == (b"tftp.lan", bytes((10, 77, 0, 1)))


def ask(rig: Rig, name: str, *options: str) -> bytes:
    """The first packet that the TFTP server answers with."""
    give_client_address(rig)
    request = b"\0\x01" + b"\0".join(word.encode() for word in (name, "octet", *options)) + b"\0"
    with rig.keeper.socket("client", socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        sock.sendto(request, ("10.77.0.1", 69))
        return sock.recv(2048)


BLOCK, EMPTY_OACK = (b"\0\x03\0\x01", 516), (b"\0\x06", 2)


@pytest.mark.netns
@pytest.mark.parametrize(
    ("topology", "service", "blind", "then"),
    [
        pytest.param("isc-hpa", "tftpd-hpa", {"refuse": ("tsize", "blksize")}, BLOCK, marks=needs("isc-hpa")),
        pytest.param("kea-atftpd", "atftpd", {"tsize": False, "blksize": False}, EMPTY_OACK, marks=needs("kea-atftpd")),
    ],
)
def test_files_and_options(
    start_rig: StartRig,
    boot_set: TinyBootSet,
    topology: str,
    service: str,
    blind: dict[str, object],
    then: tuple[bytes, int],
) -> None:
    rig = start_rig(boot_set=boot_set, topology=topology)
    kernel, wish = f"{FIRST}/kernel8.img", ("tsize", "0", "blksize", "1468")
    agreed = dict(zip(*[iter(ask(rig, kernel, *wish)[2:].rstrip(b"\0").split(b"\0"))] * 2, strict=True))
    assert agreed == {b"tsize": b"3000000", b"blksize": b"1468"}
    assert ask(rig, f"{FIRST}/absent")[:4] == b"\0\x05\0\x01"
    assert ask(rig, f"{FIRST}//cmdline.txt")[:4] == b"\0\x03\0\x01"  # a Pi 5's way of asking
    until(lambda: f"{FIRST}/absent" in rig.services[service].log.read_text(), 20.0)  # by way of syslog
    restarted(rig.services[service], **blind)
    answer = ask(rig, kernel, *wish)
    assert (answer[:4], len(answer)) == then


@pytest.mark.netns
@pytest.mark.parametrize("topology", [pytest.param(name, marks=needs(name)) for name in TOPOLOGIES])
def test_roots_are_served_as_in_every_topology(start_rig: StartRig, boot_set: TinyBootSet, topology: str) -> None:
    rig = start_rig(boot_set=boot_set, topology=topology)
    with NfsClient(rig, mounted(rig, "first")) as client:
        assert client.create("written") == 0
    rig.reset_root("first")
    with NfsClient(rig, mounted(rig, "first")) as client:
        assert (client.lookup("etc"), client.lookup("written")) == (0, 2)


@pytest.mark.netns
@needs("isc-hpa")
def test_a_mistake_in_dhcpds_configuration_is_shown_with_its_words(start_rig: StartRig) -> None:
    rig = start_rig(topology="isc-hpa")
    with pytest.raises(InfraError, match=r"dhcpd ended with code 1(?s:.*)semicolon expected"):
        restarted(rig.services["dhcpd"], extra=["nonsense on stilts"])
    restarted(rig.services["dhcpd"], extra=[])
    assert rig.services["dhcpd"].running


@pytest.mark.netns
@pytest.mark.parametrize(
    ("topology", "service"),
    [
        pytest.param("isc-hpa", "tftpd-hpa", marks=needs("isc-hpa")),
        pytest.param("kea-atftpd", "atftpd", marks=needs("kea-atftpd")),
    ],
)
def test_a_tftp_port_in_use_is_shown_with_the_servers_words(start_rig: StartRig, topology: str, service: str) -> None:
    rig = start_rig(topology=topology)
    server = rig.services[service]
    server.stop()
    with rig.keeper.socket("server", socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("10.77.0.1", 69))
        with pytest.raises(InfraError, match=r"(?i)address already in use|bind"):
            server.start()
    server.start()
