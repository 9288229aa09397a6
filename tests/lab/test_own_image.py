# SPDX-License-Identifier: GPL-2.0-or-later
"""What is told of the user's own image before it boots: changes, who can log in, kernels that cannot be booted here."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from harness.config import EmulatedServer
from harness.errors import ConfigError
from harness.images import BootSet
from harness.images.own.kernels import Fit, Kernel
from harness.images.own.make import Own
from harness.images.own.system import System
from harness.lab import booting
from harness.lab.booting import OwnImage, images_for
from harness.run import Run
from harness.servers import VirtualBoard, topology_named

PI4 = VirtualBoard("a", "pi4", "91cdf03d", "e4:5f:01:09:02:f7")
PI5 = VirtualBoard("b", "pi5", "a1b7c30e", "2c:cf:67:1b:7c:30")
KERNEL = Kernel("kernel8.img", "6.12.47+rpt-rpi-v8", "initramfs8")
LINE = "console=tty1 root=PARTUUID=4e639091-02 rootwait quiet \udce9"
OWN = Own(
    Path("/images/own.img"),
    "5a",
    {"cmdline.txt": LINE},
    "auto_initramfs=1\n",
    "PARTUUID=4e639091-02 / ext4 defaults 0 1\n",
    (KERNEL, replace(KERNEL, file="kernel_2712.img", initramfs="initramfs_2712")),
    System("Raspberry Pi OS", "arm64", ("pi",), ()),
)


def told(own: Own, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: str = "pi") -> dict[str, OwnImage]:
    """By board, as the lab gets it for an NFS root."""
    images = BootSet("image", "0123", tmp_path, tmp_path, "", (), own=own)
    monkeypatch.setattr(booting, "own_set", lambda _path, **_more: (images, own))
    server = EmulatedServer(kind="emulated").model_copy(update={"image": str(own.image)})
    run = Run.create(tmp_path / "reports", lab="own", name="run")
    users = {"a": user, "b": user}
    return images_for(server, [PI4, PI5], users, topology_named("dnsmasq-nfs"), run, lambda _line: None)[1]


def test_changes_are_kept_for_each_board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = told(OWN, tmp_path, monkeypatch)
    for name, serial in (("a", "91cdf03d"), ("b", "a1b7c30e")):
        kept = json.loads((tmp_path / "reports/run" / name / "image.json").read_text())
        assert (kept["file"], kept["sha256"], kept["users"]) == ("own.img", "5a", ["pi"])
        assert f"/srv/nfs/{serial}," in kept["changes"][0]
        assert tuple(kept["changes"]) == found[name].expected.changes
        # What is told goes into JSON, whatever octets the image has.
        assert found[name].expected.model_dump_json()
    notes = (tmp_path / "reports/run").glob("notes-*.txt")
    assert "the image own.img: Raspberry Pi OS, arm64" in next(notes).read_text()


def test_octets_that_are_no_text_stay_in_the_files() -> None:
    (line,) = (text for name, text in OWN.boot_files("root=/dev/nfs").items() if name == "cmdline.txt")
    assert line.encode("utf-8", "surrogateescape") == b"console=tty1 \xe9 root=/dev/nfs\n"


@pytest.mark.parametrize(("user", "warned"), [("pi", False), ("", False), ("root", True)])
def test_a_user_who_cannot_log_in_is_told(
    user: str, warned: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_login = told(OWN, tmp_path, monkeypatch, user)["a"].expected.no_login
    says = "root cannot log in there, but pi can. Write that in lab.yaml: boards.a.login.user"
    assert no_login == ((says,) if warned else ())
    made = replace(OWN, seeds={"boot/firmware/userconf.txt": "root:x"})
    assert told(made, tmp_path / "more", monkeypatch, user)["a"].expected.no_login == ()


def test_a_board_whose_kernel_cannot_be_booted_here_is_told_when_it_is_to_boot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = replace(OWN, kernels=(KERNEL, replace(OWN.kernels[1], virt=Fit("it has no virtio_net"))))
    found = told(own, tmp_path, monkeypatch)
    found["a"].check("login")
    found["b"].check("firmware")
    with pytest.raises(ConfigError, match=r"kernel_2712.img\) cannot use .* of board b: it has no virtio_net"):
        found["b"].check("kernel")
