# SPDX-License-Identifier: GPL-2.0-or-later
"""What a build needs is asked for before it starts, and what fails says what it said."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.errors import InfraError
from harness.images import boot_set, build, tools
from harness.images.binfmt import NO_BINFMT, run_arm64
from harness.images.cache import Builder

pytestmark = pytest.mark.gear


def test_a_missing_tool_names_its_debian_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tools, "SEARCH", str(tmp_path))
    with pytest.raises(InfraError, match="mmdebstrap, qemu-aarch64-static") as caught:
        tools.need(["mmdebstrap", "qemu-aarch64-static"])
    assert caught.value.remedy == "sudo apt install mmdebstrap qemu-user-static"


def test_a_missing_keyring_is_named_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tools, "KEYRING", tmp_path / "keyring.gpg")
    with pytest.raises(InfraError, match=r"keyring\.gpg") as caught:
        tools.need([], keyring=True)
    assert caught.value.remedy == "sudo apt install debian-archive-keyring"


@pytest.mark.parametrize("kind", ["light", "debian"])
def test_without_root_a_build_says_so_and_nothing_is_left(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str
) -> None:
    monkeypatch.setattr(tools.os, "geteuid", lambda: 1000)
    with pytest.raises(InfraError, match="needs root") as caught:
        boot_set(kind, cache=tmp_path)
    assert "sudo" in caught.value.remedy
    assert not list((tmp_path / "images").glob(".build-*"))


@pytest.mark.parametrize("kind", ["light", "debian"])
def test_tools_are_asked_for_before_anything_is_fetched(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str
) -> None:
    monkeypatch.setattr(tools.os, "geteuid", lambda: 0)
    monkeypatch.setattr(tools, "SEARCH", str(tmp_path))
    lines: list[str] = []
    with pytest.raises(InfraError, match="qemu-aarch64-static"):
        build.build(kind, Builder(tmp_path, tmp_path, lines.append))
    assert lines == []


def test_output_comes_back_and_a_failure_shows_its_end() -> None:
    assert tools.run(["sh", "-c", "echo one; echo two >&2"], "saying", deadline=30) == "one\ntwo\n"
    with pytest.raises(InfraError, match="making it: sh ended with 3") as caught:
        tools.run(["sh", "-c", "seq 100; echo no space; exit 3"], "making it", deadline=30, remedy="free some")
    assert "no space" in caught.value.what
    assert "\n    80" not in caught.value.what  # its end only
    assert caught.value.remedy == "free some"


def test_a_deadline_ends_it() -> None:
    started = time.monotonic()
    with pytest.raises(InfraError, match="not done after"):
        tools.run(["sh", "-c", "echo waiting; exec sleep 60"], "waiting", deadline=0.3)
    assert time.monotonic() - started < 20


def test_a_program_that_is_away_is_named() -> None:
    with pytest.raises(InfraError, match="no-such-program") as caught:
        tools.run(["no-such-program"], "trying", deadline=5)
    assert caught.value.remedy == "sudo apt install no-such-program"


def test_odd_bytes_in_the_output_do_no_harm() -> None:
    with pytest.raises(InfraError, match="ended with 1"):
        tools.run(["sh", "-c", r"printf '\377\376\033[31m'; exit 1"], "printing", deadline=30)


def test_a_kernel_that_takes_no_registration_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_options: object) -> str:
        raise InfraError(f"making it: setpriv ended with {NO_BINFMT}; it said last:\n    Permission denied")

    monkeypatch.setattr("harness.images.binfmt.run", refuse)
    with pytest.raises(InfraError, match="cannot be told to run arm64 programs") as caught:
        run_arm64(["true"], "making it", interpreter="/usr/bin/qemu-aarch64-static", deadline=5)
    assert "qemu-user-static" in caught.value.remedy


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root (a mount namespace of its own)")


@needs_root
@pytest.mark.netns
def test_a_private_command_leaves_no_mount(tmp_path: Path) -> None:
    script = 'mount -t tmpfs mine "$1" && touch "$1/inside" && ls "$1" && echo $$'
    assert tools.run(["sh", "-c", script, "sh", tmp_path], "mounting", deadline=30, private=True).split() == [
        "inside",
        "1",
    ]
    assert list(tmp_path.iterdir()) == []


KILLED = """
import sys
from harness.images.tools import run
script = 'mount -t tmpfs mine "$1" && mkfifo "$1/pipe" && echo up > "$2" && cat "$1/pipe"'
run(["sh", "-c", script, "sh", sys.argv[1], sys.argv[2]], "waiting", deadline=600, private=True)
"""


@needs_root
@pytest.mark.netns
def test_a_killed_harness_takes_its_private_commands_along(tmp_path: Path) -> None:
    mounted, said = tmp_path / "mounted", tmp_path / "said"
    mounted.mkdir()
    argv = [sys.executable, "-c", KILLED, str(mounted), str(said)]
    with subprocess.Popen(argv, cwd=Path(__file__).parents[2]) as process:
        deadline = time.monotonic() + 30
        while not said.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert said.exists(), "the private command did not start within 30 s"
        assert any(str(mounted) in line for line in processes())
        process.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 30
    while (left := [line for line in processes() if str(mounted) in line]) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert left == []
    assert str(mounted) not in Path("/proc/self/mountinfo").read_text()


def processes() -> list[str]:
    """Command lines of all that runs, but for this test's own."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_text(errors="replace").replace("\0", " "))
        except OSError:
            continue
    return [line for line in lines if "sh -c mount -t tmpfs mine" in line]
