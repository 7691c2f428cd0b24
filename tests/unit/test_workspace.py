"""Finding files and reading them, and working on many in their order."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from secretsvc.cli.main import main
from secretsvc.errors import FileError, ManifestError, UsageError
from secretsvc.files import workspace
from secretsvc.files.workspace import Item
from secretsvc.manifest.reader import MAX_BYTES
from tests.unit.workspace_support import MANIFEST, as_nobody, needs_root

if TYPE_CHECKING:
    from pathlib import Path


def found(*paths: str | Path, recursive: bool = True) -> list[str]:
    return [item.path for item in workspace.discover([str(path) for path in paths], recursive=recursive)]


def make(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(MANIFEST)


@pytest.mark.parametrize("root", [".", "./.", "d", "./d", ".//d", "d/", "d/.", "d/../d", "../here/d", "./-d"])
def test_a_file_has_one_path_in_its_folder_however_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: str
) -> None:
    """Which shard it belongs to is told by that."""
    make(tmp_path / "here", "d/a.yaml", "d/e/b.yaml", "-d/c.yaml")
    monkeypatch.chdir(tmp_path / "here")
    for item in workspace.discover([root, os.path.abspath(root), "d/a.yaml"], recursive=True):
        assert item.path_in_root == (os.path.relpath(item.path, item.root) if item.root else "d/a.yaml")


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


def test_a_file_over_8_mib_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "sparse.yaml"
    with path.open("wb") as stream:
        stream.truncate(MAX_BYTES + 1)
    assert MAX_BYTES == 8 * 1024 * 1024
    with pytest.raises(ManifestError, match="larger than 8 MiB"):
        workspace.read(str(path))
    os.truncate(path, MAX_BYTES)
    assert len(workspace.read(str(path)).data) == MAX_BYTES


def test_the_content_does_not_show_in_a_snapshot(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(MANIFEST)
    assert "text" not in repr(workspace.read(str(path)))


SIGNALLED = """
import os, signal, threading, time
from secretsvc.files.signals import end_tidily
from secretsvc.files.workspace import Item, in_order

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


def test_what_has_not_begun_is_not_begun_where_the_consumer_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[str] = []
    stopped = threading.Event()
    shutdown = ThreadPoolExecutor.shutdown

    def stop(pool: ThreadPoolExecutor, wait: bool = True, *, cancel_futures: bool = False) -> None:
        shutdown(pool, wait=False, cancel_futures=cancel_futures)
        stopped.set()
        shutdown(pool, wait=wait)

    def work(item: Item) -> str:
        begun.append(item.path)
        assert item.path in ("0", "1") or stopped.wait(30)
        return item.path

    monkeypatch.setattr(ThreadPoolExecutor, "shutdown", stop)
    results = workspace.in_order([Item(str(number), True) for number in range(100)], work, lambda: 2)
    assert [next(results), next(results)] == ["0", "1"]
    results.close()  # type: ignore[attr-defined]
    assert len(begun) <= 4, "those two, and what the two threads were at"


def test_a_file_that_can_not_be_looked_at_is_told(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(FileError, match=r"can't be read: Too many levels of symbolic links"):
        workspace.read_if(str(tmp_path / "loop"), lambda data: True)


def test_a_large_file_that_was_emptied_meanwhile_holds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"x" * (workspace._WHOLE + 1))
    before = os.stat(path)
    path.write_bytes(b"")
    with monkeypatch.context() as patched:
        patched.setattr(os, "fstat", lambda _: before)
        found = workspace.read_if(str(path), lambda data: True)
    assert found is None


@needs_root
def test_a_large_file_of_somebody_elses_is_told(open_folder: Path) -> None:
    path = open_folder / "a.yaml"
    path.write_bytes(b"x" * (workspace._WHOLE + 1))
    path.chmod(0o600)
    with as_nobody(), pytest.raises(FileError, match="can't be read: Permission denied"):
        workspace.read_if(str(path), lambda data: True)


def test_a_policy_above_a_file_is_found_and_folders_without_one_are_looked_through_once(tmp_path: Path) -> None:
    (tmp_path / "with" / "deep").mkdir(parents=True)
    (tmp_path / "without").mkdir()
    (tmp_path / "with" / ".ksecret.yml").write_text("")
    above = workspace.Above(*workspace.POLICIES)
    assert above.has(str(tmp_path / "with" / "deep" / "a.yaml"))
    assert above.has(str(tmp_path / "with" / "a.yaml"))
    assert not above.has(str(tmp_path / "without" / "a.yaml"))
    (tmp_path / "without" / ".ksecret.yaml").write_text("")
    assert not above.has(str(tmp_path / "without" / "b.yaml"))  # a run's answer stays
    assert workspace.Above(*workspace.POLICIES).has(str(tmp_path / "without" / "b.yaml"))


def test_a_pipe_that_is_written_piece_by_piece_is_read_to_its_end() -> None:
    reading, writing = os.pipe()

    def write() -> None:
        with open(writing, "wb", buffering=0) as stream:
            for piece in (b"a", b"b" * 100_000, b"c"):
                stream.write(piece)

    thread = threading.Thread(target=write)
    thread.start()
    assert workspace.read(f"/dev/fd/{reading}").data == b"a" + b"b" * 100_000 + b"c"
    thread.join()
    os.close(reading)


@pytest.mark.parametrize("size", [3, 0, 30])
def test_a_file_is_read_to_its_end_where_its_size_is_another_than_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """As it grows, or on a file system that hands it out in pieces."""
    path = tmp_path / "a.yaml"
    path.write_bytes(b"0123456789")
    real = os.fstat

    def said(descriptor: int) -> os.stat_result:
        status = real(descriptor)
        return os.stat_result((*status[:6], size, *status[7:10])) if status.st_size == 10 else status

    monkeypatch.setattr(os, "fstat", said)
    assert workspace.read(str(path)).data == b"0123456789"
