# SPDX-License-Identifier: GPL-2.0-or-later
"""From a login prompt (or whatever stands on the console) to a shell."""

import re
import time

from harness.console.dialogue import Dialogue
from harness.console.log import ConsoleLog
from harness.console.shell import Shell
from harness.errors import BootFailure, InfraError

# "Last login: ..." is a greeting. Kernel records may follow a prompt.
_PROMPTS = {
    "refused": re.compile(r"[Ll]ogin incorrect|Login timed out|Authentication failure|Account locked"),
    "emergency": re.compile(r"for maintenance|You are in (?:emergency|rescue) mode"),
    "initramfs": re.compile(r"\(initramfs\) "),
    "bootloader": re.compile(r"(?:^|[\r\n])(?:U-Boot|=)> "),
    "login": re.compile(r"(?<![\w(.-])[\w.-]{1,64}(?<!Last) login: ?(?!\w)"),
    "password": re.compile(r"[Pp]assword(?: for [^\r\n:]{1,40})?: ?"),
    "activate": re.compile(r"Please press Enter to activate this console"),
    "shell": re.compile(
        r"(?:^|[\r\n])[^\r\n]{0,200}[#$] (?:\x1b\[[0-9;?]{0,8}[a-zA-Z])*(?:$|\[ {0,5}\d{1,9}\.\d{6}\] )|piboot> $"
    ),
}

#: Seconds of silence after which an empty line is sent: a getty that is asked again prints its prompt again.
_NUDGE = 3.0

#: Logins that are tried: a kernel record typed over, or a prompt that timed out, spoils one now and then.
_TRIES = 3


def login(
    console: ConsoleLog,
    user: str,
    password: str | None = None,
    *,
    timeout: float = 60.0,
    nudge: float = _NUDGE,
) -> Shell:
    """Log in as `user` within `timeout` seconds; a shell that is open already is taken as it is.

    BootFailure(stage "login"): refused, asked for a password that was not given, no prompt, or no answer; with stage
    "initramfs", "userspace" or "firmware" when an emergency shell, a maintenance prompt or a bootloader stands there. The
    password is sent only to a password prompt and never told. InfraError: the line is away when the time is over.
    """
    dialogue = Dialogue(console, secrets=(password or "",))
    try:
        _to_shell(dialogue, user, password, timeout=timeout, nudge=nudge)
        return Shell.open(dialogue)
    except BaseException:
        dialogue.close()
        raise


def _to_shell(dialogue: Dialogue, user: str, password: str | None, *, timeout: float, nudge: float) -> None:
    deadline = time.monotonic() + timeout
    tries = 0
    awaited = "a login prompt"
    refused = False
    while (left := deadline - time.monotonic()) > 0:
        # Once a name was sent, an empty line would be taken for an empty password: more patience then.
        seen = dialogue.wait_for(_PROMPTS, min(nudge if tries == 0 else 4 * nudge, left))
        match seen:
            case "login":
                if tries == _TRIES or (refused and tries == _TRIES - 1):
                    raise _failure(dialogue, f"the login of {user!r} was {'refused' if refused else 'not taken'}")
                tries += 1
                awaited = f"an answer to the user name {user!r}"
                dialogue.send(user + "\n")
            case "password":
                if password is None:
                    raise _failure(dialogue, f"the board asks for a password of {user!r} and none is given")
                awaited = f"an answer to the password of {user!r}"
                dialogue.send(password + "\n", secret=True)
            case "refused":
                refused = True
            case "shell":
                return
            case "activate" | "":
                dialogue.send("\n")
            case "closed":
                break
            case _:
                raise _elsewhere(dialogue, seen)
    if dialogue.console.away:
        raise InfraError(
            f"the console is lost, and {awaited} was awaited there",
            place=dialogue.console.name,
            remedy="check the serial adapter or server, its cable, and that no other program reads the port",
        )
    raise _failure(dialogue, f"no login within {timeout:g} s: {awaited} was awaited; seen last: {dialogue.seen_last()}")


def _failure(dialogue: Dialogue, what: str) -> BootFailure:
    return BootFailure(
        what,
        stage="login",
        place=str(dialogue.console.folder / "console.log"),
        remedy="correct login: user and password of this board in lab.yaml, or the account on its root file system",
    )


def _elsewhere(dialogue: Dialogue, seen: str) -> BootFailure:
    stage, where = {
        "emergency": ("userspace", "systemd's emergency or maintenance prompt"),
        "initramfs": ("initramfs", "the emergency shell of the initramfs"),
        "bootloader": ("firmware", "a bootloader's prompt"),
    }[seen]
    return BootFailure(
        f"{where} stands on the console where a login was awaited; seen last: {dialogue.seen_last()}",
        stage=stage,
        place=str(dialogue.console.folder / "console.log"),
        remedy="read what went wrong above it in console.log",
    )
