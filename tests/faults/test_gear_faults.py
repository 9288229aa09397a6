# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab's own gear fails: `infra`, never the board's fault, with everything kept and nothing left running."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.errors import InfraError
from harness.lab import Lab
from harness.run import Run
from harness.run.replay import read_record
from tests.faults.conftest import BOARD, TEXT
from tests.stand_ins import small_boot_files

pytestmark = [pytest.mark.netns, pytest.mark.qemu]
ROOT = Path(__file__).parents[2]


def piboot(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "harness.cli", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_qemu_missing(open_lab: Callable[..., Lab], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Everything is on PATH but QEMU."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for folder in reversed([*os.environ["PATH"].split(":"), "/usr/sbin", "/sbin"]):
        for program in Path(folder).glob("*"):
            if not program.name.startswith("qemu-system"):
                (tools / program.name).unlink(missing_ok=True)
                (tools / program.name).symlink_to(program)
    monkeypatch.setenv("PATH", str(tools))
    boot = open_lab().board(BOARD).boot()
    assert boot.verdict == "infra", boot.record.reason
    assert "qemu-system-aarch64 is missing" in boot.findings[0].title
    assert "apt install qemu-system-arm" in boot.findings[0].title
    assert not boot.tftp, "it is said at power-on, not after a minute of TFTP"


def test_console_vanishing_in_mid_boot(open_lab: Callable[..., Lab], tmp_path: Path) -> None:
    lab = open_lab()
    with small_boot_files(tmp_path / "boot"):
        board = lab.board(BOARD)
    emulator = lab.rig_of(BOARD).emulator(BOARD)
    assert emulator is not None

    class Killer:
        """Kills the emulated board, and its console with it, when the kernel starts."""

        def __getattr__(self, name: str) -> Callable[..., None]:
            def told(*arguments: object) -> None:
                if name == "stage_ended" and "firmware" in arguments:
                    emulator.signal(signal.SIGKILL)

            return told

    board.viewer = Killer()  # type: ignore[assignment]
    boot = board.boot()
    assert boot.verdict == "infra", boot.record.reason
    assert isinstance(boot.error, InfraError)
    assert boot.record.console is not None
    assert boot.record.console.bytes > 0
    assert boot.record.stage("firmware").verdict == "passed"


def test_power_port_refusing(open_lab: Callable[..., Lab]) -> None:
    lab = open_lab()
    board = lab.board(BOARD)
    socket = lab.rig_of(BOARD).board(BOARD).control_socket
    socket.rename(socket.with_suffix(".gone"))
    boot = board.boot()
    assert boot.verdict == "infra"
    assert "power port of pi4-a" in boot.findings[0].title
    socket.with_suffix(".gone").rename(socket)


def test_disk_full_in_reports(tmp_path: Path) -> None:
    """A file system of 2 MiB: full as soon as the capture grows."""
    script = f"""
set -e
mount -t tmpfs -o size=2m none {tmp_path}/small
cd {tmp_path}
exec {sys.executable} -m harness.cli boot --lab lab.yaml --reports small
"""
    (tmp_path / "small").mkdir()
    (tmp_path / "lab.yaml").write_text(TEXT)
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a small file system")
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", script],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == InfraError.exit_code, done.stderr
    assert "No space left on device" in done.stderr + done.stdout
    assert "--reports" in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


def test_five_mistakes_in_lab_yaml(tmp_path: Path) -> None:
    wrong = (
        TEXT.replace("model: pi4", "model: pi44")
        .replace('"91cdf03d"', "91")
        .replace("wire: bench", "wire: bensch")
        .replace("speed: 50", "speed: fast")
        .replace("login: {user: root}", "login: {user: root, password: secret}")
    )
    (tmp_path / "lab.yaml").write_text(wrong)
    done = piboot("boot", "--json", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("lab.yaml:") >= 5
    assert "did you mean pi4" in done.stderr
    assert '"verdict": "config"' in done.stdout
    assert not list(tmp_path.glob("reports/*"))


def test_sigkill_in_mid_boot_leaves_nothing_running_and_a_readable_run(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root: the emulated lab's NFS server opens files by handle")
    (tmp_path / "lab.yaml").write_text(TEXT)
    run = subprocess.Popen(
        [sys.executable, "-m", "harness.cli", "boot"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert run.stdout is not None
    for line in run.stdout:
        if "firmware ok" in line:
            break
    started = _descendants(run.pid)
    assert started
    run.kill()
    run.wait()
    run.stdout.close()
    _until_gone(started)
    (folder,) = (tmp_path / "reports").iterdir()
    assert not (folder / BOARD / "record.json").exists()
    assert piboot("report", cwd=tmp_path).returncode == 0
    record = read_record(folder / BOARD / "record.json")
    assert record.stage("firmware").verdict == "passed"
    assert record.verdict.startswith("failed(")
    assert (folder / "report.html").exists()


def _descendants(pid: int) -> list[int]:
    """All processes below `pid`, by /proc."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(path.parent.name)] = int(fields[1])
    found: list[int] = []
    frontier = {pid}
    while frontier:
        frontier = {child for child, parent in parents.items() if parent in frontier}
        found += sorted(frontier)
    return found


def _until_gone(pids: list[int]) -> None:
    """The kernel ends a PID namespace within moments; pidfds tell when."""
    for pid in pids:
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            import select  # noqa: PLC0415

            ready, _, _ = select.select([handle], [], [], 10.0)
            assert ready, f"process {pid} outlived the run: {Path(f'/proc/{pid}/cmdline').read_bytes()!r}"
        finally:
            os.close(handle)


def test_a_run_of_its_own_is_not_disturbed_by_a_second(open_lab: Callable[..., Lab], tmp_path: Path) -> None:
    first, second = open_lab(), open_lab()
    assert isinstance(first.run, Run)
    with small_boot_files(tmp_path / "boot"):
        boots = [lab.board(BOARD).boot("firmware") for lab in (first, second)]
    assert [boot.verdict for boot in boots] == ["passed", "passed"]
