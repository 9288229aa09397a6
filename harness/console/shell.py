# SPDX-License-Identifier: GPL-2.0-or-later
"""A shell on a console: run a command, get its output and exit status, whatever the kernel prints in between.

Works with bash, dash and busybox ash. Each command stands between two markers that are new each time and that the echo of the
command cannot look like (the shell joins them). A marker is found even if kernel records stand in the middle of it; if it is
lost all the same, it is asked for again.
"""

import re
import secrets
import shlex
import time
from typing import NamedTuple

from harness.console.dialogue import Dialogue
from harness.console.text import clean
from harness.errors import BootFailure, InfraError

#: A kernel record as it stands in the middle of other text.
_RECORD = r"(?:\[ {0,5}\d{1,9}\.\d{6}\][^\r\n]{0,1000}\r{0,2}\n)"
_RECORDS = re.compile(r"\[ {0,5}(?P<stamp>\d{1,9}\.\d{6})\][^\r\n]*\r{0,2}(?:\n|$)")

#: Octets of a line that a terminal in canonical mode takes (4096), less what stands around the command.
_LONGEST = 3500

#: Seconds until a marker that did not come is asked for again; doubled each time up to the second figure.
_ASK_AGAIN, _ASK_AT_MOST = 1.0, 8.0

#: Seconds for the shell to answer after a command was interrupted.
_AFTER_INTERRUPT = 5.0

_PROMPT = "piboot> "


class Result(NamedTuple):
    """What a command printed (standard output and error, line ends LF, none at the end) and its exit status."""

    output: str
    status: int


