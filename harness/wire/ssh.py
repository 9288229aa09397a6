# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs on another host, by OpenSSH's own client (ssh(1)): its configuration, keys, agents and jump hosts are the user's.

Nothing is asked for (BatchMode), no host's key is taken on trust (StrictHostKeyChecking), nothing is forwarded. What runs there
ends with the connection: a small shell program stands between sshd and it, takes signals by name on its standard input, and ends
it when that input ends.
"""

import os
import re
import shlex
import signal
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.errors import HarnessError, InfraError
from harness.wire.place import Place, in_namespace, namespace_refused
from harness.wire.process import Process
from harness.wire.tcpdump import last_words

CONNECT_TIMEOUT = 10
"""Seconds for TCP connection, key exchange and login."""

ALIVE_EVERY, ALIVE_MISSED = 5, 3
"""Seconds between two signs of life of a silent connection, and how many may be missed before it counts as lost."""

_OPTIONS = (
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    f"ConnectTimeout={CONNECT_TIMEOUT}",
    f"ServerAliveInterval={ALIVE_EVERY}",
    f"ServerAliveCountMax={ALIVE_MISSED}",
    "ControlMaster=no",  # a connection of our own: a shared one may end with somebody else's
    "ControlPath=none",
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    "ForwardX11=no",
    "PermitLocalCommand=no",
    "RemoteCommand=none",
    "RequestTTY=no",
    "LogLevel=INFO",  # what went wrong is told by its words
    "EscapeChar=none",
)

#: POSIX sh, in one line and without single quotes, so that whatever shell the user has there takes it for one word. $1 is the
#: program. A command in the background would have no standard input: hence the third descriptor.
_SUPERVISE = (
    'PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"; '
    'command -v "$1" >/dev/null || { echo "piboot: $1 is not installed" >&2; exit 127; }; '
    'exec 3<&0; "$@" </dev/null 3<&- & p=$!; '
    '{ while read -r s; do kill -s "$s" "$p"; done; kill -s INT "$p"; sleep 5; kill -s KILL "$p"; } '
    '<&3 >/dev/null 2>&1 & r=$!; exec 3<&-; wait "$p"; s=$?; kill "$r" 2>/dev/null; exit "$s"'
)

_LOST = 255
"""Exit status of ssh itself (ssh(1)); everything else is the remote program's."""


@dataclass(frozen=True)
class SshHost:
    """How to reach a host. user, key, known_hosts, config: "" leaves the choice to ssh; port: 0 likewise."""

    name: str
    user: str = ""
    port: int = 0
    key: str = ""
    known_hosts: str = ""
    config: str = ""

    def argv(self, command: Sequence[str]) -> list[str]:
        """The local command that runs `command` there, every word of it as it is."""
        return ["ssh", *self._options(), "--", self.name, shlex.join(command)]

    def by_hand(self) -> str:
        """How a person logs in there, to try or to look at the host's key."""
        return shlex.join(["ssh", *self._own(), self.name])

    def supervised(self, command: Sequence[str]) -> list[str]:
        """As `argv`, for a program that ends with the connection and takes signals by name on standard input."""
        return self.argv(["sh", "-c", _SUPERVISE, "piboot", *command])

    def spawn(self, argv: Sequence[str], stdout_fd: int, stderr_fd: int) -> Process:
        """Start a program there (`harness.wire.process.Spawn`). InfraError: ssh is not installed here."""
        return RemoteProcess(start(self.supervised(argv), stdout_fd, stderr_fd))

    def in_namespace(self, name: str) -> Callable[[Sequence[str], int, int], Process]:
        """As `spawn`, in a named network namespace there."""
        return lambda argv, out, err: self.spawn(in_namespace(argv, name), out, err)

    def place(self, *, ahead: float = 0.0, namespace: str = "") -> Place:
        """For a capture there; ahead: as in `Place`."""

        def explain(said: str, status: int | None) -> HarnessError | None:
            found = self.explain(said, status)
            return found or (namespace_refused(said, namespace, self.name) if namespace else None)

        return Place(self.name, ahead, explain)

    def explain(self, said: str, status: int | None) -> InfraError | None:
        """What kept ssh from getting there or ended it, by its words and exit status; None when it is not to blame."""
        if "piboot: " in said and " is not installed" in said:
            program = said.partition("piboot: ")[2].split()[0]
            return InfraError(
                f"{program} is not installed on {self.name}", remedy=f"on {self.name}: sudo apt install {program}"
            )
        for pattern, what, remedy in _CAUSES:
            if re.search(pattern, said, re.MULTILINE):
                words = {
                    "host": self.name,
                    "by_hand": self.by_hand(),
                    "forget": self.forget(),
                    "compare": self.compare(),
                }
                return InfraError(what.format(**words), place=self._place(), remedy=remedy.format(**words))
        if status == _LOST:
            return InfraError(
                f"the ssh connection to {self.name} was lost: {last_words(said)}",
                place=self._place(),
                remedy=f"look at the network and at {self.name} (is it up?), then try `{self.by_hand()}`",
            )
        return None

    def compare(self) -> str:
        """What a person does once with a key that is not known."""
        there = "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub"
        return (
            f"log in once by hand (`{self.by_hand()}`) and compare the key's fingerprint with what `{there}` says there"
        )

    def forget(self) -> str:
        """The command that removes this host's old key."""
        where = ["-f", self.known_hosts] if self.known_hosts else []
        name = f"[{self.name}]:{self.port}" if self.port not in {0, 22} else self.name
        return shlex.join(["ssh-keygen", *where, "-R", name])

    def _place(self) -> str:
        return f"{self.user}@{self.name}" if self.user else self.name

    def _own(self) -> list[str]:
        words = ["-F", self.config] if self.config else []
        words += ["-p", str(self.port)] if self.port else []
        words += ["-l", self.user] if self.user else []
        words += ["-i", self.key] if self.key else []
        words += ["-o", f"UserKnownHostsFile={_word(self.known_hosts)}"] if self.known_hosts else []
        return words

    def _options(self) -> list[str]:
        fixed = [word for option in _OPTIONS for word in ("-o", option)]
        only = ["-o", "IdentitiesOnly=yes"] if self.key else []
        # ssh takes the first value that it meets: ours come before those of the user's configuration.
        return [*fixed, *only, *self._own()]


