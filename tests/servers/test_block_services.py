# SPDX-License-Identifier: GPL-2.0-or-later
"""tgt and Ceph in a rig, asked by others than the boards: disks and volumes of each board's own, secrets that stay secret."""

import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.errors import InfraError
from harness.images.ext4 import make_image
from harness.servers import Rig
from harness.servers.ceph_rbd import CephRbd
from harness.servers.dnsmasq_iscsi import DnsmasqIscsi
from harness.servers.iscsi_roots import IscsiRoots
from harness.servers.rbd_roots import RbdRoots
from harness.servers.services.ceph import CephOsd, Cluster
from harness.servers.services.nfs import connect
from harness.servers.services.tgt import Tgt
from harness.servers.services.tool import run_tool
from harness.servers.topology import TopologyOptions
from tests.servers.conftest import BOARDS, TinyBootSet, needs
from tests.servers.initiator import Initiator
from tests.servers.wire import Card, give_client_address

pytestmark = pytest.mark.netns
StartRig = Callable[..., Rig]
FIRST, SECOND = BOARDS


@pytest.fixture
def block_set(boot_set: TinyBootSet, tmp_path: Path) -> TinyBootSet:
    """The boot set with its root as an image."""
    (boot_set.root / "etc/iscsi").mkdir()
    image = tmp_path / "boot set" / "root.ext4"
    make_image(boot_set.root, image)
    return TinyBootSet(boot_set.boot, boot_set.root, image=image)


def file_of(image: Path, name: str) -> str:
    done = subprocess.run(["debugfs", "-R", f"cat {name}", image], capture_output=True, text=True, check=True)
    return done.stdout


def holds(folder: Path, secret: str) -> list[Path]:
    """The files of a folder in which a secret stands."""
    return [path for path in folder.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]


# iSCSI --------------------------------------------------------------------------------------------------------------------


class San:
    """A rig with the topology dnsmasq-iscsi, and a way to log in to it."""

    def __init__(self, start_rig: StartRig, boot_set: TinyBootSet) -> None:
        self.topology = DnsmasqIscsi()
        self.rig = start_rig(boot_set=boot_set, topology=self.topology)
        give_client_address(self.rig)
        service = self.rig.services["tgt"]
        assert isinstance(service, Tgt)
        self.tgt = service
        self.sockets: list[socket.socket] = []

    def connect(self) -> Initiator:
        self.sockets.append(connect(self.rig.keeper, "client", "10.77.0.1", 3260))
        return Initiator(self.sockets[-1])

    def session(self, board: int, secret: str | None = None, user: str | None = None) -> tuple[int, Initiator]:
        pi = BOARDS[board]
        initiator = self.connect()
        wanted = self.topology.secret(pi) if secret is None else secret
        return initiator.login(self.topology.target(pi), pi.serial_number if user is None else user, wanted), initiator

    def image(self, board: int) -> Path:
        return next(disk.image for disk in self.tgt.disks if BOARDS[board].serial_number in disk.target)


@pytest.fixture
def san(start_rig: StartRig, block_set: TinyBootSet) -> Iterator[San]:
    opened = San(start_rig, block_set)
    yield opened
    for sock in opened.sockets:
        sock.close()


@needs("dnsmasq-iscsi")
def test_a_board_reads_the_disk_of_its_own(san: San) -> None:
    for board, pi in enumerate(BOARDS):
        status, initiator = san.session(board)
        assert status == 0
        # ext4's superblock begins at 1024, its magic number stands 56 octets on.
        assert initiator.read(1, 4096)[1080:1082] == b"\x53\xef"
        assert initiator.read(2, 512) == b"", "there is no LUN 2"
        assert (
            file_of(san.image(board), "etc/iscsi/initiatorname.iscsi")
            == f"InitiatorName={san.topology.initiator(pi)}\n"
        )


@needs("dnsmasq-iscsi")
def test_nobody_logs_in_without_the_boards_own_secret(san: San) -> None:
    first, second = (san.topology.secret(pi) for pi in BOARDS)
    assert first != second
    for secret, user in (("wrong", None), (second, None), (second, SECOND.serial_number), ("", "")):
        status, _ = san.session(0, secret, user)
        assert status == 0x0201, (secret, user)
    assert san.connect().login("iqn.2026-01.lab.piboot:nobody", "x", "y") == 0x0203


@needs("dnsmasq-iscsi")
def test_chap_secrets_stand_in_no_log_and_configuration(san: San) -> None:
    for pi in BOARDS:
        secret = san.topology.secret(pi)
        assert secret in san.topology.cmdline(pi)
        assert holds(san.rig.folder, secret) == []
        (kept,) = [path for path in san.tgt.secrets.iterdir() if secret in path.read_text()]
        assert kept.stat().st_mode & 0o777 == 0o600
    assert san.tgt.secrets.stat().st_mode & 0o777 == 0o700
    assert "include" in san.tgt.config.read_text()


