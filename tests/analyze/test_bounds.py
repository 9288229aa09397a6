# SPDX-License-Identifier: GPL-2.0-or-later
"""Files that are much too large: what is kept of them is bounded, whatever they hold."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.analyze import analyze, consoles, wires
from tests.analyze.test_http import lease
from tests.wire.frames import download, write_pcap

BANNER = b"  0.07 RPi: BOOTSYS release VERSION:5f18ffb6 DATE: 2024/07/30 TIME: 14:02:35\r\n"
MODE = b"  2.52 Boot mode: NETWORK (02) order f5641\r\n"
FILE = b"TFTP_GET: dc:a6:32:1b:1d:c6 192.168.20.105 6e87a417/start4.elf\r\nTFTP: complete 1540\r\n"


def peak(work: Callable[[], object]) -> int:
    """Octets of Python objects at the worst moment."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.gear  # long
@pytest.mark.parametrize(
    ("text", "times"),
    [(BANNER + MODE, 2), (FILE, 2), (b"x" * 100, 4), (b"\0" * 100, 4), (b"[    1.0] some kernel text\r\n", 4)],
    ids=["boots", "files", "one line", "NULs", "noise"],
)
def test_twice_the_log_takes_no_more_memory(
    tmp_path: Path, text: bytes, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each limit made small, so that the shorter log is already beyond all of them."""
    for name, value in {"CHUNK": 1 << 11, "MAX_MILESTONES": 100, "MAX_SIGNS": 20, "MAX_EARLIER": 10}.items():
        monkeypatch.setattr(consoles, name, value)
    short, long = tmp_path / "short.log", tmp_path / "long.log"
    short.write_bytes(BANNER + text * (50_000 // len(text)))
    long.write_bytes(BANNER + text * (50_000 * times // len(text)))
    analyze([short])  # what is made once
    assert peak(lambda: analyze([long])) < 1.2 * peak(lambda: analyze([short])) + 20_000


@pytest.mark.gear  # long
def test_boots_are_counted_beyond_those_that_are_kept(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_bytes((BANNER + MODE) * 250)
    (board,) = analyze([log])
    assert (board.boots, len(board.earlier)) == (250, consoles.MAX_EARLIER)
    capture = tmp_path / "a.pcap"
    write_pcap(capture, [*lease(), *download("kernel8.img", b"x")] * 130)
    (board,) = analyze([capture])
    assert (board.boots, len(board.earlier)) == (130, wires.MAX_OUTCOMES)


def test_events_of_all_boards_together_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wires.Room, "__init__", lambda room: setattr(room, "left", 50))
    capture = tmp_path / "a.pcap"
    write_pcap(capture, lease() * 100)
    (board,) = analyze([capture])
    assert any("more events than are followed" in note for note in board.notes)
