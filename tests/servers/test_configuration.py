# SPDX-License-Identifier: GPL-2.0-or-later
"""The configuration files that the services get, and what a board's boot files say."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from harness.errors import ConfigError, HarnessBug
from harness.servers import Dnsmasq, DnsmasqOptions, Nfs, TopologyOptions, VirtualBoard, topology_named
from harness.servers.boot_files import lay_out
from harness.servers.dnsmasq_nfs import DnsmasqNfs
from harness.servers.programs import system_path
from harness.servers.services.dnsmasq import udp_ports
from harness.servers.services.nfs import Export
from harness.servers.services.service import render
from tests.servers.conftest import BOARDS, TinyBootSet

DNSMASQ = shutil.which("dnsmasq", path=system_path())


def dnsmasq(folder: Path, **options: object) -> Dnsmasq:
    return Dnsmasq(
        Mock(),
        "server",
        folder,
        address="10.77.0.1/24",
        tftp_root=folder / "tftp",
        options=replace(DnsmasqOptions(), **options),  # type: ignore[arg-type]
    )


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_dnsmasq_is_configured_as_for_pis(tmp_path: Path) -> None:
    assert lines(dnsmasq(tmp_path).render()) == [
        "port=0",
        "interface=eth0",
        "bind-interfaces",
        "dhcp-range=10.77.0.100,10.77.0.199,255.255.255.0,1h",
        "dhcp-authoritative",
        "no-ping",
        f"dhcp-leasefile={tmp_path}/dnsmasq.leases",
        "log-dhcp",
        'pxe-service=0,"Raspberry Pi Boot"',
        "enable-tftp",
        f"tftp-root={tmp_path}/tftp",
    ]


@pytest.mark.parametrize(
    ("options", "gone", "added"),
    [
        ({"boot_option_43": False}, 'pxe-service=0,"Raspberry Pi Boot"', None),
        ({"tftp": False}, "enable-tftp", None),
        ({"option_66": "10.77.0.2"}, None, 'dhcp-option-force=66,"10.77.0.2"'),
        ({"extra": ["dhcp-option=43,abc"]}, None, "dhcp-option=43,abc"),
        ({"lease": "2m"}, "dhcp-range=10.77.0.100,10.77.0.199,255.255.255.0,1h", None),
    ],
)
def test_a_fault_changes_one_thing(
    tmp_path: Path, options: dict[str, object], gone: str | None, added: str | None
) -> None:
    usual, changed = lines(dnsmasq(tmp_path).render()), lines(dnsmasq(tmp_path, **options).render())
    assert gone is None or (gone in usual and gone not in changed)
    assert added is None or (added not in usual and added in changed)


@pytest.mark.skipif(DNSMASQ is None, reason="dnsmasq is not installed")
@pytest.mark.parametrize("name", ["plain", "with blanks", "with,comma", "with #sharp"])
def test_dnsmasq_understands_its_configuration(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    service = dnsmasq(folder, option_66="10.77.0.1")
    service.config.write_text(service.render())
    done = subprocess.run(
        [str(DNSMASQ), "--test", f"--conf-file={service.config}"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_an_export_is_whole(tmp_path: Path) -> None:
    nfs = Nfs(
        Mock(),
        "server",
        tmp_path,
        address="10.77.0.1",
        exports=[Export("/srv/nfs/1", "/mnt/1"), Export("/srv/nfs/2", "/mnt/2")],
    )
    text = nfs.render()
    assert text.count("EXPORT {") == 2
    for part in (
        "Export_Id = 2;",
        "Filesystem_Id = 2.2;",
        "Path = /mnt/2;",
        "Pseudo = /srv/nfs/2;",
        "Bind_addr = 10.77.0.1;",
    ):
        assert part in text


def test_a_number_of_an_export_is_never_used_twice(tmp_path: Path) -> None:
    nfs = Nfs(Mock(), "server", tmp_path, address="10.77.0.1", exports=[Export("/a", "/a")])
    nfs.withdraw("/a")
    nfs.add(Export("/a", "/a"))
    assert [(export.path, export.number) for export in nfs.exports] == [("/a", 2)]


def test_a_template_does_not_take_a_missing_value_for_an_empty_one() -> None:
    with pytest.raises(HarnessBug, match=r"ganesha\.conf"):
        render("ganesha.conf", {})


def test_the_ports_of_the_kernels_table() -> None:
    table = (
        "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n"
        "  210: 00000000:0043 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1 2 0 0\n"
        "  212: 0100004D:0045 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1 2 0 0\n\n"
    )
    assert udp_ports(table) == {67, 69}


def test_boot_files_are_copies_that_everyone_may_read(tmp_path: Path, boot_set: TinyBootSet) -> None:
    (boot_set.boot / "kernel8.img").chmod(0o600)
    (boot_set.boot / "bootcode.bin").write_bytes(b"code")
    (boot_set.boot / "linked.dtb").symlink_to("start4.elf")
    topology = topology_named("dnsmasq-nfs")
    directory = lay_out(tmp_path / "tftp", BOARDS[0], topology, boot_set)
    assert directory == tmp_path / "tftp" / "5ce8a2f1"
    kernel = directory / "kernel8.img"
    assert kernel.read_bytes() == (boot_set.boot / "kernel8.img").read_bytes()
    assert kernel.stat().st_mode & 0o777 == 0o644
    assert kernel.stat().st_ino != (boot_set.boot / "kernel8.img").stat().st_ino
    assert not (directory / "linked.dtb").is_symlink()
    assert (directory / "overlays" / "disable-bt.dtbo").is_file()
    assert (tmp_path / "tftp" / "bootcode.bin").read_bytes() == b"code"
    root = "root=/dev/nfs nfsroot=10.77.0.1:/srv/nfs/5ce8a2f1,vers=3,tcp rw ip=dhcp rootwait"
    assert (directory / "cmdline.txt").read_text() == f"console=serial0,115200 {root}\n"
    assert lines((directory / "config.txt").read_text()) == [
        "arm_64bit=1",
        "kernel=kernel8.img",
        "auto_initramfs=1",
        "enable_uart=1",
        "dtoverlay=disable-bt",
        "uart_2ndstage=1",
    ]


def test_config_txt_names_the_initramfs_that_is_there(tmp_path: Path, boot_set: TinyBootSet) -> None:
    (boot_set.boot / "initramfs8").rename(boot_set.boot / "initrd.img")
    directory = lay_out(tmp_path / "tftp", BOARDS[0], topology_named("dnsmasq-nfs"), boot_set)
    text = (directory / "config.txt").read_text()
    assert "\ninitramfs initrd.img followkernel\n" in text
    assert "auto_initramfs" not in text


def test_facts_of_a_board() -> None:
    facts = topology_named("dnsmasq-nfs").facts(BOARDS[1])
    assert (facts.dhcp_servers, facts.tftp_server, facts.tftp_prefix) == (("10.77.0.1",), "10.77.0.1", "5ce8a2f2/")
    assert (facts.boot_option, facts.root_kind, facts.root_source) == ("43", "nfs", "10.77.0.1:/srv/nfs/5ce8a2f2")


@pytest.mark.parametrize(
    ("own", "folder"),
    [
        ({}, "5ce8a2f1/"),
        ({"eeprom": {"TFTP_PREFIX": "0", "TFTP_PREFIX_STR": "pi4/"}}, "5ce8a2f1/"),
        ({"eeprom": {"TFTP_PREFIX": "1", "TFTP_PREFIX_STR": "lab/pi4/"}}, "lab/pi4/"),
        ({"eeprom": {"TFTP_PREFIX": "2"}}, "dc-a6-32-01-02-03/"),
        ({"files": "root"}, ""),
    ],
)
def test_boot_files_lie_where_the_bootloader_asks_for_them(
    tmp_path: Path, boot_set: TinyBootSet, own: dict[str, Any], folder: str
) -> None:
    board = replace(BOARDS[0], **own)
    topology = topology_named("dnsmasq-nfs")
    assert lay_out(tmp_path / "tftp", board, topology, boot_set) == tmp_path / "tftp" / folder
    assert (tmp_path / "tftp" / folder / "kernel8.img").is_file()
    assert topology.facts(board).tftp_prefix == folder


@pytest.mark.parametrize("prefix", ["../../etc/", "/etc/", "pi4", "a//b/"])
def test_a_prefix_that_is_no_folder_of_the_tftp_root_is_refused(prefix: str) -> None:
    with pytest.raises(ConfigError, match="no folder") as caught:
        replace(BOARDS[0], eeprom={"TFTP_PREFIX": "1", "TFTP_PREFIX_STR": prefix})
    assert "pi4/" in caught.value.remedy


class WithFiles(DnsmasqNfs):
    def boot_files(self, board: VirtualBoard) -> dict[str, bytes]:
        return {"overlays/own.dtbo": board.name.encode()}


def test_a_topology_puts_files_and_its_initramfs_among_the_boot_files(tmp_path: Path, boot_set: TinyBootSet) -> None:
    own = tmp_path / "initramfs"
    own.write_bytes(b"one that knows more")
    directory = lay_out(tmp_path / "tftp", BOARDS[0], WithFiles(), replace(boot_set, initramfs=own))
    assert (directory / "overlays/own.dtbo").read_bytes() == b"first"
    assert (directory / "initramfs8").read_bytes() == own.read_bytes()


@pytest.mark.parametrize("name", ["router-option-66", "openwrt-43-66"])
def test_a_router_answers_dhcp_and_another_host_has_the_files(name: str) -> None:
    topology = topology_named(name)
    facts = topology.facts(BOARDS[0])
    assert facts.dhcp_servers == ("10.77.0.1",)
    assert (facts.tftp_server, facts.root_server) == ("10.77.0.2", "10.77.0.2")
    assert facts.root_source == facts.root_device == "10.77.0.2:/srv/nfs/5ce8a2f1"
    assert f"nfsroot={facts.root_source},vers=3" in topology.cmdline(BOARDS[0])


def test_a_board_of_the_openwrt_lab_mounts_what_tftp_serves_it() -> None:
    topology = topology_named("openwrt-43-66")
    for board, folder in ((BOARDS[0], "/srv/tftp/5ce8a2f1"), (replace(BOARDS[0], files="root"), "/srv/tftp")):
        (line,) = [line for line in topology.root_files(board)["etc/fstab"].splitlines() if "firmware" in line]
        assert line.split()[:3] == [f"10.77.0.2:{folder}", "/boot/firmware", "nfs"]
        assert topology.facts(board).boot_device == f"10.77.0.2:{folder}"


def test_nfs_v4_wants_another_command_line_and_another_initramfs() -> None:
    topology = topology_named("dnsmasq-nfs", TopologyOptions(nfs="4.1"))
    assert (topology_named("dnsmasq-nfs").initramfs, topology.initramfs) == ("nfs", "nfs4")
    assert "nfsroot=10.77.0.1:/srv/nfs/5ce8a2f1,vers=4.1,proto=tcp " in topology.cmdline(BOARDS[0])
    facts = topology.facts(BOARDS[0])
    assert (facts.root_types, facts.root_options) == (("nfs4",), ("vers=4.1", "proto=tcp"))


def test_an_unknown_topology_is_the_users_mistake() -> None:
    with pytest.raises(ConfigError, match="no topology 'dnsmasq'") as caught:
        topology_named("dnsmasq")
    assert "dnsmasq-nfs" in caught.value.remedy


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"serial_number": "5CE8A2F1"}, "serial number '5CE8A2F1'"),
        ({"serial_number": "10000000abcdef01"}, "serial number"),
        ({"serial_number": "../../etc"}, "serial number"),
        ({"mac": "dc-a6-32-01-02-03"}, "MAC 'dc-a6-32-01-02-03'"),
        ({"name": "../x"}, "name '../x'"),
        ({"name": ""}, "name ''"),
    ],
)
def test_a_board_that_cannot_be_is_refused(change: dict[str, str], what: str) -> None:
    with pytest.raises(ConfigError) as caught:
        VirtualBoard(
            **({"name": "b", "model": "pi4", "serial_number": "5ce8a2f1", "mac": "dc:a6:32:01:02:03"} | change)
        )
    assert what in caught.value.what
    assert caught.value.remedy
