# SPDX-License-Identifier: GPL-2.0-or-later
"""The end of a run: what is written when all of its boots are over."""

from pathlib import Path

from harness.clock import now
from harness.run import Run


def finish(run: Run) -> Path:
    """Close the run: times, report.html, junit.xml."""
    from harness.report.html import write_report  # noqa: PLC0415 - brings Jinja
    from harness.report.junit import write_junit  # noqa: PLC0415

    run.save(ended=now(), notes=run.notes())
    write_junit(run.folder)
    return write_report(run.folder)
