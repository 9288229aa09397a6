# SPDX-License-Identifier: GPL-2.0-or-later
"""The regression tests that users run are green on every reference lab, as it is shipped, with the light root."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness.boot.record import BootRecord
from harness.servers import VirtualBoard
from harness.servers.topologies import TOPOLOGIES
from tests.topologies.labs import LABS, skip_without

pytestmark = [pytest.mark.netns, pytest.mark.qemu]

REPOSITORY = LABS.parents[1]
#: Lab, its boards (all when empty), the topology to switch it to, whether they reboot too, whether it waits for the night.
RUNS: list[tuple[str, tuple[str, ...], str, bool, bool]] = [
    ("router-option-66", ("pi5-a",), "", True, False),
    ("router-option-66", ("pi4-a",), "", True, True),
    ("openwrt-43-66", ("pi3bplus-a",), "", True, True),
    ("openwrt-43-66", ("pi3b-a", "pi4-a"), "", True, True),
    ("dnsmasq-iscsi", ("pi5-a",), "", False, False),
    ("dnsmasq-iscsi", ("pi4-a",), "", False, True),
    ("ceph-rbd", ("cm4-a",), "", False, False),
    ("ceph-rbd", ("pi4-a",), "", False, True),
    ("dnsmasq-nfs", (), "", False, True),
    ("dnsmasq-nfs", ("pi2b-a",), "", True, True),
    ("dnsmasq-nfs", ("pi4-a",), "router-option-66", False, True),
]


@pytest.mark.parametrize(
    ("lab", "boards", "topology", "reboot"),
    [
        pytest.param(
            *run,
            id="-".join(filter(None, (str(run[0]), *run[1], str(run[2])))),
            marks=[pytest.mark.slow] if night else [],
        )
        for *run, night in RUNS
    ],
)
def test_the_regression_tests_are_green(
    lab: str, boards: tuple[str, ...], topology: str, reboot: bool, tmp_path: Path
) -> None:
    suite(lab, boards, tmp_path, topology=topology, reboot=reboot)


@pytest.mark.slow
@pytest.mark.parametrize("topology", ["dnsmasq-nfs", "router-option-66", "openwrt-43-66", "dnsmasq-iscsi", "ceph-rbd"])
def test_one_word_switches_the_lab_that_ships(topology: str, tmp_path: Path) -> None:
    """As the README has it; device and source of the root are what the system on the board says."""
    skip_without(topology)
    command = [
        sys.executable,
        "-m",
        "harness.cli",
        "boot",
        "pi4-a",
        "--topology",
        topology,
        "--root",
        "light",
        "--json",
    ]
    command += ["--speed", "20", "--reports", str(tmp_path)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    record = BootRecord.model_validate_json(done.stdout)
    wanted = TOPOLOGIES[topology]().facts(VirtualBoard("pi4-a", "pi4", "91cdf03d", "e4:5f:01:09:02:f7"))
    assert record.root is not None
    assert (record.root.source, record.root.fstype) == (wanted.root_device, wanted.root_types[0])
    said = {one.fields["key"]: one.fields["value"] for one in record.milestones if one.name == "probe.value"}
    assert said["root_source"] == wanted.root_device
    assert set(wanted.dhcp_servers) <= {server for one in record.dhcp for server in one.servers_seen}
    assert {one.server_ip for one in record.tftp if one.complete} == {wanted.tftp_server}


@pytest.mark.slow
@pytest.mark.parametrize("lab", ["dnsmasq-iscsi", "ceph-rbd"])
def test_they_are_with_debians_own_initramfs_and_system(lab: str, tmp_path: Path) -> None:
    """For NFS the other tests do that: it is the lab that ships."""
    suite(lab, ("pi4-a",), tmp_path, root="debian")


def suite(
    lab: str, boards: tuple[str, ...], reports: Path, *, topology: str = "", root: str = "light", reboot: bool = False
) -> None:
    skip_without(topology or lab)
    command = [sys.executable, "-m", "pytest", "tests_hw", f"--lab={LABS / lab}.yaml"]
    command += ["--root", root, "--speed", "20"]
    command += [f"--reports={reports}", "-p", "no:cacheprovider", *(f"--board={board}" for board in boards)]
    command += ["--topology", topology] if topology else []
    command += ["--reboot"] if reboot else []
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert ("give --reboot" in done.stdout) is not reboot
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) >= 20 * max(1, len(boards))
