# SPDX-License-Identifier: GPL-2.0-or-later
"""What must hold of every netboot: one boot per board, read by all of these.

`pytest` runs them for every board of lab.yaml, `pytest -m pi4` for the Pi 4s, `pytest --board pi4-a` for one.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from harness.boot.offer import differences as differences_of_offer
from harness.boot.rootline import differences as differences_of_root
from harness.boot.stages import STAGES
from harness.masking import masked
from harness.models import MODELS

if TYPE_CHECKING:  # what tests name only in annotations costs nothing when they are collected
    from pathlib import Path

    from harness.board import Board
    from harness.boot.record import HttpFetch, TftpTransfer
    from harness.lab.served import Server
    from harness.result import Boot

#: Repeated blocks per hundred that a healthy wire may show.
RETRANSMISSIONS_PERCENT = 0.5


def firmware_files(boot: Boot) -> list[TftpTransfer]:
    """What came over TFTP; nothing when the board took boot.img from a web server."""
    return [transfer for transfer in boot.tftp.complete if transfer.kind == "get"]


def fetched_files(boot: Boot) -> list[HttpFetch]:
    """What the firmware took from a web server: boot.sig and boot.img, in which all other files are."""
    return [fetch for fetch in boot.http.complete if fetch.asked_by == "eeprom"]


@pytest.mark.parametrize("stage", STAGES)
def test_stage_is_done_within_its_budget(boot: Boot, stage: str) -> None:
    """Every stage of the boot was reached, in its time."""
    earlier = STAGES[: STAGES.index(stage)]
    broken = next((name for name in earlier if not boot.reached(name)), None)
    if broken is not None:
        pytest.skip(f"the boot ended in stage {broken}: {boot.record.reason}")
    found = boot.stages[stage]
    assert found.verdict != "failed", f"{boot.record.reason}; see {boot.folder}"
    assert found.verdict != "late", f"{stage} took {found.duration:.1f} s, its budget is {found.budget:g} s"
    assert found.reached, f"{stage} was not reached: {boot.record.reason}"


@pytest.mark.needs("dhcp")
def test_dhcp_exchange_is_right(boot: Boot, server: Server) -> None:
    """The firmware got an address and the boot server's, from the server that should answer."""
    firmware = [exchange for exchange in boot.dhcp if exchange.client == "firmware"]
    assert firmware, "the firmware made no DHCP exchange"
    last = firmware[-1]
    assert last.result == "ack" or MODELS[boot.record.model].bootloader == "rom"
    assert last.address not in (None, "0.0.0.0")  # noqa: S104 - "unset" in BOOTP
    # A board with TFTP_IP in its EEPROM needs no word of it in the offer.
    if server.expected.tftp is not None and last.tftp_server is not None and not fetched_files(boot):
        assert last.tftp_server == server.expected.tftp


@pytest.mark.needs("dhcp")
def test_only_the_expected_servers_answer_dhcp(boot: Boot, server: Server) -> None:
    """No rogue DHCP server is on the wire, for the firmware or for the system that it starts."""
    if not server.expected.dhcp:
        pytest.skip("lab.yaml does not say which DHCP servers may answer (`dhcp:` of the server)")
    answered = {found for exchange in boot.dhcp for found in exchange.servers_seen}
    assert answered <= set(server.expected.dhcp)


@pytest.mark.needs("dhcp")
def test_the_offer_is_the_described_one(boot: Boot, server: Server) -> None:
    """The firmware was told where its files are by the options, and by the kind of server, that lab.yaml describes."""
    if server.expected.offer is None:
        pytest.skip("lab.yaml does not say how DHCP tells where the files are (`offer:` of the server)")
    last = [exchange for exchange in boot.dhcp if exchange.client == "firmware"][-1]
    assert differences_of_offer(server.expected.offer, last.messages) == []


