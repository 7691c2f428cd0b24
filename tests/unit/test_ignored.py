"""What a walk passes over, held against the real git."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from secretsvc.errors import ManifestError
from secretsvc.files import workspace

if TYPE_CHECKING:
    from mmap import mmap
    from pathlib import Path

FILES = [
    *("a.yaml", "b.yaml", "build/a.yaml", "build/keep.yaml", "sub/a.yaml", "sub/b.yaml", "sub/deep/a.yaml"),
    *(
        "sub/deep/b.yaml",
        "sub/deep/c.yaml",
        "other/build/a.yaml",
        "x/y/z.yaml",
        "x/y/w.yaml",
        "é.yaml",
        "private/p.yaml",
    ),
]


def git(folder: Path, *words: str) -> str:
    environ = os.environ | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    return subprocess.run(["git", *words], cwd=folder, env=environ, check=True, capture_output=True, text=True).stdout


def repository(folder: Path, ignores: dict[str, str]) -> None:
    git(folder, "init", "--quiet")
    for name in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("kind: Secret\n")
    for name, text in ignores.items():
        (folder / name).write_text(text)


def found(folder: Path, start: str = ".") -> set[str]:
    paths = (item.path for item in workspace.discover([str(folder / start)], recursive=True))
    return {os.path.relpath(path, folder) for path in paths}


@pytest.mark.parametrize(
    "ignores",
    [
        {},
        {".gitignore": "b.yaml\n"},
        {".gitignore": "/b.yaml\n# a comment\n\nbuild/\n"},
        {".gitignore": "build/\n!build/keep.yaml\n"},
        {".gitignore": "build/*\n!build/keep.yaml\n"},
        {".gitignore": "*.yaml\n!a.yaml\n", "sub/.gitignore": "a.yaml\n!b.yaml\n"},
        {".gitignore": "sub/**/b.yaml\n", "sub/deep/.gitignore": "!b.yaml\n"},
        {".gitignore": "x/*/z.yaml\nsub/deep\n"},
        {".gitignore": "é.yaml\n"},
        {"sub/.gitignore": "/deep/\n"},
        {".git/info/exclude": "private\n", ".gitignore": "!private\n"},
        {".git/info/exclude": "other/\n", ".gitignore": "a.y?ml\n"},
    ],
)
def test_a_walk_passes_over_what_git_ignores(tmp_path: Path, ignores: dict[str, str]) -> None:
    repository(tmp_path, ignores)
    listed = git(tmp_path, "-c", "core.quotePath=false", "ls-files", "-z", "--others", "--exclude-standard")
    expected = {name for name in listed.split("\0") if name.endswith(".yaml")}
    assert found(tmp_path) == expected
    assert found(tmp_path, "sub") == {name for name in expected if name.startswith("sub/")} or "sub/" not in "".join(
        expected
    )


def test_what_is_named_is_worked_on_though_it_is_ignored(tmp_path: Path) -> None:
    repository(tmp_path, {".gitignore": "build/\nb.yaml\n"})
    assert found(tmp_path, "build") == {"build/a.yaml", "build/keep.yaml"}
    (item,) = workspace.discover([str(tmp_path / "b.yaml")], recursive=True)
    assert item.named


def test_gitignore_above_counts_within_one_repository_only(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("*.yaml\n")
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "a.yaml").write_text("kind: Secret\n")
    assert found(inner) == {"a.yaml"}


def test_a_marker_is_found_without_reading_a_file_whole(tmp_path: Path) -> None:
    path = tmp_path / "large.json"
    with path.open("wb") as stream:
        stream.truncate(512 * 1024**2)
    assert workspace.read_if(str(path), holds) is None
    with path.open("r+b") as stream:
        stream.write(b"kind: Secret")
    with pytest.raises(ManifestError, match="larger than 8 MiB"):
        workspace.read_if(str(path), holds)
    with path.open("r+b") as stream:
        stream.truncate(2 * 1024**2)
    snapshot = workspace.read_if(str(path), holds)
    assert snapshot
    assert snapshot.data.startswith(b"kind: Secret\0")
    (tmp_path / "empty").write_bytes(b"")
    assert workspace.read_if(str(tmp_path / "empty"), holds) is None


def holds(data: bytes | mmap) -> bool:
    return data.find(b"Secret") >= 0


def test_a_gitignore_that_is_a_link_or_no_file_says_nothing(tmp_path: Path) -> None:
    """Git follows none (gitignore(5)), and what a repository's link leads to may have no end."""
    repository(tmp_path, {})
    (tmp_path / "rules").write_text("*.yaml\n")
    (tmp_path / ".gitignore").symlink_to("rules")
    (tmp_path / "sub" / ".gitignore").symlink_to("/dev/zero")
    (tmp_path / "other" / ".gitignore").mkdir()
    found = [os.path.relpath(item.path, tmp_path) for item in workspace.discover([str(tmp_path)], recursive=True)]
    assert sorted(found) == sorted(FILES)
    (tmp_path / ".git").rename(tmp_path / "no-git")  # Git itself would wait for a pipe's end
    os.mkfifo(tmp_path / "x" / ".gitignore")
    found = [os.path.relpath(item.path, tmp_path) for item in workspace.discover([str(tmp_path)], recursive=True)]
    assert sorted(found) == sorted(FILES)
