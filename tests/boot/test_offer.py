# SPDX-License-Identifier: GPL-2.0-or-later
"""Answers to a DISCOVER, held against the `offer:` of lab.yaml."""

import pytest

from harness.boot.exchanges import DhcpStep
from harness.boot.expect import ExpectedOffer
from harness.boot.offer import differences

MENU = (43, b"\x06\x01\x03\x0a\x04\x00PXE\x09\x14\x00\x00\x11Raspberry Pi Boot\xff".hex())


def offer(server: str = "10.0.0.1", address: str = "10.0.0.50", siaddr: str = "0.0.0.0", **options: object) -> DhcpStep:
    texts = tuple((int(code.removeprefix("o")), value) for code, value in options.items())
    pairs = tuple((code, value if isinstance(value, str) else bytes(value).hex()) for code, value in texts)  # type: ignore[arg-type]
    return DhcpStep(
        t=0,
        packet=1,
        type="OFFER",
        src_ip=server,
        src_mac="",
        server_id=server,
        yiaddr=address,
        siaddr=siaddr,
        options=pairs,
    )


LEASE = offer()
TELLS = offer(o43=MENU[1], siaddr="10.0.0.1")
PROXY = offer("10.0.0.2", "0.0.0.0", o43=MENU[1])
BY_66 = offer(o66=b"10.0.0.2\0")
BY_NAME = offer(o66=b"nas\0")


@pytest.mark.parametrize(
    ("described", "answers", "said"),
    [
        ({}, [TELLS], ""),
        ({}, [], ""),
        ({}, [LEASE], "neither option 66 nor option 43"),
        ({}, [BY_NAME], "neither option 66 nor option 43"),
        ({"option_43": "Raspberry Pi Boot"}, [TELLS], ""),
        ({"option_43": "Raspberry Pi Boot   "}, [TELLS], "option 43 does not hold 'Raspberry Pi Boot   '"),
        ({"option_43": "Raspberry Pi Boot"}, [BY_66], "option 43 is missing"),
        ({"option_66": "10.0.0.2"}, [LEASE, BY_66], ""),
        ({"option_66": "10.0.0.2"}, [BY_NAME], "option 66 is 'nas', not '10.0.0.2'"),
        ({"siaddr": "10.0.0.9"}, [TELLS], "siaddr is 10.0.0.1, not 10.0.0.9"),
        ({"option_67": "start4.elf"}, [TELLS], "option 67 is missing"),
        ({"mode": "proxy"}, [LEASE, PROXY], ""),
        ({"mode": "proxy"}, [TELLS], "that is mode: lease"),
        ({}, [LEASE, PROXY], "that is mode: proxy"),
        ({"mode": "none"}, [LEASE], ""),
        ({"mode": "none"}, [TELLS], "10.0.0.1 names a TFTP server, and nobody should"),
    ],
)
def test_differences(described: dict[str, str], answers: list[DhcpStep], said: str) -> None:
    found = differences(ExpectedOffer.model_validate(described), answers)
    assert bool(found) == bool(said)
    assert said in "; ".join(found)


def test_no_octets_raise() -> None:
    hostile = offer("\x1b[31m", o43=b"\xff" * 255, o66=b"\x00\xff\x1b", o67=b"")
    assert differences(ExpectedOffer(option_66="10.0.0.1", option_67="x", option_43="y"), [hostile])
