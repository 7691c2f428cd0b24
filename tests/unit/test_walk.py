"""Which files a walk takes in a Git work tree: what the real git tracks or would add, wherever somebody hides it."""

from __future__ import annotations

import os
import subprocess
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from secretsvc.files import workspace
from secretsvc.files.walk import Walk, names_in

if TYPE_CHECKING:
    from pathlib import Path

ENVIRON = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    **{f"GIT_{who}_{what}": "x@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}


def git(folder: Path, *words: str) -> str:
    environ = os.environ | ENVIRON
    done = subprocess.run(["git", *words], cwd=folder, env=environ, check=True, capture_output=True, text=True)
    return done.stdout


def write(folder: Path, *names: str, text: str = "kind: Secret\n") -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def found(folder: Path | str, *, ignoring: bool = True) -> tuple[list[str], list[str]]:
    """Paths relative to the folder, and warnings."""
    warnings: list[str] = []
    items = workspace.discover([str(folder)], recursive=True, warn=warnings.append, ignoring=ignoring)
    return [os.path.relpath(item.path, folder) for item in items], warnings


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    return folder


def test_what_is_tracked_counts_though_it_is_ignored(repository: Path) -> None:
    write(repository, "secrets/db.yaml", "secrets/local.yaml", "a.yaml")
    write(repository, ".gitignore", text="secrets/\n")
    git(repository, "add", "-f", "secrets/db.yaml")
    assert found(repository) == (["a.yaml", "secrets/db.yaml"], [])
    assert found(repository / "secrets") == (["db.yaml", "local.yaml"], []), "it was named"
    git(repository, "rm", "-q", "--cached", "secrets/db.yaml")
    assert found(repository) == (["a.yaml"], [])


@pytest.mark.parametrize(
    "allowed", ["*\n!*/\n!*.yaml\n", "deploy/**\n!deploy/prod/\n!deploy/prod/a.yaml\n", "/*\n!/deploy\n!/b.yaml\n"]
)
def test_lists_of_what_is_allowed_are_read_as_git_reads_them(repository: Path, allowed: str) -> None:
    write(repository, "deploy/prod/a.yaml", "b.yaml")
    write(repository, ".gitignore", text=allowed)
    assert found(repository) == (["b.yaml", "deploy/prod/a.yaml"], [])


def test_a_folders_own_files_come_before_its_subfolders_by_name(repository: Path) -> None:
    names = ["b.yaml", "a.yml", "c.json", "z/a.yaml", "d/z.yaml", "d/e/f.yaml", "d.yaml", "d-e/x.yaml", "é\n.yaml"]
    write(repository, *names, "readme.md")
    ordered = ["a.yml", "b.yaml", "c.json", "d.yaml", "é\n.yaml", "d/z.yaml", "d/e/f.yaml", "d-e/x.yaml", "z/a.yaml"]
    assert found(repository)[0] == ordered
    (repository / ".git").rename(repository / "x")
    assert found(repository)[0] == ordered, "without Git it is the same"


def test_a_walk_through_a_repository_keeps_little_of_a_file(repository: Path) -> None:
    """What a pod of a rotation has for a million files: half a gigabyte."""
    names = [f"team-{number % 7}/app-{number % 97}/secret-{number}.yaml" for number in range(10_000)]
    listed = "".join(f"100644 {'1' * 40}\t{name}\n" for name in names)
    subprocess.run(["git", "update-index", "--index-info"], cwd=repository, check=True, text=True, input=listed)
    tracemalloc.start()
    try:
        count = sum(1 for _ in names_in(str(repository), Walk(lambda _: None)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == len(names)
    assert peak / count < 300  # bytes


def test_what_is_tracked_and_gone_or_no_file_is_passed_over(repository: Path) -> None:
    write(repository, "gone.yaml", "folder.yaml", "a.yaml", "sparse/b.yaml", "kept/c.yaml")
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "x")
    (repository / "gone.yaml").unlink()
    (repository / "folder.yaml").unlink()
    write(repository, "folder.yaml/inner.yaml")
    git(repository, "sparse-checkout", "set", "kept")
    write(repository, "sparse/b.yaml")
    expected = ["a.yaml", "folder.yaml/inner.yaml", "kept/c.yaml", "sparse/b.yaml"]
    assert found(repository)[0] == expected, "also where the index says that it is not checked out"


def test_a_file_that_a_merge_left_open_comes_once(repository: Path) -> None:
    for branch, text in (("main", "0"), ("other", "1"), ("main", "2")):
        git(repository, "checkout", "-q", *(["-B", branch] if text == "1" else ["--orphan", "main"] * (text == "0")))
        if text == "2":
            git(repository, "checkout", "-q", "main")
        write(repository, "a.yaml", text=text)
        git(repository, "add", ".")
        git(repository, "commit", "-qm", "x")
    with pytest.raises(subprocess.CalledProcessError, match="merge"):
        git(repository, "merge", "-q", "other")
    assert len(git(repository, "ls-files", "a.yaml").splitlines()) == 3
    assert found(repository)[0] == ["a.yaml"]


def test_repositories_inside_are_entered_by_their_own_rules(repository: Path, tmp_path: Path) -> None:
    write(repository, "a.yaml")
    for inner in ("vendor/one", "two"):
        write(repository / inner, "kept.yaml", "ignored.yaml", "forced.yaml")
        write(repository / inner, ".gitignore", text="ignored.yaml\nforced.yaml\n")
        git(repository / inner, "init", "-q")
        git(repository / inner, "add", "-f", "forced.yaml")
        git(repository / inner, "commit", "-qm", "x")
    git(repository, "add", "two", "a.yaml")  # a submodule, as far as the index tells
    write(repository, "three/.keep")
    (repository / "three" / ".keep").unlink()
    git(repository, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},three")  # one that is not there
    inside = [f"{inner}/{name}" for inner in ("two", "vendor/one") for name in ("forced.yaml", "kept.yaml")]
    assert found(repository) == (["a.yaml", *inside], [])
    write(repository, "three/b.yaml")
    assert found(repository) == (["a.yaml", "three/b.yaml", *inside], [])


def test_a_submodule_whose_git_folder_is_gone_says_nothing_about_the_rest(repository: Path) -> None:
    write(repository, "secrets/db.yaml", "two/a.yaml", "two/local.yaml")
    write(repository, ".gitignore", text="secrets/\n")
    write(repository, "two/.gitignore", text="local.yaml\n")
    git(repository / "two", "init", "-q")
    git(repository / "two", "add", "a.yaml")
    git(repository / "two", "commit", "-q", "-m", "x")
    git(repository, "add", "-f", "two", "secrets")
    (repository / "two/.git").rename(repository.parent / "gone")
    write(repository, "two/.git", text="gitdir: ../.git/modules/two\n")
    paths, (warning,) = found(repository)
    assert paths == ["secrets/db.yaml", "two/a.yaml"]
    assert "two: git takes it for no repository" in warning
    assert found(repository, ignoring=False)[0] == ["secrets/db.yaml", "two/a.yaml", "two/local.yaml"]


def test_files_behind_a_link_that_took_a_folders_place_are_passed_over(repository: Path, tmp_path: Path) -> None:
    write(repository, "d/a.yaml", "b.yaml")
    write(tmp_path / "out", "a.yaml", "c.yaml")
    git(repository, "add", ".")
    (repository / "d" / "a.yaml").unlink()
    (repository / "d").rmdir()
    (repository / "d").symlink_to(tmp_path / "out")
    (repository / "link.yaml").symlink_to(tmp_path / "out" / "c.yaml")
    (repository / "within.yaml").symlink_to("b.yaml")
    assert found(repository)[0] == ["b.yaml", "within.yaml"]
    assert found(repository / "d")[0] == ["a.yaml", "c.yaml"], "it was named"


def test_variables_that_git_sets_for_hooks_do_not_lead_elsewhere(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(repository, "a.yaml")
    write(repository, ".gitignore", text="a.yaml\n")
    git(repository, "add", "-f", "a.yaml")
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q")
    for name, value in {
        "GIT_DIR": ".git",
        "GIT_WORK_TREE": ".",
        "GIT_INDEX_FILE": ".git/index",
        "GIT_PREFIX": "",
    }.items():
        monkeypatch.setenv(name, str(other / value))
    assert found(repository) == (["a.yaml"], [])


def test_what_only_looks_like_a_repository_is_not_asked(repository: Path) -> None:
    """A folder that is committed may hold HEAD, objects, refs and a config: a bare repository in Git's eyes."""
    deploy = repository / "deploy"
    write(deploy, "a.yaml", "HEAD", text="ref: refs/heads/main\n")
    write(deploy, "config", text=f"[core]\n\trepositoryformatversion = 0\n\tbare = false\n\tworktree = {deploy}\n")
    for name in ("objects", "refs"):
        (deploy / name).mkdir()
    write(deploy, "info/exclude", text="*\n")
    names, warnings = found(deploy)
    assert names == ["a.yaml"]
    assert len(warnings) <= 1


def test_no_program_of_the_repositorys_configuration_runs(repository: Path) -> None:
    write(repository, "a.yaml", "sub/b.yaml", "sub/.gitignore")
    program = repository / "program"
    program.write_text(f"#!/bin/sh\ntouch {repository}/ran\n")
    program.chmod(0o755)
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "x")
    blob = git(repository, "rev-parse", "HEAD:sub/.gitignore").strip()
    git(repository, "config", "core.fsmonitor", str(program))
    assert found(repository)[0] == ["a.yaml", "sub/b.yaml"]
    assert not (repository / "ran").exists()
    # A partial clone whose .gitignore is not checked out: Git asks the remote for it, by a program that it names.
    for name, value in {"promisor": "true", "url": str(repository), "uploadpack": str(program)}.items():
        git(repository, "config", f"remote.origin.{name}", value)
    git(repository, "config", "extensions.partialClone", "origin")
    git(repository, "config", "core.repositoryFormatVersion", "1")
    git(repository, "config", "--unset", "core.fsmonitor")
    git(repository, "update-index", "--skip-worktree", "sub/.gitignore")
    (repository / "sub" / ".gitignore").unlink()
    (repository / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    write(repository, "sub/new.yaml")
    assert found(repository)[0] == ["a.yaml", "sub/b.yaml", "sub/new.yaml"]
    assert not (repository / "ran").exists()


def test_without_git_the_ignore_files_are_read_and_a_gate_takes_all(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(repository, "a.yaml", "b.yaml")
    write(repository, ".gitignore", text="a.yaml\n")
    git(repository, "add", "-f", "a.yaml")
    monkeypatch.setenv("PATH", str(repository))
    names, warnings = found(repository)
    assert names == ["b.yaml"]
    assert warnings == [f"{repository}: git is not on the PATH"]
    assert found(repository, ignoring=False)[0] == ["a.yaml", "b.yaml"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a repository away")
def test_a_repository_of_another_user_is_told_of(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SUDO_UID", raising=False)
    write(repository, "a.yaml", "b.yaml")
    write(repository, ".gitignore", text="a.yaml\n")
    git(repository, "add", "-f", "a.yaml")
    for folder in (repository, repository / ".git"):
        os.chown(folder, 65534, 65534)
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    names, warnings = found(repository)
    assert names == ["b.yaml"]
    assert "another user owns it: git config --global --add safe.directory" in warnings[0]
    assert found(repository, ignoring=False)[0] == ["a.yaml", "b.yaml"]
