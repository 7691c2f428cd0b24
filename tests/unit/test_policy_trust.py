"""Whose policy counts: those of one's own repository and folders, and nobody else's."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from secretsvc.errors import InputError
from secretsvc.policy.policies import NAME, Policies
from tests.unit.policy_support import FULL, GCP, PGP, keys, repository

__all__ = ["repository"]  # fixtures, for pytest to find here


def test_the_search_ends_at_the_top_of_the_repository(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(FULL)
    inner = tmp_path / "clone"
    (inner / "deep").mkdir(parents=True)
    assert Policies().find(str(inner / "deep" / "a.yaml"))
    (inner / ".git").write_text("gitdir: elsewhere\n")  # as in a submodule or another work tree
    assert Policies().find(str(inner / "deep" / "a.yaml")) is None


def test_a_path_is_taken_where_its_folder_really_is(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (repository / "prod").mkdir()
    elsewhere = repository.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "link").symlink_to(repository / "prod")
    assert keys(elsewhere, "link/a.yaml") == (GCP, PGP)
    monkeypatch.chdir(repository / "prod")
    assert keys(Path(), "a.yaml") == (GCP, PGP)
    policy = Policies().find("a.yaml")
    assert policy
    assert policy.source == f"../{NAME}"


ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="giving a file away takes root")
ANN, BOB = 12345, 12346


def test_a_policy_in_a_folder_for_everybodys_files_counts_there_only(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("no policy at all")
    (tmp_path / "mine").mkdir()
    tmp_path.chmod(0o1777)
    assert Policies().find(str(tmp_path / "mine" / "a.yaml")) is None
    with pytest.raises(InputError, match="a policy is not a mapping"):
        Policies().find(str(tmp_path / "a.yaml"))


@ROOT_ONLY
def test_what_others_put_into_a_folder_that_is_open_to_all_does_not_count(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    (tmp_path / "mine").mkdir()
    (tmp_path / NAME).write_text(FULL)
    assert Policies().find(str(tmp_path / "mine" / "a.yaml"))
    os.chown(tmp_path / NAME, ANN, -1)
    assert Policies().find(str(tmp_path / "mine" / "a.yaml")) is None
    assert Policies().find(str(tmp_path / "a.yaml")) is None
    (tmp_path / "target").write_text(FULL)
    (tmp_path / NAME).unlink()
    (tmp_path / NAME).symlink_to("target")
    os.chown(tmp_path / NAME, ANN, -1, follow_symlinks=False)
    assert Policies().find(str(tmp_path / "a.yaml")) is None, "nor where they have a link lead"


@ROOT_ONLY
@pytest.mark.parametrize("names", [{NAME}, {".git"}, {".git", NAME}])
def test_a_repository_that_others_put_above_ones_own_folders_is_none(tmp_path: Path, names: set[str]) -> None:
    (tmp_path / "mine").mkdir()
    for name in (".git", NAME):
        (tmp_path / name).write_text(FULL)
    assert Policies().find(str(tmp_path / "mine" / "a.yaml"))
    tmp_path.chmod(0o1777)
    for name in names:
        os.chown(tmp_path / name, ANN, -1)
    assert Policies().find(str(tmp_path / "mine" / "a.yaml")) is None


@ROOT_ONLY
def test_outside_of_git_the_search_ends_where_folders_are_not_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SUDO_UID", raising=False)
    deep = tmp_path / "theirs" / "mine" / "deep"
    deep.mkdir(parents=True)
    (tmp_path / "theirs" / NAME).write_text(FULL)
    assert Policies().find(str(deep / "a.yaml"))
    os.chown(tmp_path / "theirs", ANN, -1)
    assert Policies().find(str(deep / "a.yaml")) is None
    assert Policies().find(str(tmp_path / "theirs" / "a.yaml")), "who works in a folder of theirs works with theirs"
    assert Policies().find(str(deep / "not" / "there" / "yet" / "a.yaml")) is None
    for caller, is_own in ((str(ANN), True), (str(BOB), False), ("x", False)):
        monkeypatch.setenv("SUDO_UID", caller)
        assert bool(Policies().find(str(deep / "a.yaml"))) is is_own
    monkeypatch.delenv("SUDO_UID")
    (deep / NAME).write_text(FULL)
    assert Policies().find(str(deep / "not" / "there" / "yet" / "a.yaml"))


@ROOT_ONLY
def test_a_checkout_that_belongs_to_somebody_else_as_a_whole_has_its_policy(repository: Path) -> None:
    """As in a container whose user is not the one who checked out."""
    (repository / "deep" / "er").mkdir(parents=True)
    for folder in (repository, repository / ".git", repository / "deep", repository / "deep" / "er"):
        os.chown(folder, ANN, -1)
    assert Policies().find(str(repository / "deep" / "er" / "a.yaml"))
    os.chown(repository / "deep", BOB, -1)
    assert Policies().find(str(repository / "deep" / "er" / "a.yaml")), "who owns folders on the way plays no part"


@ROOT_ONLY
def test_the_policy_of_another_users_repository_is_not_taken_unless_git_is_told_to_trust_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.delenv("SUDO_UID", raising=False)
    top = tmp_path / "it's theirs"
    (top / "mine" / "deep").mkdir(parents=True)
    subprocess.run(["git", "init", "-q", str(top)], check=True)
    manifest = str(top / "mine" / "deep" / "a.yaml")
    os.chown(top, ANN, -1)
    assert Policies().find(manifest) is None
    (top / NAME).write_text(FULL)
    with pytest.raises(InputError, match="this policy is not taken: its repository belongs to another user") as caught:
        Policies().find(manifest)
    assert caught.value.file == os.path.relpath(top / NAME)
    monkeypatch.setenv("SUDO_UID", str(ANN))
    assert Policies().find(manifest), "by sudo in a repository of one's own, as Git has it"
    monkeypatch.setenv("SUDO_UID", "")
    subprocess.run(["sh", "-c", caught.value.hint.partition(": ")[2]], check=True)
    assert Policies().find(manifest)
