# SPDX-License-Identifier: GPL-2.0-or-later
"""Results for people: one block per board. All text of strangers is cleaned before it is shown."""

from collections.abc import Iterator, Sequence

from harness.analyze.result import BoardSeen, DhcpSeen, StageSeen, TftpSeen
from harness.boot.record import HttpFetch
from harness.report.text import clean

_LINE = 150
_FILES = 60  # of the files asked for, so many are listed

_KINDS = {
    "raspberry-pi": "Raspberry Pi",
    "u-boot": "a machine with U-Boot",
    "uefi": "a machine with UEFI",
    "ipxe": "a machine with iPXE",
    "pxe": "a machine with a PXE network card",
    "os": "a running system",
    "unknown": "something",
}

_TITLES = {
    "pi2b": "Pi 2B v1.2",
    "pi3b": "Pi 3B",
    "pi3bplus": "Pi 3B+",
    "pi4": "Pi 4B",
    "pi400": "Pi 400",
    "cm4": "Compute Module 4",
    "pi5": "Pi 5",
    "cm5": "Compute Module 5",
    "pi500": "Pi 500",
}


def block(board: BoardSeen) -> str:
    """Everything that matters of one board, as lines."""
    return "\n".join(_short(line) for line in _lines(board))


def blocks(boards: Sequence[BoardSeen]) -> str:
    """All boards; clients that only asked for an address are told in one line each at the end."""
    full = [board for board in boards if _is_boot(board)]
    rest = [board for board in boards if not _is_boot(board)]
    texts = [block(board) for board in full]
    if rest:
        lines = [f"  {board.mac or '-'}  {', '.join(board.programs) or board.kind}  {board.outcome}" for board in rest]
        texts.append("\n".join(["Also asked for an address:", *(_short(line) for line in lines)]))
    return "\n\n".join(texts)


def _is_boot(board: BoardSeen) -> bool:
    return board.kind not in {"os", "unknown"} or bool(board.tftp) or not board.mac or len(board.stages) > 2


def _lines(board: BoardSeen) -> Iterator[str]:
    yield f"{_who(board)}: {board.outcome}"
    if board.reason:
        yield f"  {board.reason}"
    yield f"  from       {', '.join(board.files)}"
    if board.model_evidence:
        yield f"  known by   {'; '.join(board.model_evidence)}"
    if date := _bootloader(board):
        yield f"  bootloader {date}"
    if board.programs:
        yield f"  programs   {', '.join(board.programs)}"
    if board.boots > 1:
        yield f"  boots      {board.boots}, this is the newest; before it: {', '.join(board.earlier[-8:])}"
    began: dict[str, float] = {}  # wire and console count from different starts
    for stage in board.stages:
        if stage.evidence and stage.t is not None:
            began.setdefault(stage.evidence[0].source, stage.t)
        yield _stage(stage, began.get(stage.evidence[0].source) if stage.evidence else None)
    yield from _wire(board)
    for finding in board.findings:
        yield f"  {'FAULT' if finding.severity == 'fault' else 'note '}      {finding.title} [{finding.id}]"
        for evidence in finding.evidence[:2]:
            yield f"             {evidence.source} {evidence.ref}: {evidence.text}"
        yield f"             do: {finding.remedy}"
    for note in board.notes:
        yield f"  note       {note}"


def _wire(board: BoardSeen) -> Iterator[str]:
    for exchange in board.dhcp:
        yield f"  dhcp       {_dhcp(exchange)}"
    if board.tftp:
        had = sum(one.result == "complete" for one in board.tftp)
        size = sum(one.bytes for one in board.tftp)
        yield f"  tftp       {len(board.tftp)} requests, {had} files complete, {size} octets"
        for one in board.tftp[:_FILES]:
            yield f"    {_tftp(one)}"
        if len(board.tftp) > _FILES:
            yield f"    ... and {len(board.tftp) - _FILES} more (--json tells all)"
    if board.http:
        yield f"  http       {len(board.http)} requests, {sum(one.bytes for one in board.http)} octets"
        for fetch in board.http[:_FILES]:
            yield f"    {_http(fetch)}"


def _http(one: HttpFetch) -> str:
    where = f"http://{one.server_ip}:{one.server_port}{one.path}"
    told = f" ({one.status} {one.status_text})" if one.status is not None and not one.complete else ""
    return f"{one.asked_by or '?':<12} {where}  {f'{one.bytes} octets' if one.complete else one.result}{told}"


def _who(board: BoardSeen) -> str:
    name = _KINDS.get(board.kind, board.kind)
    if board.kind == "raspberry-pi" and board.model != "unknown":
        name = f"Raspberry {_TITLES.get(board.model, board.model)}"
        if not board.model_certain:
            name += " (likely)"
    details = [
        f"{label} {value}"
        for label, value in (
            ("serial", board.serial_number),
            ("revision", board.revision),
            ("MAC", board.mac),
        )
        if value
    ]
    return ", ".join([name, *details])


def _bootloader(board: BoardSeen) -> str:
    if board.bootloader_date:
        return board.bootloader_date
    since = f"released since {board.bootloader_since}" if board.bootloader_since else ""
    before = f"before {board.bootloader_before}" if board.bootloader_before else ""
    return " and ".join(part for part in (since, before) if part)


def _stage(stage: StageSeen, first: float | None) -> str:
    after = f"+{max(stage.t - first, 0):.1f} s" if stage.t is not None and first is not None else ""
    shown = stage.evidence[-1] if stage.evidence and stage.state != "reached" else next(iter(stage.evidence), None)
    why = f"{shown.source} {shown.ref}: {shown.text}" if shown is not None else ""
    return f"  {stage.name:<10} {stage.state:<8} {after:>9}  {why}"


def _dhcp(one: DhcpSeen) -> str:
    parts = [one.asked_by or one.client, one.result]
    if one.discovers > 1:
        parts.append(f"{one.discovers} requests")
    if one.address:
        parts.append(f"address {one.address}")
    if one.servers_seen:
        parts.append(f"from {', '.join(one.servers_seen)}")
    if one.tftp_server:
        parts.append(f"boot server {one.tftp_server}" + (f" ({one.tftp_from})" if one.tftp_from else ""))
    return ", ".join(parts)


def _tftp(one: TftpSeen) -> str:
    result = one.result or "asked"
    if one.result == "early terminate":
        result = "probed"
    elif one.result == "not found":
        result = "not found (normal)" if one.normal else "not found"
    elif one.result == "complete":
        result = f"{one.bytes} octets"
    error = f": {one.error_text}" if one.error_text and one.result not in {"complete", "early terminate"} else ""
    return f"{one.asked_by or '?':<12} {one.path}  {result}{error}"


def _short(line: str) -> str:
    """Cleaned, on one line, and not longer than a terminal likes."""
    text = clean(line).replace("\n", " ").replace("\t", " ").rstrip()
    return (
        text
        if len(text) <= _LINE or line.startswith(("  FAULT", "  note", "             do:"))
        else text[:_LINE] + "..."
    )
