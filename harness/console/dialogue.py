# SPDX-License-Identifier: GPL-2.0-or-later
"""pexpect over a `ConsoleLog`: what is expected comes from a copy of the octets, the log's own thread stays the only reader."""

import codecs
import contextlib
import io
import re
import time
from types import TracebackType
from typing import Self

import pexpect
from pexpect.spawnbase import SpawnBase

from harness.console.log import ConsoleLog
from harness.errors import BootFailure, InfraError

#: Characters that are searched for a pattern: a prompt or marker, and a few kernel records in the middle of it. Without this
#: bound pexpect searches all that ever came, anew at each read (2 s per MB).
WINDOW = 4096

#: Characters that one answer may have: a command gone wild must not fill the memory.
MOST = 16 * 1024 * 1024


#: Seconds that a lost line may be away when something is to be sent: an adapter that was knocked, a server that restarts.
PATIENCE = 10.0


class Dialogue(SpawnBase):  # type: ignore[type-arg]  # the stubs make it generic, the class is not
    """Expect and send on a console. `secrets` never appear in `seen_last`."""

    def __init__(self, console: ConsoleLog, *, secrets: tuple[str, ...] = ()) -> None:
        super().__init__(
            timeout=30, maxread=4096, searchwindowsize=WINDOW, encoding="utf-8", codec_errors="backslashreplace"
        )
        self.delayafterread = None
        self.console = console
        self.secrets = tuple(secret for secret in secrets if secret)
        self._tap = console.tap()
        self._text = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        self._since_match = 0
        self.closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self.closed = True
        self.console.untap(self._tap)

    def read_nonblocking(self, size: int = 1, timeout: float | None = None) -> str:  # noqa: ARG002 - pexpect's signature
        """What came, whatever its size; pexpect.TIMEOUT when nothing did, pexpect.EOF when the console was closed."""
        deadline = time.monotonic() + (30.0 if timeout is None or timeout < 0 else timeout)
        while True:
            data = self._tap.get(deadline - time.monotonic())
            if data is None:
                raise pexpect.EOF("the console was closed")
            if not data:
                raise pexpect.TIMEOUT("nothing came")
            text = self._text.decode(data)
            if text:
                self._since_match += len(text)
                if self._since_match > MOST:
                    raise BootFailure(
                        f"the console sent more than {MOST} characters without what was awaited", stage="login"
                    )
                return text

    def send(self, text: str, *, secret: bool = False) -> None:
        """Send `text`; a secret's echo is not kept. A line that was just lost may come back first. InfraError: it did not within
        PATIENCE seconds.
        """
        data = text.encode()
        if secret:
            self.console.expect_echo(len(data))
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return self.console.write(data)
            except InfraError:
                if self.console.closed or time.monotonic() > deadline:
                    raise
            time.sleep(0.05)

    def wait_for(self, patterns: dict[str, re.Pattern[str]], timeout: float) -> str:
        """The key of the pattern that came first, "" when none did within `timeout` seconds, "closed"."""
        names = list(patterns)
        self._since_match = 0
        index = self.expect_list([*patterns.values(), pexpect.TIMEOUT, pexpect.EOF], timeout=max(0.0, timeout))
        return [*names, "", "closed"][index]

    def seen_last(self, characters: int = 300) -> str:
        """The end of what stands on the console, for an error's text."""
        text = " / ".join(line.strip() for line in self.console.tail(characters * 2).splitlines() if line.strip())
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return text[-characters:] or "nothing"

    def skip(self) -> None:
        """Forget what came until now."""
        with contextlib.suppress(pexpect.TIMEOUT, pexpect.EOF):
            while True:
                self.read_nonblocking(timeout=0)
        self._buffer, self._before = io.StringIO(), io.StringIO()
