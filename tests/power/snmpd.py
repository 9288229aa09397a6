# SPDX-License-Identifier: GPL-2.0-or-later
"""A PoE switch: net-snmp's snmpd on loopback with a table of ports (poe_table.py)."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

COMMUNITY, AUTH, PRIVACY = "rw-Kx7mP2vQ", "auth-Tq9wZ4nB", "priv-Lc3hR8sD"


class Switch:
    """folder: holds switch.json and the logs; host and port: where the agent listens."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.host, self.port = folder, "127.0.0.1", port

    @property
    def data(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "switch.json").read_text())
        return found

    def change(self, port: int = 7, **values: Any) -> None:
        data = self.data
        data["ports"][str(port)].update(values)
        new = self.folder / "switch.test"
        new.write_text(json.dumps(data))
        new.replace(self.folder / "switch.json")

    def reset(self) -> None:
        ports = {str(index): {"admin": 2, "status": 1, "manner": "good"} for index in range(1, 9)}
        (self.folder / "switch.json").write_text(json.dumps({"power": 65, "used": 62, "main": 1, "ports": ports}))
        (self.folder / "requests.log").write_text("")

    @property
    def sets(self) -> list[str]:
        return [line.split(" ", 1)[1] for line in (self.folder / "requests.log").read_text().splitlines()]


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def snmpd(folder: Path) -> Iterator[Switch]:
    """Skips the test when there is no snmpd."""
    program = shutil.which("snmpd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if program is None:
        pytest.skip("needs snmpd: apt install snmpd")
    switch = Switch(folder, free_port())
    switch.reset()
    table = Path(__file__).with_name("poe_table.py")
    (folder / "snmpd.conf").write_text(
        f"agentaddress udp:127.0.0.1:{switch.port}\n"
        f"rocommunity readonly\nrwcommunity {COMMUNITY}\n"
        f'createUser poe SHA-256 "{AUTH}" AES "{PRIVACY}"\nrwuser poe authPriv\n'
        f'createUser poesha SHA "{AUTH}" AES "{PRIVACY}"\nrwuser poesha authPriv\n'
        f'createUser poe512 SHA-512 "{AUTH}" AES-256 "{PRIVACY}"\nrwuser poe512 authPriv\n'
        f"pass_persist .1.3.6.1.2.1.105.1 {sys.executable} {table} {folder}\n"
    )
    (folder / "snmpd.conf").chmod(0o600)
    environment = {**os.environ, "MIBS": "", "SNMP_PERSISTENT_DIR": str(folder / "persistent")}
    argv = [program, "-f", "-Lf", str(folder / "snmpd.log"), "-C", "-c", str(folder / "snmpd.conf")]
    argv += ["-I", "-smux,mteTrigger,mteTriggerConf"]
    process = subprocess.Popen(argv, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _ready(switch, process)
        yield switch
    finally:
        process.terminate()
        try:
            process.wait(1)  # longer when its table sleeps
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def _ready(switch: Switch, process: "subprocess.Popen[bytes]") -> None:
    """Until /proc says that its UDP port is bound: a request to a port that is not yet there would only time out."""
    wanted = f":{switch.port:04X} "
    deadline = time.monotonic() + 20
    while wanted not in Path("/proc/net/udp").read_text():
        if process.poll() is not None or time.monotonic() > deadline:
            log = switch.folder / "snmpd.log"
            raise AssertionError(f"snmpd did not start: {log.read_text() if log.exists() else 'no log'}")
        time.sleep(0.02)
