# SPDX-License-Identifier: GPL-2.0-or-later
"""A boot that went well, from a server that is not the described one."""

from dataclasses import replace

from harness.boot.events import Ended, RootConnect
from harness.boot.expect import ExpectedOffer
from harness.boot.judge import judge
from harness.boot.record import BootRecord
from tests.boot.stream import SERVER, T0, dhcp, expectation, files, good_boot, line, network, power_on, system

RBD = {"kind": "rbd", "server": "10.77.0.3", "pool": "rbd", "image": "a", "user": "pi"}


def judged(events: list, **server: object) -> BootRecord:  # type: ignore[type-arg]
    plain = expectation()
    return judge(plain.model_copy(update={"server": plain.server.model_copy(update=server)}), events)


def test_an_offer_of_another_kind_is_a_warning() -> None:
    record = judged(good_boot(), offer=ExpectedOffer(option_43="Raspberry Pi Boot"))
    assert (record.verdict, record.findings) == ("passed", ())
    record = judged(good_boot(), offer=ExpectedOffer(mode="proxy", option_66=SERVER))
    (found,) = record.findings
    assert (record.verdict, found.id, found.severity) == ("passed", "offer-not-as-described", "warning")
    assert f"option 66 is missing, not '{SERVER}'" in found.title
    assert found.evidence[0].ref == 2, "the OFFER's packet"


def test_a_boot_without_an_offer_has_a_fault_of_its_own() -> None:
    events = [
        *power_on(),
        dhcp(5.3, 1, "DISCOVER"),
        replace(dhcp(5.4, 2, "OFFER"), options=()),
        Ended(T0 + 60, reason="deadline"),
    ]
    record = judged(events, offer=ExpectedOffer(option_66=SERVER))
    assert "offer-not-as-described" not in [found.id for found in record.findings]
    assert record.failed_stage == "dhcp"


def test_another_root_and_another_monitor_than_the_described() -> None:
    ceph = [
        RootConnect(t=T0 + 13.0, packet=900, protocol="ceph", server_ip="10.77.0.3", port=3300),
        RootConnect(t=T0 + 13.2, packet=901, protocol="ceph", server_ip="10.77.0.9", port=3300),
    ]
    rest = [event for event in system() if type(event).__name__ not in {"RootConnect", "NfsMount"}]
    asked = line(41.7, 208, "probe.value", key="cmdline", value="rbdroot=10.77.0.3:pi:***:rbd:b rw")
    events = [*power_on(), *network(), *files(), *ceph, *rest, asked, Ended(t=T0 + 42.0, reason="login")]
    record = judged(events, root_parts=RBD, root_servers=("10.77.0.3",))
    (found,) = [one for one in record.findings if one.id == "root-not-as-described"]
    assert "image is b, not a" in found.title
    assert "the board spoke to 10.77.0.9, which is not of it" in found.title
    right = judged(events, root_parts={**RBD, "image": "b"}, root_servers=("10.77.0.3", "10.77.0.9"))
    assert "root-not-as-described" not in [one.id for one in right.findings]
