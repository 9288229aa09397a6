# SPDX-License-Identifier: GPL-2.0-or-later
"""Wires that are tried without a boot: a real tcpdump, here and behind a real sshd."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.config import LabConfig, loads
from harness.inspection import survey
from tests.wire.sshd import SSHD, Sshd

pytestmark = [pytest.mark.netns, pytest.mark.skipif(os.geteuid() != 0, reason="needs root to capture")]

LAB = """
version: 1
name: shelf
wires:
  mirror: WIRE
boards:
  b:
    model: pi4
    serial_number: "91cdf03d"
    mac: "e4:5f:01:09:02:f7"
    wire: mirror
    power: {driver: command, on: ["true"], off: ["true"], read_back: {command: ["true"], on: {status: 0}, off: {status: 1}}}
"""


def lab(wire: str) -> LabConfig:
    return loads(LAB.replace("WIRE", wire))


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    if SSHD is None:
        pytest.skip("not installed: openssh-server")
    with Sshd(tmp_path / "ssh").running() as server:
        yield server


def by_ssh(server: Sshd, more: str = "") -> str:
    files = f"key: {server.folder}/user, known_hosts: {server.folder}/known_hosts"
    return f"{{kind: ssh, host: 127.0.0.1, port: {server.port}, {files}, interface: lo{more}}}"


def test_on_this_host() -> None:
    row = survey(lab("{kind: interface, interface: lo}"))[0]
    assert (row.gear, row.reachable, row.rights) == ("wire mirror: lo", True, True), row
    assert row.identity.startswith("tcpdump version")
    row = survey(lab("{kind: interface, interface: eth7}"))[0]
    assert (row.reachable, "no interface 'eth7'" in row.state) == (False, True)
    row = survey(lab("{kind: interface, interface: lo, namespace: nowhere}"))[0]
    assert (row.reachable, "no network namespace 'nowhere'" in row.state) == (False, True)


def test_on_another_host(sshd: Sshd) -> None:
    row = survey(lab(by_ssh(sshd)))[0]
    assert (row.gear, row.reachable, row.rights) == ("wire mirror: 127.0.0.1:lo", True, True), row
    assert "tcpdump version" in row.identity
    assert f"Linux {os.uname().release}" in row.identity
    assert "its clock is " in row.state
    assert " ms from ours" in row.state


def test_a_host_that_does_not_know_us(sshd: Sshd) -> None:
    (sshd.folder / "authorized").write_text("")
    row = survey(lab(by_ssh(sshd)))[0]
    assert (row.reachable, row.rights) == (True, False)
    assert "authorized_keys" in row.fix


def test_a_host_that_is_not_the_one_we_know(sshd: Sshd) -> None:
    (sshd.folder / "known_hosts").write_text("")
    row = survey(lab(by_ssh(sshd)))[0]
    assert not row.ok
    assert "fingerprint" in row.fix
