# SPDX-License-Identifier: GPL-2.0-or-later
"""Outlets behind the real pdudaemon, with its localcmdline driver, on loopback."""

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.errors import InfraError
from harness.power.command import Expected, ReadBack
from harness.power.pdu import PduPort
from harness.power.port import Timing, cycle
from harness.power.web import Site

from .driver_doubles import web

pytestmark = pytest.mark.gear
QUICK = Timing(limit=1.0, poll=0.05, settle=0.01)


def program() -> str | None:
    """PIBOOT_PDUDAEMON names another one than Debian's, of a venv say."""
    return os.environ.get("PIBOOT_PDUDAEMON") or shutil.which("pdudaemon", path=f"{os.environ['PATH']}:/usr/sbin")


class Daemon:
    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder = url, folder

    def port(
        self, name: str = "apc-1", *, read_back: bool = True, alias: str = "", timing: Timing | None = None
    ) -> PduPort:
        look = ReadBack(["tail", "-n", "1", str(self.folder / "outlet-3")], Expected("^on$"), Expected("^off$"))
        return PduPort(
            Site(self.url, timeout=20),
            hostname="" if alias else name,
            port="" if alias else "3",
            alias=alias,
            read_back=look if read_back else None,
            timing=timing or Timing(limit=10, poll=0.02, settle=0.01),
        )

    @property
    def history(self) -> list[str]:
        return (self.folder / "outlet-3").read_text().split()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    found = program()
    if found is None:
        pytest.skip("needs pdudaemon: apt install pdudaemon")
    folder = tmp_path_factory.mktemp("pdudaemon")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        tcp_port = probe.getsockname()[1]
    settings = {
        "daemon": {"hostname": "127.0.0.1", "port": tcp_port, "listener": "http", "logging_level": "INFO"},
        "aliases": {"pi4-a": {"hostname": "apc-1", "port": "3"}},
        "pdus": {
            "apc-1": {
                "driver": "localcmdline",
                "cmd_on": f"echo on >> {folder}/outlet-%s",
                "cmd_off": f"echo off >> {folder}/outlet-%s",
            },
            "dead": {"driver": "localcmdline", "cmd_on": "true %s", "cmd_off": "true %s"},
        },
    }
    (folder / "pdudaemon.conf").write_text(json.dumps(settings))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [found, "--conf", str(folder / "pdudaemon.conf")], stdout=log, stderr=log, cwd=folder
        )
    try:
        url = f"http://127.0.0.1:{tcp_port}"
        deadline = time.monotonic() + 30
        while True:
            try:
                urllib.request.urlopen(url, timeout=5)
            except urllib.error.HTTPError as answer:
                answer.close()
                break
            except OSError:
                assert process.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.05)
        yield Daemon(url, folder)
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)


@pytest.fixture
def daemon(running: Daemon) -> Daemon:
    (running.folder / "outlet-3").write_text("off\n")
    return running


@pytest.mark.parametrize("alias", ["", "pi4-a"])
def test_on_and_off_with_a_read_back(daemon: Daemon, alias: str) -> None:
    port = daemon.port(alias=alias)
    assert port.state() == "off"
    port.on()
    port.on()
    port.off()
    assert daemon.history == ["off", "on", "off"]
    assert port.detail == "exit status 0: off"
    assert port.identity.endswith("alias pi4-a" if alias else "apc-1 port 3")


def test_without_a_read_back_the_state_is_unknown_and_the_record_says_so(daemon: Daemon) -> None:
    port = daemon.port(read_back=False)
    assert port.state() == "unknown"
    port.on()
    assert port.detail == "pdudaemon took the order; nothing was read back"
    assert port.state() == "unknown"
    loss = cycle(port, 0.01)
    assert daemon.history == ["off", "on", "off", "on"]
    assert loss.proved is None
    assert loss.words == "cannot know whether the board lost power: nothing but the port itself was asked"


def test_pdudaemon_says_ok_and_the_outlet_does_not_change(daemon: Daemon) -> None:
    with pytest.raises(InfraError, match=r"did not within 1 s; last: it said 'off' \(exit status 0: off\)"):
        daemon.port("dead", timing=QUICK).on()


@pytest.mark.parametrize("read_back", [True, False])
def test_an_outlet_that_pdudaemon_does_not_know(daemon: Daemon, read_back: bool) -> None:
    with pytest.raises(InfraError, match="answered 500") as caught:
        daemon.port("nobody", read_back=read_back, timing=QUICK).on()
    assert "pdudaemon.conf" in caught.value.remedy
    assert daemon.history == ["off"]


def test_no_pdudaemon() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        tcp_port = probe.getsockname()[1]
    with pytest.raises(InfraError, match=r"was not switched off: no answer from .*Connection refused"):
        PduPort(Site(f"http://127.0.0.1:{tcp_port}"), hostname="apc-1", port="3", timing=QUICK).off()


def test_names_are_quoted() -> None:
    with web(lambda *_: (200, "OK", b"OK")) as (url, log):
        PduPort(Site(url), hostname="apc-1", port="3&x=/../", timing=QUICK).off()
    assert log == ["GET /power/control/off?hostname=apc-1&port=3%26x%3D%2F..%2F"]
