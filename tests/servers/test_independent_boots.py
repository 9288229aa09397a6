# SPDX-License-Identifier: GPL-2.0-or-later
"""Emulated boards of every model against servers that nobody here wrote: what boots on real ones, and what fails on them."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from harness.config import loads
from harness.lab import Lab
from harness.models import MODELS
from harness.result import Boot
from harness.run import Run
from tests import emulated
from tests.stand_ins import SIZE, small_boot_files
from tests.topologies.labs import skip_without

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: the emulated lab's NFS server opens files by handle"),
]
TOPOLOGIES = ("isc-hpa", "kea-atftpd")
EVERY_DAY = ("pi3b", "pi3bplus", "pi4", "pi5")
DHCP = {"isc-hpa": "dhcpd", "kea-atftpd": "kea"}
SERIALS = {model: f"91cdf0{number:02x}" for number, model in enumerate(MODELS, 0x30)}
#: Neither ISC dhcpd nor Kea can wait a second before it answers; a card with bootcode.bin alone is the usual cure (boot-net).
ON_CARD = ("pi2b", "pi3b")


def board(model: str, name: str = "", **keys: str) -> str:
    serial = SERIALS[model]
    oui = "b8:27:eb" if MODELS[model].bootloader == "rom" else "e4:5f:01"
    return emulated.board(name or model, model, serial, f"{oui}:{serial[2:4]}:{serial[4:6]}:{serial[6:]}", **keys)


def lab_text(topology: str, *boards: str) -> str:
    return emulated.lab("independent", *boards, server=f"topology: {topology}")


@pytest.fixture(scope="module", params=TOPOLOGIES)
def sound(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab with a board of every model; it stays up for all tests that break nothing."""
    topology = str(request.param)
    skip_without(topology)
    boards = [board(model, sd_card="bootcode" if model in ON_CARD else "") for model in MODELS]
    folder = tmp_path_factory.mktemp(topology)
    run = Run.create(folder, lab="independent")
    with Lab(loads(lab_text(topology, *boards)), run) as lab:
        with small_boot_files(folder / "boot"):
            lab.rig_of("pi4")
        yield lab


@pytest.fixture
def broken(tmp_path: Path) -> Iterator[Callable[..., Lab]]:
    """broken("isc-hpa", board(...), ...): a lab of the test's own."""
    with ExitStack() as stack:
        stack.enter_context(small_boot_files(tmp_path / "boot"))

        def lab(topology: str, *boards: str) -> Lab:
            skip_without(topology)
            run = Run.create(tmp_path / "reports", lab="independent")
            return stack.enter_context(Lab(loads(lab_text(topology, *boards)), run))

        yield lab


def boot(lab: Lab, name: str, until: str = "firmware") -> Boot:
    try:
        return lab.board(name).boot(until=until)
    finally:
        lab.board(name).off()


def restart(lab: Lab, service: str, **options: object) -> None:
    server = lab.rig_of(lab.boards[0]).services[service]
    server.options = replace(server.options, **options)  # type: ignore[attr-defined]
    server.restart()


def findings(boot: Boot) -> list[str]:
    return [finding.id for finding in boot.record.findings if finding.severity == "fault"]


@pytest.mark.parametrize(
    "model", [pytest.param(model, marks=[] if model in EVERY_DAY else pytest.mark.slow) for model in MODELS]
)
def test_each_model_gets_its_files(sound: Lab, model: str) -> None:
    done = boot(sound, model)
    assert done.verdict == "passed", (done.record.reason, findings(done))
    assert findings(done) == []
    assert all(exchange.tftp_server == "10.77.0.1" for exchange in done.record.dhcp)
    assert {exchange.tftp_from for exchange in done.record.dhcp} == {"option 66"}
    assert all(exchange.servers_seen == ("10.77.0.1",) for exchange in done.record.dhcp)
    kernel = next(one for one in done.record.tftp if one.complete and "kernel8.img" in one.path)
    assert kernel.bytes == SIZE == (sound.rig_of(model).tftp_root / SERIALS[model] / "kernel8.img").stat().st_size
    assert not [one.path for one in done.record.tftp if one.asked_by in {"", "os", "uefi", "ipxe", "u-boot"}]


@pytest.mark.qemu
@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_a_boot_to_the_login(tmp_path: Path, topology: str) -> None:
    skip_without(topology)
    run = Run.create(tmp_path, lab="independent")
    with Lab(loads(lab_text(topology, board("pi4"))), run) as lab:
        done = boot(lab, "pi4", until="login")
    assert done.verdict == "passed", (done.record.reason, findings(done))
    assert {exchange.client for exchange in done.record.dhcp} == {"firmware", "os"}
    assert all(exchange.result == "ack" for exchange in done.record.dhcp)
    assert done.record.root is not None
    assert done.record.root.source == f"10.77.0.1:/srv/nfs/{SERIALS['pi4']}"


# What fails on real boards ------------------------------------------------------------------------------------------------

#: The servers differ in their bytes, which tests of their own look at; a board's refusal is the same.
DAILY_ONE = pytest.mark.parametrize("topology", ["isc-hpa", pytest.param("kea-atftpd", marks=pytest.mark.slow)])
SHORT = "{dhcp: 2, firmware: 10, kernel: 20, root: 10}"


