# SPDX-License-Identifier: GPL-2.0-or-later
"""A real labgrid on loopback: coordinator, exporter and client, a relay behind HTTP, and a serial line on a pty."""

import http.server
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
import tty
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness.images import cache_folder

#: What `script/setup --tests` installs: a labgrid whose coordinator speaks gRPC.
VERSION = "26.0.1"


def programs() -> Path | None:
    """Folder of labgrid's programs; PIBOOT_LABGRID names another. None: they are not there."""
    found = Path(os.environ.get("PIBOOT_LABGRID") or cache_folder() / f"labgrid-{VERSION}" / "bin")
    return found if (found / "labgrid-coordinator").exists() else None


def needs_labgrid() -> Path:
    """Skips the test when there is none."""
    found = programs()
    if found is None:
        pytest.skip("needs labgrid in a venv of its own: script/setup --tests makes it")
    if shutil.which("ser2net", path=f"{os.environ['PATH']}:/usr/sbin") is None:
        pytest.skip("needs ser2net: apt install ser2net")
    return found


class Relay(http.server.ThreadingHTTPServer):
    """A network power switch as labgrid's model `rest` speaks to it: PUT and GET of 0 or 1."""

    daemon_threads = True

    def __init__(self) -> None:
        self.state: dict[str, str] = {}
        self.history: list[str] = []
        self.stuck = False
        super().__init__(("127.0.0.1", 0), _Relay)

    def forget(self) -> None:
        self.state.clear()
        self.history.clear()


class _Relay(http.server.BaseHTTPRequestHandler):
    server: Relay

    def do_GET(self) -> None:
        self._say(self.server.state.get(self.path, "0"))

    def do_PUT(self) -> None:
        value = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.history.append("on" if value == "1" else "off")
        if not self.server.stuck:
            self.server.state[self.path] = value
        self._say("")

    def _say(self, text: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        pass


@dataclass
class Bench:
    """coordinator: HOST:PORT. board: our end of the serial line of the place `place`."""

    folder: Path
    bin: Path
    coordinator: str
    relay: Relay
    board: int
    place: str = "pi4-rack2"
    processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    @property
    def program(self) -> str:
        return str(self.bin / "labgrid-client")

    def client(self, *arguments: str, user: str = "alice", place: str | None = None, check: bool = True) -> str:
        """labgrid's client, as somebody else."""
        done = subprocess.run(
            [self.program, "-x", self.coordinator, "-p", place or self.place, *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            env={
                **os.environ,
                "LG_USERNAME": user,
                "LG_HOSTNAME": "elsewhere" if user == "alice" else socket.gethostname(),
            },
            check=False,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    @property
    def acquired(self) -> str:
        """By whom, "None" for nobody."""
        return next(line.split()[1] for line in self.client("show").splitlines() if line.startswith("  acquired: "))

    @property
    def powered(self) -> bool:
        return self.relay.state.get("/relay/3") == "1"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextmanager
def bench(folder: Path, programs_in: Path) -> Iterator[Bench]:
    """A place `pi4-rack2` with power, console and network interface, and a place `bare` with nothing."""
    with ExitStack() as stack:
        relay = Relay()
        stack.callback(relay.server_close)
        stack.callback(relay.shutdown)
        threading.Thread(target=relay.serve_forever, daemon=True).start()
        board, line = os.openpty()
        tty.setraw(line)
        stack.callback(os.close, board)
        stack.callback(os.close, line)
        address = f"127.0.0.1:{_free_port()}"
        made = Bench(folder, programs_in, address, relay, board)
        stack.callback(lambda: [_end(process) for process in reversed(made.processes.values())])
        (folder / "exports.yaml").write_text(
            f"""
rack1:
  power:
    cls: NetworkPowerPort
    model: rest
    host: 'http://127.0.0.1:{relay.server_address[1]}/relay/{{index}}'
    index: 3
  console:
    cls: RawSerialPort
    port: {os.ttyname(line)}
    speed: 115200
  mirror:
    cls: NetworkInterface
    ifname: lo
""",
        )
        restart(made)
        yield made


def restart(made: Bench) -> None:
    """Coordinator, exporter and places, anew: an exporter ends with its coordinator, which writes places down in its own time."""
    for process in made.processes.values():
        _end(process)
    start(made, "coordinator")
    start(made, "exporter")
    for place in (made.place, "bare"):
        made.client("create", place=place, check=False)
    made.client("add-match", "exporter-1/rack1/*", check=False)
    deadline = time.monotonic() + 60
    while "NetworkSerialPort" not in made.client("show"):
        assert time.monotonic() < deadline, (made.folder / "exporter.log").read_text()
        time.sleep(0.2)


def start(made: Bench, what: str) -> None:
    """The coordinator, or the exporter; returns when the coordinator listens."""
    argv = {
        "coordinator": ["labgrid-coordinator", "-l", made.coordinator],
        "exporter": ["labgrid-exporter", "-c", made.coordinator, "-n", "exporter-1", "--hostname", "127.0.0.1", "exports.yaml"],
    }[what]  # fmt: skip
    with (made.folder / f"{what}.log").open("ab") as log:
        made.processes[what] = subprocess.Popen(
            [str(made.bin / argv[0]), *argv[1:]], cwd=made.folder, stdout=log, stderr=log, start_new_session=True
        )
    if what == "coordinator":
        host, _, port = made.coordinator.rpartition(":")
        deadline = time.monotonic() + 60
        while not _listens(host, int(port)):
            assert made.processes[what].poll() is None, (made.folder / "coordinator.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.1)


def _listens(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), 5).close()
    except OSError:
        return False
    return True


def _end(process: "subprocess.Popen[bytes]") -> None:
    """The exporter's ser2net is in its group."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
