# SPDX-License-Identifier: GPL-2.0-or-later
"""`piboot emulate`: be a Pi on somebody's own wire, and tell what a real one would have done."""

import sys
from collections.abc import Sequence
from pathlib import Path

from harness.boot.files import may_be_missing
from harness.boot.record import BootRecord, TftpTransfer
from harness.commands.boot import record_of_error
from harness.commands.exits import exit_code
from harness.emulate import Pi, Session
from harness.errors import ConfigError, HarnessError
from harness.models import MODELS
from harness.report.finish import finish
from harness.report.live import summary
from harness.report.text import clean, one_line, size
from harness.run import Run
from harness.run.replay import read_record


def pairs(texts: Sequence[str]) -> dict[str, str]:
    """KEY=VALUE words of the command line. Raises ConfigError."""
    found = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise ConfigError(
                f"{text!r} is not KEY=VALUE", place="--eeprom", remedy="write e.g. --eeprom BOOT_ORDER=0xf21"
            )
        if key.strip() in found:
            raise ConfigError(f"{key.strip()} is given twice", place="--eeprom", remedy="give it once")
        found[key.strip()] = value.strip()
    return found


def emulate(pi: Pi, *, timeout: float | None, reports: Path, as_json: bool) -> int:
    """UART text as it comes, then the verdict: on stderr with --json, else on stdout."""
    out = sys.stderr if as_json else sys.stdout
    try:
        if timeout is not None and timeout <= 0:
            raise ConfigError(f"{timeout:g} s is no time", place="--timeout", remedy="give seconds above 0")
        entry = pi.entry()
        run = Run.create(reports, lab="emulate")
    except HarnessError as error:
        if as_json:
            print(record_of_error(error, pi.model, pi.model).model_dump_json(indent=2))
        raise
    title = MODELS[pi.model].title
    print(
        f"{title}, serial number {entry['serial_number']}, MAC {entry['mac']}, on {pi.interface}", file=out, flush=True
    )

    def show(text: str) -> None:
        print(f"  | {clean(text).rstrip()}", file=out, flush=True)

    interrupted: KeyboardInterrupt | None = None
    try:
        boot = Session(run, show, timeout).boot(pi)
        record, folder = boot.record, boot.folder
    except KeyboardInterrupt as error:
        folder = run.folder / pi.model
        if not (folder / "record.json").exists():
            raise
        record, interrupted = read_record(folder / "record.json"), error
    except HarnessError as error:
        if as_json:
            print(record_of_error(error, pi.model, pi.model).model_dump_json(indent=2))
        raise
    finally:
        finish(run)
    print(*_files(record), sep="\n", file=out)
    summary(record, folder, out, report=run.folder / "report.html")
    print(f"\n{_on_a_real_board(record, title)}", file=out, flush=True)
    if as_json:
        print(record.model_dump_json(indent=2))
    if interrupted is not None:
        raise interrupted
    return exit_code(record)


def _files(record: BootRecord) -> list[str]:
    """What was asked for, in order; a probe or a file that may be missing is no fault."""
    lines = ["", "  files asked for:"] if record.tftp or record.http else ["", "  no file was asked for"]
    for one in record.tftp:
        lines.append(f"    {_outcome(one, record.model):19s} {_size(one.bytes)}  {one_line(one.path, 100)}")
    for fetch in record.http:
        url = f"http://{fetch.server_ip}:{fetch.server_port}{one_line(fetch.path, 100)}"
        lines.append(f"    {one_line(fetch.result, 19):19s} {_size(fetch.bytes)}  {url}")
    return lines


def _outcome(one: TftpTransfer, model: str) -> str:
    """In a word or two; what boards of this model do without is no fault."""
    if one.kind == "probe" and one.result == "early terminate":
        return "only looked for it"
    if one.result == "not found":
        return "not there (normal)" if may_be_missing(model, one.path) else "NOT THERE"
    return one_line(one.result, 19)


def _size(octets: int) -> str:
    return f"{size(octets) if octets else '':>9s}"


def _on_a_real_board(record: BootRecord, title: str) -> str:
    machine = record.machine or {}
    if record.verdict in ("infra", "config"):
        return "What a real board would do cannot be told: see above."
    if record.passed and machine.get("kernel"):
        kernel, dtb = machine["kernel"], machine["dtb"]
        tree = (
            "its device tree fits" if dtb.get("ok") else f"but {one_line(dtb['path'])} is not this board's device tree"
        )
        words = f"A real {title} would now start {one_line(kernel['path'])} ({size(kernel['bytes'])}); {tree}."
        return f"{words}\nIts command line: {one_line(machine['cmdline_used'], 600)}"
    if record.failed_stage == "firmware":
        return f"A real {title} would not get a system from this server: {one_line(record.reason)}"
    return f"A real {title} would not boot here: {one_line(record.reason)}"
