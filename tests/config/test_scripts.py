# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands of script/, in a working copy whose programs are doubles."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.gear

SCRIPTS = ("setup", "packages", "newer-qemu", "python", "boot", "test")

PYTEST = """#!/bin/sh
# A double of the venv's Python, for `-m pytest` only: says what the test wants, by what it is called with.
echo "called: $*" >> "$CALLS"
case "$*" in
    *"gear and not netns"*)
        if [ "$GEAR_PID" ]; then echo $$ > "$GEAR_PID"; exec sleep 300; fi
        echo "=== 4 passed, 90 deselected in 1.00s ==="; exit "${GEAR_CODE:-0}" ;;
    *"not netns and not qemu and not gear"*) echo "=== 12 passed, 3 skipped in 1.00s ==="; exit 0 ;;
    *"(netns or qemu)"*) echo "${NETNS_SAYS:-=== 5 passed, 20 deselected in 2.00s ===}"; exit "${NETNS_CODE:-0}" ;;
    *tests_hw*)
        while [ "$GEAR_PID" ] && [ ! -s "$GEAR_PID" ]; do sleep 0.02; done
        echo "=== 18 passed, 1 xfailed in 60.00s (0:01:00) ==="; exit "${HW_CODE:-0}" ;;
esac
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A working copy with the real scripts, but for setup, and a venv of doubles."""
    shutil.copytree(ROOT / "script", tmp_path / "script")
    program(tmp_path / "script/setup", "#!/bin/sh\nexit 0\n")
    for name in ("ruff", "mypy", "lint-imports"):
        program(
            tmp_path / ".venv/bin" / name,
            f'#!/bin/sh\necho "called: {name} $*" >> "$CALLS"\nexit "${{{name[:4].upper()}_CODE:-0}}"\n',
        )
    program(tmp_path / ".venv/bin/python", PYTEST)
    return tmp_path


