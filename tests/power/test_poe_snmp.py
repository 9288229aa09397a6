# SPDX-License-Identifier: GPL-2.0-or-later
"""PoE ports by SNMP, against net-snmp's snmpd with a table of ports."""

import gc
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.config import Secret
from harness.errors import InfraError
from harness.power.evidence import Evidence
from harness.power.journal import JournaledPort, PowerJournal
from harness.power.poe_snmp import PoeSnmpPort
from harness.power.port import Timing
from harness.power.snmp import Agent
from harness.power.snmp_credentials import Credentials

from .snmpd import AUTH, COMMUNITY, PRIVACY, Switch, free_port, snmpd

pytestmark = pytest.mark.gear


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Switch]:
    with snmpd(tmp_path_factory.mktemp("switch")) as switch:
        yield switch


@pytest.fixture
def switch(running: Switch) -> Switch:
    running.reset()
    return running


def make(
    switch: Switch,
    port: int = 7,
    *,
    group: int = 1,
    limit: float = 10.0,
    timeout: float = 3.0,
    retries: int = 0,
    **credentials: Any,
) -> PoeSnmpPort:
    mine = Credentials(**(credentials or {"community": Secret(COMMUNITY)}))
    agent = Agent(switch.host, switch.port, mine, timeout=timeout, retries=retries)
    return PoeSnmpPort(agent, port=port, group=group, timing=Timing(limit=limit, poll=0.02))


def v3(**changes: Any) -> dict[str, Any]:
    keys = {"auth_key": Secret(AUTH), "privacy_key": Secret(PRIVACY)}
    return {"version": "3", "user": "poe", **keys, **changes}


@pytest.mark.parametrize(
    "credentials",
    [
        {"version": "1", "community": Secret(COMMUNITY)},
        {"version": "2c", "community": Secret(COMMUNITY)},
        v3(),
        v3(user="poesha", auth="SHA"),
        v3(user="poe512", auth="SHA-512", privacy="AES-256"),
    ],
    ids=["v1", "v2c", "v3 SHA-256", "v3 SHA", "v3 SHA-512 AES-256"],
)
def test_on_and_off_are_what_the_switch_delivers(switch: Switch, credentials: dict[str, Any]) -> None:
    port = make(switch, **credentials)
    assert port.state() == "off"
    port.on()
    assert port.detail == "deliveringPower, class 4"
    assert switch.data["ports"]["7"]["status"] == 3
    port.on()
    port.off()
    assert port.detail == "disabled"
    assert switch.data["ports"]["7"] == {**switch.data["ports"]["7"], "admin": 2, "status": 1}
    assert switch.sets == ["set 7 1", "set 7 2"], (
        "switching to what is there sends nothing, and no other port is touched"
    )


def test_a_port_that_takes_its_time_to_detect_and_classify(switch: Switch) -> None:
    switch.change(manner="late")
    port = make(switch)
    port.on()
    assert switch.data["ports"]["7"]["status"] == 3


def test_a_port_of_another_group(switch: Switch) -> None:
    """The second switch of a stack: the same number on its front means another port."""
    switch.change(5, group=2)
    port = make(switch, 5, group=2)
    port.on()
    assert switch.data["ports"]["5"]["status"] == 3
    port.off()
    assert switch.sets == ["set 5 1", "set 5 2"]
    with pytest.raises(InfraError, match="has no such group or port"):
        make(switch, 5).state()


def test_an_enabled_port_without_a_board_is_neither_on_nor_off(switch: Switch) -> None:
    """Power may come at any moment: a board must not be thought off."""
    switch.change(admin=1, status=2)
    port = make(switch)
    assert port.state() == "unknown"
    port.off()
    assert switch.sets == ["set 7 2"]


@pytest.mark.parametrize(
    ("manner", "cause"),
    [
        ("denied", "port 7: denied, power budget (62 of 65 W in use)"),
        ("fault", "last: it said 'unknown' (fault, enabled)"),
        ("stuck", "last: it said 'off' (disabled)"),
        ("garbage", "it has no such group or port"),
    ],
)
def test_a_port_that_does_not_deliver_says_why(switch: Switch, manner: str, cause: str) -> None:
    switch.change(manner=manner)
    port = make(switch, limit=0.5)
    began = time.monotonic()
    with pytest.raises(InfraError) as caught:
        port.on()
    assert cause in caught.value.what
    assert f"PoE switch 127.0.0.1:{switch.port} port 7" in caught.value.what
    assert "power budget" in caught.value.remedy
    assert time.monotonic() - began < 6


def test_an_old_denial_is_no_cause(switch: Switch) -> None:
    switch.change(denied=5, short=2)
    make(switch).on()


