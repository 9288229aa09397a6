# SPDX-License-Identifier: GPL-2.0-or-later
"""Bad cables: what a board makes of them, by its model, and what the judge says. Real frames, lost and late for real."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from harness.boot.record import BootRecord
from harness.lab import Lab
from harness.result import Boot
from tests.faults.conftest import BOARD, lab_config
from tests.stand_ins import small_boot_files

pytestmark = pytest.mark.netns

OpenLab = Callable[..., Lab]
#: Too late only for files of the real size.
LATE = "delay: 0.02"


@pytest.fixture(autouse=True)
def short_transfers(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[None]:
    """A bad cable makes every block slow; what it does to one it does to all, and only a boot to the login wants them all."""
    late = hasattr(request.node, "callspec") and request.node.callspec.params.get("fault") == LATE
    whole = late or request.node.get_closest_marker("qemu")
    with nullcontext() if whole else small_boot_files(tmp_path / "boot"):
        yield


def boot(
    open_lab: OpenLab, faults: str, *, budgets: str = "", model: str = "pi4", until: str = "firmware", more: str = ""
) -> Boot:
    words = {"emulation: {speed: 50}": f"emulation: {{speed: 50, wire: {faults}}}"}
    if budgets:
        words["{link: 5, dhcp: 5, firmware: 20,"] = "{" + budgets + ","
    if model != "pi4":
        maker = "2c:cf:67" if model == "pi5" else "b8:27:eb"
        words |= {"model: pi4": f"model: {model}", "e4:5f:01:09:02:f7": f"{maker}:cd:f0:3d"}
    if more:
        words["login: {user: root}"] = "login: {user: root}\n    " + more
    lab = open_lab(lab_config(**words))
    done = lab.board(BOARD).boot(until=until)
    assert done.record.capture is not None
    assert done.record.capture.dropped == 0
    return done


def again(record: BootRecord) -> dict[str, int]:
    return {one.path.split("/")[-1]: one.retransmissions for one in record.tftp if one.complete and one.blocks > 5}


def test_exactly_one_block_of_each_file_is_lost_and_sent_again(open_lab: OpenLab) -> None:
    done = boot(open_lab, "{lose_data: [5]}", budgets="link: 5, dhcp: 5, firmware: 60")
    assert done.verdict == "passed", done.record.reason
    sent_again = again(done.record)
    assert set(sent_again.values()) == {1}, sent_again
    assert {"start4.elf", "kernel8.img"} <= sent_again.keys()


@pytest.mark.slow
def test_a_block_that_arrives_twice_is_acknowledged_twice_and_harms_nobody(open_lab: OpenLab) -> None:
    done = boot(open_lab, "{duplicate_data: [5]}")
    assert done.verdict == "passed", done.record.reason
    assert set(again(done.record).values()) == {1}
    assert "Duplicate block" in done.console.text


def test_a_start4_elf_that_hangs_on_a_repeated_block(open_lab: OpenLab) -> None:
    done = boot(
        open_lab, "{duplicate_data: [5]}", budgets="link: 5, dhcp: 5, firmware: 8", more="emulation: {repeats: hang}"
    )
    assert done.verdict == "failed(firmware)", done.record.reason
    whole = [one.path for one in done.record.tftp if one.complete]
    assert "91cdf03d/start4.elf" in whole, "the EEPROM bootloader takes repeated blocks"
    stuck = done.record.tftp[-1]
    assert (stuck.path, stuck.complete, stuck.retransmissions > 0) == ("91cdf03d/initramfs8", False, True)
    assert "Duplicate block" in done.console.text
    assert "Linux version" not in done.console.text


@pytest.mark.slow
def test_a_tenth_of_all_frames_lost_is_a_boot_that_does_not_get_far(open_lab: OpenLab) -> None:
    done = boot(open_lab, "{loss: 0.1}", budgets="link: 5, dhcp: 10, firmware: 15")
    assert done.verdict == "failed(firmware)", done.record.reason
    assert sum(one.retransmissions for one in done.record.tftp) > 0
    assert "TFTP_GET" in done.console.text
    assert "Linux version" not in done.console.text


@pytest.mark.slow
def test_late_and_disordered_frames_only_take_longer(open_lab: OpenLab) -> None:
    """Lock-step TFTP has one block on its way: nothing can overtake it."""
    done = boot(open_lab, "{delay: 0.0004, jitter: 0.0002, reorder: 0.25}", budgets="link: 5, dhcp: 5, firmware: 90")
    assert done.verdict == "passed", done.record.reason
    kernel = next(one for one in done.record.tftp if one.complete and one.path.endswith("kernel8.img"))
    assert (kernel.end - kernel.start) / kernel.blocks > 2 * 0.0002
    assert kernel.retransmissions == 0


def test_spanning_tree_holds_up_a_pi_4_until_it_asks_again(open_lab: OpenLab) -> None:
    done = boot(open_lab, "{spanning_tree: 6}", budgets="link: 5, dhcp: 30, firmware: 20")
    assert done.verdict == "passed", done.record.reason
    dhcp = done.stages.dhcp
    assert dhcp.duration is not None
    assert dhcp.duration > 4.0
    assert sum(exchange.discovers for exchange in done.record.dhcp if exchange.client == "firmware") > 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "verdict"),
    [
        ("pi2b", "failed(dhcp)"),
        ("pi3b", "failed(dhcp)"),
        ("pi3bplus", "failed(dhcp)"),
        ("pi4", "passed"),
        ("pi5", "passed"),
    ],
)
def test_30_seconds_of_spanning_tree_outlast_a_boot_rom_and_no_bootloader(
    open_lab: OpenLab, model: str, verdict: str
) -> None:
    """A boot ROM tries five times, five seconds apart, then no more. A bootloader in an EEPROM goes on asking."""
    # It is given up after twice its budget.
    dhcp = 60 if verdict == "passed" else 20
    done = boot(open_lab, "{spanning_tree: 30}", budgets=f"link: 5, dhcp: {dhcp}, firmware: 60", model=model)
    assert done.verdict == verdict, done.record.reason
    asked = sum(exchange.discovers for exchange in done.record.dhcp)
    if verdict == "passed":
        assert asked > 5
        assert (done.stages.dhcp.duration or 0.0) > 25.0
    else:
        assert asked == 5
        assert "rom-gave-up" in [one.id for one in done.findings]
        assert done.console.text == "", "such a board says nothing before bootcode.bin"


@pytest.mark.slow
@pytest.mark.parametrize("model", ["pi3bplus", "pi5"])
@pytest.mark.parametrize("fault", ["lose_data", "duplicate_data"])
def test_one_block_lost_or_twice_is_got_over_by_every_model(open_lab: OpenLab, model: str, fault: str) -> None:
    done = boot(open_lab, f"{{{fault}: [5]}}", budgets="link: 5, dhcp: 20, firmware: 120", model=model)
    assert done.verdict == "passed", done.record.reason
    sent_again = again(done.record)
    assert set(sent_again.values()) == {1}, sent_again
    assert "kernel8.img" in sent_again


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "fault", "budget"), [("pi3bplus", "loss: 0.1", 15), ("pi5", "loss: 0.1", 15), ("pi4", LATE, 30)]
)
def test_what_is_too_bad_for_a_boot(open_lab: OpenLab, model: str, fault: str, budget: int) -> None:
    done = boot(open_lab, f"{{{fault}}}", budgets=f"link: 5, dhcp: 20, firmware: {budget}", model=model)
    assert done.verdict == "failed(firmware)", done.record.reason
    assert {one.id for one in done.findings} & {"tftp-broken-off", "tftp-retransmissions"}
    assert "Linux version" not in done.console.text
    if model == "pi4":
        assert "TFTP: disconnect: timeouts 1" in done.console.text, "no file of this size in its 30 s"


@pytest.mark.slow
@pytest.mark.qemu
def test_ten_megabits_are_slow_and_enough(open_lab: OpenLab) -> None:
    done = boot(open_lab, "{rate: 10000000}", budgets="link: 5, dhcp: 5, firmware: 120", until="login")
    assert done.verdict == "passed", done.record.reason
    kernel = next(one for one in done.record.tftp if one.complete and one.path.endswith("kernel8.img"))
    assert 0.5e6 < kernel.bytes / (kernel.end - kernel.start) < 1.25e6
