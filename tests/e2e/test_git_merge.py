"""Two people change a sealed file on two branches, and plain `git merge` brings them together. Or does not."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.e2e.cli import MARK, Person, b64, key_refs, member

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


NAMES = ("one", "two", "three", "four", "five")
CLEAR = (
    "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\n  namespace: prod\ndata:\n"
    + "".join(f"  {name}: {b64(f'{name} {MARK}')}\n" for name in NAMES)
    + f'stringData:\n  # connection\n  url: "{MARK}"\n'
)


class Repository:
    """A Git repository with one sealed file on `main`."""

    def __init__(self, me: Person) -> None:
        self.me = me
        config = me.home / "gitconfig"
        config.write_text("[user]\nname = Test\nemail = test@example.com\n[init]\ndefaultBranch = main\n")
        me.environ |= {"GIT_CONFIG_GLOBAL": str(config), "GIT_CONFIG_NOSYSTEM": "1"}
        self.path = me.write_sealed("secret.yaml", CLEAR.encode())
        self.git("init", "-q")
        self.commit()

    def git(self, *words: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(["git", *words], cwd=self.me.work, env=self.me.environ, capture_output=True, text=True)
        assert words[0] == "merge" or done.returncode == 0, done.stderr
        return done

    def commit(self) -> None:
        self.git("add", ".")
        self.git("commit", "-q", "-m", "x")

    def merged(self, ours: Callable[[], object], theirs: Callable[[], object]) -> bool:
        """Makes each change on a branch of its own and merges them; whether Git found no conflict."""
        for branch, change in (("ours", ours), ("theirs", theirs)):
            self.git("checkout", "-q", "-b", branch, "main")
            change()
            self.commit()
        self.git("checkout", "-q", "ours")
        return self.git("merge", "-q", "theirs", "-m", "merged").returncode == 0

    def replace_a_token(self, name: str, new: str) -> None:
        """The clear value in the token's place, then `encrypt -i`."""
        text = self.path.read_text()
        self.path.write_text(text.replace(member(text.encode(), name), new))
        self.me.ok("encrypt", "-i", "secret.yaml")

    def open_edit_and_seal(self, old: str, new: str) -> None:
        """`decrypt -i`, an editor, and `encrypt -i --parent` with the committed file."""
        self.me.write("../committed.yaml", self.git("show", "HEAD:secret.yaml").stdout.encode())
        self.me.ok("decrypt", "-i", "secret.yaml")
        text = self.path.read_text()
        assert old in text
        self.path.write_text(text.replace(old, new))
        self.me.ok("encrypt", "-i", "--parent", "../committed.yaml", "secret.yaml")

    def changed_lines(self) -> list[str]:
        """The first words of lines that HEAD's commit added."""
        diff = self.git("diff", "HEAD~1", "HEAD", "--unified=0").stdout.splitlines()
        return [line[1:].split(":")[0].strip() for line in diff if line.startswith("+") and not line.startswith("+++")]


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(Person(tmp_path))


@pytest.fixture
def ann(tmp_path: Path) -> Person:
    return Person(tmp_path, "ann")


def test_two_changed_values_merge_and_open(repository: Repository) -> None:
    new = {"one": b64(f"ours {MARK}"), "url": f'"theirs {MARK}"'}
    assert repository.merged(
        lambda: repository.replace_a_token("one", new["one"]), lambda: repository.replace_a_token("url", new["url"])
    )
    expected = CLEAR.replace(b64(f"one {MARK}"), new["one"]).replace(f'url: "{MARK}"', f"url: {new['url']}")
    assert repository.me.ok("decrypt", "secret.yaml").out.decode() == expected
    repository.me.ok("verify", "secret.yaml")


def test_two_values_changed_in_an_editor_merge_and_open(repository: Repository) -> None:
    assert repository.merged(
        lambda: repository.open_edit_and_seal(b64(f"one {MARK}"), b64(f"ours {MARK}")),
        lambda: repository.open_edit_and_seal(b64(f"five {MARK}"), b64(f"theirs {MARK}")),
    )
    expected = CLEAR.replace(b64(f"one {MARK}"), b64(f"ours {MARK}")).replace(
        b64(f"five {MARK}"), b64(f"theirs {MARK}")
    )
    assert repository.me.ok("decrypt", "secret.yaml").out.decode() == expected


