# SPDX-License-Identifier: GPL-2.0-or-later
"""The cache of boot sets: built once, found without building, never trusted when broken."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.errors import InfraError
from harness.images import cache as cache_module
from harness.images.cache import Builder, Made, Store, measure_root, mounted, read_manifest, set_key
from tests.images.samples import FakeBuild, lay_out

RECIPE = "a1" * 32
OTHER = "b2" * 32


def silent(_line: str) -> None:
    pass


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def test_is_built_once_and_then_found(store: Store) -> None:
    build = FakeBuild()
    first = store.get("light", RECIPE, build, silent)
    assert store.get("light", RECIPE, build, silent) == first == store.find("light", RECIPE)
    assert build.calls == 1
    assert first.packages == ("linux=1",)
    assert first.kernel_release == "6.1.0-50-arm64"
    place = store.place("light", RECIPE)
    assert (place / "boot/kernel8.img").exists()
    assert sorted(path.name for path in store.folder.iterdir()) == ["build.lock", "debs", place.name]


def test_nothing_is_found_before_a_build_and_looking_leaves_nothing(store: Store, tmp_path: Path) -> None:
    assert store.find("light", RECIPE) is None
    assert list(tmp_path.iterdir()) == []


def test_the_key_tells_kind_recipe_and_versions_apart() -> None:
    keys = {
        set_key("light", RECIPE, ["a=1", "b=2"]),
        set_key("debian", RECIPE, ["a=1", "b=2"]),
        set_key("light", OTHER, ["a=1", "b=2"]),
        set_key("light", RECIPE, ["a=1", "b=3"]),
    }
    assert len(keys) == 4
    assert set_key("light", RECIPE, ["b=2", "a=1"]) in keys  # the order in which apt names them means nothing


def break_kernel(place: Path) -> None:
    (place / "boot/kernel8.img").write_bytes(b"KERNEL" * 100)  # as long as it was


def lose_boot_file(place: Path) -> None:
    (place / "boot/overlays/disable-bt.dtbo").unlink()


def add_boot_file(place: Path) -> None:
    (place / "boot/config.txt").write_text("")


def lose_root_file(place: Path) -> None:
    (place / "root/sbin").unlink()


def cut_root_file(place: Path) -> None:
    (place / "root/etc/hostname").write_text("")


def lose_root(place: Path) -> None:
    (place / "root").rename(place / "elsewhere")


def lose_manifest(place: Path) -> None:
    (place / "manifest.json").unlink()


def cut_manifest(place: Path) -> None:
    text = (place / "manifest.json").read_text()
    (place / "manifest.json").write_text(text[: len(text) // 2])


def change_versions(place: Path) -> None:
    data = json.loads((place / "manifest.json").read_text())
    (place / "manifest.json").write_text(json.dumps({**data, "packages": ["linux=2"]}))


@pytest.mark.parametrize(
    "damage",
    [
        break_kernel,
        lose_boot_file,
        add_boot_file,
        lose_root_file,
        cut_root_file,
        lose_root,
        lose_manifest,
        cut_manifest,
        change_versions,
    ],
)
def test_a_broken_set_is_noticed_said_and_built_again(store: Store, damage: Callable[[Path], None]) -> None:
    build, lines = FakeBuild(), list[str]()
    first = store.get("light", RECIPE, build, silent)
    place = store.place("light", RECIPE)
    damage(place)
    assert store.find("light", RECIPE) is None
    again = store.get("light", RECIPE, build, lines.append)
    assert build.calls == 2
    assert (again.key, again.boot) == (first.key, first.boot)
    assert store.find("light", RECIPE) is not None
    assert not (place / "elsewhere").exists()
    assert any("broken" in line for line in lines)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "7",
        '"x"',
        "{}",
        '{"schema": 1}',
        '{"schema": 9}',
        '{"schema": 1, "boot": []}',
        "\udcff",
        "[" * 9999,
    ],
)
def test_a_hostile_manifest_is_no_manifest(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert read_manifest(tmp_path) is None


def test_a_failed_build_leaves_nothing_and_passes_its_error_on(store: Store) -> None:
    def fail(builder: Builder) -> Made:
        lay_out(builder)
        raise InfraError("the mirror is away")

    with pytest.raises(InfraError, match="the mirror is away"):
        store.get("light", RECIPE, fail, silent)
    assert [path.name for path in store.folder.iterdir() if path.name not in ("build.lock", "debs")] == []
    assert store.get("light", RECIPE, FakeBuild(), silent)  # and the lock is free again


def test_a_full_disk_says_what_to_do(store: Store) -> None:
    def full(builder: Builder) -> Made:
        raise OSError(28, "No space left on device", str(builder.folder / "boot/kernel8.img"))

    with pytest.raises(InfraError, match="No space left") as caught:
        store.get("light", RECIPE, full, silent)
    assert "PIBOOT_CACHE" in caught.value.remedy
    assert caught.value.place.endswith("kernel8.img")


def test_what_a_killed_build_left_is_removed_by_the_next(store: Store) -> None:
    left = store.folder / ".build-debian-x1y2"
    (left / "root/etc").mkdir(parents=True)
    (left / "root/etc/passwd").write_text("root")
    lines: list[str] = []
    store.get("light", RECIPE, FakeBuild(), lines.append)
    assert not left.exists()
    assert any(".build-debian-x1y2" in line for line in lines)


def test_progress_names_steps_with_seconds(store: Store) -> None:
    lines: list[str] = []
    manifest = store.get("light", RECIPE, FakeBuild(), lines.append)
    assert lines[0] == "[   0 s] laying out"
    assert set(manifest.steps) == {"laying out", "checking and keeping"}


def age(place: Path, seconds: float) -> None:
    when = time.time() - seconds
    os.utime(place, (when, when))


def test_old_sets_go_but_the_one_before_and_those_in_use_stay(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    recipes = [f"{number:064x}"[::-1] for number in range(1, 6)]
    for recipe in recipes:
        store.get("light", recipe, FakeBuild(), silent)
    for number, recipe in enumerate(recipes):
        age(store.place("light", recipe), 90000 - number * 1000)
    store.get("debian", recipes[0], FakeBuild(), silent)
    age(store.place("debian", recipes[0]), 99999)
    age(store.place("light", recipes[2]), 10)  # used a moment ago
    in_use = store.place("light", recipes[0])
    monkeypatch.setattr(cache_module, "mounted", lambda folder: folder == in_use)
    lines: list[str] = []
    store.get("light", RECIPE, FakeBuild(), lines.append)
    left = {path.name for path in store.folder.glob("light-*")}
    # the current one; the newest of the others; the one mounted
    assert left == {store.place("light", recipe).name for recipe in (RECIPE, recipes[2], recipes[0])}
    assert store.find("debian", recipes[0]) is not None  # another kind is not touched
    assert any("older recipe" in line for line in lines)


def test_using_a_set_makes_it_new(store: Store) -> None:
    store.get("light", RECIPE, FakeBuild(), silent)
    age(store.place("light", RECIPE), 90000)
    assert store.find("light", RECIPE)
    assert time.time() - store.place("light", RECIPE).stat().st_mtime < 1000


def test_a_mounted_folder_is_seen(tmp_path: Path) -> None:
    assert mounted(Path("/proc/self")) is False
    assert mounted(tmp_path / "images/light-1") is False
    assert mounted(Path("/proc")) is True


def test_root_counts_links_and_folders_but_follows_none(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/file").write_bytes(b"12345")
    (tmp_path / "up").symlink_to("/usr")
    (tmp_path / "gone").symlink_to("nowhere")
    assert measure_root(tmp_path) == (5, 5)


BUILD_IN_CHILD = """
import sys
from pathlib import Path
from harness.images.cache import Made, Store
from tests.images.samples import lay_out

