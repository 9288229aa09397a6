# SPDX-License-Identifier: GPL-2.0-or-later
"""The regression tests hold a boot against a server that is only described (`kind: external`): a topology's services, and an
emulated board that the harness takes for a real one. Its power is a program, its console a
device, its wire an interface.
"""

import re
import sys
from pathlib import Path

import pytest

from harness.images import boot_set
from harness.images.flavours import with_initramfs
from harness.servers import Rig, VirtualBoard, topology_named
from tests.topologies.labs import LABS, skip_without

pytestmark = [pytest.mark.netns, pytest.mark.qemu]

POWER = """
import re
import sys
from pathlib import Path
from harness.power.virtual import VirtualPort

port = VirtualPort(Path({control!r}), folder=Path({folder!r}))
if sys.argv[1] == "state":
    print(port.state())
else:
    getattr(port, sys.argv[1])()
"""
LAB = """
version: 1
name: own
locks: {folder}/locks
wires: {{bench: {{kind: interface, interface: {tap}}}}}
servers:
  own:
    kind: external
    dhcp: {dhcp}
    offer: {offer}
    tftp: {{address: {tftp}, root: {root}}}
    root: {described}
boards:
  pi:
    model: pi4
    serial_number: "{serial}"
    mac: "{mac}"
    wire: bench
    server: own
    power:
      driver: command
      on: [{python}, -P, {power}, "on"]
      off: [{python}, -P, {power}, "off"]
      read_back: {{command: [{python}, -P, {power}, state], on: {{output: "^on"}}, off: {{output: "^off"}}}}
    console: {{driver: serial, port: {console}}}
    login: {{user: root}}
    budgets: {{power: 30, link: 60, dhcp: 60, firmware: 120, kernel: 120, initramfs: 120, root: 120, userspace: 300, login: 60}}
"""
PROXY = '{mode: proxy, option_43: "Raspberry Pi Boot"}'
SERVERS = {
    "dnsmasq-iscsi": (
        ("[10.77.0.1]", '{option_43: "Raspberry Pi Boot"}', "10.77.0.1"),
        """{kind: iscsi, portal: 10.77.0.1, target: "iqn.2026-01.lab.piboot:{serial}", user: "{serial}", filesystem: ext4,
           initiator: "iqn.2026-01.lab.piboot:board-{serial}", device: /dev/sda}""",
    ),
    "ceph-rbd": (
        ("[10.77.0.1, 10.77.0.2]", PROXY, "10.77.0.2"),
        """{kind: rbd, monitors: [10.77.0.3], pool: rbd, image: "{serial}", user: pi, filesystem: ext4, options: [noatime]}
    boot_folder: "10.77.0.2:/srv/tftp/{serial}" """,
    ),
}
#: What an iSCSI root looks like that is not the one which the board has.
WRONG = SERVERS["dnsmasq-iscsi"][1].replace("iqn.2026-01.lab.piboot:{serial}", "iqn.2026-01.lab.piboot:disk-{serial}")


def session(topology: str, described: str, folder: Path) -> tuple[int, str]:
    """Exit code and output of `pytest tests_hw` with that root described."""
    skip_without(topology)
    board = VirtualBoard("pi", "pi4", "5ce8a2f7", "dc:a6:32:e8:a2:f7", speed=20.0)
    made = topology_named(topology)
    images = with_initramfs(boot_set("light"), made.initramfs)
    with Rig([board], folder / "rig", topology=made, boot_set=images) as rig:
        rig.start_emulator("pi")
        port = rig.board("pi")
        power = folder / "power.py"
        power.write_text(POWER.format(control=str(port.control_socket), folder=str(folder / "rig/pi")))
        (dhcp, offer, tftp), _ = SERVERS[topology]
        text = LAB.format(
            folder=folder,
            tap=port.tap,
            dhcp=dhcp,
            offer=offer,
            tftp=tftp,
            root=rig.tftp_root,
            described=described,
            serial=board.serial_number,
            mac=board.mac,
            python=sys.executable,
            power=power,
            console=port.console,
        )
        (folder / "lab.yaml").write_text(text)
        argv = [sys.executable, "-m", "pytest", "tests_hw", f"--lab={folder}/lab.yaml", f"--reports={folder}/reports"]
        out = folder / "out"
        process = rig.spawn(
            port.host, [*argv, "-v", "-p", "no:cacheprovider"], stdout=out, stderr=out, cwd=LABS.parents[1]
        )
        return process.wait(600), out.read_text()


@pytest.mark.parametrize("topology", ["dnsmasq-iscsi", pytest.param("ceph-rbd", marks=pytest.mark.slow)])
def test_a_described_root_on_a_block_device_is_asserted(topology: str, tmp_path: Path) -> None:
    code, said = session(topology, SERVERS[topology][1], tmp_path)
    assert code == 0, said[-6000:]
    for name in (
        "test_the_offer_is_the_described_one",
        "test_kernel_command_line_names_the_described_root",
        "test_root_is_mounted_from_the_configured_server",
        "test_root_is_what_the_system_says",
    ):
        assert re.search(rf"::{name}\[pi\] PASSED", said), f"{name} was skipped: {said[-3000:]}"


@pytest.mark.slow
def test_another_root_than_the_described_one_fails(tmp_path: Path) -> None:
    code, said = session("dnsmasq-iscsi", WRONG, tmp_path)
    assert code == 1
    assert "target is iqn.2026-01.lab.piboot:5ce8a2f7, not iqn.2026-01.lab.piboot:disk-5ce8a2f7" in said
