"""Links in a repository: none of them leads an output out of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from secretsvc.errors import FileError
from secretsvc.files import workspace

if TYPE_CHECKING:
    from pathlib import Path


def repository(folder: Path) -> Path:
    """A repository's folder, with one outside beside it."""
    (folder / "outside").mkdir()
    (folder / "outside" / "file").write_bytes(b"old")
    (folder / "repo" / ".git").mkdir(parents=True)
    return folder / "repo"


@pytest.mark.parametrize("private", [True, False])
@pytest.mark.parametrize(
    ("link", "to", "name"),
    [
        ("out.yaml", "../outside/file", "out.yaml"),
        ("out.yaml", "../outside/new", "out.yaml"),
        ("folder", "../outside", "folder/file"),
        ("folder", "../outside", "folder/new"),
    ],
)
def test_no_link_leads_out_of_a_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, link: str, to: str, name: str, private: bool
) -> None:
    repo = repository(tmp_path)
    (repo / link).symlink_to(to)
    monkeypatch.chdir(repo)
    for path in (name, str(repo / name), os.path.join("..", "repo", name)):
        with pytest.raises(FileError, match=f"the link {link} leads out of the repository, to {tmp_path}/outside") as e:
            workspace.create(path, b"new", private=private)
        assert (e.value.file, "name the file that it leads to" in e.value.hint) == (path, True)
    if name.endswith("file") or to.endswith("file"):
        with pytest.raises(FileError, match="leads out of the repository"):
            workspace.replace(workspace.read(name), b"new", private=private)
    assert [path.name for path in (tmp_path / "outside").iterdir()] == ["file"]
    assert (tmp_path / "outside" / "file").read_bytes() == b"old"


def test_a_link_into_another_repository_leads_out_too(tmp_path: Path) -> None:
    repo = repository(tmp_path)
    (tmp_path / "outside" / ".git").mkdir()
    (repo / "folder").symlink_to("../outside")
    with pytest.raises(FileError, match="leads out of the repository"):
        workspace.create(str(repo / "folder" / "new"), b"new", private=False)


def test_links_inside_of_a_repository_and_to_one_are_followed(tmp_path: Path) -> None:
    repo = repository(tmp_path)
    (repo / "real").mkdir()
    (repo / "link").symlink_to("real")
    (tmp_path / "to-repo").symlink_to("repo")
    workspace.create(str(tmp_path / "to-repo" / "link" / "a.yaml"), b"new", private=False)
    assert (repo / "real" / "a.yaml").read_bytes() == b"new"
