"""`ksecret git setup` and `unsetup` in real repositories: what they write, and that they take back just that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.cli import Person
from tests.e2e.git_repository import FILE, Repository

if TYPE_CHECKING:
    from pathlib import Path

DEFAULTS = "".join(f"*secret*.{end} diff=ksecret merge=ksecret\n" for end in ("yaml", "yml", "json"))


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    return Repository(Person(tmp_path), plain=True)


def config(repo: Repository, scope: str = "--local") -> dict[str, str]:
    lines = repo.git("config", scope, "--list").stdout.splitlines()
    return {name: value for name, _, value in (line.partition("=") for line in lines) if "ksecret" in name}


def test_setup_writes_configuration_and_attributes_and_twice_is_as_good_as_once(repo: Repository) -> None:
    before = (repo.me.work / ".git" / "config").read_text()
    for expected in ("3 lines added; commit it", "0 lines added"):
        assert expected in repo.me.ok("git", "setup").out.decode()
        assert config(repo) == {
            "diff.ksecret.textconv": "ksecret git textconv --",
            "diff.ksecret.cachetextconv": "false",
            "merge.ksecret.name": "sealed Secrets, key by key",
            "merge.ksecret.driver": "ksecret git merge -- %O %A %B %P",
        }
        assert (repo.me.work / ".gitattributes").read_text() == DEFAULTS
    repo.me.ok("git", "unsetup")
    assert (repo.me.work / ".git" / "config").read_text() == before
    assert not (repo.me.work / ".gitattributes").exists()


@pytest.mark.parametrize(
    "own",
    [
        b"*.png binary\n",
        b"*.png binary",
        b"*.png binary\r\n\r\n# x diff=ksecret merge=ksecret\n",
        b"*.yaml text diff=ksecret merge=ksecret\n",
    ],
)
def test_the_lines_of_others_stay(repo: Repository, own: bytes) -> None:
    attributes = repo.me.write(".gitattributes", own)
    repo.me.ok("git", "setup")
    assert attributes.read_bytes().startswith(own)
    assert (
        attributes.read_bytes().rstrip() == own + (b"" if own.endswith(b"\n") else b"\n") + DEFAULTS.encode().rstrip()
    )
    assert repo.ok("check-attr", "merge", "diff", "--", "x-secret.yaml").count(": ksecret\n") == 2
    repo.me.ok("git", "unsetup")
    assert attributes.read_bytes() == own


@pytest.mark.parametrize("absent", [True, False])
def test_a_link_to_a_file_outside_is_not_followed_and_nothing_is_set_up(repo: Repository, absent: bool) -> None:
    outside = repo.me.home / ".profile"
    if not absent:
        outside.write_text("# mine\n")
    (repo.me.work / ".gitattributes").symlink_to(outside)
    for action in ("setup", "unsetup"):
        message = repo.me.fails(7, "git", action)
        assert f"not written: the link .gitattributes leads out of the repository, to {outside}" in message
    assert config(repo) == {}
    assert (outside.exists(), absent or outside.read_text()) == ((False, True) if absent else (True, "# mine\n"))


def test_a_link_out_of_a_work_tree_without_a_git_folder_is_not_followed(repo: Repository) -> None:
    (repo.me.work / ".git").rename(repo.me.home / "dot.git")
    (repo.me.work / ".gitattributes").symlink_to(repo.me.home / "new")
    where = {"GIT_DIR": str(repo.me.home / "dot.git"), "GIT_WORK_TREE": str(repo.me.work)}
    assert "leads out of the repository" in repo.me.fails(7, "git", "setup", **where)
    assert not (repo.me.home / "new").exists()


def test_patterns_with_blanks_and_quotes_reach_their_files(repo: Repository) -> None:
    names = ["my file.yaml", 'a"b.yaml', "deploy/x/y.yaml", "#x.yaml"]
    repo.me.ok("git", "setup", "my file.yaml", 'a"b.yaml', "deploy/**/*.yaml", "#x.yaml")
    assert repo.ok("check-attr", "merge", "--", *names).count(": merge: ksecret\n") == 4
    repo.me.ok("git", "unsetup")
    assert not (repo.me.work / ".gitattributes").exists()


def test_it_finds_the_top_of_the_work_tree_and_tells_of_sealed_files_that_are_not_covered(repo: Repository) -> None:
    repo.me.write_sealed("deploy/db.yaml")
    repo.commit()
    ran = repo.me.ok("git", "setup")
    assert ran.err.startswith("ksecret: warning: 1 sealed file not covered, deploy/db.yaml first")
    assert repo.me.ok("git", "setup", "deploy/**/*.yaml").err == ""
    repo.me.work = repo.me.work / "deploy"
    assert "0 lines added" in repo.me.ok("git", "setup").out.decode()
    assert not (repo.me.work / ".gitattributes").exists()


def test_a_cache_of_what_textconv_printed_is_told_of_and_switched_off(repo: Repository) -> None:
    repo.ok("config", "--global", "diff.ksecret.cachetextconv", "true")
    repo.ok("update-ref", "refs/notes/textconv/ksecret", "HEAD")
    err = repo.me.ok("git", "setup").err
    assert "diff.ksecret.cachetextconv was on" in err
    assert "git update-ref -d refs/notes/textconv/ksecret" in err
    repo.ok("update-ref", "-d", "refs/notes/textconv/ksecret")
    repo.set("one", "1")
    assert "<sealed" in repo.ok("diff")
    assert repo.ok("for-each-ref", "refs/notes") == ""
    assert repo.me.ok("git", "setup").err == ""


def test_global_is_for_all_clones_and_leaves_the_attributes_alone(repo: Repository) -> None:
    repo.me.ok("git", "setup", "--global")
    assert len(config(repo, "--global")) == 4
    assert config(repo) == {}
    assert not (repo.me.work / ".gitattributes").exists()
    repo.me.fails(2, "git", "setup", "--global", "*.yaml")
    repo.me.ok("git", "unsetup", "--global")
    assert config(repo, "--global") == {}


def test_without_ksecret_on_the_path_it_says_so(repo: Repository) -> None:
    assert "not on PATH" in repo.me.ok("git", "setup", PATH="/usr/bin:/bin").err


def test_outside_a_work_tree(tmp_path: Path) -> None:
    me = Person(tmp_path)
    assert "no Git work tree" in me.fails(3, "git", "setup", GIT_CEILING_DIRECTORIES=str(tmp_path))
    me.fails(3, "git", "unsetup", GIT_CEILING_DIRECTORIES=str(tmp_path))


def test_without_git(tmp_path: Path) -> None:
    assert "git is not installed" in Person(tmp_path).fails(6, "git", "setup", PATH=str(tmp_path))


@pytest.mark.parametrize(
    "words",
    [
        ["git"],
        ["git", "frob"],
        ["git", "merge", "a"],
        ["git", "textconv"],
        ["git", "setup", "--show"],
        ["git", "unsetup", "x"],
        ["git", "textconv", "--global", FILE],
        ["git", "setup", "a\nb"],
        ["git", "setup", "!x"],
    ],
)
def test_wrong_usage(repo: Repository, words: list[str]) -> None:
    repo.me.fails(2, *words)
    assert not (repo.me.work / ".gitattributes").exists()
