# SPDX-License-Identifier: GPL-2.0-or-later
"""How a command ends: the exit code of a record, and of an error with what a person reads of it."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from typing import TYPE_CHECKING

from harness.errors import BootFailure, ConfigError, HarnessBug, HarnessError, InfraError
from harness.redaction import redacted

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from harness.boot.record import BootRecord

EXIT_CODES = {"passed": 0, "config": ConfigError.exit_code, "infra": InfraError.exit_code}


def exit_code(record: BootRecord) -> int:
    return EXIT_CODES.get(record.verdict, BootFailure.exit_code)


def carried_out(command: Callable[[], int]) -> int:
    """The exit code of a command; errors of the tree become theirs, with a text on stderr that says who must act."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        code = command()
    except HarnessError as error:
        complain(error)
        code = error.exit_code
    except KeyboardInterrupt:
        print("\nstopped; everything that was started has been ended", file=sys.stderr)
        code = 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except Exception as error:  # whatever else it is, it is a defect of ours
        print(redacted(traceback.format_exc()), end="", file=sys.stderr)
        complain(HarnessBug(f"{type(error).__name__}: {error}"))
        code = HarnessBug.exit_code
    return code


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    """SIGTERM ends a run as Ctrl-C does: with its record written and everything ended."""
    raise KeyboardInterrupt


def complain(error: HarnessError) -> None:
    """An error on stderr, in the colour of who must act, without any control character of its text."""
    from harness.report.text import clean  # noqa: PLC0415

    colours = {"yellow": 33, "blue": 34, "red": 31, "magenta": 35}
    tty = sys.stderr.isatty() and "NO_COLOR" not in os.environ
    head = type(error).__name__
    paint = f"\033[{colours.get(error.colour, 35)};1m{head}\033[0m" if tty else head
    print(f"{paint} ({error.who}): {clean(str(error))}", file=sys.stderr)