def program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def run(copy: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    calls = copy / "calls"
    calls.touch()
    return subprocess.run(
        [copy / command[0], *command[1:]],
        env={**os.environ, "CALLS": str(calls), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def calls(copy: Path) -> list[str]:
    return (copy / "calls").read_text().splitlines()


def test_shellcheck_has_nothing_to_say() -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed")
    files = [*(f"script/{name}" for name in SCRIPTS), "script/lib.sh", ".ci/run"]
    done = subprocess.run(
        ["shellcheck", "-x", *files], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", [*(f"script/{name}" for name in SCRIPTS), ".ci/run"])
def test_scripts_can_be_run_and_stop_at_errors(name: str) -> None:
    path = ROOT / name
    text = path.read_text()
    assert os.access(path, os.X_OK)
    assert text.startswith("#!/usr/bin/env bash\n# SPDX-License-Identifier: GPL-2.0-or-later\n")
    assert "\nset -euo pipefail\n" in text


def test_unit_tests_alone_need_no_root(copy: Path) -> None:
    done = run(copy, "script/test", "--unit", "-x")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "12 passed, 0 failed, 3 skipped"
    ran = calls(copy)
    assert [line.split()[1] for line in ran] == ["ruff", "ruff", "mypy", "lint-imports", "-m"]
    assert " tests -m not netns and not qemu and not gear and (not slow) " in ran[-1]
    assert ran[-1].endswith(" -x")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: script/test would ask for sudo")
def test_everything_is_added_up_in_the_last_line(copy: Path) -> None:
    done = run(copy, "script/test", "-k", "x")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "39 passed, 0 failed, 3 skipped"
    assert "the emulated lab" in done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: script/test would ask for sudo")
def test_a_step_without_a_test_that_was_asked_for_is_no_failure(copy: Path) -> None:
    done = run(copy, "script/test", "-k", "x", NETNS_CODE="5", NETNS_SAYS="no tests ran in 0.10s")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "34 passed, 0 failed, 3 skipped"
    assert run(copy, "script/test", NETNS_CODE="5", NETNS_SAYS="no tests ran in 0.10s").returncode == 5


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: script/test would ask for sudo")
def test_what_runs_beside_a_step_that_fails_is_ended(copy: Path, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    done = run(copy, "script/test", HW_CODE="1", GEAR_PID=str(pid))
    assert done.returncode == 1
    assert "stopped at: the emulated lab (exit code 1)" in done.stdout
    assert not Path("/proc", pid.read_text().strip()).exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: script/test would ask for sudo")
def test_a_failure_of_what_runs_beside_the_steps_is_one(copy: Path) -> None:
    done = run(copy, "script/test", GEAR_CODE="1")
    assert done.returncode == 1
    assert "stopped at: tests with gear's counterparts (exit code 1)" in done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: script/test would ask for sudo")
def test_it_stops_at_the_first_failure_and_says_where(copy: Path) -> None:
    says = "=== 2 failed, 3 passed, 1 error in 2.00s ==="
    done = run(copy, "script/test", NETNS_CODE="1", NETNS_SAYS=says)
    assert done.returncode == 1
    assert "stopped at: tests in namespaces and with virtual machines (exit code 1)" in done.stdout
    assert done.stdout.splitlines()[-1] == "33 passed, 3 failed, 3 skipped"


def test_a_failed_check_is_a_failure_in_the_last_line_too(copy: Path) -> None:
    done = run(copy, "script/test", "--unit", MYPY_CODE="2")
    assert done.returncode == 2
    assert "stopped at: mypy --strict (exit code 2)" in done.stdout
    assert done.stdout.splitlines()[-1] == "0 passed, 1 failed, 0 skipped"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: script/boot would ask for sudo")
def test_boot_says_where_the_report_is_and_keeps_stdout_for_piboot(copy: Path) -> None:
    program(
        copy / ".venv/bin/piboot",
        '#!/bin/sh\necho "{}"\nmkdir -p reports/old reports/new\ntouch -d 2001-01-01 reports/old/report.html\n'
        "touch reports/new/report.html\nexit 1\n",
    )
    done = run(copy, "script/boot", "--json")
    assert done.returncode == 1, "piboot's verdict is the command's"
    assert done.stdout == "{}\n"
    assert done.stderr.splitlines()[-1] == f"report: {copy.resolve()}/reports/new/report.html"


def test_python_is_the_first_that_is_new_enough(copy: Path, tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    for name, version in (("python3", "3.10"), ("python3.12", "3.12")):
        program(
            programs / name,
            f'#!/bin/sh\ncase "$2" in *executable*) echo "{programs}/{name}" ;; *) echo {version} ;; esac\n',
        )
    path = f"{programs}:/usr/bin:/bin"
    chosen = run(copy, "script/python", PATH=path, PYTHON=str(programs / "python3.12"))
    assert chosen.stdout == f"{programs}/python3.12\n"


def test_an_old_python_is_refused_with_what_to_do(copy: Path, tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    program(programs / "python3", "#!/bin/sh\necho 3.9\n")
    (programs / "env").symlink_to("/usr/bin/env")
    (programs / "bash").symlink_to("/bin/bash")
    text = (copy / "script/python").read_text().replace("/usr/bin/python3 ", "")  # this machine's own would do
    program(copy / "script/python", text)
    done = run(copy, "script/python", PATH=str(programs))
    assert done.returncode == 3
    assert "Python 3.11 or newer is needed" in done.stderr
    assert "is 3.9" in done.stderr
    assert "apt install python3" in done.stderr


@pytest.fixture
def bare(copy: Path, tmp_path: Path) -> Path:
    """A PATH with nothing but what script/packages itself needs: a fresh machine."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("env", "bash", "dirname", "sort", "python3"):
        (programs / name).symlink_to(shutil.which(name) or f"/usr/bin/{name}")
    # The sbin folders would be this machine's.
    library = copy / "script/lib.sh"
    library.write_text(library.read_text().replace('export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"', ""))
    return programs


def test_missing_packages_are_listed_by_name(copy: Path, bare: Path) -> None:
    done = run(copy, "script/packages", "--missing", PATH=str(bare))
    assert done.returncode == 0, done.stderr
    assert {"dnsmasq-base", "nfs-ganesha", "rpcbind", "qemu-system-arm", "mmdebstrap", "tcpdump"} <= set(
        done.stdout.split()
    )


def test_what_only_tests_need_is_not_asked_of_a_newcomer(copy: Path, bare: Path) -> None:
    without = run(copy, "script/packages", "--missing", PATH=str(bare)).stdout.split()
    with_tests = run(copy, "script/packages", "--tests", "--missing", PATH=str(bare)).stdout.split()
    assert {"dnsmasq-base", "snmpd"} <= set(without), "the shipped lab's boards hang on a PoE switch"
    assert not {"pdudaemon", "kea-dhcp4-server", "atftpd"} & set(without)
    assert {"pdudaemon", "kea-dhcp4-server", "atftpd", *without} <= set(with_tests)
