# SPDX-License-Identifier: GPL-2.0-or-later
"""JUnit XML: counts, kinds, and only legal characters."""

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

from harness.boot.record import BootRecord
from harness.report.junit import write_junit

from . import samples


def tree_of(run: Path) -> ET.Element:
    return ET.parse(write_junit(run)).getroot()  # noqa: S314 - our own file


def suite_of(tmp_path: Path, record: BootRecord) -> ET.Element:
    samples.write_boot(tmp_path, record)
    (suite,) = tree_of(tmp_path)
    return suite


def test_a_good_boot_has_a_passed_case_per_stage_with_its_time(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, samples.good())
    cases = suite.findall("testcase")
    assert [case.get("name") for case in cases] == list(samples.GOOD)
    assert all(len(case) == 0 for case in cases)
    assert float(cases[3].get("time", 0)) == 8.584
    assert {case.get("classname") for case in cases} == {"boot.pi4-bench"}
    assert suite.attrib | {"timestamp": ""} == {
        "name": "pi4-bench",
        "timestamp": "",
        "tests": "9",
        "failures": "0",
        "errors": "0",
        "skipped": "0",
        "time": "46.388",
    }
    properties = {p.get("name"): p.get("value") for p in suite.findall("properties/property")}
    assert properties["board"] == "pi4-bench"
    assert properties["model"] == "pi4"
    assert properties["verdict"] == "passed"


def test_a_failed_stage_fails_and_what_comes_after_is_skipped_naming_it(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, samples.failed_dhcp())
    dhcp = suite.find("testcase[@name='dhcp']/failure")
    assert dhcp is not None
    assert dhcp.get("message") == "The board sent 6 DISCOVERs in 30 s and no server answered."
    assert "Start dnsmasq" in (dhcp.text or "")
    assert "packet 6" in (dhcp.text or "")
    skipped = [s.get("message") for s in suite.findall("testcase/skipped")]
    assert skipped == ["not reached: dhcp failed"] * 6
    assert (suite.get("failures"), suite.get("skipped"), suite.get("errors")) == ("1", "6", "0")


def test_late_is_a_failure_of_its_own_type(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, samples.late())
    failure = suite.find("testcase[@name='firmware']/failure")
    assert failure is not None
    assert failure.get("type") == "late"
    assert failure.get("message") == "firmware took 71.1 s; its budget is 60 s"


def test_failed_gear_is_an_error_not_a_failure(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, samples.infra())
    error = suite.find("testcase[@name='power']/error")
    assert error is not None
    assert error.get("type") == "infra"
    assert (suite.get("failures"), suite.get("errors")) == ("0", "1")


def test_a_verdict_without_a_failed_stage_still_counts(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, samples.good(verdict="infra", reason="The console vanished."))
    error = suite.find("testcase[@name='boot']/error")
    assert error is not None
    assert error.get("message") == "The console vanished."
    other = suite_of(tmp_path / "b", samples.good("pi4-b", verdict="failed(login)", reason="Wrong."))
    assert other.get("failures") == "1"


def test_unseen_and_not_asked_are_skipped_with_their_reason(tmp_path: Path) -> None:
    record = samples.good()
    stages = (
        record.stages[0].model_copy(update={"verdict": "unseen", "note": "no console"}),
        record.stages[1].model_copy(update={"verdict": "not asked"}),
    )
    suite = suite_of(tmp_path, record.model_copy(update={"stages": stages}))
    messages = [s.get("message") for s in suite.findall("testcase/skipped")]
    assert messages[0] == "unseen: no console"
    assert str(messages[1]).startswith("not asked")


def test_the_whole_is_the_sum_of_its_suites(tmp_path: Path) -> None:
    top = tree_of(samples.write_run(tmp_path / "night"))
    assert top.tag == "testsuites"
    assert {child.tag for child in top} == {"testsuite"}
    for name in ("tests", "failures", "errors", "skipped"):
        assert int(top.get(name, -1)) == sum(int(suite.get(name, -1)) for suite in top)
    assert (top.get("tests"), top.get("failures"), top.get("errors"), top.get("skipped")) == ("37", "2", "2", "14")
    allowed = {"properties", "property", "testcase", "failure", "error", "skipped", "testsuite", "testsuites"}
    assert {element.tag for element in top.iter()} <= allowed
    for case in top.iter("testcase"):
        assert {"classname", "name", "time"} == set(case.attrib)
        assert float(case.get("time", -1)) >= 0


def test_a_record_that_cannot_be_read_is_an_error_with_the_reason(tmp_path: Path) -> None:
    top = tree_of(samples.write_run(tmp_path / "night"))
    error = top.find("testsuite[@name='pi4-shed']/testcase/error")
    assert error is not None
    assert "breaks off" in str(error.get("message"))


def test_a_boot_cut_off_is_an_error(tmp_path: Path) -> None:
    data = json.loads(samples.good().model_dump_json())
    del data["verdict"], data["ended"], data["duration_s"]
    (tmp_path / "pi4").mkdir()
    (tmp_path / "pi4" / "record.json").write_text(json.dumps(data))
    (suite,) = tree_of(tmp_path)
    assert suite.get("errors") == "1"


def test_only_characters_that_xml_allows(tmp_path: Path) -> None:
    samples.write_boot(tmp_path, samples.hostile())
    text = write_junit(tmp_path).read_text(encoding="utf-8")
    assert not re.search("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", text)
    failure = tree_of(tmp_path).find("testsuite/testcase/failure")
    assert failure is not None
    assert "<script>alert(1)</script>" in str(failure.get("message"))
