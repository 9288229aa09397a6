# SPDX-License-Identifier: GPL-2.0-or-later
"""Console logs of real boards that other people published, where a collection of them is at hand: each is judged rightly.

The folder is $PIBOOT_CORPUS, or `shared/corpus` beside the repository; without it this is skipped.
"""

import os
from pathlib import Path

import pytest

from harness.analyze import analyze
from harness.errors import ConfigError
from tests.analyze.packets import names

CORPUS = Path(os.environ.get("PIBOOT_CORPUS") or Path(__file__).parents[2].parent / "shared" / "corpus")
NEEDED = pytest.mark.skipif(
    not CORPUS.is_dir(), reason=f"no collection of console logs at {CORPUS} (set PIBOOT_CORPUS)"
)

#: The file's number, model ("?" behind it: likely), date of the bootloader, outcome, stages that show.
LOGS = """
01 pi4       2021-11-22 failed(link)    link
02 pi4?      -          firmware        link dhcp firmware
04 pi5       2025-05-08 firmware        firmware
12 pi4?      -          firmware        link dhcp firmware
19 pi4       2022-03-10 waiting(dhcp)   link dhcp
20 pi4       2022-03-10 firmware        link dhcp firmware
23 pi3bplus  -          root            firmware kernel root
27 pi4       2022-01-25 rpiboot
28 pi4?      -          eeprom-updated
32 pi4?      2019-09-10 firmware        firmware
37 cm4?      -          kernel          firmware kernel
38 pi3bplus  -          root            kernel root
40 unknown   -          login           kernel root userspace login
41 unknown   -          root            kernel root
42 pi4?      -          userspace       kernel root userspace
46 pi4?      -          kernel          kernel
48 pi3b?     -          failed(root)    kernel root
49 pi4       2023-01-11 login           firmware kernel userspace login
50 unknown   -          kernel          kernel
51 pi5       2024-02-16 kernel          firmware kernel
52 unknown   -          kernel          kernel
54 pi3b      -          u-boot          firmware
"""

ROWS = [line.split() for line in LOGS.strip().splitlines()]


@NEEDED
@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_a_real_boards_log_is_judged_rightly(row: list[str]) -> None:
    number, model, date, outcome, *stages = row
    (path,) = CORPUS.glob(f"{number}-*uart*.log")
    (board,) = analyze([path])
    shown = board.model + ("" if board.model_certain or board.model == "unknown" else "?")
    assert (shown, board.bootloader_date or "-", board.outcome) == (model, date, outcome)
    assert names(board.stages) == stages
    assert (board.failed_stage is not None) == outcome.startswith("failed")
    assert board.boots == 1


@NEEDED
def test_no_log_is_left_out() -> None:
    assert {path.name.split("-")[0] for path in CORPUS.glob("*uart*.log")} == {row[0] for row in ROWS}


@NEEDED
@pytest.mark.parametrize("kind", ["dnsmasq-server-log", "tcpdump-text", "isc-dhcpd"])
def test_texts_of_servers_and_of_tcpdump_are_refused(kind: str) -> None:
    for path in CORPUS.glob(f"*{kind}*.log"):
        with pytest.raises(ConfigError, match="neither a capture nor a console log"):
            analyze([path])
