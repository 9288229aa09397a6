# SPDX-License-Identifier: GPL-2.0-or-later
"""The emulated power port: what it sends, and what it does when the emulator misbehaves."""

import socket
import threading
from pathlib import Path

import pytest

from harness.errors import InfraError
from harness.power.port import Timing
from harness.power.virtual import VirtualPort

from .doubles import Clock, Outlet, emulator


def test_on_names_the_boot_folder(tmp_path: Path) -> None:
    with emulator(tmp_path / "control", Outlet()) as fake:
        port = VirtualPort(tmp_path / "control", board="pi4-1", timing=Clock().timing())
        with pytest.raises(InfraError, match="was not told this boot's folder"):
            port.on()
        port.folder = tmp_path / "run" / "pi4-1"
        port.on()
        assert port.detail == "phase bootloader"
        assert port.status()["phase"] == "bootloader"
    orders = [request for request in fake.requests if request["op"] != "state"]
    assert orders == [{"op": "on", "folder": str(tmp_path / "run" / "pi4-1")}]
    assert port.identity == "the emulated power port of pi4-1"


def test_a_reboot_gives_the_next_boots_folder_without_switching(tmp_path: Path) -> None:
    with emulator(tmp_path / "control", Outlet()) as fake:
        VirtualPort(tmp_path / "control", timing=Clock().timing()).begin(tmp_path / "run" / "pi4-1.2")
    assert fake.requests == [{"op": "folder", "folder": str(tmp_path / "run" / "pi4-1.2")}]
    with pytest.raises(InfraError, match="takes no folder"):
        VirtualPort(tmp_path / "gone", timing=Clock().timing()).begin(tmp_path)


def test_no_emulator_is_told_with_what_to_look_at(tmp_path: Path) -> None:
    clock = Clock()
    port = VirtualPort(tmp_path / "control", folder=tmp_path, timing=clock.timing(limit=2.0))
    with pytest.raises(InfraError) as caught:
        port.on()
    assert "No such file or directory" in caught.value.what
    assert "has its process ended?" in caught.value.remedy
    assert clock.now <= 2.2


def test_an_emulator_that_listens_and_never_answers_is_given_up(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(tmp_path / "control"))
        server.listen(8)
        port = VirtualPort(tmp_path / "control", folder=tmp_path, timing=Timing(limit=0.2, poll=0.01), answer=0.05)
        with pytest.raises(InfraError, match="did not within"):
            port.on()


def test_an_answer_without_end_is_given_up(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(tmp_path / "control"))
        server.listen(8)

        def flood() -> None:
            connection, _ = server.accept()
            with connection:
                try:
                    while True:
                        connection.sendall(b"x" * 4096)
                except OSError:
                    return

        thread = threading.Thread(target=flood)
        thread.start()
        with pytest.raises(InfraError, match="not JSON"):
            VirtualPort(tmp_path / "control", answer=10.0).state()
        thread.join(10)


def test_a_socket_deep_in_a_report_folder(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    with emulator(tmp_path / "control", Outlet()):
        (tmp_path / "control").rename(folder / "control")
        assert VirtualPort(folder / "control").state() == "off"
