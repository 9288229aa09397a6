# SPDX-License-Identifier: GPL-2.0-or-later
"""Servers that an old boot ROM cannot live with: the judge and `analyze` both say why, from the same packets."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from harness.analyze import analyze
from harness.config import loads
from harness.lab import Lab
from harness.result import Boot
from harness.run import Run
from harness.servers.services.dnsmasq import Dnsmasq
from tests.analyze.test_emulated import TEXT
from tests.stand_ins import small_boot_files

pytestmark = [pytest.mark.netns, pytest.mark.qemu]
BUDGETS = "    budgets: {link: 5, dhcp: {dhcp}, firmware: 20}\n"


@pytest.fixture
def boot(tmp_path: Path) -> Iterator[Callable[..., Boot]]:
    if os.geteuid() != 0:
        pytest.skip("needs root: the emulated lab's NFS server opens files by handle")
    with ExitStack() as stack:
        stack.enter_context(small_boot_files(tmp_path / "boot"))

        def booted(model: str, *, stopped: bool = False, **options: object) -> Boot:
            text = TEXT.format(model=model, mac="b8:27:eb:07:bc:c6", revision={"pi3b": "a02082"}.get(model, "a020d3"))
            run = Run.create(tmp_path / "reports", lab="rom")
            lab = stack.enter_context(Lab(loads(text + BUDGETS.replace("{dhcp}", "13" if stopped else "3")), run))
            dnsmasq = lab.rig_of("board").services["dnsmasq"]
            assert isinstance(dnsmasq, Dnsmasq)
            if stopped:
                dnsmasq.stop()
            else:
                dnsmasq.options = replace(dnsmasq.options, **options)  # type: ignore[arg-type]
                dnsmasq.restart()
            return lab.board("board").boot("firmware")

        yield booted


def told(boot: Boot) -> tuple[str, str, set[str], set[str]]:
    """Verdict and findings of the judge, outcome and findings of the bare capture."""
    (board,) = analyze([boot.folder / "capture.pcapng"])
    by_judge = {finding.id for finding in boot.record.findings if finding.severity == "fault"}
    return boot.record.verdict, board.outcome, by_judge, {f.id for f in board.findings if f.severity == "fault"}


def test_no_spaces_behind_the_text_of_option_43(boot: Callable[..., Boot]) -> None:
    verdict, outcome, by_judge, by_analyze = told(boot("pi3b", menu="Raspberry Pi Boot"))
    assert (verdict, outcome) == ("failed(dhcp)", "failed(dhcp)")
    assert by_judge == {"rom-menu-spaces"}
    assert "rom-menu-spaces" in by_analyze


def test_a_3b_plus_does_without_the_spaces(boot: Callable[..., Boot]) -> None:
    assert told(boot("pi3bplus", menu="Raspberry Pi Boot"))[0] == "passed"


def test_an_answer_that_comes_too_early_for_the_old_rom(boot: Callable[..., Boot]) -> None:
    verdict, _, by_judge, _ = told(boot("pi3b", delayed=()))
    assert verdict == "failed(dhcp)"
    assert by_judge == {"rom-deaf"}


@pytest.mark.slow
def test_no_server_at_all(boot: Callable[..., Boot]) -> None:
    made = boot("pi3b", stopped=True)
    verdict, _, by_judge, _ = told(made)
    assert verdict == "failed(dhcp)"
    assert by_judge == {"dhcp-no-answer", "rom-gave-up"}
    assert [(one.asked_by, one.discovers) for one in made.record.dhcp] == [("rom", 5)]
