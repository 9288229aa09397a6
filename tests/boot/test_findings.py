# SPDX-License-Identifier: GPL-2.0-or-later
"""Findings: each fault is called by its name, with evidence, who is to act, and a remedy."""

from harness.boot.events import Ended, Event, NfsMount, RootConnect
from harness.boot.judge import judge
from harness.boot.record import BootRecord, CaptureInfo, Finding
from tests.boot import stream
from tests.boot.stream import SERVER, T0, dhcp, expectation, good_boot, line, transfer


def judged(*events: Event, until: float = 100.0) -> BootRecord:
    return judge(expectation(), [*stream.power_on(), *events, Ended(t=T0 + until, reason="deadline")])


def only(record: BootRecord, identity: str) -> Finding:
    (finding,) = [f for f in record.findings if f.id == identity]
    assert finding.remedy
    return finding


def test_a_good_boot_has_no_findings() -> None:
    assert judge(expectation(), good_boot()).findings == ()


def test_nothing_at_all_after_power_on() -> None:
    record = judged()
    assert record.verdict == "failed(link)"
    assert only(record, "no-sign-of-life").who == "lab"


def test_a_bootloader_without_link() -> None:
    record = judged(line(2.5, 7, "net.wait_link", "NETWORK: wait for link"))
    assert only(record, "no-link").evidence[0].ref == 7


def test_no_dhcp_server() -> None:
    record = judged(stream.network()[1], dhcp(5.3, 1, "DISCOVER"), dhcp(9.3, 2, "DISCOVER"))
    assert record.verdict == "failed(dhcp)"
    finding = only(record, "dhcp-no-answer")
    assert "2 DISCOVER(s)" in finding.title
    assert [e.ref for e in finding.evidence] == [1, 2]


def test_an_offer_without_a_boot_server() -> None:
    offer = dhcp(5.4, 2, "OFFER", options=((54, bytes([10, 77, 0, 1])),))
    record = judged(dhcp(5.3, 1, "DISCOVER"), offer)
    assert record.verdict == "failed(dhcp)"
    assert "neither option 66 nor option 43" in only(record, "dhcp-offer-unusable").title


def test_a_host_name_in_option_66() -> None:
    offer = dhcp(5.4, 2, "OFFER", options=((54, bytes([10, 77, 0, 1])), (66, b"tftp.example.org\0")))
    title = only(judged(dhcp(5.3, 1, "DISCOVER"), offer), "dhcp-offer-unusable").title
    assert "dotted decimal" in title
    assert "tftp.example.org" in title


def test_a_menu_without_the_raspberry_pi_entry() -> None:
    offer = dhcp(5.4, 2, "OFFER", options=((43, b"\x06\x01\x03\xff"),))
    assert "Raspberry Pi Boot" in only(judged(dhcp(5.3, 1, "DISCOVER"), offer), "dhcp-offer-unusable").title


def test_a_proxy_without_a_lease_server() -> None:
    offer = dhcp(5.4, 2, "OFFER", yiaddr="0.0.0.0")
    assert "nobody offered an address" in only(judged(dhcp(5.3, 1, "DISCOVER"), offer), "dhcp-offer-unusable").title


def test_a_nak() -> None:
    record = judged(*stream.network()[:-1], dhcp(5.6, 4, "NAK"))
    assert SERVER in only(record, "dhcp-nak").title


def test_a_rogue_dhcp_server_is_named_with_its_mac_even_when_the_boot_passes() -> None:
    rogue = dhcp(
        5.45, 5, "OFFER", src_ip="10.77.0.66", src_mac="02:00:00:00:00:66", options=((54, bytes([10, 77, 0, 66])),)
    )
    record = judge(expectation(), [*good_boot(), rogue])
    assert record.verdict == "passed"
    finding = only(record, "dhcp-strange-server")
    assert "10.77.0.66 (02:00:00:00:00:66)" in finding.title
    assert finding.severity == "warning"


def test_missing_firmware() -> None:
    gone = [*transfer(6, 10, "91cdf03d/start4.elf", "not found"), *transfer(6.1, 12, "start4.elf", "not found")]
    record = judged(*stream.network(), *gone)
    assert record.verdict == "failed(firmware)"
    finding = only(record, "firmware-missing")
    assert "91cdf03d/start4.elf, start4.elf" in finding.title
    assert finding.who == "server"


