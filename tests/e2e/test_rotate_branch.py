"""rotate.sh where its branch is on the server already: one that waits is gone on with, one that is done with goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.rotation import OLD, commit, created_on, git, new_pod, rotate, shard_of, write_sealed
from tests.support import NIGHT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.cli import Person
    from tests.emulators.fake_service import FakeService

BRANCH = "ksecret/rotate"


@pytest.fixture
def pod(tmp_path: Path, service: FakeService) -> Person:
    """Four sealed files, two of them old, on a branch that a run has left."""
    person = new_pod(tmp_path, service, 4)
    assert rotate(person).returncode == 0
    return person


def push(pod: Person, branch: str) -> None:
    git(pod, "push", "-q", "origin", f"HEAD:refs/heads/{branch}")


def branches(pod: Person) -> list[str]:
    listed = git(pod, "ls-remote", "--heads", "origin").splitlines()
    return [line.partition("refs/heads/")[2] for line in listed]


def subjects(pod: Person) -> list[str]:
    git(pod, "fetch", "-q", "origin", BRANCH)
    return git(pod, "log", "--no-merges", "--format=%s", "main..FETCH_HEAD").splitlines()


def grown_old(pod: Person, service: FakeService, number: int) -> None:
    """One more old file comes to main."""
    git(pod, "checkout", "-q", "main")
    write_sealed(pod, service, number, OLD)
    commit(pod, f"Add {number}")
    push(pod, "main")


def test_one_that_waits_is_gone_on_with_and_nobodys_commit_is_lost(pod: Person, service: FakeService) -> None:
    git(pod, "fetch", "-q", "origin", BRANCH)
    git(pod, "checkout", "-q", "FETCH_HEAD")
    pod.write("NOTES", b"looked at\n")
    commit(pod, "A note")
    push(pod, BRANCH)
    asked = len(service.seen)
    grown_old(pod, service, 5)
    assert rotate(pod).returncode == 0
    ours = "Rotate data keys of sealed Secrets, shard 0 of 1"
    assert subjects(pod) == [ours, "A note", ours]
    assert len(service.seen) == asked + 1  # what was rotated last week is not again
    assert created_on(pod, "main").count(OLD) == 3
    assert OLD not in created_on(pod, BRANCH)


@pytest.mark.parametrize("how", [["merge", "-q", "--no-ff", "--no-edit"], ["merge", "-q", "--squash"]])
@pytest.mark.parametrize("more", [False, True])
def test_one_that_was_merged_goes_or_is_begun_anew(
    pod: Person, service: FakeService, how: list[str], more: bool
) -> None:
    git(pod, "fetch", "-q", "origin", BRANCH)
    git(pod, "-c", "user.name=a", "-c", "user.email=a@example", *how, "FETCH_HEAD")
    git(pod, "-c", "user.name=a", "-c", "user.email=a@example", "commit", "-q", "--allow-empty", "-mMerge")
    push(pod, "main")
    if more:
        grown_old(pod, service, 5)
    done = rotate(pod)
    assert done.returncode == 0, done.stderr
    assert branches(pod) == ([BRANCH, "main"] if more else ["main"])
    if more:
        assert subjects(pod) == ["Rotate data keys of sealed Secrets, shard 0 of 1"]
        assert git(pod, "diff", "--name-only", "main", "FETCH_HEAD") == "k8s/5.yaml\n"


def test_where_main_changed_the_same_file_it_is_begun_anew_and_no_lines_are_put_together(
    pod: Person, service: FakeService
) -> None:
    write_sealed(pod, service, 1, OLD)  # other tokens in every line, as after `set`
    pod.write(".gitattributes", b"*.yaml merge=ksecret\n")
    commit(pod, "Change 1")
    push(pod, "main")
    done = rotate(pod)
    assert done.returncode == 0, done.stderr
    assert "begun anew" in done.stderr
    assert subjects(pod) == ["Rotate data keys of sealed Secrets, shard 0 of 1"]
    assert OLD not in created_on(pod, BRANCH)
    assert git(pod, "merge-base", "--is-ancestor", "main", "FETCH_HEAD") == ""


def test_a_pod_that_is_not_first_tries_on_for_as_long_as_others_get_on(pod: Person, service: FakeService) -> None:
    """25 of a hundred pods are before it at night, which have seen less of main than it has."""
    before = 25 if NIGHT else 1
    grown_old(pod, service, 5)
    (pod.home / "bin").mkdir()
    (pod.home / f"{before}").touch()
    origin = f"git --git-dir={pod.work.parent}/origin.git -c user.name=a -c user.email=ksecret@localhost"
    first = f"""\
PATH=${{PATH#*:}}
if [ "$1" = push ] && n=$(ls {pod.home} | grep '^[0-9]*$') && [ "$n" -gt 0 ]; then
  mv {pod.home}/$n {pod.home}/$((n - 1))
  {origin} update-ref refs/heads/{BRANCH} "$({origin} commit-tree -m other -p {BRANCH} {BRANCH}^{{tree}})"
fi
exec git "$@"
"""
    for name, text in (("git", first), ("sleep", "")):
        (pod.home / "bin" / name).write_text(f"#!/bin/sh\n{text}")
        (pod.home / "bin" / name).chmod(0o755)
    path = f"{pod.home}/bin:{pod.environ['PATH']}"
    done = rotate(pod, PATH=path, SHARDS="100", JOB_COMPLETION_INDEX=str(shard_of("k8s/5.yaml", 100)))
    assert done.returncode == 0, done.stderr
    assert (pod.home / "0").exists()
    assert subjects(pod).count("other") == before


def test_somebody_elses_commits_are_never_thrown_away(pod: Person, service: FakeService) -> None:
    git(pod, "fetch", "-q", "origin", BRANCH)
    git(pod, "checkout", "-q", "FETCH_HEAD")
    pod.write("NOTES", b"looked at\n")
    commit(pod, "A note")
    push(pod, BRANCH)
    git(pod, "checkout", "-q", "main")
    write_sealed(pod, service, 1, OLD)
    commit(pod, "Change 1")
    push(pod, "main")
    done = rotate(pod)
    assert done.returncode == 1
    assert f"{BRANCH} has commits of others and conflicts with main" in done.stderr
    assert "A note" in subjects(pod)
