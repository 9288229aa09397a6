# SPDX-License-Identifier: GPL-2.0-or-later
"""Where leases lie: made for everybody, and nothing that another user put there is followed, waited for or written through."""

import os
import stat
from pathlib import Path

import pytest

from harness.errors import InfraError
from harness.sharing import folder
from harness.sharing.folder import LeaseFolder, default_folder
from harness.sharing.holder import Holder
from harness.sharing.lease import Lease, Locks


def take(path: Path) -> Lease:
    taken = Locks(LeaseFolder(path)).take("a", Holder.myself("a"))
    assert isinstance(taken, Lease)
    return taken


def test_it_is_made_as_tmp_is_and_its_files_are_for_all(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        lease = take(tmp_path / "new" / "locks")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new/locks").stat().st_mode) == 0o1777
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "new/locks").iterdir()} == {0o666}
    lease.give_back()


@pytest.mark.parametrize(("mode", "files"), [(0o2770, 0o660), (0o700, 0o600)])
def test_a_folder_for_a_group_or_one_user_stays_so(tmp_path: Path, mode: int, files: int) -> None:
    tmp_path.chmod(mode)
    take(tmp_path).give_back()
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {files}


def test_where_everybody_may_remove_everything_no_lock_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "_MAKING", 0.0)
    tmp_path.chmod(0o777)
    with pytest.raises(InfraError, match="everybody may remove others' files there"):
        take(tmp_path)


def test_a_link_in_the_folder_s_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "locks").symlink_to(tmp_path / "real")
    with pytest.raises(InfraError, match="the lab's locks cannot be kept"):
        take(tmp_path / "locks")
    assert not list((tmp_path / "real").iterdir())


@pytest.mark.parametrize("name", ["a.lease", "a.gate"])
@pytest.mark.parametrize("trick", ["link", "second name", "fifo", "folder"])
def test_no_trick_with_a_file_is_fallen_for(tmp_path: Path, name: str, trick: str) -> None:
    locks, victim = tmp_path / "locks", tmp_path / "victim"
    locks.mkdir(mode=0o700)
    victim.write_text("precious")
    match trick:
        case "link":
            (locks / name).symlink_to(victim)
        case "second name":
            (locks / name).hardlink_to(victim)
        case "fifo":
            os.mkfifo(locks / name)
        case "folder":
            (locks / name).mkdir()
    with pytest.raises(InfraError) as caught:
        take(locks)
    assert name in str(caught.value)
    assert victim.read_text() == "precious"


def test_the_default_is_one_for_all_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("PIBOOT_LOCKS", raising=False)
    shared, other = tmp_path / "lock", tmp_path / "var"
    monkeypatch.setattr(folder, "_SHARED", (shared, other))
    assert default_folder() == other / "piboot-locks"
    shared.mkdir()
    shared.chmod(0o755)
    assert default_folder() == other / "piboot-locks"
    shared.chmod(0o1777)
    assert default_folder() == shared / "piboot"
    monkeypatch.setenv("PIBOOT_LOCKS", "/srv/locks")
    assert default_folder() == Path("/srv/locks")
