# SPDX-License-Identifier: GPL-2.0-or-later
"""Boards that take boot.img from Python's web server, as the regression tests and the judge see them."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from harness.boot.record import BootRecord, Finding
from harness.config import loads
from harness.errors import ConfigError
from harness.lab import Lab
from harness.run import Run
from harness.servers import VirtualBoard
from harness.servers.boot_image import sign
from harness.servers.dnsmasq_http import DnsmasqHttp, over_http
from tests.servers.conftest import needs

LAB = """
version: 1
name: over-http
emulation: {speed: 100}
wires: {bench: {kind: emulated}}
servers: {netboot: {kind: emulated, topology: dnsmasq-http, root: light}}
boards:
  pi:
    model: %(model)s
    serial_number: "da591740"
    mac: "88:a2:9e:01:02:03"
    wire: bench
    server: netboot
    power: {driver: emulated}
    console: {driver: emulated}
    login: {user: root}
    budgets: {dhcp: 5, firmware: %(firmware)s}
    eeprom: {BOOT_ORDER: %(order)s, HTTP_HOST: 10.77.0.1, HTTP_PORT: %(port)s, HTTP_PATH: lab/da591740}
"""
rig = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: network namespaces with a tap")


def lab_yaml(model: str = "pi5", *, firmware: int = 60, order: str = "0xe7", port: int = 80) -> str:
    return LAB % {"model": model, "firmware": firmware, "order": order, "port": port}


def board(**eeprom: str) -> VirtualBoard:
    return VirtualBoard("pi", "pi5", "da591740", "88:a2:9e:01:02:03", eeprom=eeprom)


@pytest.mark.parametrize(
    ("order", "http"), [("0xe7", True), ("0xf27", True), ("0xf72", False), ("0xf21", False), ("", False), ("7", True)]
)
def test_which_boards_boot_over_http(order: str, http: bool):
    assert over_http(board(BOOT_ORDER=order)) is http


def test_where_a_board_should_find_its_files():
    topology = DnsmasqHttp()
    keys = {"BOOT_ORDER": "0xe7", "HTTP_HOST": "10.77.0.1"}
    assert topology.facts(board(**keys)).http == "http://10.77.0.1:80/net_install/"
    more = keys | {"HTTP_PORT": "8000", "HTTP_PATH": "/a/b/"}
    assert topology.facts(board(**more)).http == "http://10.77.0.1:8000/a/b/"
    assert topology.facts(board()).http == ""
    for path in ("../x", "a/../..", "."):
        with pytest.raises(ConfigError, match="HTTP_PATH"):
            topology.facts(board(**keys, HTTP_PATH=path))


@pytest.fixture
def boot(tmp_path: Path) -> Iterator[Callable[..., BootRecord]]:
    """One boot of a board, up to its kernel, with a fault made in its lab before."""
    with ExitStack() as stack:

        def one(fault: Callable[[Lab], object], **options: int) -> BootRecord:
            text = lab_yaml(firmware=4, **options)
            lab = stack.enter_context(Lab(loads(text), Run.create(tmp_path / "reports", lab="faults")))
            lab.server_of("pi")
            fault(lab)
            return lab.board("pi").boot(until="firmware").record

        yield one


def image(lab: Lab) -> Path:
    return lab.rig_of("pi").www / "lab/da591740/boot.img"


def the_fault(record: BootRecord) -> Finding:
    assert record.verdict == "failed(firmware)", record.reason
    (fault,) = [finding for finding in record.findings if finding.severity == "fault"]
    return fault


@rig
@pytest.mark.netns
@needs("dnsmasq-http")
def test_web_server_that_is_down(boot: Callable[..., BootRecord]):
    record = boot(lambda lab: lab.rig_of("pi").services["web"].stop())
    assert the_fault(record).id == "http-no-answer"
    assert "nobody listens at 10.77.0.1:80" in the_fault(record).title


@rig
@pytest.mark.netns
@needs("dnsmasq-http")
@pytest.mark.slow
def test_image_that_is_not_there(boot: Callable[..., BootRecord]):
    record = boot(lambda lab: image(lab).unlink())
    assert "has no http://10.77.0.1:80/lab/da591740/boot.img" in the_fault(record).title
    assert [(one.path.rpartition("/")[2], one.status) for one in record.http] == [("boot.sig", 200), ("boot.img", 404)]


@rig
@pytest.mark.netns
@needs("dnsmasq-http")
@pytest.mark.slow
def test_image_that_was_changed_after_it_was_signed(boot: Callable[..., BootRecord]):
    def change(lab: Lab) -> None:
        octets = bytearray(image(lab).read_bytes())
        octets[-1] ^= 1
        image(lab).write_bytes(octets)

    assert the_fault(boot(change)).id == "http-signature"


@rig
@pytest.mark.netns
@needs("dnsmasq-http")
@pytest.mark.slow
def test_image_that_is_no_file_system(boot: Callable[..., BootRecord]):
    def spoil(lab: Lab) -> None:
        image(lab).write_bytes(b"no file system")
        sign(image(lab))

    record = boot(spoil)
    assert record.verdict == "failed(firmware)"
    assert all(one.complete for one in record.http)


@rig
@pytest.mark.netns
@pytest.mark.qemu
@needs("dnsmasq-http")
@pytest.mark.parametrize("model", ["pi5", pytest.param("pi4", marks=pytest.mark.slow)])
def test_regression_tests_pass_on_a_board_that_boots_over_http(tmp_path: Path, model: str):
    (tmp_path / "lab.yaml").write_text(lab_yaml(model, order="0xf27", port=8000))
    root = Path(__file__).resolve().parents[2]
    options = ["--lab", str(tmp_path / "lab.yaml"), "--reports", str(tmp_path / "reports"), "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", str(root / "tests_hw"), "-q", *options]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " failed" not in done.stdout
    (found,) = (tmp_path / "reports").rglob("record.json")
    record = BootRecord.model_validate_json(found.read_text())
    assert record.passed
    signature, whole = record.http
    assert (signature.path, whole.path) == ("/lab/da591740/boot.sig", "/lab/da591740/boot.img")
    assert {one.asked_by for one in record.http} == {"eeprom"}
    assert whole.server_port == 8000
    stage = record.stage("firmware")
    assert stage.verdict == "passed"
    assert stage.end == whole.end
    assert "GET http://10.77.0.1:8000/lab/da591740/boot.sig" in stage.evidence[0].text
    assert record.tftp == ()
    handed = json.loads(found.with_name("handover.json").read_text(encoding="utf-8"))
    assert any(str(whole.sha256) in change for change in handed["changes"])