@pytest.mark.needs("firmware")
def test_files_come_from_the_expected_server_and_prefix(boot: Boot, server: Server) -> None:
    """Every file that was delivered came from the board's own directory on the configured server."""
    files, fetched = firmware_files(boot), fetched_files(boot)
    assert files or fetched
    if server.expected.http is not None:
        urls = [f"http://{one.server_ip}:{one.server_port}{one.path}" for one in fetched]
        wanted = server.expected.http if ":" in server.expected.http[7:] else _with_port(server.expected.http)
        assert [url for url in urls if not url.startswith(wanted)] == []
    if fetched and not files:
        return
    if server.expected.tftp is not None:
        assert {transfer.server_ip for transfer in files} == {server.expected.tftp}
    if server.expected.prefix is None:
        pytest.skip("lab.yaml does not say from which directory the files should come (`tftp: prefix:`)")
    # A boot ROM knows no prefix: its bootcode.bin lies in the TFTP root.
    after_rom = [transfer.path for transfer in files if transfer.asked_by != "rom"]
    strays = [path for path in after_rom if not path.startswith(server.expected.prefix)]
    assert not strays, f"not from {server.expected.prefix}: {strays}"


@pytest.mark.needs("firmware")
def test_every_needed_file_is_delivered_whole(boot: Boot) -> None:
    """Firmware, config.txt, cmdline.txt, device tree and a kernel: asked for, and acknowledged to the last block.

    A board that starts from a card with bootcode.bin does not ask for that.
    """
    fetched = fetched_files(boot)
    files = boot.http if fetched else boot.tftp
    on_card = {"bootcode.bin"} if all(exchange.asked_by != "rom" for exchange in boot.dhcp) else set()
    needed = {"boot.sig", "boot.img"} if fetched else {*MODELS[boot.record.model].needed} - on_card
    for name in sorted(needed):
        assert files[name].complete, f"{name}: {files[name].result}"
    for fetch in fetched:
        assert fetch.length in (None, fetch.bytes), f"{fetch.path}: {fetch.bytes} of {fetch.length} bytes"
    for transfer in firmware_files(boot):
        assert transfer.tsize in (None, 0, transfer.bytes), (
            f"{transfer.path}: {transfer.bytes} of {transfer.tsize} bytes"
        )


@pytest.mark.needs("firmware")
def test_delivered_files_are_those_of_the_tftp_root(boot: Boot, server: Server) -> None:
    """What arrived over the wire is, byte for byte, what lies in the TFTP root."""
    found = [(one.path, one.sha256, server.file(one.path)) for one in firmware_files(boot)]
    found += [(one.path, one.sha256, server.file_over_http(one.path)) for one in fetched_files(boot)]
    at_hand = [(asked, digest, path) for asked, digest, path in found if path is not None]
    if not at_hand:
        pytest.skip("the files are not on this machine (`root:` of the server's `tftp:` or `http:`)")
    for asked, digest, path in at_hand:
        assert digest == _sha256(path), f"{asked} differs from {path}"


@pytest.mark.needs("firmware")
def test_retransmissions_are_rare(boot: Boot) -> None:
    """A healthy wire repeats next to nothing."""
    files = firmware_files(boot)
    repeated = sum(transfer.retransmissions for transfer in files)
    blocks = sum(transfer.blocks for transfer in files)
    assert repeated <= max(2, blocks * RETRANSMISSIONS_PERCENT / 100), f"{repeated} of {blocks} blocks were repeated"


def test_the_capture_is_whole(boot: Boot) -> None:
    """No packet of the boot was lost by the capture: what the other tests say of the wire is all there was."""
    capture = boot.record.capture
    if capture is None:
        pytest.skip("the board has no `wire:` in lab.yaml")
    assert capture.dropped == 0
    assert capture.complete
    assert boot.record.clock_step_s == 0.0


@pytest.mark.needs("login")
def test_kernel_command_line_is_that_of_cmdline_txt(boot: Boot, server: Server) -> None:
    """The kernel was started with every word of cmdline.txt, in its order (the firmware may add words of its own)."""
    assert boot.record.os is not None
    if fetched_files(boot):
        text = server.expected.cmdline
        if text is None:
            pytest.skip("cmdline.txt lies in boot.img")
    else:
        if server.tftp_root is None:
            pytest.skip("the TFTP root is not on this machine (`tftp: root:` of the server)")
        path = server.file(boot.tftp["cmdline.txt"].path)
        assert path is not None
        text = masked(path.read_text())
    wanted = [word for word in text.split("\n")[0].split() if not word.startswith("console=serial0")]
    words = iter((boot.record.os.cmdline or "").split())
    missing = [word for word in wanted if word not in words]
    assert not missing, f"not on the kernel's command line, or not in this order: {missing}"


