# SPDX-License-Identifier: GPL-2.0-or-later
"""The pytest plug-in, in pytest runs of its own: boards become parameters, failed boots skip what depends on them."""

import subprocess
import sys
from pathlib import Path

import pytest

# Imported here so that the inner pytest runs, which forget what they import, find them there: they start in a tenth of the time.
import tests.boot.stream  # noqa: F401
from harness.errors import ConfigError

pytestmark = pytest.mark.gear

pytest_plugins = ["pytester"]

LAB = """
version: 1
name: doubles
wires: {bench: {kind: emulated}}
servers: {netboot: {kind: emulated, root: light}}
boards:
  one: {model: pi4, serial_number: "00000001", mac: "e4:5f:01:00:00:01", wire: bench, server: netboot,
        power: {driver: emulated}, console: {driver: emulated}, labels: [rack2]}
  two: {model: pi4, serial_number: "00000002", mac: "e4:5f:01:00:00:02", wire: bench, server: netboot,
        power: {driver: emulated}, console: {driver: emulated}}
"""

#: A session whose boots are made by hand instead of by a lab.
SESSION = """
import pytest
from types import SimpleNamespace
from harness.errors import InfraError
from harness.boot.judge import judge
from harness.result import Boot
from tests.boot import stream
from pathlib import Path

class Session:
    def __init__(self):
        self.lab = SimpleNamespace(board=self.lend, give_back=self.give_back)
        self.boots, self.told_of = 0, set()
    def lend(self, name):
        print(f"{name} is lent")
        return SimpleNamespace(name=name, expectation=SimpleNamespace(emulated=name != "real"))
    def give_back(self, name):
        print(f"{name} is off")
        if name != "one":
            raise InfraError("port 7: denied")
    def boot_of(self, board):
        self.boots += 1
        if board.name == "two":
            raise InfraError("port 7: denied", remedy="look at the switch")
        events = [e for e in stream.good_boot() if e.t < stream.T0 + 12.5]
        ended = stream.Ended(t=stream.T0 + 90, reason="deadline")
        return Boot(judge(stream.expectation(), [*events, ended]), Path("."))
    def told(self, name):
        told = name in self.told_of
        self.told_of.add(name)
        return told

@pytest.fixture(scope="session")
def _session():
    return Session()
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makefile(".yaml", lab=LAB)
    pytester.syspathinsert(Path(__file__).parents[2])
    pytester.makeconftest(SESSION)
    pytester.makeini("[pytest]\naddopts = -p no:hypothesispytest")
    return pytester


def test_tests_run_once_for_each_board(suite: pytest.Pytester) -> None:
    suite.makepyfile("def test_it(board): assert board.name in ('one', 'two')")
    suite.runpytest("-v").stdout.fnmatch_lines(["*test_it?one? PASSED*", "*test_it?two? PASSED*"])


def test_an_emulated_board_is_off_before_the_next_is_lent(suite: pytest.Pytester) -> None:
    suite.makepyfile("def test_it(board): pass\ndef test_more(board): pass")
    result = suite.runpytest("-s", "-q")
    result.stdout.fnmatch_lines(["*one is lent*", "*one is off*", "*two is lent*", "*two is off*"])
    result.assert_outcomes(passed=4)  # a switch that refuses then has been told by the boot


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [(["--board", "two"], 1), (["-m", "rack2"], 1), (["-m", "pi4"], 2), (["-m", "not pi4"], 0)],
)
def test_boards_are_chosen_by_name_model_and_label(suite: pytest.Pytester, arguments: list[str], expected: int) -> None:
    suite.makepyfile("def test_it(board): pass")
    suite.runpytest("--strict-markers", *arguments).assert_outcomes(
        passed=expected, deselected=0 if "--board" in arguments else 2 - expected
    )


def test_an_unknown_board_is_told_with_those_that_there_are(suite: pytest.Pytester) -> None:
    suite.makepyfile("def test_it(board): pass")
    result = suite.runpytest("--board", "three")
    assert result.ret == ConfigError.exit_code
    assert "the boards are: one, two" in result.stdout.str() + result.stderr.str()


def test_a_wrong_lab_file_is_told_with_its_line(suite: pytest.Pytester) -> None:
    suite.makefile(".yaml", lab=LAB.replace("model: pi4", "model: pi44", 1))
    suite.makepyfile("def test_it(board): pass")
    result = suite.runpytest()
    assert "lab.yaml:6:" in result.stdout.str() + result.stderr.str()
    assert result.ret == ConfigError.exit_code
    assert "Traceback" not in result.stdout.str()


def test_a_failed_boot_skips_what_depends_on_it_and_names_the_stage(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        import pytest
        @pytest.mark.needs("root")
        def test_root(boot): assert False, "must not run"
        @pytest.mark.needs("kernel")
        def test_kernel(boot): assert boot.reached("kernel")
        """
    )
    result = suite.runpytest("--board", "one", "-rs")
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(["*the boot of one did not come through root: failed(root)*"])


def test_broken_gear_errors_once_and_skips_the_rest_with_the_reason(suite: pytest.Pytester) -> None:
    suite.makepyfile("def test_a(boot): pass\ndef test_b(boot): pass\ndef test_c(boot): pass")
    result = suite.runpytest("--board", "two", "-rs")
    result.assert_outcomes(errors=1, skipped=2)
    result.stdout.fnmatch_lines(["*port 7: denied*"])


def test_suites_without_boards_need_no_lab(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(): pass")
    pytester.runpytest().assert_outcomes(passed=1)


def test_collecting_boards_imports_nothing_heavy(suite: pytest.Pytester) -> None:
    suite.makepyfile("def test_it(board): pass")
    suite.makeconftest("")
    suite.runpytest("--collect-only")  # fills the index
    code = (
        "import sys, pytest; pytest.main(['--collect-only', '-q']); "
        "print('HEAVY', [m for m in ('pydantic', 'ruamel', 'scapy', 'rich', 'jinja2', 'pexpect') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=suite.path, capture_output=True, text=True, check=True)
    assert "test_it[one]" in result.stdout
    assert "HEAVY []" in result.stdout