@pytest.mark.parametrize(
    ("credentials", "cause"),
    [
        ({"community": Secret("readonly")}, "said noAccess; these credentials may not write"),
        ({"version": "1", "community": Secret("readonly")}, "lets nobody write it with these credentials"),
        ({"community": Secret("wrong-one")}, "unreachable, or it does not know this community"),
        (v3(auth_key=Secret("not-the-key")), "the authentication key or its kind is wrong"),
        (v3(auth="SHA-512"), "the authentication key or its kind is wrong"),
        (v3(privacy_key=Secret("not-the-key")), "unreachable, or the privacy key is wrong"),
        (v3(user="nobody"), "it knows no such user"),
        (v3(privacy_key=None), "authorizationError"),
    ],
    ids=["read-only", "read-only v1", "wrong community", "wrong key", "kind", "wrong privacy", "user", "level"],
)
def test_credentials_that_do_not_do(switch: Switch, credentials: dict[str, Any], cause: str) -> None:
    port = make(switch, limit=0.4, timeout=0.4, **credentials)
    with pytest.raises(InfraError) as caught:
        port.on()
    assert cause in caught.value.what
    assert switch.sets == []
    for secret in (COMMUNITY, AUTH, PRIVACY, "not-the-key", "wrong-one"):
        assert secret not in str(caught.value)
        assert secret not in repr(caught.value)


def test_a_port_that_the_switch_does_not_have(switch: Switch) -> None:
    for version in ("1", "2c"):
        with pytest.raises(InfraError, match="has no such group or port"):
            make(switch, 77, version=version, community=Secret(COMMUNITY)).state()


def test_a_switch_that_is_not_there(switch: Switch) -> None:
    agent = Agent("127.0.0.1", free_port(), Credentials(community=Secret(COMMUNITY)), timeout=0.2, retries=1)
    began = time.monotonic()
    with pytest.raises(InfraError, match=r"no answer from 127\.0\.0\.1:\d+ within 0\.2 s 2 times"):
        PoeSnmpPort(agent, port=7, timing=Timing(limit=0.3, poll=0.01)).on()
    assert time.monotonic() - began < 4


def test_a_name_that_does_not_resolve() -> None:
    agent = Agent("switch.invalid", 161, Credentials(community=Secret(COMMUNITY)), timeout=0.2)
    with pytest.raises(InfraError, match=r"no exchange with switch\.invalid:161"):
        PoeSnmpPort(agent, port=7, timing=Timing(limit=0.1, poll=0.01)).on()


@pytest.mark.parametrize("junk", [b"", b"\xff" * 40, b"0\x82\xff\xff\x02\x01\x01", b"\x1b[2J", b"0" * 1400])
def test_an_agent_that_answers_no_snmp(junk: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(10)
        done = threading.Event()

        def babble() -> None:
            while not done.is_set():
                _, peer = server.recvfrom(4096)
                if not done.is_set():
                    server.sendto(junk, peer)

        thread = threading.Thread(target=babble)
        thread.start()
        agent = Agent(
            "127.0.0.1", server.getsockname()[1], Credentials(community=Secret(COMMUNITY)), timeout=0.2, retries=0
        )
        try:
            with pytest.raises(InfraError, match=r"no answer|no exchange"):
                PoeSnmpPort(agent, port=7, timing=Timing(limit=0.1, poll=0.01)).on()
        finally:
            done.set()
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
                end.sendto(b"end", server.getsockname())
            thread.join(10)


def test_an_agent_that_takes_5_seconds_is_given_up_in_time(tmp_path: Path) -> None:
    with snmpd(tmp_path) as switch:
        switch.change(manner="slow")
        began = time.monotonic()
        with pytest.raises(InfraError, match="no answer from"):
            make(switch, limit=0.5, timeout=0.5).on()
        assert time.monotonic() - began < 4


@pytest.mark.slow
def test_an_agent_that_takes_5_seconds_is_waited_for_when_lab_yaml_allows(tmp_path: Path) -> None:
    with snmpd(tmp_path) as switch:
        switch.change(manner="slow")
        port = make(switch, limit=60, timeout=15)
        port.on()
        assert switch.data["ports"]["7"]["status"] == 3


def test_a_switch_that_restarts_between_two_boots(tmp_path: Path) -> None:
    """v3: its engine's boots and time are others now."""
    with snmpd(tmp_path) as switch:
        port = make(switch, limit=20, **v3())
        port.on()
        old = switch.port
    with snmpd(tmp_path) as switch:
        agent = port._agent
        assert old != switch.port or agent.port == switch.port
        agent.port = switch.port
        port.on()
        assert port.state() == "on"


def test_cycle_with_the_poe_class_as_evidence(switch: Switch, tmp_path: Path) -> None:
    port = make(switch)
    port.on()
    journaled = JournaledPort(port, PowerJournal(tmp_path))
    loss = journaled.cycle(0.05, [Evidence("PoE class gone", port.lost_power)])
    assert (loss.proved, loss.words) == (True, "PoE class gone")
    assert switch.sets == ["set 7 1", "set 7 2", "set 7 1"]
    assert '"phase": "loss", "proved": true, "detail": "PoE class gone"' in (tmp_path / "power.jsonl").read_text()


def test_no_socket_and_no_loop_is_left_behind(switch: Switch) -> None:
    """ResourceWarnings are errors here: unclosed sockets and loops would be told by the collector."""
    port = make(switch)
    port.state()
    del port
    gc.collect()
