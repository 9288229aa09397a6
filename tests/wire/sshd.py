# SPDX-License-Identifier: GPL-2.0-or-later
"""A real OpenSSH server on loopback: its own configuration, host key and user key; nothing of the machine's own is touched."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from harness.wire.ssh import SshHost

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")

#: Starts a real capture and moves its stamps: a host whose whole clock is ahead by $AHEAD seconds.
AHEAD_TCPDUMP = """#!{python}
import os, signal, struct, subprocess, sys
ahead = round(float(os.environ["AHEAD"]) * 1_000_000)
real = subprocess.Popen(["{tcpdump}", *sys.argv[1:]], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
    signal.signal(number, lambda number, _: real.send_signal(number))
def take(size):
    got = b""
    while len(got) < size:
        piece = real.stdout.read(size - len(got))
        if not piece:
            sys.exit(real.wait())
        got += piece
    return got
out = sys.stdout.buffer
out.write(take(24)); out.flush()
while True:
    seconds, micro, size, length = struct.unpack("=IIII", take(16))
    seconds, micro = divmod(seconds * 1_000_000 + micro + ahead, 1_000_000)
    out.write(struct.pack("=IIII", seconds, micro, size, length) + take(size)); out.flush()
"""
#: Says the time as that host would: "step" in $AHEAD_FILE moves it on the way.
AHEAD_DATE = """#!{python}
import os, time
from pathlib import Path
print(f"{{time.time() + float(os.environ['AHEAD']) + float(Path(os.environ['STEP']).read_text()):.9f}}", flush=True)
"""


def keygen(path: Path) -> str:
    """A new key pair; its public half in one line."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(path)], check=True)
    kind, key, _ = path.with_suffix(".pub").read_text().split()
    return f"{kind} {key}"


class Sshd:
    """port, pid: of the server; `host()` is how our user logs in."""

    def __init__(self, folder: Path, *, options: str = "", environment: dict[str, str] | None = None) -> None:
        self.folder = folder
        folder.mkdir(mode=0o700)
        self.host_key, user = keygen(folder / "host"), keygen(folder / "user")
        (folder / "authorized").write_text(f"{options}{' ' if options else ''}{user}\n")
        self._lines = [
            "ListenAddress 127.0.0.1",
            f"HostKey {folder}/host",
            f"AuthorizedKeysFile {folder}/authorized",
            "AuthenticationMethods publickey",
            "PermitRootLogin prohibit-password",
            "StrictModes no",  # pytest's folders may be below /tmp
            "UsePAM no",
            "PidFile none",
            *(["SetEnv " + " ".join(f'"{name}={text}"' for name, text in environment.items())] if environment else []),
        ]
        self.port = 0

    @contextmanager
    def running(self) -> Iterator["Sshd"]:
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # as its package's service does
        for _ in range(20):
            with socket.create_server(("127.0.0.1", 0)) as free:
                self.port = free.getsockname()[1]
            config = self.folder / "sshd_config"
            config.write_text("\n".join([*self._lines, f"Port {self.port}"]) + "\n")
            assert SSHD is not None
            with subprocess.Popen([SSHD, "-D", "-e", "-f", str(config)], stderr=subprocess.PIPE, text=True) as server:
                self.pid = server.pid
                assert server.stderr is not None
                said = ""
                for line in server.stderr:
                    said += line
                    if "Server listening" in line:
                        break
                if server.poll() is None and "Server listening" in said:
                    # Its log must not fill the pipe.
                    drain = subprocess.Popen(["cat"], stdin=server.stderr, stdout=subprocess.DEVNULL)
                    try:
                        (self.folder / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {self.host_key}\n")
                        yield self
                    finally:
                        self.cut()
                        server.terminate()
                        server.wait()
                        drain.wait()
                    return
                server.kill()
                assert "in use" in said, said
        raise AssertionError("no free port")

    def host(self, **other: object) -> SshHost:
        (self.folder / "ssh_config").touch()
        values = {
            "port": self.port,
            "key": str(self.folder / "user"),
            "known_hosts": str(self.folder / "known_hosts"),
            "config": str(self.folder / "ssh_config"),
            **other,
        }
        return SshHost("127.0.0.1", **values)  # type: ignore[arg-type]

    def sessions(self) -> list[int]:
        """The server's processes for connections, by pid."""
        with suppress(OSError):
            return [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]
        return []

    def cut(self) -> None:
        """Every connection is lost: a cable pulled out."""
        for pid in self.sessions():
            for one in [*children(pid), pid]:
                with suppress(ProcessLookupError):
                    os.kill(one, 9) if "sshd" in comm(one) else None


def children(pid: int) -> list[int]:
    with suppress(OSError):
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def comm(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def running(word: str) -> list[int]:
    """Processes that have `word` among their arguments, but for this one and ssh's own."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (path / "cmdline").read_bytes().split(b"\0")
            if any(word.encode() in one for one in words) and words[0].endswith((b"tcpdump", b"python3", b"nsenter")):
                found.append(int(path.name))
    return [pid for pid in found if pid != os.getpid()]


def wrong_clock(folder: Path, ahead: float) -> dict[str, str]:
    """The environment of a host whose clock is ahead, with the programs that make it so."""
    programs = folder / "bin"
    programs.mkdir(parents=True)
    tcpdump = shutil.which("tcpdump", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    for name, text in (("tcpdump", AHEAD_TCPDUMP), ("date", AHEAD_DATE)):
        (programs / name).write_text(text.format(python=sys.executable, tcpdump=tcpdump))
        (programs / name).chmod(0o755)
    (folder / "step").write_text("0")
    path = f"{programs}:/usr/bin:/bin:/usr/sbin:/sbin"
    return {"AHEAD": str(ahead), "STEP": str(folder / "step"), "PATH": path}