@pytest.mark.needs("login")
def test_kernel_command_line_names_the_described_root(boot: Boot, server: Server) -> None:
    """Server, path, target, volume and user on the kernel's command line are those of the description."""
    if not server.expected.root_parts:
        pytest.skip("lab.yaml does not say where the root file system comes from (`root:` of the server)")
    assert boot.record.os is not None
    assert differences_of_root(server.expected.root_parts, boot.record.os.cmdline or "") == []


@pytest.mark.needs("root")
def test_root_is_mounted_from_the_configured_server(boot: Boot, server: Server) -> None:
    """The root file system is the configured one, by what the wire shows and by what the system says."""
    wanted = server.expected
    if wanted.root_source is None:
        pytest.skip("lab.yaml does not say where the root file system comes from (`root:` of the server)")
    root = boot.record.root
    assert root is not None, "no storage server was contacted"
    assert root.server in wanted.root_servers
    if root.protocol != "nfs":
        assert set(root.servers) <= set(wanted.root_servers), "another portal or monitor was spoken to"
    if root.path is not None:
        assert root.path == wanted.root_source.partition(":")[2]
        assert root.status == 0


@pytest.mark.needs("login")
def test_root_is_what_the_system_says(boot: Boot, server: Server) -> None:
    """Seen from inside, / is the configured device, of the right type, writable, with the options that were asked for."""
    wanted, root = server.expected, boot.record.root
    if wanted.root_device is None:
        pytest.skip("lab.yaml does not say where the root file system comes from (`root:` of the server)")
    assert root is not None
    assert wanted.is_root_device(root.source), f"/ is {root.source}, not {wanted.root_device}"
    if wanted.root_types:
        assert root.fstype in wanted.root_types
    options = (root.options or "").split(",")
    assert {"rw", *wanted.root_options} <= set(options), f"mounted with {root.options}"


@pytest.mark.needs("login")
def test_the_boot_folder_is_the_one_that_tftp_serves(boot: Boot, server: Server) -> None:
    """A kernel that is installed on the board is the one that it boots next."""
    if server.expected.boot_device is None:
        pytest.skip("the server's boot files are not to be mounted by the board")
    assert boot.record.root is not None
    assert boot.record.root.boot_source == server.expected.boot_device


@pytest.mark.needs("kernel")
def test_kernel_is_healthy(boot: Boot) -> None:
    """No panic, no oops, no emergency shell, no under-voltage."""
    for name in ("kernel.panic", "kernel.oops", "initramfs.shell", "systemd.emergency", "kernel.undervoltage"):
        assert boot.milestone(name) is None


@pytest.mark.needs("login")
def test_no_systemd_unit_failed(boot: Boot) -> None:
    """Every unit of the system came up."""
    assert boot.record.os is not None
    if boot.record.os.failed_units is None:
        pytest.skip("the system does not run systemd")
    assert boot.record.os.failed_units == ()


@pytest.mark.needs("login")
def test_the_shell_answers(boot: Boot, board: Board) -> None:
    """Somebody is logged in, and the kernel that answers is the one of the record."""
    assert boot.record.os is not None
    output, status = board.shell.run("uname -r")
    assert status == 0
    assert output.strip() == boot.record.os.kernel_release


def test_nothing_was_found_that_stops_a_boot(boot: Boot) -> None:
    """The judge has no fault to name; its findings say who must do what."""
    faults = [finding for finding in boot.findings if finding.severity == "fault"]
    assert not faults, "\n".join(f"{finding.title}\n  -> {finding.who}: {finding.remedy}" for finding in faults)


def _with_port(url: str) -> str:
    """http://10.0.0.2/x/ with the port that it means."""
    host, slash, rest = url[7:].partition("/")
    return f"http://{host}:80{slash}{rest}"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
