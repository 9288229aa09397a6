# SPDX-License-Identifier: GPL-2.0-or-later
"""Real rigs: real servers answer, faults can be made, what fails says why."""

import hashlib
import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import ConfigError, InfraError
from harness.servers import Dnsmasq, Rig, VirtualBoard
from harness.servers.dnsmasq_nfs import DnsmasqNfs
from harness.servers.nfs_roots import NfsRoots
from harness.servers.programs import missing
from harness.servers.services import rpc
from harness.servers.services.nfs import connect
from tests.servers.conftest import BOARDS, TinyBootSet, names
from tests.servers.wire import Card, NfsClient, give_client_address, mounted

pytestmark = pytest.mark.netns
StartRig = Callable[..., Rig]


def dnsmasq(rig: Rig) -> Dnsmasq:
    service = rig.services["dnsmasq"]
    assert isinstance(service, Dnsmasq)
    return service


def run(rig: Rig, host: str, *argv: str, timeout: float = 20) -> tuple[int, bytes]:
    """A program's return code and output."""
    read, write = os.pipe()
    try:
        process = rig.spawn(host, argv, stdout=write, stderr=write)
    finally:
        os.close(write)
    with os.fdopen(read, "rb") as pipe:
        output = pipe.read()
    return process.wait(timeout), output


def test_a_board_gets_the_offer_that_a_pi_waits_for(start_rig: StartRig) -> None:
    rig = start_rig()
    with Card(rig, "first") as card:
        (offer,) = card.offers(5)
    assert offer[54] == [bytes([10, 77, 0, 1])]
    assert offer[60] == [b"PXEClient"]
    assert len(offer[43]) == 1
    assert b"Raspberry Pi Boot" in offer[43][0]
    assert offer[-1] == [bytes([10, 77, 0, 1])]  # siaddr: the TFTP server


def test_each_board_has_a_port_of_its_own(start_rig: StartRig) -> None:
    rig = start_rig()
    with Card(rig, "first") as first, Card(rig, "second") as second:
        assert len(second.offers(5)) == 1
        assert len(first.offers(5)) == 1
    assert rig.board("first").tap != rig.board("second").tap


def test_a_port_without_a_board_has_no_carrier(start_rig: StartRig) -> None:
    rig = start_rig()
    with pytest.raises(InfraError, match=r"tap-0 is (DOWN|UNKNOWN)"):
        rig.keeper.wait_up("client", ["tap-0"], timeout=0)
    with Card(rig, "first"):
        rig.keeper.wait_up("client", ["tap-0"])


def test_nothing_else_is_on_the_wire(start_rig: StartRig) -> None:
    rig = start_rig()
    with Card(rig, "first") as card:
        rig.keeper.wait_up("client", ["br0", "to-server"])
        # Neighbour discovery and multicast queries come within a second of link-up, if they come.
        assert card.offers(1.5, wanted=2) != []
        assert "tap-0" not in rig.keeper.read("client", "/proc/self/net/if_inet6")
        assert rig.keeper.read("server", "/proc/self/net/if_inet6") == ""


@pytest.mark.skipif(not Path("/usr/bin/curl").exists(), reason="curl is not installed")
def test_a_file_arrives_whole_by_tftp(start_rig: StartRig, boot_set: TinyBootSet, tmp_path: Path) -> None:
    rig = start_rig(boot_set=boot_set)
    give_client_address(rig)
    got = tmp_path / "got"
    code, output = run(
        rig, "client", "curl", "-sS", "-o", str(got), "tftp://10.77.0.1/5ce8a2f2/kernel8.img", timeout=60
    )
    assert code == 0, output
    want = (boot_set.boot / "kernel8.img").read_bytes()
    assert hashlib.sha256(got.read_bytes()).digest() == hashlib.sha256(want).digest()
    code, _ = run(rig, "client", "curl", "-sS", "tftp://10.77.0.1/5ce8a2f2/absent", timeout=60)
    assert code == 68  # TFTP: file not found


def test_a_boards_files_can_be_broken_without_touching_others(start_rig: StartRig, boot_set: TinyBootSet) -> None:
    rig = start_rig(boot_set=boot_set)
    (rig.tftp_root / "5ce8a2f1" / "kernel8.img").write_bytes(b"")
    size = (boot_set.boot / "kernel8.img").stat().st_size
    assert size == (rig.tftp_root / "5ce8a2f2" / "kernel8.img").stat().st_size == 3_000_000


