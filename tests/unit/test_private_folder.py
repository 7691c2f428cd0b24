"""Folders for clear text: where, for whom, and gone at the end (after signals too: test_cli_edit_terminal.py)."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from secretsvc.errors import FileError
from secretsvc.files import private_folder as module
from secretsvc.files.private_folder import IN_USE, PREFIX, keep, private_folder


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A system without a file system in memory, whose temporary folder is that."""
    monkeypatch.setattr(module, "_in_memory", lambda: [])
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_without_memory_it_stands_on_disk_and_says_so(disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with private_folder(on_disk=True) as folder:
        assert Path(folder.path).parent == disk
        assert stat.S_IMODE(os.stat(folder.path).st_mode) == 0o700
        (Path(folder.path) / "a").mkdir()
    assert capsys.readouterr().err == (
        f"ksecret: no file system in memory was found: the clear text is on disk, in {folder.path}\n"
    )
    assert list(disk.iterdir()) == []


def test_where_a_disk_is_not_allowed_nothing_is_made(disk: Path) -> None:
    with pytest.raises(FileError, match=r"there is no folder in memory \(tmpfs\)"), private_folder(on_disk=False):
        pass
    assert list(disk.iterdir()) == []


def test_one_that_can_not_be_removed_is_told_of(disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with private_folder(on_disk=True) as folder:
        os.rename(folder.path, disk / "away")
        Path(folder.path).symlink_to(disk / "away")  # which rmtree does not follow
    assert f"ksecret: {folder.path}: can't be removed; remove it yourself" in capsys.readouterr().err


def test_it_is_removed_whatever_ends_its_use(disk: Path) -> None:
    with pytest.raises(KeyboardInterrupt, match="now"), private_folder(on_disk=True):
        raise KeyboardInterrupt("now")
    assert list(disk.iterdir()) == []


def test_no_place_at_all(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(disk / "absent"))
    with pytest.raises(FileError, match="no folder for the clear text can be made"), private_folder(on_disk=True):
        pass
    with pytest.raises(FileError, match="what you typed could not be kept"):
        keep("a.yaml", b"text")


def test_only_ones_own_folders_that_nobody_uses_are_swept(disk: Path) -> None:
    stale = disk / f"{PREFIX}stale{IN_USE}"
    stale.mkdir()
    (stale / "a.yaml").write_bytes(b"text")
    other = disk / "other"
    other.mkdir()
    (disk / f"{PREFIX}link{IN_USE}").symlink_to(other)
    with private_folder(on_disk=True) as first, private_folder(on_disk=True) as second:
        assert os.path.isdir(first.path)
        assert os.path.isdir(second.path)
        assert not stale.exists()
    assert sorted(path.name for path in disk.iterdir()) == [f"{PREFIX}link{IN_USE}", "other"]


def test_a_disk_is_not_taken_for_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/proc")
    assert "/proc" not in module._in_memory()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make folders of others")
def test_a_folder_in_which_somebody_else_may_replace_ours_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with private_folder(on_disk=True) as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder.path)
        assert folder.path in module._in_memory()
        os.chown(folder.path, 12345, 12345)
        assert folder.path not in module._in_memory()


def test_what_is_kept_is_its_owners_only(disk: Path) -> None:
    path = Path(keep("a.yaml", b"text"))
    assert path.read_bytes() == b"text"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
