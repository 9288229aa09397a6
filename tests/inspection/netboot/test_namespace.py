# SPDX-License-Identifier: GPL-2.0-or-later
"""A wire's interface may be in a named network namespace: the look goes there, and comes back."""

import os
import socket
import subprocess
from collections.abc import Iterator

import pytest

from harness.inspection.netboot.namespace import inside

pytestmark = pytest.mark.netns


@pytest.fixture
def namespace() -> Iterator[str]:
    if os.geteuid() != 0:
        pytest.skip("needs root (namespaces)")
    name = f"look-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    yield name
    subprocess.run(["ip", "netns", "delete", name], check=True)


def names() -> list[str]:
    return [name for _, name in socket.if_nameindex()]


def test_work_is_done_there_and_errors_come_back(namespace: str) -> None:
    subprocess.run(["ip", "-n", namespace, "tuntap", "add", "there0", "mode", "tap"], check=True)
    before = names()
    assert "there0" in inside(namespace, names)
    assert names() == before
    assert "there0" not in inside(None, names)
    with pytest.raises(ZeroDivisionError):
        inside(namespace, lambda: 1 // 0)
