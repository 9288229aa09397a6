# SPDX-License-Identifier: GPL-2.0-or-later
"""A real serial server: Debian's ser2net on a device, listening on loopback only."""

import contextlib
import shutil
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

needs_ser2net = pytest.mark.skipif(shutil.which("ser2net") is None, reason="ser2net is not installed")

#: lab.yaml's scheme -> what ser2net has to be told.
ACCEPTERS = {"socket": "tcp", "telnet": "telnet,tcp", "rfc2217": "telnet(rfc2217),tcp"}

CONFIG = """\
%YAML 1.1
---
connection: &board
  accepter: {accepter},127.0.0.1,{port}
  connector: serialdev,{device},115200n81,local
  options:
    chardelay: false
    mdns: false
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class Ser2net:
    """Serves `device` as `scheme`; config: the whole configuration instead, which listens on `port`."""

    def __init__(self, folder: Path, device: str, scheme: str = "rfc2217", *, config: str = "", port: int = 0) -> None:
        self.port = port or free_port()
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        self._file = folder / f"ser2net-{self.port}.yaml"
        self._file.write_text(
            config or CONFIG.format(accepter=ACCEPTERS[scheme], port=self.port, device=device), encoding="utf-8"
        )
        self._log = folder / f"ser2net-{self.port}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        with self._log.open("ab") as log:
            # -u: no UUCP lock files, which would lie in the host's /run/lock.
            argv = ["ser2net", "-n", "-u", "-c", str(self._file)]
            self._process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + 30.0
        while not _listens(self.port):
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, f"ser2net does not listen: {self._log.read_text()}"
            time.sleep(0.01)
        return self

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _listens(port: int) -> bool:
    """Without connecting: a connection would take the port for a moment."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
            words = line.split()
            if words[1].endswith(f":{port:04X}") and words[3] == "0A":
                return True
    return False