@needs("dnsmasq-iscsi")
def test_a_clean_disk_for_one_board_leaves_the_others_session_alone(san: San) -> None:
    _, other = san.session(1)
    _, own = san.session(0)
    with san.image(0).open("r+b") as image:
        image.write(b"the board was here")
    assert own.read(1, 512).startswith(b"the board was here")
    san.rig.reset_root("first")
    status, again = san.session(0)
    assert status == 0
    assert not again.read(1, 512).startswith(b"the board was here")
    assert other.read(1, 4096)[1080:1082] == b"\x53\xef"
    with pytest.raises((AssertionError, OSError)):
        own.read(1, 512)


@needs("dnsmasq-iscsi")
def test_boards_are_made_ready_side_by_side(san: San) -> None:
    with ThreadPoolExecutor(2) as pool:
        for _ in range(3):
            list(pool.map(san.rig.reset_root, ("first", "second")))
    assert [san.session(board)[0] for board in (0, 1)] == [0, 0]


@needs("dnsmasq-iscsi")
def test_a_target_that_was_killed_serves_the_same_disks_again(san: San) -> None:
    with san.image(0).open("r+b") as image:
        image.write(b"the board was here")
    assert san.tgt.process is not None
    san.tgt.process.signal(9)
    san.tgt.process.wait(10)
    san.tgt.start()
    status, initiator = san.session(0)
    assert status == 0
    assert initiator.read(1, 512).startswith(b"the board was here")


@needs("dnsmasq-iscsi")
def test_no_board_is_let_in_while_a_target_is_missing(san: San, monkeypatch: pytest.MonkeyPatch) -> None:
    """tgtd would accept it and hang up, which open-iscsi does not get over when it takes a session up again."""
    seen: list[str] = []
    tool = san.tgt._tool

    def watched(*words: str, what: str) -> str:
        if what in ("making the iSCSI targets", "taking a target away"):
            with pytest.raises(ConnectionRefusedError):
                san.connect()
            seen.append(what)
        return tool(*words, what=what)

    monkeypatch.setattr(san.tgt, "_tool", watched)
    san.tgt.restart()
    assert seen == ["taking a target away"] * len(BOARDS) + ["making the iSCSI targets"]
    assert san.session(0)[0] == 0


@needs("dnsmasq-iscsi")
def test_tgtd_ends_at_once_when_it_is_asked_in_its_own_way(san: San) -> None:
    """It ignores SIGTERM while it has a target: the rig would wait five seconds, and kill it."""
    san.session(0)
    process = san.tgt.process
    assert process is not None
    san.tgt.stop()
    assert process.returncode == 0


@needs("dnsmasq-iscsi")
def test_a_disk_that_cannot_be_opened_is_the_labs_fault(san: San) -> None:
    image = san.image(0)
    roots = san.rig.roots
    assert isinstance(roots, IscsiRoots)
    roots.release(FIRST)
    assert not image.exists()
    with pytest.raises(InfraError, match=r"iSCSI targets|does not serve"):
        roots.serve(FIRST)


# Ceph ---------------------------------------------------------------------------------------------------------------------


class Rack:
    """A rig with the topology ceph-rbd."""

    def __init__(self, start_rig: StartRig, boot_set: TinyBootSet, **options: bool) -> None:
        self.topology = CephRbd(TopologyOptions(**options))
        self.rig = start_rig(boot_set=boot_set, topology=self.topology)
        osd, roots = self.rig.services["ceph-osd"], self.rig.roots
        assert isinstance(osd, CephOsd)
        assert isinstance(roots, RbdRoots)
        self.osd, self.roots = osd, roots
        self.cluster: Cluster = osd.cluster

    def ceph(self, *words: str) -> str:
        return self.cluster.tool("ceph", *words, what="a test asks")

    def rbd(self, *words: str) -> str:
        return self.cluster.tool("rbd", *words, what="a test asks")

    def image(self, volume: str, to: Path) -> Path:
        to.unlink(missing_ok=True)
        self.rbd("export", "--no-progress", volume, str(to))
        return to


@pytest.fixture
def rack(start_rig: StartRig, block_set: TinyBootSet) -> Rack:
    return Rack(start_rig, block_set)


@needs("ceph-rbd")
def test_a_healthy_cluster_with_a_volume_for_each_board(rack: Rack, tmp_path: Path) -> None:
    assert rack.ceph("health").strip() == "HEALTH_OK"
    assert set(rack.rbd("ls", "rbd").split()) == {"golden", *(pi.serial_number for pi in BOARDS)}
    for pi in BOARDS:
        (told,) = (json.loads(rack.rbd("info", "--format", "json", f"rbd/{pi.serial_number}"))["features"],)
        assert told == ["layering"]
        image = rack.image(f"rbd/{pi.serial_number}", tmp_path / "volume")
        assert f"10.77.0.2:/srv/tftp/{pi.serial_number} /boot nfs" in file_of(image, "etc/fstab")
        subprocess.run(["e2fsck", "-fn", image], capture_output=True, check=True)
    for secret in (rack.topology.key, *_keys(rack.cluster.keyring)):
        assert holds(rack.rig.folder, secret) == []
    assert rack.topology.key in rack.topology.cmdline(FIRST)
    assert rack.cluster.keyring.stat().st_mode & 0o777 == 0o600


