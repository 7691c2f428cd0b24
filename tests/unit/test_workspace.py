"""Files: found in order, read whole, and written whole or not at all."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from secretsvc import workspace
from secretsvc.cli.main import main
from secretsvc.errors import FileError, ManifestError, UsageError
from secretsvc.manifest.reader import MAX_BYTES
from secretsvc.workspace import Item

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOBODY = 65534
ROOT = os.geteuid() == 0
MANIFEST = b"apiVersion: v1\nkind: Secret\nmetadata:\n  name: a\nstringData:\n  a: text\n"
needs_root = pytest.mark.skipif(not ROOT, reason="only root can become somebody else")


@contextmanager
def as_nobody() -> Iterator[None]:
    """Without root's power to pass over permissions."""
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_folder(tmp_path: Path) -> Path:
    """A folder that everybody may reach and write to."""
    for folder in (tmp_path, *tmp_path.parents[:3]):
        if folder.stat().st_uid == os.geteuid():
            folder.chmod(folder.stat().st_mode | 0o055)
    tmp_path.chmod(0o777)
    return tmp_path


def found(*paths: str | Path, recursive: bool = True) -> list[str]:
    return [item.path for item in workspace.discover([str(path) for path in paths], recursive=recursive)]


def make(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(MANIFEST)


def test_named_files_come_as_they_are_named() -> None:
    items = list(workspace.discover(["b.txt", "-", "a.yaml", "b.txt"], recursive=False))
    assert items == [Item("b.txt", True), Item("-", True), Item("a.yaml", True), Item("b.txt", True)]


def test_a_folder_gives_its_manifests_in_the_order_of_names(tmp_path: Path) -> None:
    make(
        tmp_path, "b.yaml", "a.yml", "c.json", "z/a.yaml", "d/z.yaml", "d/e/f.yaml", "readme.md", "d/x.yaml.bak", "yaml"
    )
    items = list(workspace.discover([str(tmp_path)], recursive=True))
    names = [os.path.relpath(item.path, tmp_path) for item in items]
    assert names == ["a.yml", "b.yaml", "c.json", "d/z.yaml", "d/e/f.yaml", "z/a.yaml"]
    assert not any(item.named for item in items)


def test_a_folder_without_r_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="it is a folder") as caught:
        found("a.yaml", tmp_path, recursive=False)
    assert caught.value.file == str(tmp_path)
    assert "-r" in caught.value.hint


def test_git_is_passed_over_at_every_level(tmp_path: Path) -> None:
    make(tmp_path, ".git/a.yaml", "d/.git/b.yaml", ".github/c.yaml", "d/e.yaml")
    assert [os.path.relpath(path, tmp_path) for path in found(tmp_path)] == [".github/c.yaml", "d/e.yaml"]


def test_links_that_lead_out_of_the_tree_are_passed_over(tmp_path: Path) -> None:
    make(tmp_path, "tree/in.yaml", "tree-beside/beside.yaml", "out/out.yaml")
    tree = tmp_path / "tree"
    (tree / "to-in.yaml").symlink_to("in.yaml")
    (tree / "to-out.yaml").symlink_to("../out/out.yaml")
    (tree / "to-beside.yaml").symlink_to(tmp_path / "tree-beside" / "beside.yaml")
    (tree / "to-nothing.yaml").symlink_to("nothing.yaml")
    (tree / "folder").symlink_to("../out")
    (tree / "round").symlink_to(".")
    assert found(tree) == [str(tree / "in.yaml"), str(tree / "to-in.yaml")]
    link = tmp_path / "link"
    link.symlink_to("tree")
    assert found(link) == [str(link / "in.yaml"), str(link / "to-in.yaml")]
    assert found(tree / "to-out.yaml") == [str(tree / "to-out.yaml")]


def test_what_is_no_regular_file_is_passed_over(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "folder.yaml").mkdir()
    assert found(tmp_path) == []


def test_files_that_are_no_manifests_are_not_parsed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "broken.yaml").write_text("a: 'not closed\n\tand a tab")
    (tmp_path / "broken.json").write_bytes(b"\xff\xfe\x00{")
    assert main(["encrypt", "-i", "-r", str(tmp_path)]) == 0
    assert capfd.readouterr().err == "ksecret: 0 sealed, 0 unchanged, 2 skipped, 0 failed\n"


@needs_root
def test_a_folder_that_can_not_be_listed_is_an_error(open_folder: Path) -> None:
    make(open_folder, "a.yaml", "shut/b.yaml", "z.yaml")
    (open_folder / "shut").chmod(0)
    with as_nobody(), pytest.raises(FileError, match="can't be listed: Permission denied") as caught:
        found(open_folder)
    assert caught.value.file == str(open_folder / "shut")


@needs_root
def test_the_rest_goes_on_where_a_folder_can_not_be_listed(
    open_folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Design CLI, "Several files": each is independent; exit code 7 for the folder."""
    make(open_folder, "a.yaml", "shut/b.yaml", "z.yaml")
    (open_folder / "shut").chmod(0)
    assert main(["inspect", "-r", str(open_folder / "a.yaml")]) == 3  # so that everything is imported
    capfd.readouterr()
    with as_nobody():
        code = main(["inspect", "-r", str(open_folder)])
    err = capfd.readouterr().err
    assert code == 7
    assert f"ksecret: {open_folder / 'shut'}: can't be listed: Permission denied\n" in err
    assert err.endswith("ksecret: 0 inspected, 0 unchanged, 2 skipped, 1 failed\n")


def test_reading_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="can't be read: No such file or directory") as caught:
        workspace.read(str(tmp_path / "absent.yaml"))
    assert caught.value.file == str(tmp_path / "absent.yaml")
    with pytest.raises(FileError, match="can't be read: Is a directory"):
        workspace.read(str(tmp_path))


@needs_root
def test_reading_without_permission(open_folder: Path) -> None:
    path = open_folder / "a.yaml"
    path.write_bytes(MANIFEST)
    path.chmod(0o600)
    with as_nobody(), pytest.raises(FileError, match="can't be read: Permission denied"):
        workspace.read(str(path))


def test_a_file_over_64_mib_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "sparse.yaml"
    with path.open("wb") as stream:
        stream.truncate(MAX_BYTES + 1)
    assert MAX_BYTES == 64 * 1024 * 1024
    with pytest.raises(ManifestError, match="larger than 64 MiB"):
        workspace.read(str(path))
    os.truncate(path, MAX_BYTES)
    assert len(workspace.read(str(path)).data) == MAX_BYTES


def test_the_content_does_not_show_in_a_snapshot(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(MANIFEST)
    assert "text" not in repr(workspace.read(str(path)))


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


SIGNALLED = """
import os, signal, threading, time
from secretsvc.signals import end_tidily
from secretsvc.workspace import Item, in_order

def starts(thread, start=threading.Thread.start):
    start(thread)
    os.kill(os.getpid(), signal.SIGTERM)

def work(item):
    time.sleep(0.3 if item.path != "0" else 0)
    print(item.path, flush=True)

end_tidily()
threading.Thread.start = starts
try:
    list(in_order([Item(str(number), True) for number in range(9)], work, lambda: 2))
except SystemExit as end:
    print(end.code, flush=True)
    os._exit(0)
"""


def test_a_thread_that_starts_as_a_signal_arrives_is_waited_for() -> None:
    """It may be about to replace a file, and its temporary one would stay."""
    done = subprocess.run([sys.executable, "-c", SIGNALLED], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["0", "1", "143"]