@pytest.mark.parametrize("way", ["token", "editor"])
def test_one_changed_value_is_one_changed_line(repository: Repository, way: str) -> None:
    if way == "token":
        repository.replace_a_token("three", b64(MARK))
    else:
        repository.open_edit_and_seal(b64(f"three {MARK}"), b64(MARK))
    repository.commit()
    assert repository.changed_lines() == ["three"]


def test_an_added_and_a_removed_entry_merge_with_a_changed_value(repository: Repository) -> None:
    def add() -> None:
        repository.path.write_text(repository.path.read_text().replace("stringData:\n", "stringData:\n  added: text\n"))
        repository.me.ok("encrypt", "-i", "secret.yaml")

    def remove_and_change() -> None:
        text = repository.path.read_text()
        repository.path.write_text(text.replace(f"  one: {member(text.encode(), 'one')}\n", ""))
        repository.replace_a_token("three", b64(MARK))

    assert repository.merged(add, remove_and_change)
    expected = CLEAR.replace(f"  one: {b64(f'one {MARK}')}\n", "").replace(b64(f"three {MARK}"), b64(MARK))
    expected = expected.replace("stringData:\n", "stringData:\n  added: text\n")
    assert repository.me.ok("decrypt", "secret.yaml").out.decode() == expected


def test_a_changed_value_merges_with_an_added_key_and_both_people_open_it(repository: Repository, ann: Person) -> None:
    assert repository.merged(
        lambda: repository.replace_a_token("one", b64(MARK)),
        lambda: repository.me.ok("encrypt", "-i", "-k", "+" + ann.ref, "secret.yaml"),
    )
    expected = CLEAR.replace(b64(f"one {MARK}"), b64(MARK)).encode()
    for person in (repository.me, ann):
        assert person.ok("decrypt", "secret.yaml").out == expected


def test_the_same_value_changed_twice_conflicts_as_any_text_does(repository: Repository) -> None:
    assert not repository.merged(
        lambda: repository.replace_a_token("one", b64(f"1 {MARK}")),
        lambda: repository.replace_a_token("one", b64(f"2 {MARK}")),
    )


def test_two_people_who_add_different_keys_conflict_in_the_seal(
    repository: Repository, ann: Person, tmp_path: Path
) -> None:
    """No merge of keysets without a key: the seal's line differs on both sides, whatever became of the others.

    Keeping both keys and either seal by hand does not open; adding the second key to one side does.
    """
    bob = Person(tmp_path, "bob")
    me = repository.me
    assert not repository.merged(
        lambda: me.ok("encrypt", "-i", "-k", "+" + ann.ref, "secret.yaml"),
        lambda: me.ok("encrypt", "-i", "-k", "+" + bob.ref, "secret.yaml"),
    )
    assert "<<<<<<<" in repository.path.read_text()
    me.fails(3, "decrypt", "secret.yaml")
    theirs = repository.git("show", "theirs:secret.yaml").stdout
    ours = repository.git("show", "ours:secret.yaml").stdout
    bobs_line = next(line for line in theirs.splitlines(keepends=True) if bob.ref in line)
    repository.path.write_text(ours.replace("  seal:", f"{bobs_line}  seal:"))
    me.fails(5, "decrypt", "secret.yaml")
    repository.path.write_text(ours)
    me.ok("encrypt", "-i", "-k", "+" + bob.ref, "secret.yaml")
    assert key_refs(repository.path.read_bytes()) == sorted([me.ref, ann.ref, bob.ref])
    assert bob.ok("decrypt", "secret.yaml").out.decode() == CLEAR


def test_a_changed_value_against_a_new_data_key_conflicts_and_does_not_merge_wrongly(
    repository: Repository, ann: Person
) -> None:
    def new_data_key() -> None:
        repository.me.ok("encrypt", "-i", "-k", repository.me.ref, "-k", ann.ref, "secret.yaml")
        repository.me.ok("encrypt", "-i", "-k", "-" + ann.ref, "secret.yaml")

    assert not repository.merged(new_data_key, lambda: repository.replace_a_token("one", b64(MARK)))
