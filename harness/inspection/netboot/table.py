# SPDX-License-Identifier: GPL-2.0-or-later
"""What was seen of the netboot servers, for people. Whatever a server said is made harmless before it is shown."""

import textwrap
from collections.abc import Iterator, Sequence

from harness.inspection.netboot.seen import ROOT_SERVER, Answer, Ask, File, Look
from harness.report.text import one_line, size

_MARKS = {"ok": "ok", "fault": "FAULT", "note": "note", "skipped": "skipped"}
_HEADS = ("server", "gives", "address", "siaddr", "option 43", "option 66", "option 67", "after")
_WIDTH = 110


def format_looks(looks: Sequence[Look]) -> str:
    return "\n\n".join("\n".join(_look(look)) for look in looks)


def _look(look: Look) -> Iterator[str]:
    yield f"{look.board} ({look.model}) from server {look.server}"
    for asked in look.asks:
        where = f", on {asked.interface}" if asked.interface else ""
        yield f"  DISCOVER of its {asked.program}, {asked.octets} octets{where}; no REQUEST is sent, so no lease is bound"
        yield from (f"    {line}" for line in _answers(asked))
        yield f"    -> {_takes(asked)}"
    if look.files:
        yield f"  files{f' from {look.tftp_server}' if look.tftp_server else ''}{_folder(look.prefix)}"
        yield from (f"    {line}" for line in _files(look.files))
        yield f"    -> {one_line(look.outcome, 200)}"
    if look.cmdline:
        yield from _wrapped("  cmdline.txt: ", look.cmdline)
    if look.root:
        yield "  root"
        for point in look.root:
            yield from _wrapped(f"    {_MARKS[point.state]:7s} ", f"{point.what}: {point.said}")
            if point.fix:
                yield from _wrapped("         -> ", point.fix)
    for finding in look.findings:
        if finding.id == ROOT_SERVER:  # told above
            continue
        yield from _wrapped("  FAULT   " if finding.severity == "fault" else "  warning ", finding.title)
        if finding.remedy:
            yield from _wrapped("       -> ", finding.remedy)
    for what in look.skipped:
        yield from _wrapped("  skipped ", what)
    yield "  nothing was found that would stop a boot" if look.ok else "  this would stop a boot"


def _folder(prefix: str | None) -> str:
    return "" if prefix is None else f", folder {one_line(prefix, 60)}" if prefix else ", the root folder"


def _takes(asked: Ask) -> str:
    if not asked.takes:
        return one_line(f"the board would not go on: {asked.why}", 300)
    return one_line(f"the board would take {asked.address}, and ask {asked.tftp_server} for its files")


def _answers(asked: Ask) -> Iterator[str]:
    if not asked.answers:
        yield "no answer"
        return
    rows = [_HEADS, *(_row(answer) for answer in asked.answers)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(_HEADS))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _row(answer: Answer) -> tuple[str, ...]:
    rogue = " NOT IN lab.yaml" if answer.described is False else ""
    kind = " (proxy)" if answer.gives == "boot server" else ""
    texts = (_text(value) for value in (answer.option_43, answer.option_66, answer.option_67))
    gives = f"{answer.type} {answer.gives}{kind}" if answer.type != "OFFER" else f"{answer.gives}{kind}"
    cells = (f"{answer.server}{rogue}", gives, answer.address, answer.siaddr, *texts, f"{answer.seconds:.3f} s")
    return tuple(one_line(cell, 60) for cell in cells)


def _text(value: str | None) -> str:
    """The readable part of an option: 43 has sub-options around its text."""
    if value is None:
        return "-"
    at = value.find("Raspberry Pi Boot")
    return repr(value[at : at + 20].rstrip("\xff").split("\\x")[0]) if at >= 0 else repr(one_line(value, 24))


def _files(files: Sequence[File]) -> Iterator[str]:
    normal = [file.path for file in files if file.normal]
    for file in files:
        if file.normal:
            continue
        told = f"{one_line(file.path, 60):42s} "
        if file.result == "complete":
            same = {
                "same": ", as in the root folder",
                "differs": ", DIFFERS FROM THE ROOT FOLDER",
                "missing": ", NOT IN THE ROOT FOLDER",
            }
            local = same.get(file.local, f", {file.local}" if file.local else "")
            yield f"{told}{size(file.size):>9s} in {file.seconds:6.2f} s  sha256 {(file.sha256 or '')[:16]}{local}"
        elif file.result == "early terminate":
            yield f"{told}is there ({size(file.size)})"
        else:
            yield f"{told}{file.result}"
    if normal:
        yield from _wrapped("not there, and not needed: ", ", ".join(one_line(path, 60) for path in normal))


def _wrapped(head: str, text: str) -> list[str]:
    room = max(40, _WIDTH - len(head))
    lines = textwrap.wrap(one_line(text, 1000), room) or [""]
    return [head + lines[0], *(" " * len(head) + line for line in lines[1:])]