class Shell:
    """A shell that stands ready on `dialogue`; made by `harness.console.login`, or `Shell.open` on one that is there."""

    def __init__(self, dialogue: Dialogue) -> None:
        self._dialogue = dialogue

    @classmethod
    def open(cls, dialogue: Dialogue, timeout: float = 15.0) -> "Shell":
        """Make the shell at the prompt ready: no echo, no colours, no line editing tricks. BootFailure: it does not answer."""
        shell = cls(dialogue)
        nonce = secrets.token_hex(4)
        # No echo: what is typed ahead must not stand in a command's output. A dumb terminal: no bracketed paste.
        line = (
            " stty -echo 2>/dev/null; export TERM=dumb LC_ALL=C PAGER=cat SYSTEMD_PAGER= SYSTEMD_COLORS=0; unset PROMPT_COMMAND; "
            f"unset HISTFILE; PS2=; PS1='{_PROMPT}'; printf '\\n%s%s\\n' PB-READY- {nonce}\n"
        )
        deadline = time.monotonic() + timeout
        pattern = {"ready": _tolerant(f"PB-READY-{nonce}")}
        while (left := deadline - time.monotonic()) > 0:
            dialogue.send(line)
            match dialogue.wait_for(pattern, min(_ASK_AT_MOST, left)):
                case "ready":
                    return shell
                case "closed":
                    break
        raise BootFailure(
            f"the shell did not answer within {timeout:g} s; seen last: {dialogue.seen_last()}",
            stage="login",
            remedy="look at the end of console.log: does the prompt belong to a shell?",
        )

    def run(self, command: str, timeout: float = 30.0, *, keep_kernel: bool = False) -> Result:
        """Run `command` in this shell (a `cd` stays) with an empty standard input.

        Kernel records that came meanwhile are taken out of the output (those with a stamp from before the command stay:
        they are what `dmesg` prints), unless `keep_kernel`. BootFailure(login): no end within `timeout` seconds, also when
        `command` ends the shell itself (`exit`, `reboot`); it is interrupted then (Ctrl-C), so that the shell can go on.
        InfraError: the line was lost meanwhile.
        """
        if len(command.encode()) > _LONGEST:
            raise ValueError(f"a command of more than {_LONGEST} octets does not fit a terminal's line")
        nonce = secrets.token_hex(4)
        end = {"end": re.compile(_tolerant(f"PB-END-{nonce}-").pattern + rf"(?P<status>(?:\d|{_RECORD}){{1,8}})-")}
        ask = f" printf '\\n%s%s-%s-\\n' PB-END- {nonce} \"$pb_s\"\n"
        dialogue = self._dialogue
        losses = dialogue.console.losses
        dialogue.send(
            f" pb_s=2; pb_u=; read pb_u pb_x 2>/dev/null </proc/uptime; printf '\\n%s%s %s-\\n' PB-BEGIN- {nonce} \"$pb_u\"; "
            f"eval {shlex.quote(command)} </dev/null; pb_s=$?;{ask}"
        )
        deadline = time.monotonic() + timeout
        patience = _ASK_AGAIN
        while (left := deadline - time.monotonic()) > 0:
            seen = dialogue.wait_for(end, min(patience, left))
            if seen == "end":
                text = str(dialogue.before)
                self._whole(command, losses)
                return Result(_output(text, nonce, keep_kernel=keep_kernel), _status(dialogue))
            if seen == "closed":
                break
            # Still running, or a syntax error ended the line (dash), or the marker was torn: this tells, at the latest
            # when the command ends. What came until now stays in pexpect's buffer.
            dialogue.send(ask)
            patience = min(2 * patience, _ASK_AT_MOST)
        self._whole(command, losses)
        last = dialogue.seen_last()
        ended = self._interrupt(end, ask)
        raise BootFailure(
            f"the command {command[:80]!r} did not end within {timeout:g} s{ended}; seen last: {last}",
            stage="login",
            remedy="give it more time, or look at the end of console.log",
        )

    def _whole(self, command: str, losses: int) -> None:
        """InfraError: the line was lost meanwhile, nobody knows what the command printed then."""
        console = self._dialogue.console
        if console.losses != losses:
            raise InfraError(
                f"the console was lost while {command[:80]!r} ran: what it printed is not whole",
                place=console.name,
                remedy="run it again once the line holds; its gaps stand on the record",
            )

    def _interrupt(self, end: dict[str, re.Pattern[str]], ask: str) -> str:
        """Ctrl-C, and whether the shell answers then, for an error's text."""
        try:
            self._dialogue.send("\x03")
            self._dialogue.send(ask)
            if self._dialogue.wait_for(end, _AFTER_INTERRUPT) == "end":
                return " and was interrupted"
        except (BootFailure, InfraError):  # the line is gone, or flooded: the first error says more
            return ""
        return " and does not take Ctrl-C: the shell is of no use now"

    def close(self) -> None:
        """Give the echo back and leave the shell as a person expects it."""
        self._dialogue.send(" stty echo 2>/dev/null\n")
        self._dialogue.close()


def _status(dialogue: Dialogue) -> int:
    assert isinstance(dialogue.match, re.Match)  # noqa: S101 - for the type checker
    return int(_RECORDS.sub("", dialogue.match.group("status")))


def _tolerant(marker: str) -> re.Pattern[str]:
    """`marker`, also with kernel records between any two of its characters."""
    return re.compile(f"{_RECORD}{{0,8}}".join(re.escape(character) for character in marker))


def _output(text: str, nonce: str, *, keep_kernel: bool) -> str:
    begin = re.search(_tolerant(f"PB-BEGIN-{nonce} ").pattern + rf"(?P<uptime>(?:[\d.]|{_RECORD}){{0,40}})-", text)
    uptime = 0.0
    if begin is not None:
        text = text[begin.end() :]
        # The kernel's stamps and /proc/uptime count from nearly the same moment.
        uptime = float(_RECORDS.sub("", begin.group("uptime")) or 0.0) - 0.5
    text = text.removeprefix("\r").removeprefix("\n")
    if not keep_kernel:
        text = _RECORDS.sub(lambda record: "" if float(record.group("stamp")) >= uptime else record.group(), text)
    lines = [clean(line.encode("utf-8", "backslashreplace")) for line in re.split(r"\r*\n", text)]
    # Where the terminal's echo could not be put out, a marker that was asked for again stands there as it was typed.
    lines = [line for line in lines if f"PB-END- {nonce}" not in line]
    return "\n".join(lines).strip("\n").removesuffix(_PROMPT).rstrip("\n")