def _keys(keyring: Path) -> list[str]:
    keys = [line.partition("=")[2].strip() for line in keyring.read_text().splitlines() if line.startswith("key")]
    assert len(keys) == 5
    return keys


#: A client that has a volume open, with the library that ceph-common brings.
OPEN = """
import rados, rbd, sys, time
with rados.Rados(conffile=sys.argv[1]) as cluster, cluster.open_ioctx("rbd") as pool, rbd.Image(pool, sys.argv[2]):
    time.sleep(1000)
"""


@needs("ceph-rbd")
@pytest.mark.slow
def test_a_clean_volume_takes_an_old_client_with_it(rack: Rack, tmp_path: Path) -> None:
    """As after a power cut: the board's watch would hold the volume for half a minute more."""
    volume = f"rbd/{FIRST.serial_number}"
    changed = tmp_path / "changed"
    changed.write_bytes(
        b"rbd diff v1\ns"
        + (64 << 20).to_bytes(8, "little")
        + b"w"
        + bytes(8)
        + (5).to_bytes(8, "little")
        + b"dirty"
        + b"e"
    )
    rack.rbd("import-diff", "--no-progress", str(changed), volume)
    assert rack.image(volume, tmp_path / "volume").read_bytes().startswith(b"dirty")
    words = ["/usr/bin/python3", "-c", OPEN, str(rack.cluster.config), FIRST.serial_number]
    watcher = rack.rig.keeper.spawn("ceph", words, stdout=tmp_path / "watch", stderr=tmp_path / "watch")
    until = time.monotonic() + 30
    while not json.loads(rack.rbd("status", "--format", "json", volume))["watchers"]:
        assert time.monotonic() < until, (tmp_path / "watch").read_text()
    rack.rig.reset_root("first")
    assert not rack.image(volume, tmp_path / "volume").read_bytes().startswith(b"dirty")
    assert json.loads(rack.rbd("status", "--format", "json", volume))["watchers"] == []
    watcher.stop()


@needs("ceph-rbd")
@pytest.mark.slow
def test_an_osd_that_comes_back_has_what_it_had(rack: Rack, tmp_path: Path) -> None:
    before = rack.image(f"rbd/{FIRST.serial_number}", tmp_path / "before").read_bytes()
    rack.osd.stop()
    assert rack.osd.process is not None
    assert rack.osd.process.returncode == 0, "it was killed before it had written down what it has"
    rack.osd.start()
    assert rack.image(f"rbd/{FIRST.serial_number}", tmp_path / "after").read_bytes() == before


@needs("ceph-rbd")
def test_the_boards_key_opens_the_volumes_and_nothing_else(rack: Rack) -> None:
    keyring = rack.cluster.data / "pi.keyring"
    keyring.write_text(f"[client.pi]\nkey = {rack.topology.key}\n")
    common = ["-c", str(rack.cluster.config), "--id", "pi", "--keyring", str(keyring)]
    said = run_tool(rack.rig.keeper, "ceph", ["rbd", *common, "ls", "rbd"], "listing")
    assert FIRST.serial_number in said
    with pytest.raises(InfraError, match=r"EACCES|denied|not permitted"):
        run_tool(rack.rig.keeper, "ceph", ["ceph", *common, "auth", "ls"], "reading the keys")


@needs("ceph-rbd")
@pytest.mark.slow
def test_a_manager_answers_what_only_it_knows(start_rig: StartRig, block_set: TinyBootSet) -> None:
    rack = Rack(start_rig, block_set, ceph_mgr=True)
    until = time.monotonic() + 60
    while not json.loads(rack.ceph("-f", "json", "mgr", "dump"))["available"]:
        assert time.monotonic() < until
    assert "rbd" in {pool["name"] for pool in json.loads(rack.ceph("-f", "json", "df"))["pools"]}


@needs("ceph-rbd")
def test_the_router_knows_nothing_of_netboot_and_the_proxy_gives_no_address(start_rig: StartRig) -> None:
    rig = start_rig(topology="ceph-rbd")
    with Card(rig, "first") as card:
        offers = {offer[54][0]: offer for offer in card.offers(10, wanted=2)}
    router, proxy = offers[bytes([10, 77, 0, 1])], offers[bytes([10, 77, 0, 2])]
    assert not {43, 60, 66, 67} & set(router)
    assert router[3] == [bytes([10, 77, 0, 1])]
    assert b"Raspberry Pi Boot" in proxy[43][0]
    assert proxy[60] == [b"PXEClient"]
    assert not {1, 3, 51} & set(proxy)