@pytest.mark.parametrize("folder", ["run", "a run, with #1"])
def test_an_export_answers_and_takes_writes(start_rig: StartRig, boot_set: TinyBootSet, folder: str) -> None:
    rig = start_rig(boot_set=boot_set, folder=folder)
    with NfsClient(rig, mounted(rig, "first")) as client:
        assert (client.lookup("etc"), client.lookup("absent")) == (0, 2)
        assert client.create("written") == 0
        assert client.lookup("written") == 0
    assert isinstance(rig.roots, NfsRoots)
    assert (rig.roots.overlays.upper("5ce8a2f1") / "written").is_file()
    assert names(boot_set.root) == {"etc"}
    assert {"dnsmasq.conf", "dnsmasq.log", "ganesha.conf", "ganesha.log"} <= names(rig.folder / "server")


def test_a_reset_gives_one_board_a_clean_root_and_leaves_the_others(start_rig: StartRig, boot_set: TinyBootSet) -> None:
    rig = start_rig(boot_set=boot_set)
    old, other = mounted(rig, "first"), mounted(rig, "second")
    with NfsClient(rig, old) as first, NfsClient(rig, other) as second:
        assert first.create("written") == second.create("written") == 0
        for _ in range(3):
            rig.reset_root("first")
            assert first.lookup("etc") == 70  # stale: the old root is no more
            # over the connection that was there before
            assert second.lookup("written") == 0
            with NfsClient(rig, mounted(rig, "first")) as fresh:
                assert (fresh.lookup("etc"), fresh.lookup("written")) == (0, 2)
                assert fresh.create("written") == 0
        rig.reset_root("second")
    with NfsClient(rig, mounted(rig, "second")) as fresh:
        assert fresh.lookup("written") == 2


def test_boards_are_given_clean_roots_at_the_same_time(start_rig: StartRig, boot_set: TinyBootSet) -> None:
    rig = start_rig(boot_set=boot_set)

    def reset(board: str) -> None:
        for _ in range(5):
            with NfsClient(rig, mounted(rig, board)) as client:
                assert client.create("written") == 0
            rig.reset_root(board)
            with NfsClient(rig, mounted(rig, board)) as client:
                assert (client.lookup("etc"), client.lookup("written")) == (0, 2)

    mounted(rig, "first")  # gives the client its address
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(reset, ("first", "second")))


class WithFstab(DnsmasqNfs):
    def root_files(self, board: VirtualBoard) -> dict[str, str]:
        return {"etc/fstab": f"# {board.name}\n", "etc/own/file": "x"}


def test_a_root_holds_the_files_of_its_topology(start_rig: StartRig, boot_set: TinyBootSet) -> None:
    (boot_set.root / "etc").chmod(0o711)
    rig = start_rig(boot_set=boot_set, topology=WithFstab())
    for _ in range(2):
        code, output = run(
            rig, "server", "sh", "-c", "cd /srv/nfs/5ce8a2f2 && cat etc/fstab etc/hostname && stat -c %a etc"
        )
        assert (code, output) == (0, b"# second\npi\n711\n")
        rig.reset_root("second")
    assert names(boot_set.root / "etc") == {"hostname"}


def test_a_single_board_can_be_reset(tmp_path: Path, scratch_base: Path, boot_set: TinyBootSet) -> None:
    with Rig(BOARDS[:1], tmp_path / "run", boot_set=boot_set) as rig:
        with NfsClient(rig, mounted(rig, "first")) as client:
            assert client.create("written") == 0
        rig.reset_root("first")
        with NfsClient(rig, mounted(rig, "first")) as client:
            assert (client.lookup("etc"), client.lookup("written")) == (0, 2)


def test_a_root_can_be_reset_while_its_server_is_stopped(start_rig: StartRig, boot_set: TinyBootSet) -> None:
    rig = start_rig(boot_set=boot_set)
    with NfsClient(rig, mounted(rig, "first")) as client:
        assert client.create("written") == 0
    rig.services["ganesha"].stop()
    rig.reset_root("first")
    rig.services["ganesha"].start()
    with NfsClient(rig, mounted(rig, "first")) as client:
        assert (client.lookup("etc"), client.lookup("written")) == (0, 2)