def build(builder):
    print("building", flush=True)
    assert sys.stdin.readline() == "go on\\n"
    lay_out(builder)
    return Made("release", ("linux=1",))

store = Store(Path(sys.argv[1]))
print(store.get("light", sys.argv[2], build, print).key, flush=True)
"""


def child(store: Store) -> subprocess.Popen[str]:
    argv = [sys.executable, "-c", BUILD_IN_CHILD, str(store.folder.parent), RECIPE]
    pipe = subprocess.PIPE
    return subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True, cwd=Path(__file__).parents[2])


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.gear
def test_two_processes_build_once_and_the_waiting_one_takes_it(store: Store) -> None:
    with child(store) as first, child(store) as second:
        lines = {process: said(process) for process in (first, second)}
        assert sorted(lines.values()) == ["another process is building; waiting for it", "building"]
        builds = next(process for process, line in lines.items() if line == "building")
        assert builds.stdin is not None
        builds.stdin.write("go on\n")
        builds.stdin.flush()
        keys = {said(first).split()[-1], said(second).split()[-1]}
        # The builder says one more step before the key.
        keys.discard("keeping")
        keys.add(said(builds))
        assert keys == {set_key("light", RECIPE, ["linux=1"])}


@pytest.mark.gear
def test_a_builder_that_hangs_is_not_waited_for_for_ever(store: Store) -> None:
    with child(store) as hanging:
        assert said(hanging) == "building"
        lines: list[str] = []
        with pytest.raises(InfraError, match="another process has been building") as caught:
            store.get("light", RECIPE, FakeBuild(), lines.append, wait=0.2)
        assert caught.value.place.endswith("build.lock")
        assert lines == ["another process is building; waiting for it"]
        hanging.kill()


def test_a_killed_builder_leaves_no_lock_and_half_of_nothing(store: Store) -> None:
    with child(store) as killed:
        assert said(killed) == "building"
        assert list(store.folder.glob(".build-*"))
        killed.kill()
    build = FakeBuild()
    assert store.find("light", RECIPE) is None
    assert store.get("light", RECIPE, build, silent, wait=5)
    assert build.calls == 1
    assert not list(store.folder.glob(".build-*"))
