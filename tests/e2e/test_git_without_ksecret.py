"""What Git does for sealed files where `ksecret` is not on PATH, or is and fails: nothing of a side is lost."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.e2e.cli import Person
from tests.e2e.git_repository import FILE, Repository, changed

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ["a b.yaml", "it's.yaml", 'qu"ote.yaml', "new\nline.yaml", "-dash.yaml", "$(touch x).yaml", "%A.yaml", "ü.yaml"]


@pytest.fixture
def bare(tmp_path: Path) -> str:
    """A PATH with all that a machine has, but ksecret."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for program in ("git", "sh", "cat", "grep"):
        (folder / program).symlink_to(str(shutil.which(program)))
    return str(folder)


def broken(bare: str, text: str) -> str:
    """A PATH whose ksecret is that script."""
    script = f"{bare}/ksecret"
    with open(script, "w") as stream:
        stream.write(text)
    os.chmod(script, 0o755)
    return bare


def parted(tmp_path: Path, name: str = FILE) -> Repository:
    """`ours` and `theirs` changed neighbouring values; `ours` is checked out."""
    repo = Repository(Person(tmp_path), name=name)
    repo.on("ours", lambda: repo.set("one", "1"))
    repo.on("theirs", lambda: repo.set("two", "2"))
    repo.ok("checkout", "-q", "ours")
    return repo


def token(repo: Repository, branch: str, key: str) -> str:
    (line,) = [
        line for line in repo.ok("show", f"{branch}:./{repo.name}").splitlines() if line.strip().startswith(f"{key}:")
    ]
    return line


@pytest.mark.parametrize("name", [FILE, *NAMES])
def test_without_ksecret_diffs_show_the_text_and_merges_leave_conflict_markers(
    tmp_path: Path, bare: str, name: str
) -> None:
    repo = parted(tmp_path, name)
    assert f"+{token(repo, 'theirs', 'two')}\n" in repo.ok("log", "-p", "-1", "theirs", PATH=bare)
    done = repo.git("merge", "-q", "theirs", PATH=bare)
    assert done.returncode == 1
    assert "ksecret is not on PATH: merged by lines" in done.stderr
    text = repo.text
    marks = [line[:7] for line in text.splitlines() if line[:7] in ("<<<<<<<", "=======", ">>>>>>>")]
    assert marks == ["<<<<<<<", "=======", ">>>>>>>"]
    for side, key in (("ours", "one"), ("theirs", "two")):
        assert f"{token(repo, side, key)}\n" in text
    assert repo.ok("diff", "--name-only", "--diff-filter=U", "-z") == f"{name}\0"
    assert not (repo.me.work / "x").exists()
    repo.ok("diff", PATH=bare)


def test_without_ksecret_lines_that_are_apart_merge_and_the_merge_is_done(tmp_path: Path, bare: str) -> None:
    repo = Repository(Person(tmp_path))
    repo.on("ours", lambda: repo.replace("app: shop", "app: store"))
    repo.on("theirs", lambda: repo.set("three", "3"))
    repo.ok("checkout", "-q", "ours")
    assert repo.git("merge", "-q", "theirs", PATH=bare).returncode == 0
    assert repo.clear() == changed(three="3").replace("app: shop", "app: store")


def test_without_ksecret_what_is_no_text_keeps_ours_and_is_a_conflict_as_in_git(tmp_path: Path, bare: str) -> None:
    repo = Repository(Person(tmp_path))
    repo.on("ours", lambda: repo.path.write_bytes(b"\0ours"))
    repo.on("theirs", lambda: repo.path.write_bytes(b"\0theirs"))
    repo.ok("checkout", "-q", "ours")
    assert repo.git("merge", "-q", "theirs", PATH=bare).returncode == 1
    assert repo.path.read_bytes() == b"\0ours"
    assert repo.ok("show", f":3:{FILE}") == "\0theirs"


@pytest.mark.parametrize(
    "script",
    [
        "#!/bin/sh\nexit 7\n",
        "#!/bin/sh\nexit 127\n",
        "#!/bin/sh\nkill -9 $$\n",
        "#!/nowhere/python\n",
        "#!/bin/sh\necho Traceback >&2; exit 1\n",
    ],
)
def test_a_ksecret_that_fails_ends_in_a_conflict_that_has_both_sides(tmp_path: Path, bare: str, script: str) -> None:
    repo = parted(tmp_path)
    path = broken(bare, script)
    done = repo.git("merge", "-q", "theirs", PATH=path)
    assert done.returncode == 1
    assert "ksecret failed: merged by lines" in done.stderr
    for side, key in (("ours", "one"), ("theirs", "two")):
        assert f"{token(repo, side, key)}\n" in repo.text
    assert repo.git("diff", "HEAD", PATH=path).returncode == 128, "a diff does not hide that it fails either"


def test_a_ksecret_that_fails_makes_a_conflict_of_lines_that_would_merge_too(tmp_path: Path, bare: str) -> None:
    repo = Repository(Person(tmp_path))
    repo.on("ours", lambda: repo.replace("app: shop", "app: store"))
    repo.on("theirs", lambda: repo.set("three", "3"))
    repo.ok("checkout", "-q", "ours")
    done = repo.git("merge", "-q", "theirs", PATH=broken(bare, "#!/bin/sh\nexit 7\n"))
    assert done.returncode == 1
    assert repo.clear() == changed(three="3").replace("app: shop", "app: store")


def test_what_git_kept_of_a_diff_without_ksecret_says_how_to_be_rid_of_it(tmp_path: Path, bare: str) -> None:
    repo = parted(tmp_path)
    repo.ok("log", "-p", "-1", PATH=bare)
    shown = repo.ok("diff", "HEAD~1", "theirs")
    (command,) = {line.partition("once it is: ")[2] for line in shown.splitlines() if "not on PATH" in line}
    repo.ok(*command.split()[1:])
    shown = repo.ok("diff", "HEAD~1", "theirs")
    assert "ksecret.v1." not in shown
    assert "not on PATH" not in shown