def test_missing_kernel() -> None:
    record = judged(*stream.network(), *stream.files()[:-2], *transfer(8, 90, "91cdf03d/kernel8.img", "not found"))
    assert record.verdict == "failed(firmware)"
    only(record, "kernel-missing")


def test_a_server_that_dies_in_the_middle_of_a_file() -> None:
    broken = transfer(8, 90, "91cdf03d/kernel8.img", "timeout", bytes=4096, tsize=9_000_000, oack=True)
    record = judged(*stream.network(), *stream.files()[:-2], *broken)
    assert "after 4096 of 9000000 bytes" in only(record, "tftp-broken-off").title


def test_a_tftp_server_that_never_answers() -> None:
    record = judged(*stream.network(), *transfer(8, 90, "91cdf03d/start4.elf", "timeout"))
    assert SERVER in only(record, "tftp-no-answer").title


def test_a_refused_nfs_mount_names_path_and_status() -> None:
    events = [e for e in stream.system() if e.t < T0 + 13]
    mount = NfsMount(t=T0 + 13.1, packet=910, server_ip=SERVER, path="/srv/nfs/wrong", status=13)
    record = judged(*stream.network(), *stream.files(), *events, mount)
    assert record.verdict == "failed(root)"
    finding = only(record, "nfs-mount-refused")
    assert "/srv/nfs/wrong" in finding.title
    assert "access denied" in finding.title
    assert "10.77.0.1:/srv/nfs/91cdf03d" in finding.remedy


def test_an_nfs_server_that_does_not_answer() -> None:
    events = [e for e in stream.system() if e.t < T0 + 13]
    connect = RootConnect(t=T0 + 13, packet=900, protocol="nfs", server_ip=SERVER, port=2049)
    only(judged(*stream.network(), *stream.files(), *events, connect), "nfs-no-answer")


def test_a_broken_initramfs() -> None:
    events = [
        line(8.0, 40, "kernel.start"),
        line(9.0, 60, "kernel.initramfs_error", "Initramfs unpacking failed: broken padding"),
        line(9.5, 70, "kernel.panic", "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)"),
    ]
    record = judged(*stream.network(), *stream.files(), *events)
    assert record.verdict == "failed(kernel)"
    only(record, "initramfs-broken")
    assert only(record, "kernel-panic").who == "server"


def test_an_initramfs_whose_init_ends_is_broken() -> None:
    events = [
        *stream.system()[:2],
        line(10.5, 82, "kernel.panic", "Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000200"),
    ]
    record = judged(*stream.network(), *stream.files(), *events)
    assert record.verdict == "failed(initramfs)"
    assert record.findings[0].id == "initramfs-broken"


def test_a_failed_stage_is_never_left_without_a_word() -> None:
    record = judged(*stream.network(), *stream.files(), *stream.system()[:2], until=300.0)
    assert record.verdict == "failed(initramfs)"
    assert only(record, "initramfs-stalled").evidence


def test_a_login_that_is_refused() -> None:
    events = [e for e in stream.system() if e.t <= T0 + 40]
    refused = line(41, 201, "login.failed", "Login incorrect")
    record = judged(*stream.network(), *stream.files(), *events, refused)
    assert record.verdict == "failed(login)"
    assert only(record, "login-refused").who == "config"


def test_lost_packets_are_said_before_the_server_is_blamed() -> None:
    record = judge(expectation(), good_boot(), capture=CaptureInfo(packets=10, dropped=3))
    assert "lost 3 packets" in only(record, "capture-incomplete").title


def test_a_root_without_space_is_said_and_is_a_warning_when_the_board_came_up_all_the_same() -> None:
    full = line(35, 180, "system.no_space", "mkdir: can't create directory '/run/x': No space left on device")
    record = judge(expectation(), [*good_boot(), full])
    assert record.verdict == "passed"
    assert only(record, "root-full").severity == "warning"


def test_failed_units_and_undervoltage_are_warnings() -> None:
    events = [e for e in good_boot() if getattr(e, "fields", {}).get("key") != "failed_units"]
    extra = [
        line(20, 150, "kernel.undervoltage", "Under-voltage detected!"),
        line(41.6, 207, "probe.value", key="failed_units", value="a.service b.service"),
    ]
    record = judge(expectation(), [*events, *extra])
    assert record.verdict == "passed"
    assert "a.service, b.service" in only(record, "failed-units").title
    only(record, "undervoltage")
