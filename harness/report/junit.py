# SPDX-License-Identifier: GPL-2.0-or-later
"""`junit.xml`: a run for CI systems. A test suite per boot, a test case per stage.

The shape is the common one of Jenkins' xunit plug-in, GitLab and Azure: testsuites > testsuite > (properties, testcase
> failure | error | skipped), with counts and times in seconds. All text is cleaned, so that only characters that XML
1.0 (2.2, Char) allows remain.
"""

import os
import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from pathlib import Path

from harness.boot.record import BootRecord, Stage
from harness.report import text, words
from harness.report.runs import Boot, Run, load_run


def write_junit(run_folder: Path) -> Path:
    """Write `junit.xml` for the run in `run_folder`; its path. OSError when the folder cannot be read or written."""
    run = load_run(run_folder)
    target = run.folder / "junit.xml"
    draft = target.with_name(f".junit.{os.getpid()}.xml")
    try:
        ET.ElementTree(build(run)).write(draft, encoding="utf-8", xml_declaration=True)
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    return target


def build(run: Run) -> ET.Element:
    """The XML tree of `run`."""
    top = ET.Element("testsuites", name=_xml(f"piboot {run.name}"))
    for boot in run.boots:
        top.append(_suite(boot))
    _count(top, list(top))
    ET.indent(top)
    return top


def _suite(boot: Boot) -> ET.Element:
    suite = ET.Element("testsuite", name=_xml(boot.name))
    record = boot.record
    if record is None:
        _properties(suite, {"board": boot.name, "model": boot.model, "verdict": "unreadable"})
        _outcome(_case(suite, boot, "record", 0.0), "error", "record", boot.problem)
    else:
        stamp = _timestamp(record.started)
        if stamp:
            suite.set("timestamp", stamp)
        facts = {"board": record.board, "model": record.model, "verdict": record.verdict}
        _properties(suite, facts | {"serial_number": record.serial_number, "mac": record.mac})
        for stage in record.stages:
            _judge(_case(suite, boot, stage.name, stage.duration_s or 0.0), stage, record, boot)
        if not suite.findall("testcase/error") and (boot.unfinished or record.verdict in ("infra", "config")):
            _outcome(_case(suite, boot, "boot", 0.0), "error", record.verdict, boot.sentence, _details(record))
        elif not suite.findall("testcase/failure") and words.outcome(record) == "failed":
            _outcome(_case(suite, boot, "boot", 0.0), "failure", record.verdict, boot.sentence, _details(record))
    cases = suite.findall("testcase")
    suite.set("tests", str(len(cases)))
    for kind, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(kind, str(sum(case.find(tag) is not None for case in cases)))
    suite.set("time", f"{sum(float(case.get('time', 0)) for case in cases):.3f}")
    return suite


def _judge(case: ET.Element, stage: Stage, record: BootRecord, boot: Boot) -> None:
    """What the stage's verdict is in JUnit's words. Failed gear is an error, not a failure: nothing was tested."""
    match stage.verdict:
        case "failed" if record.verdict in ("infra", "config"):
            _outcome(case, "error", record.verdict, stage.note or boot.sentence, _details(record))
        case "failed":
            _outcome(case, "failure", "failed", boot.sentence or stage.note, _details(record))
        case "late":
            message = (
                f"{stage.name} took {text.duration(stage.duration_s)}; its budget is {text.budget(stage.budget_s)}"
            )
            _outcome(case, "failure", "late", message)
        case "not reached":
            failed = next((s.name for s in record.stages if s.verdict == "failed"), record.failed_stage)
            _outcome(case, "skipped", "", f"not reached: {failed} failed" if failed else "not reached")
        case "unseen":
            _outcome(case, "skipped", "", f"unseen: {stage.note}" if stage.note else "unseen: no evidence of its own")
        case "not asked":
            _outcome(case, "skipped", "", "not asked: the boot was to be followed only so far")


def _case(suite: ET.Element, boot: Boot, name: str, seconds: float) -> ET.Element:
    time = f"{max(seconds, 0.0):.6f}" if seconds == seconds and abs(seconds) < 1e9 else "0"  # noqa: PLR0124 - NaN
    return ET.SubElement(
        suite, "testcase", classname=_xml(f"boot.{boot.name.replace('/', '.')}"), name=_xml(name), time=time
    )


def _outcome(case: ET.Element, tag: str, kind: str, message: str, details: str = "") -> None:
    element = ET.SubElement(case, tag, message=_xml(message))
    if kind:
        element.set("type", _xml(kind))
    if details:
        element.text = text.clean(details)


def _details(record: BootRecord) -> str:
    """Findings with their remedies and evidence, as lines."""
    lines = []
    for finding in record.findings:
        who = words.WHO.get(finding.who, finding.who)
        lines += [f"{finding.severity}: {text.one_line(finding.title)}", f"  to act: {text.one_line(who)}"]
        lines.append(f"  {text.one_line(finding.remedy, 600)}")
        lines += [f"  {words.place(e)}: {text.one_line(e.text, 200)}" for e in finding.evidence[:10]]
    return "\n".join(lines)


def _properties(suite: ET.Element, values: dict[str, str]) -> None:
    properties = ET.SubElement(suite, "properties")
    for name, value in values.items():
        if value:
            ET.SubElement(properties, "property", name=name, value=_xml(value))


def _count(top: ET.Element, suites: list[ET.Element]) -> None:
    for name in ("tests", "failures", "errors", "skipped"):
        top.set(name, str(sum(int(suite.get(name, 0)) for suite in suites)))
    top.set("time", f"{sum(float(suite.get('time', 0)) for suite in suites):.3f}")


def _timestamp(t: float) -> str:
    """ISO 8601 without a zone, in UTC, as xunit readers expect; "" for a senseless time."""
    try:
        return datetime.fromtimestamp(t, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    except (OverflowError, OSError, ValueError):
        return ""


def _xml(value: str) -> str:
    return text.one_line(value, 1000)
