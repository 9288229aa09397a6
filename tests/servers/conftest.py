# SPDX-License-Identifier: GPL-2.0-or-later
"""Real rigs for tests: they need root and the servers' programs, and skip with the reason where either is missing."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.servers import Rig, VirtualBoard, requirements
from harness.servers.programs import system_path

BOARDS = (
    VirtualBoard("first", "pi4", "5ce8a2f1", "dc:a6:32:01:02:03"),
    VirtualBoard("second", "pi4", "5ce8a2f2", "dc:a6:32:01:02:04"),
)


@dataclass(frozen=True)
class TinyBootSet:
    """Files of the right names; nothing in them boots."""

    boot: Path
    root: Path
    kind: str = "light"
    initramfs: Path | None = None
    image: Path | None = None
    own: None = None


def names(directory: Path | str) -> set[str]:
    """What is in a directory."""
    return {path.name for path in Path(directory).iterdir()}


def open_descriptors() -> int:
    return len(names("/proc/self/fd"))


def needs(topology: str) -> pytest.MarkDecorator:
    """Skips where a topology's programs are not installed, naming the packages."""
    absent = [entry for entry in requirements(topology) if shutil.which(entry.program, path=system_path()) is None]
    names = ", ".join(entry.debian_package for entry in absent)
    return pytest.mark.skipif(bool(absent), reason=f"not installed: {names}")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "netns: needs root and network namespaces")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    absent = [entry.program for entry in requirements() if shutil.which(entry.program, path=system_path()) is None]
    reason = (
        f"not installed: {', '.join(absent)}" if absent else "" if os.geteuid() == 0 else "needs root (namespaces, NFS)"
    )
    for item in items:
        if reason and item.path.parent == Path(__file__).parent and item.get_closest_marker("netns"):
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture
def boot_set(tmp_path: Path) -> TinyBootSet:
    boot, root = tmp_path / "boot set" / "boot", tmp_path / "boot set" / "root"
    for directory in (boot / "overlays", root / "etc"):
        directory.mkdir(parents=True)
    sizes = {"start4.elf": 2_000_003, "kernel8.img": 3_000_000, "initramfs8": 512, "overlays/disable-bt.dtbo": 1}
    for name, size in sizes.items():
        (boot / name).write_bytes(os.urandom(size))
    (root / "etc" / "hostname").write_text("pi\n")
    return TinyBootSet(boot, root)


@pytest.fixture
def scratch_base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A scratch base of the test's own, so that it sees all that is in it."""
    base = tmp_path / "scratch"
    monkeypatch.setenv("PIBOOT_SCRATCH", str(base))
    return base


@pytest.fixture
def start_rig(tmp_path: Path, scratch_base: Path) -> Iterator[Callable[..., Rig]]:
    """start_rig(boot_set=..., folder="run") gives a running rig with two boards, which ends with the test."""
    with ExitStack() as stack:

        def start(*, folder: str = "run", **options: Any) -> Rig:
            return stack.enter_context(Rig(BOARDS, tmp_path / folder, **({"boot_set": None} | options)))

        yield start
