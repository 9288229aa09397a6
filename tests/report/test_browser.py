# SPDX-License-Identifier: GPL-2.0-or-later
"""The page in a real browser: its style and script pass its own policy, and nothing is complained of."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from harness.report.html import write_report

from . import samples

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.mark.gear
@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed: apt install chromium")
def test_script_and_style_run_under_the_pages_own_policy(tmp_path: Path) -> None:
    samples.write_run(tmp_path / "run")
    samples.write_boot(tmp_path / "run", samples.hostile(), samples.HOSTILE_CONSOLE)
    page = write_report(tmp_path / "run")
    quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]
    command = [str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", *quiet]
    command += ["--enable-logging=stderr", f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert re.search(r'<th class="num wide"><button>#</button></th>', done.stdout)
    said = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert said == []