def test_version_4_is_served_too(start_rig: StartRig, boot_set: TinyBootSet) -> None:
    rig = start_rig(boot_set=boot_set)
    give_client_address(rig)
    with connect(rig.keeper, "client", "10.77.0.1", 2049) as sock:
        assert rpc.call(sock, rpc.NFS, 4, 0) == b""


def test_servers_stop_and_start_again(start_rig: StartRig, boot_set: TinyBootSet) -> None:
    rig = start_rig(boot_set=boot_set)
    server, nfs = dnsmasq(rig), rig.services["ganesha"]
    with Card(rig, "first") as card:
        server.stop()
        assert not server.running
        assert card.offers(0.5) == []
        server.start()
        assert len(card.offers(5)) == 1
    handle = mounted(rig, "first")
    nfs.restart()
    with NfsClient(rig, handle) as client:
        assert client.lookup("etc") == 0  # handles outlive a restart: a board goes on


def test_a_paused_server_is_silent_but_runs(start_rig: StartRig) -> None:
    rig = start_rig()
    server = dnsmasq(rig)
    assert server.process is not None
    with Card(rig, "first") as card:
        server.process.signal(signal.SIGSTOP)
        assert card.offers(0.5) == []
        assert server.running
        server.process.signal(signal.SIGCONT)
        assert len(card.offers(5)) >= 1


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"boot_option_43": False}, {43: None, 60: None}),
        ({"option_66": "10.77.0.1"}, {66: b"10.77.0.1\0"}),
        ({"extra": ["dhcp-option-force=208,f1:00:74:7e"]}, {208: b"\xf1\x00\x74\x7e"}),
    ],
)
def test_a_fault_is_on_the_wire(
    start_rig: StartRig, change: dict[str, object], expected: dict[int, bytes | None]
) -> None:
    rig = start_rig()
    server = dnsmasq(rig)
    server.options = replace(server.options, **change)  # type: ignore[arg-type]
    server.restart()
    with Card(rig, "first") as card:
        (offer,) = card.offers(5)
    assert {code: (offer.get(code) or [None])[0] for code in expected} == expected


def test_a_second_dhcp_server_answers_as_well(start_rig: StartRig) -> None:
    rig = start_rig()
    rig.add_host("rogue", "10.77.0.9/24")
    folder, root = rig.folder / "server", rig.tftp_root
    rig.add_service(Dnsmasq(rig.keeper, "rogue", folder, address="10.77.0.9/24", tftp_root=root, name="rogue"))
    rig.keeper.wait_up("client", ["to-rogue"])
    with Card(rig, "first") as card:
        offers = card.offers(5, wanted=2)
    assert sorted(offer[54][0][3] for offer in offers) == [1, 9]


def test_two_rigs_do_not_meet(start_rig: StartRig, boot_set: TinyBootSet) -> None:
    one, two = start_rig(boot_set=boot_set, folder="one"), start_rig(boot_set=boot_set, folder="two")
    with NfsClient(one, mounted(one, "first")) as client:
        assert client.create("written-in-one") == 0
    with NfsClient(two, mounted(two, "first")) as client:
        assert client.lookup("written-in-one") == 2
    dnsmasq(one).stop()
    with Card(one, "first") as card_one, Card(two, "first") as card_two:
        assert card_one.offers(0.5) == []
        assert len(card_two.offers(5)) == 1
    assert one.board("first").control_socket != two.board("first").control_socket


# What fails says why -----------------------------------------------------------------------------------------------------


def test_a_mistake_in_the_configuration_is_shown_with_the_servers_words(start_rig: StartRig) -> None:
    rig = start_rig()
    server = dnsmasq(rig)
    server.options = replace(server.options, extra=["dhcp-nonsense=1"])
    with pytest.raises(InfraError, match=r"dnsmasq ended with code 1.*(?s:.*)bad option at line") as caught:
        server.restart()
    assert caught.value.place == str(server.log)
    assert str(server.config) in caught.value.remedy
    server.options = replace(server.options, extra=[])
    server.restart()
    assert server.running


