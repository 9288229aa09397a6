# SPDX-License-Identifier: GPL-2.0-or-later
"""Boards with a boot ROM: two exchanges of one transaction id, no REQUEST, and faults of their own."""

import pytest

from harness.boot.events import Ended, Event
from harness.boot.judge import judge
from harness.boot.record import BootRecord, Finding
from tests.boot import rom, stream
from tests.boot.rom import MENU, MENU_SPACES, T0, fetch, new_discover, offer, old_discover

SERVER_ID = (54, bytes([10, 77, 0, 1]))


def judged(*events: Event, model: str = "pi3bplus", until: float = 100.0) -> BootRecord:
    ended = Ended(t=T0 + until, reason="deadline")
    return judge(rom.expectation(model), [*stream.power_on(), *events, ended])


def only(record: BootRecord, identity: str) -> Finding:
    (finding,) = [f for f in record.findings if f.id == identity]
    assert finding.remedy
    return finding


def programs(record: BootRecord) -> list[tuple[str, str, int]]:
    return [(one.client, one.asked_by, one.discovers) for one in record.dhcp]


def test_one_transaction_id_two_exchanges_by_the_files_between_them() -> None:
    record = judged(*rom.two_stages())
    assert programs(record) == [("firmware", "rom", 1), ("firmware", "bootcode.bin", 1)]
    assert [one.result for one in record.dhcp] == ["offer only", "offer only"]
    assert {one.tftp_server for one in record.dhcp} == {stream.SERVER}


def test_two_exchanges_by_the_form_of_the_discover() -> None:
    record = judged(old_discover(10, 1), offer(10.1, 2), new_discover(20, 3), offer(20.1, 4), model="pi3b")
    assert programs(record) == [("firmware", "rom", 1), ("firmware", "bootcode.bin", 1)]


def test_two_exchanges_by_time_when_no_file_is_in_the_capture() -> None:
    assert len(judged(new_discover(10, 1), offer(10.01, 2), new_discover(10.2, 3), offer(10.21, 4)).dhcp) == 2
    assert len(judged(new_discover(10, 1), offer(10.01, 2), new_discover(15.0, 3), offer(15.01, 4)).dhcp) == 1


def test_tries_without_an_answer_are_one_exchange() -> None:
    record = judged(*(new_discover(10 + 5 * n, n + 1) for n in range(5)))
    assert [one.discovers for one in record.dhcp] == [5]
    assert record.verdict == "failed(dhcp)"
    assert "5 times" in only(record, "rom-gave-up").title


def test_the_dhcp_stage_ends_with_the_offer_that_was_used() -> None:
    stranger = offer(10.02, 3, (54, bytes([10, 77, 0, 66])), src_ip="10.77.0.66", siaddr="0.0.0.0")
    record = judged(*rom.two_stages(), stranger)
    stage = record.stage("dhcp")
    assert (stage.verdict, stage.end) == ("passed", T0 + 10.01)


def test_a_board_that_starts_at_bootcode_on_its_sd_card() -> None:
    record = judged(*rom.two_stages()[6:], model="pi3b")
    assert programs(record) == [("firmware", "bootcode.bin", 1)]
    assert record.stage("dhcp").end == T0 + 10.41


def test_the_old_rom_wants_three_spaces_and_newer_ones_do_not() -> None:
    plain = [old_discover(10, 1), offer(10.1, 2, SERVER_ID, (43, MENU))]
    assert "three spaces" in only(judged(*plain, model="pi3b"), "rom-menu-spaces").title
    assert judged(*plain, model="pi3b").dhcp[0].tftp_server is None
    spaced = judged(old_discover(10, 1), offer(10.1, 2, SERVER_ID, (43, MENU_SPACES)), model="pi3b")
    assert not [f for f in spaced.findings if f.id == "rom-menu-spaces"]
    newer = judged(new_discover(10, 1), offer(10.1, 2, SERVER_ID, (43, MENU)))
    assert newer.dhcp[0].tftp_from == "option 43"


def test_the_last_of_43_and_66_wins_and_siaddr_is_ignored() -> None:
    menu, other = (43, MENU_SPACES), (66, b"10.77.0.9")
    siaddr = {"siaddr": "10.77.0.200"}
    last66 = judged(old_discover(10, 1), offer(10.1, 2, SERVER_ID, menu, other, **siaddr)).dhcp[0]
    last43 = judged(old_discover(10, 1), offer(10.1, 2, SERVER_ID, other, menu, **siaddr)).dhcp[0]
    assert (last66.tftp_server, last66.tftp_from) == ("10.77.0.9", "option 66")
    assert (last43.tftp_server, last43.tftp_from) == (stream.SERVER, "option 43")