#: What ssh says (not translated), what it means, and what to do.
_CAUSES = (
    (
        r"REMOTE HOST IDENTIFICATION HAS CHANGED|^Host key for .* has changed",
        "the host key of {host} is another than the known one",
        "if that host was set up anew: {forget}, then {compare}; if not, somebody else answers in its place",
    ),
    (
        r"host key is known for|Host key verification failed",
        "the host key of {host} is not known",
        "{compare}; under sudo that is root's known_hosts",
    ),
    (
        r"UNPROTECTED PRIVATE KEY FILE",
        "ssh does not use the private key: others may read its file",
        "chmod 600 that file",
    ),
    (
        r"^(\S+: )?Permission denied \(",
        "{host} does not let us log in",
        "put a public key into ~/.ssh/authorized_keys of the user there (`ssh-copy-id`); `{by_hand}` must ask for nothing",
    ),
    (
        r"Could not resolve hostname",
        "the name {host} is not known",
        "correct `host:` of this wire, or add it to /etc/hosts or ~/.ssh/config",
    ),
    (
        r"^ssh: connect to host .*: ",
        "{host} does not answer to ssh",
        "is the host up, its ssh server running, and `port:` of this wire right? try `{by_hand}`",
    ),
)


def _word(path: str) -> str:
    """A path as ssh_config(5) wants it: in quotes, without its % tokens."""
    return '"' + path.replace("%", "%%") + '"'


class RemoteProcess:
    """A program behind ssh. Signals go by name through its supervisor; SIGKILL ends the connection, and so the program."""

    def __init__(self, ssh: "subprocess.Popen[bytes]") -> None:
        self._ssh = ssh

    @property
    def returncode(self) -> int | None:
        return _status(self._ssh.poll())

    def signal(self, number: int) -> None:
        if number == signal.SIGKILL:
            self._ssh.kill()
            return
        assert self._ssh.stdin is not None  # noqa: S101 - for the type checker
        os.write(self._ssh.stdin.fileno(), signal.Signals(number).name.removeprefix("SIG").encode() + b"\n")

    def wait(self, timeout: float) -> int:
        try:
            status = self._ssh.wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(str(error)) from error
        if self._ssh.stdin is not None:
            self._ssh.stdin.close()
        return _status(status) or 0


def start(argv: Sequence[str], stdout: int, stderr: int) -> "subprocess.Popen[bytes]":
    """An ssh with a pipe to its standard input, in a session of its own. InfraError: it is not installed."""
    try:
        return subprocess.Popen(
            list(argv),
            stdin=subprocess.PIPE,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
            env={**os.environ, "LC_ALL": "C"},
            bufsize=0,
        )
    except FileNotFoundError as error:
        raise InfraError("ssh is not installed", remedy="sudo apt install openssh-client") from error


def _status(status: int | None) -> int | None:
    """A shell reports a signal as 128 + its number; ssh hands that through."""
    if status is not None and 128 < status < 128 + 65:
        return 128 - status
    return status