@pytest.mark.parametrize("port", [67, 69])
def test_a_port_in_use_is_shown_with_the_servers_words(start_rig: StartRig, port: int) -> None:
    rig = start_rig()
    server = dnsmasq(rig)
    server.stop()
    with rig.keeper.socket("server", socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("0.0.0.0", port))
        with pytest.raises(InfraError, match="Address already in use"):
            server.start()
    server.start()


def test_a_server_that_is_not_installed_is_named_with_its_package(
    tmp_path: Path, scratch_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(program: str) -> str:
        raise missing(program)

    monkeypatch.setattr("harness.servers.services.service.find", absent)
    with pytest.raises(InfraError, match="dnsmasq is not installed") as caught, Rig(BOARDS, tmp_path / "run"):
        pass
    assert "apt-get install" in caught.value.remedy
    assert "dnsmasq-base" in caught.value.remedy
    assert list(scratch_base.iterdir()) == []


def test_ganesha_without_a_port_mapper_is_explained(start_rig: StartRig, boot_set: TinyBootSet) -> None:
    rig = start_rig(boot_set=boot_set)
    rig.services["ganesha"].stop()
    rig.services["rpcbind"].stop()
    with pytest.raises(InfraError, match=r"Cannot register NFS V3"):
        rig.services["ganesha"].start()


def test_an_emulator_that_dies_is_explained(
    start_rig: StartRig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rig = start_rig()
    fake = tmp_path / "python"
    fake.write_text("#!/bin/sh\necho no such board >&2\nexit 3\n")
    fake.chmod(0o755)
    monkeypatch.setattr("harness.servers.rig.sys.executable", str(fake))
    with pytest.raises(InfraError, match=r"emulator of board first ended with code 3(?s:.*)no such board"):
        rig.start_emulator("first")


def test_an_emulator_is_told_of_its_board_and_its_end_is_noticed(
    start_rig: StartRig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rig = start_rig()
    fake = tmp_path / "python"
    status = rig.board("second").status
    fake.write_text(
        f"""#!/bin/sh\nprintf '%s' '{{"state": "ready", "console": "/dev/pts/77", "pid": 1}}' > {status}\nexec sleep 100\n"""
    )
    fake.chmod(0o755)
    monkeypatch.setattr("harness.servers.rig.sys.executable", str(fake))
    process = rig.start_emulator("second")
    assert rig.board("second").console == "/dev/pts/77"
    assert rig.board("first").console == ""
    (entry,) = json.loads((rig.folder / "second" / "emulator.json").read_text())["boards"]
    port = rig.board("second")
    assert entry == {
        "name": "second",
        "model": "pi4",
        "serial_number": "5ce8a2f2",
        "mac": "dc:a6:32:01:02:04",
        "revision": "",
        "tap": "tap-1",
        "speed": 1.0,
        "eeprom": {},
        "bootloader": "",
        "machine": "virt",
        "memory": 512,
        "repeats": "answered",
        "control": str(port.control_socket),
        "status": str(port.status),
        "artefacts": str(rig.folder / "second"),
        "log": str(rig.folder / "second" / "emulator.log"),
    }
    codes: list[int] = []
    process.on_exit(codes.append)
    process.signal(signal.SIGKILL)
    assert process.wait(5) == -9
    assert codes == [-9]
    process.on_exit(codes.append)
    assert codes == [-9, -9]


def test_boards_that_would_meet_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="several boards have the mac dc:a6:32:01:02:03"):
        Rig([BOARDS[0], replace(BOARDS[1], mac=BOARDS[0].mac)], tmp_path)


def test_a_full_or_foreign_scratch_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, boot_set: TinyBootSet
) -> None:
    # ramfs cannot be an overlay's upper layer: no extended attributes
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(small)], check=True)
    try:
        monkeypatch.setenv("PIBOOT_SCRATCH", str(small))
        with (
            pytest.raises(InfraError, match="boot files of board") as caught,
            Rig(BOARDS, tmp_path / "run", boot_set=boot_set),
        ):
            pass
        assert "PIBOOT_SCRATCH" in caught.value.remedy
        assert list(small.iterdir()) == []
    finally:
        subprocess.run(["umount", str(small)], check=True)