@pytest.mark.parametrize("order", [1, -1])
def test_from_the_3b_plus_on_option_66_wins_whatever_the_order(order: int) -> None:
    options = [(43, b"Raspberry Pi Boot   "), (66, b"10.77.0.9\0")][::order]
    found = judged(new_discover(10, 1), offer(10.1, 2, SERVER_ID, *options)).dhcp[0]
    assert (found.tftp_server, found.tftp_from) == ("10.77.0.9", "option 66")


def test_a_relayed_offer_is_dropped_by_the_old_rom() -> None:
    relayed = offer(10.1, 2, SERVER_ID, (43, MENU_SPACES), hops=1, giaddr="10.77.0.254")
    assert "10.77.0.254" in only(judged(old_discover(10, 1), relayed, model="pi3b"), "rom-relay").title


def test_a_tftp_server_behind_a_gateway() -> None:
    far = offer(10.1, 2, SERVER_ID, (1, bytes([255, 255, 255, 0])), (66, b"192.168.5.1"))
    finding = only(judged(old_discover(10, 1), far, model="pi3b"), "rom-off-subnet")
    assert "192.168.5.1" in finding.title
    assert "10.77.0.0/24" in finding.title


def test_a_good_offer_that_the_old_rom_does_not_act_on() -> None:
    tries = [m for n in range(5) for m in (old_discover(10 + 5 * n, 2 * n), offer(10.1 + 5 * n, 2 * n + 1))]
    assert "dhcp-reply-delay" in only(judged(*tries, model="pi3b"), "rom-deaf").remedy


def test_a_server_without_options() -> None:
    files = [
        *rom.two_stages()[:-8],
        *fetch(13.0, 220, "8b07bcc6/config.txt", "start.elf", "client error", oack=False, blocks=1, server_port=69),
    ]
    assert "every file for missing" in only(judged(*files), "tftp-no-options").title


def test_a_server_without_options_is_told_before_the_files_that_seem_to_be_missing() -> None:
    """A probe ends with the first DATA, not acknowledged; kernel8.img is there, and kernel7.img is not."""
    probed: dict[str, object] = {"oack": False, "blocks": 0, "server_port": 40000}
    files = [
        *rom.two_stages()[:-8],
        *fetch(13.0, 220, "8b07bcc6/config.txt", "start.elf", "early terminate", **probed),
        *fetch(14.0, 230, "8b07bcc6/bcm2710-rpi-3-b-plus.dtb", "start.elf", "early terminate", **probed),
        *fetch(15.0, 240, "8b07bcc6/kernel8.img", "start.elf", "early terminate", **probed),
        *fetch(16.0, 250, "8b07bcc6/kernel7.img", "start.elf", "not found"),
    ]
    faults = [finding.id for finding in judged(*files).findings if finding.severity == "fault"]
    assert faults == ["tftp-no-options"]


def test_bootcode_that_is_missing() -> None:
    record = judged(new_discover(10, 1), offer(10.1, 2), *fetch(10.2, 3, "bootcode.bin", "rom", "not found"))
    assert record.verdict == "failed(firmware)"
    assert "bootcode.bin" in only(record, "firmware-missing").title


def test_a_file_that_is_missed_is_told_and_a_normal_one_is_not() -> None:
    overlay = fetch(15.5, 245, "8b07bcc6//overlays/gone.dtbo", "start.elf", "not found")
    assert "gone.dtbo" in only(judged(*rom.two_stages(), *overlay), "files-missing").title
    assert not [f for f in judged(*rom.two_stages()).findings if f.id == "files-missing"]


def test_the_usual_kernels_are_no_loss_to_a_board_that_started_another() -> None:
    """As with `kernel=RPI_EFI.fd`: kernel8.img is tried before it."""
    files = rom.two_stages()[:-2]  # up to the device tree
    files += fetch(16.0, 250, "8b07bcc6/kernel8.img", "start.elf", "not found")
    files += fetch(16.5, 255, "8b07bcc6/other.img", "start.elf")
    assert not [f for f in judged(*files, stream.line(18.0, 9, "kernel.start")).findings if f.id == "files-missing"]
