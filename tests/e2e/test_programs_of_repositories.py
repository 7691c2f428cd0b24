"""Programs that a repository names or brings along: none of them is run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.e2e.cli import BIN, Person
from tests.e2e.git_repository import Repository

if TYPE_CHECKING:
    from pathlib import Path


def spring(me: Person) -> str:
    """A command that leaves a trace, for where a configuration names a program."""
    path = me.home / "spring"
    path.write_text(f"#!/bin/sh\ntouch {me.work.parent}/sprung\n")
    path.chmod(0o755)
    return str(path)


GIT_COMMANDS = (
    ["check"],
    ["check", "--staged"],
    ["check", "--range=HEAD..HEAD"],
    ["git", "setup", "x.yaml"],
    ["git", "unsetup"],
)


def test_a_repository_that_came_with_a_configuration_runs_no_program_of_its(tmp_path: Path, me: Person) -> None:
    """An archive that was unpacked has a `.git/config`, which is its author's."""
    repo, program = Repository(me), spring(me)
    me.write("clear.yaml")
    repo.ok("add", "clear.yaml")
    (me.work / ".git" / "hooks" / "post-index-change").symlink_to(program)
    names = ["core.fsmonitor", "core.pager", "pager.config", "pager.grep", "diff.external", "diff.ksecret.command"]
    names += ["diff.ksecret.textconv", "core.sshCommand", "core.editor", "core.askPass", "credential.helper"]
    names += ["filter.x.clean", "filter.x.smudge", "filter.x.process", "merge.x.driver", "gpg.program", "core.gitProxy"]
    for name in names:
        repo.ok("config", name, program)
    me.write(".gitattributes", b"*.yaml filter=x diff=ksecret merge=x\n")
    for words in GIT_COMMANDS:
        assert me.run(*words).code < 2
    assert not (tmp_path / "sprung").exists()


def test_what_a_partial_clone_lacks_is_not_fetched_by_the_program_that_its_configuration_names(
    tmp_path: Path, me: Person
) -> None:
    repo, program = Repository(me), spring(me)
    repo.ok("update-index", "--add", "--cacheinfo", f"100644,{'1' * 40},gone.yaml")
    for name, value in {
        "core.repositoryFormatVersion": "1",
        "extensions.partialClone": "origin",
        "remote.origin.promisor": "true",
        "remote.origin.url": f"{me.work}/.git",
        "remote.origin.uploadpack": program,
        "core.sshCommand": program,
    }.items():
        repo.ok("config", name, value)
    for url in (f"{me.work}/.git", "ssh://example.org/x", f"ext::{program}"):
        repo.ok("config", "remote.origin.url", url)
        assert "git has not got its staged content" in me.run("check", "--staged").err
    assert not (tmp_path / "sprung").exists()


def test_a_bare_repository_that_was_committed_as_a_folder_is_none(tmp_path: Path, me: Person) -> None:
    repo, program = Repository(me), spring(me)
    bare = me.work / "bare"
    repo.ok("init", "-q", "--bare", str(bare))
    (bare / "config").write_text(f'[core]\nbare = false\nworktree = ..\nfsmonitor = "{program}"\n')
    me.work = bare
    for words in GIT_COMMANDS:
        assert me.run(*words).code in ((0,) if words == ["check"] else (2, 3)), words  # as a folder of files
    (bare / "config").write_text("[core]\nbare = true\n")
    assert "needs a Git repository" in me.fails(2, "check", "--range=HEAD..HEAD"), "of commits of its own"
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("folder", ["", ".", "bin", "./bin", "../work"])
def test_no_program_comes_from_where_one_is_at_work(tmp_path: Path, me: Person, folder: str) -> None:
    me.write_sealed("a.yaml")
    (me.work / "bin").mkdir()
    for name in ("git", "kubectl", "vi", "nano", "ed-it", "docker-credential-mine", "gpg"):
        for place in (me.work, me.work / "bin"):
            (place / name).write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\n")
            (place / name).chmod(0o755)
    path = {"PATH": os.pathsep.join((folder, BIN))}
    config = me.write("config.json", b'{"credsStore": "mine", "auths": {"x": {}}}')
    assert "kubectl: not found" in me.fails(127, "apply", "a.yaml", **path)
    assert "no editor was found" in me.fails(2, "edit", "a.yaml", **path)
    assert "is not found" in me.fails(2, "edit", "a.yaml", EDITOR="ed-it", **path)
    assert "git is not installed" in me.fails(6, "git", "setup", **path)
    assert "git can't be started" in me.fails(7, "check", "--staged", **path)
    assert "mine is not installed" in me.fails(
        7, "create", "docker-registry", "x", f"--from-docker-config={config}", **path
    )
    assert not (tmp_path / "sprung").exists()