@DAILY_ONE
@pytest.mark.parametrize(
    ("named", "models"),
    [
        ({"option_66": ""}, ["pi4"]),
        ({"option_66": "", "next_server": True}, ["pi4"]),
        ({"option_66": "tftp.lan"}, ["pi4"]),
        pytest.param({"option_66": "tftp.lan"}, ["pi3bplus", "pi5"], marks=pytest.mark.slow),
    ],
)
def test_an_offer_that_names_no_server_as_a_pi_wants_it(
    broken: Callable[..., Lab], topology: str, named: Mapping[str, object], models: Sequence[str]
) -> None:
    """Neither siaddr (tinkerbell/smee#23) nor a host's name in option 66 will do in the place of option 43."""
    lab = broken(topology, *(board(model, budgets=SHORT) for model in models))
    no_43 = {"option_43": ""} if topology == "isc-hpa" else {"menu": ""}
    restart(lab, DHCP[topology], **no_43, **named)
    for model in lab.boards:
        done = boot(lab, model)
        assert done.verdict == "failed(dhcp)", (model, done.record.reason)
        assert findings(done)[0] == "dhcp-offer-unusable", (model, findings(done))
        assert not done.record.tftp


@DAILY_ONE
def test_option_43_alone_will_do(broken: Callable[..., Lab], topology: str) -> None:
    """As bare text (FW#937, EE#58) and as a menu; no spaces behind it are wanted by those that are no 2B or 3B."""
    lab = broken(topology, *(board(model, budgets=SHORT) for model in ("pi3bplus", "pi4")))
    text = {"option_43": "Raspberry Pi Boot"} if topology == "isc-hpa" else {"menu": "Raspberry Pi Boot"}
    restart(lab, DHCP[topology], option_66="", **text)
    for model in lab.boards:
        done = boot(lab, model)
        assert done.verdict == "passed", (model, done.record.reason)
        assert {exchange.tftp_from for exchange in done.record.dhcp} == {"option 43"}


@DAILY_ONE
def test_the_rom_of_a_3b_wants_three_blanks(broken: Callable[..., Lab], topology: str) -> None:
    """Behind the text of option 43 (boot-net, FW#941), bugs or no bugs."""
    lab = broken(topology, board("pi3b", budgets=SHORT, emulation="{strict: false}"))
    text = "option_43" if topology == "isc-hpa" else "menu"
    restart(lab, DHCP[topology], option_66="", **{text: "Raspberry Pi Boot"})
    done = boot(lab, "pi3b")
    assert done.verdict == "failed(dhcp)", done.record.reason
    assert not done.record.tftp
    restart(lab, DHCP[topology], **{text: "Raspberry Pi Boot   "})
    assert boot(lab, "pi3b").verdict == "passed"


@DAILY_ONE
def test_the_rom_of_a_3b_sleeps_through_an_offer_that_comes_at_once(broken: Callable[..., Lab], topology: str) -> None:
    lab = broken(topology, board("pi3b", budgets=SHORT))
    done = boot(lab, "pi3b")
    assert done.verdict == "failed(dhcp)"
    assert findings(done)[0] == "rom-deaf"
    # Any packet that comes later wakes it, such as Wake-on-LAN's (openSUSE/netboot-rpi3b).
    lab.rig_of("pi3b").spawn("server", [sys.executable, "-c", WAKE])
    done = boot(lab, "pi3b")
    assert done.verdict == "passed", (done.record.reason, findings(done))


WAKE = """
import socket, time
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    while True:
        sock.sendto(b"wake up", ("10.77.0.255", 9))
        time.sleep(0.3)
"""


@pytest.mark.parametrize(
    "model", [pytest.param("pi3bplus", marks=pytest.mark.slow), pytest.param("pi4", marks=pytest.mark.slow), "pi5"]
)
def test_a_tftp_server_without_options(broken: Callable[..., Lab], model: str) -> None:
    """Without OACK start.elf takes every file for missing (FW#1913) and start4.elf config.txt (FW#1012); a Pi 5 copes."""
    lab = broken("isc-hpa", board(model, budgets=SHORT.replace("firmware: 10", "firmware: 20")))
    restart(lab, "tftpd-hpa", refuse=("tsize", "blksize"))
    done = boot(lab, model)
    assert not any(one.oack for one in done.record.tftp)
    assert {one.blksize for one in done.record.tftp} == {512}
    got = {one.path.rpartition("/")[2] for one in done.record.tftp if one.complete}
    if model == "pi3bplus":
        assert done.verdict == "failed(firmware)"
        assert findings(done)[0] == "tftp-no-options"
        assert "kernel-missing" not in findings(done)
        assert "bootcode.bin" in got
        assert not {"cmdline.txt", "kernel8.img"} & got
    else:
        assert done.verdict == "passed", (done.record.reason, findings(done))
        assert {"cmdline.txt", "kernel8.img"} <= got
        # auto_initramfs stands in the config.txt that start4.elf does not take.
        assert ("initramfs8" in got) is (model == "pi5")


@pytest.mark.parametrize(
    "model", [pytest.param("pi3bplus", marks=pytest.mark.slow), pytest.param("pi4", marks=pytest.mark.slow), "pi5"]
)
def test_a_tftp_server_with_an_empty_oack(broken: Callable[..., Lab], model: str) -> None:
    """It is an OACK, if one that agrees to nothing: blocks of 512 octets, the size unknown (RFC 2347)."""
    lab = broken("kea-atftpd", board(model, budgets=SHORT.replace("firmware: 10", "firmware: 20")))
    restart(lab, "atftpd", tsize=False, blksize=False)
    done = boot(lab, model)
    assert done.verdict == "passed", (done.record.reason, findings(done))
    assert {one.blksize for one in done.record.tftp} == {512}
    assert {one.tsize for one in done.record.tftp} == {None}
    assert {one.oack for one in done.record.tftp if one.complete and one.asked_by != "rom"} == {True}
