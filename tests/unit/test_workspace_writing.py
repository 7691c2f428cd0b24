"""Replacing and creating files: mode, owner, links, locks, and a disk that fails."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from secretsvc.errors import FileError
from secretsvc.files import workspace
from tests.unit.workspace_support import ROOT, as_nobody, needs_root

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o444, 0o755, 0o2664])
def test_the_mode_is_kept(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"old")
    path.chmod(mode)
    workspace.replace(workspace.read(str(path)), b"new")
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert os.listdir(tmp_path) == ["a.yaml"]


@needs_root
def test_the_owner_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"old")
    os.chown(path, 1234, 4321)
    path.chmod(0o4640)
    workspace.replace(workspace.read(str(path)), b"new")
    status = path.stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (1234, 4321, 0o4640)
    workspace.create(str(path), b"newer", private=False)
    status = path.stat()
    assert (status.st_uid, stat.S_IMODE(status.st_mode), path.read_bytes()) == (1234, 0o4640, b"newer")


def own(path: Path) -> tuple[int, int]:
    return path.stat().st_uid, stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("mode", [0o644, 0o666, 0o755, 0o400])
def test_what_is_private_is_its_owners_only_whatever_the_old_file_was(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "a.yaml"
    for write in (
        lambda: workspace.create(str(path), b"new", private=True),
        lambda: workspace.replace(workspace.read(str(path)), b"new", private=True),
    ):
        path.write_bytes(b"old")
        path.chmod(mode)
        write()
        assert (own(path), path.read_bytes()) == ((os.geteuid(), 0o600), b"new")
    assert os.listdir(tmp_path) == ["a.yaml"]


@needs_root
def test_what_is_private_does_not_get_another_group(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"old")
    os.chown(path, 0, 4321)
    workspace.replace(workspace.read(str(path)), b"new", private=True)
    assert path.stat().st_gid == os.getegid()


@needs_root
def test_another_users_file_gets_nothing_private(open_folder: Path) -> None:
    theirs, link = open_folder / "theirs.yaml", open_folder / "link.yaml"
    theirs.write_bytes(b"old")
    theirs.chmod(0o666)
    link.symlink_to("theirs.yaml")
    os.chown(theirs, 1234, 1234)
    for caller in (nullcontext, as_nobody):
        for path in (theirs, link):
            with caller(), pytest.raises(FileError, match="it belongs to another user") as caught:
                workspace.create(str(path), b"new", private=True)
            assert "a file of your own" in caught.value.hint
            assert caught.value.file == str(path)
            with caller(), pytest.raises(FileError, match="it belongs to another user"):
                workspace.replace(workspace.read(str(path)), b"new", private=True)
    assert theirs.read_bytes() == b"old"


@needs_root
def test_nor_does_another_users_pipe(open_folder: Path) -> None:
    pipe = open_folder / "out.yaml"
    os.mkfifo(pipe)
    os.chown(pipe, 1234, 1234)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with pytest.raises(FileError, match="it belongs to another user"):
            workspace.create(str(pipe), b"new", private=True)
        assert os.read(reader, 10) == b""
        os.chown(pipe, 0, 0)
        workspace.create(str(pipe), b"new", private=True)
        assert os.read(reader, 10) == b"new"
    finally:
        os.close(reader)
    workspace.create("/dev/null", b"new", private=True)


@needs_root
def test_another_users_link_does_not_choose_where_something_private_goes(open_folder: Path) -> None:
    mine, link = open_folder / "mine", open_folder / "link.yaml"
    for target in (mine, open_folder / "absent"):
        link.unlink(missing_ok=True)
        link.symlink_to(target)
        os.chown(link, 1234, 1234, follow_symlinks=False)
        mine.write_bytes(b"old")
        with pytest.raises(FileError, match="it belongs to another user"):
            workspace.create(str(link), b"new", private=True)
    assert (mine.read_bytes(), sorted(os.listdir(open_folder))) == (b"old", ["link.yaml", "mine"])


def test_the_umask_is_never_touched() -> None:
    """Another thread that makes a file meanwhile would make it open to all."""
    sources = [path for path in Path(workspace.__file__).parent.rglob("*.py") if "os.umask(" in path.read_text()]
    assert sources == []


def test_of_two_who_replace_a_file_at_once_one_is_told(tmp_path: Path) -> None:
    path, other = tmp_path / "a.yaml", tmp_path / "other"
    path.write_bytes(b"old")
    other.write_bytes(b"other")
    snapshot = workspace.read(str(path))
    with path.open("rb") as held, ThreadPoolExecutor(1) as pool:
        fcntl.flock(held, fcntl.LOCK_EX)
        mine = pool.submit(workspace.replace, snapshot, b"mine")
        time.sleep(0.1)
        assert path.read_bytes() == b"old"
        other.rename(path)
        fcntl.flock(held, fcntl.LOCK_UN)
        with pytest.raises(FileError, match="changed while ksecret worked on it"):
            mine.result()
    assert path.read_bytes() == b"other"


def test_a_lock_that_nobody_lets_go_of_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"old")
    with path.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        workspace.replace(workspace.read(str(path)), b"new")
    assert path.read_bytes() == b"new"


@needs_root
def test_a_file_whose_owner_can_not_be_kept_is_left_alone(open_folder: Path) -> None:
    path = open_folder / "a.yaml"
    path.write_bytes(b"old")
    path.chmod(0o666)
    with as_nobody(), pytest.raises(FileError, match="can't be written: Operation not permitted") as caught:
        workspace.replace(workspace.read(str(path)), b"new")
    assert "its owner and group" in caught.value.hint
    assert path.read_bytes() == b"old"
    assert os.listdir(open_folder) == ["a.yaml"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    target = tmp_path / "there" / "a.yaml"
    target.parent.mkdir()
    target.write_bytes(b"old")
    link, second = tmp_path / "link.yaml", tmp_path / "second.yaml"
    link.symlink_to("there/a.yaml")
    second.symlink_to("link.yaml")
    workspace.replace(workspace.read(str(second)), b"new")
    assert (os.readlink(second), os.readlink(link), target.read_bytes()) == ("link.yaml", "there/a.yaml", b"new")
    workspace.create(str(link), b"newer", private=False)
    assert (os.readlink(link), target.read_bytes()) == ("there/a.yaml", b"newer")
    assert os.listdir(target.parent) == ["a.yaml"]


def changed_in_place(path: Path) -> None:
    path.write_bytes(b"theirs")


def changed_to_the_same_size(path: Path) -> None:
    path.write_bytes(b"OLD")
    os.utime(path, ns=(1, path.stat().st_mtime_ns + 1))


def changed_by_rename(path: Path) -> None:
    status = path.stat()
    other = path.with_name("other")
    other.write_bytes(b"OLD")
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.rename(path)


@pytest.mark.parametrize("change", [changed_in_place, changed_to_the_same_size, changed_by_rename])
def test_a_file_that_changed_meanwhile_is_not_overwritten(tmp_path: Path, change: Callable[[Path], None]) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"old")
    snapshot = workspace.read(str(path))
    change(path)
    theirs = path.read_bytes()
    with pytest.raises(FileError, match="changed while ksecret worked on it; it was left as it is"):
        workspace.replace(snapshot, b"new")
    assert path.read_bytes() == theirs
    assert os.listdir(tmp_path) == ["a.yaml"]


def test_a_file_that_went_meanwhile_is_not_made_again(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"old")
    snapshot = workspace.read(str(path))
    path.unlink()
    with pytest.raises(FileError, match="can't be written: No such file or directory"):
        workspace.replace(snapshot, b"new")
    assert os.listdir(tmp_path) == []


@needs_root
def test_a_folder_without_permission_to_write(open_folder: Path) -> None:
    path = open_folder / "a.yaml"
    path.write_bytes(b"old")
    path.chmod(0o666)
    open_folder.chmod(0o755)
    with as_nobody():
        with pytest.raises(FileError, match="can't be written: Permission denied") as caught:
            workspace.replace(workspace.read(str(path)), b"new")
        with pytest.raises(FileError, match="can't be written: Permission denied"):
            workspace.create(str(open_folder / "b.yaml"), b"new", private=True)
    assert caught.value.file == str(path)
    assert "its folder" in caught.value.hint
    assert path.read_bytes() == b"old"
    assert os.listdir(open_folder) == ["a.yaml"]


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    mounted = ROOT and shutil.which("mount") is not None and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], capture_output=True
    ).returncode == 0  # fmt: skip
    if not mounted:
        pytest.skip("a small disk needs root and leave to mount")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_leaves_everything_as_it_was(tmp_path: Path) -> None:
    with small_disk(tmp_path):
        path = tmp_path / "a.yaml"
        path.write_bytes(b"old")
        with pytest.raises(FileError, match="can't be written: No space left on device"):
            workspace.replace(workspace.read(str(path)), b"x" * 200_000)
        with pytest.raises(FileError, match="can't be written: No space left on device"):
            workspace.create(str(tmp_path / "b.yaml"), b"x" * 200_000, private=False)
        with pytest.raises(FileError, match="can't be written: No space left on device"):
            workspace.create(str(path), b"x" * 200_000, private=True)
        assert path.read_bytes() == b"old"
        assert os.listdir(tmp_path) == ["a.yaml"]


@pytest.mark.parametrize(("private", "mode"), [(True, 0o600), (False, 0o640)])
def test_a_new_file_has_the_mode_that_it_should(tmp_path: Path, private: bool, mode: int) -> None:
    before = os.umask(0o027)
    try:
        workspace.create(str(tmp_path / "new.yaml"), b"new", private=private)
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new.yaml").stat().st_mode) == mode
    assert os.listdir(tmp_path) == ["new.yaml"]


def test_a_new_file_behind_a_link_and_in_no_folder(tmp_path: Path) -> None:
    (tmp_path / "link.yaml").symlink_to("new.yaml")
    workspace.create(str(tmp_path / "link.yaml"), b"new", private=True)
    assert (tmp_path / "new.yaml").read_bytes() == b"new"
    assert (tmp_path / "link.yaml").is_symlink()
    with pytest.raises(FileError, match="can't be written: No such file or directory"):
        workspace.create(str(tmp_path / "absent" / "new.yaml"), b"new", private=True)


def test_a_device_and_a_pipe_are_written_to_and_not_replaced(tmp_path: Path) -> None:
    workspace.create(os.devnull, b"gone", private=True)
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    workspace.create(str(pipe), b"through", private=True)
    assert os.read(reader, 100) == b"through"
    os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    with pytest.raises(FileError, match="can't be written: No space left on device"):
        workspace.create("/dev/full", b"too much", private=True)


def test_a_name_as_long_as_names_can_be(tmp_path: Path) -> None:
    """The temporary file's name beside it is longer still."""
    path = tmp_path / ("x" * 250 + ".yaml")
    path.write_bytes(b"old")
    workspace.replace(workspace.read(str(path)), b"new")
    assert path.read_bytes() == b"new"


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, bytes | None]]:
    """What was handed to the disk, in order: a path, how many files were beside it, and its content."""
    found: list[tuple[str, int, bytes | None]] = []

    def fsync(descriptor: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        found.append((str(path), len(os.listdir(path.parent)), path.read_bytes() if path.is_file() else None))

    monkeypatch.setattr(os, "fsync", fsync)
    return found


def test_a_file_reaches_the_disk_before_it_has_its_name_and_then_its_name_does(
    tmp_path: Path, synced: list[tuple[str, int, bytes | None]]
) -> None:
    """Else a machine that stops may come back with an empty file under the name."""
    folder = tmp_path / "folder"
    folder.mkdir()
    path = folder / "a.yaml"
    path.write_bytes(b"old")
    workspace.replace(workspace.read(str(path)), b"new")
    (temporary, beside, content), (then, _, _) = synced
    assert os.path.basename(temporary).startswith(".ksecret-")
    assert (beside, content) == (2, b"new"), "whole, and the old one still there"
    assert then == str(folder)
    synced.clear()
    workspace.create(str(folder / "b.yaml"), b"new", private=True)
    assert [content for _, _, content in synced] == [b"new", None]
