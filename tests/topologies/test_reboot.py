# SPDX-License-Identifier: GPL-2.0-or-later
"""A running board is changed from inside and rebooted: what it wrote is there, a kernel that it installed is what it boots."""

import hashlib
import re

import pytest

from harness.boot.restart import NOTE
from tests.topologies.conftest import OpenLab
from tests.topologies.labs import Pi

pytestmark = [pytest.mark.netns, pytest.mark.qemu]

#: Debian's build number, in the text that the kernel says at its start and in what uname tells.
OLD, NEW = b"#1 SMP", b"#2 SMP"


@pytest.mark.parametrize(
    ("topology", "boot"),
    [("openwrt-43-66", "/boot/firmware"), pytest.param("ceph-rbd", "/boot", marks=pytest.mark.slow)],
)
def test_a_kernel_that_is_installed_on_the_board_is_the_next_that_it_boots(
    open_lab: OpenLab, topology: str, boot: str
) -> None:
    pi = Pi("pi4-a", "pi4")
    lab = open_lab(topology, pi)
    board = lab.board("pi4-a")
    first = board.boot()
    assert first.verdict == "passed", first.record.reason
    assert first.record.kernel is not None
    assert (first.record.kernel.build or "").startswith(OLD.decode())
    assert first.record.root is not None
    assert first.record.root.boot_source == f"10.77.0.2:/srv/tftp/{pi.serial}"

    served = lab.rig_of("pi4-a").tftp_root / pi.serial / "kernel8.img"
    old = served.read_bytes()
    places = [found.start() for found in re.finditer(OLD, old)]
    assert places
    # As a package does: the new file beside the old one, then in its place.
    steps = [f"cd {boot}", "cp kernel8.img kernel8.new"]
    steps += [
        f"printf {NEW.decode()[1]} | dd of=kernel8.new bs=1 seek={at + 1} conv=notrunc 2>/dev/null" for at in places
    ]
    steps += ["mv kernel8.new kernel8.img", "sync", "echo kept > /root/kept"]
    output, status = board.shell.run(" && ".join(steps), timeout=120)
    assert status == 0, output
    installed = served.read_bytes()
    assert installed == old.replace(OLD, NEW), "what the board wrote is not what TFTP serves"

    second = board.reboot()
    assert second.verdict == "passed", (second.record.reason, [finding.title for finding in second.findings])
    assert second.record.stages[0].note == NOTE
    assert second.record.machine is not None, "no hand-over in the second boot's folder"
    assert second.record.kernel is not None
    assert (second.record.kernel.build or "").startswith(NEW.decode())
    assert second.tftp["kernel8.img"].sha256 == hashlib.sha256(installed).hexdigest()
    assert first.tftp["kernel8.img"].sha256 == hashlib.sha256(old).hexdigest()
    assert board.shell.run("uname -v; cat /root/kept").output.splitlines() == [second.record.kernel.build, "kept"]
    board.off()


@pytest.mark.slow
@pytest.mark.parametrize("model", ["pi3bplus", "pi5"])
def test_any_board_reboots_and_keeps_what_it_wrote(open_lab: OpenLab, model: str) -> None:
    board = open_lab("dnsmasq-nfs", Pi("board", model)).board("board")
    first = board.boot()
    assert first.verdict == "passed", first.record.reason
    board.shell.run("echo kept > /root/kept")
    second = board.reboot()
    third = board.reboot()
    for boot in (second, third):
        assert boot.verdict == "passed", boot.record.reason
        assert boot.record.machine is not None
    assert board.shell.run("cat /root/kept").output == "kept"
    boots = [boot.console.text.count("boot_id=") for boot in (first, second, third)]
    assert boots == [1, 1, 1]
    assert board.boot().verdict == "passed"
    assert board.shell.run("cat /root/kept").status != 0, "after a power cycle the root is a clean one"
    board.off()
