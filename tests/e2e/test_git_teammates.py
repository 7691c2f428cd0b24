"""Two teammates, each with `ksecret set`, add to the same file: the rows of docs/git.md's table with an addition."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.e2e.cli import MARK, Person
from tests.e2e.git_repository import FILE, Repository
from tests.support import kubernetes_values

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.gnupg_support import World

HEAD = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\n"
DATA, TEXT = "data:\n  a: YWE=\n", "stringData:\n  s: t\n"
FILES = {
    "data": HEAD + DATA,
    "stringData": HEAD + TEXT,
    "both": HEAD + DATA + TEXT,
    "empty data": HEAD + "data: {}\n" + TEXT,
    "empty stringData": HEAD + DATA + "stringData: {}\n",
    "comments": HEAD + DATA + "  # end\n\n# more\ntype: Opaque\n",
    "crlf": (HEAD + DATA).replace("\n", "\r\n"),
    "no last line break": (HEAD + DATA).rstrip("\n"),
    "block": HEAD + "stringData:\n  s: |+\n    a\n\n",
    "list": "apiVersion: v1\nkind: List\nitems:\n- " + (HEAD + DATA).replace("\n", "\n  ").rstrip(" "),
}


def merge(repo: Repository, ours: tuple[str, ...], theirs: tuple[str, ...]) -> int:
    """What git's merge ends with, after each of them ran `ksecret` with those words on a branch of their own."""
    return repo.merged(lambda: repo.me.ok(*ours), lambda: repo.me.ok(*theirs)).returncode


def values(repo: Repository) -> dict[str, str]:
    """By name, of the merged file, which opens."""
    (secret,) = kubernetes_values(repo.clear().encode())
    return {key: value.decode() for (_, key), value in secret.items()}


FIELDS = ["", "--string-data"]
SIDES = [(clear, one, one) for clear in FILES for one in FIELDS]
SIDES += [(clear, *sides) for clear in ("data", "stringData", "both") for sides in (FIELDS, FIELDS[::-1])]


@pytest.mark.parametrize(("name", "ours", "theirs"), SIDES)
def test_both_added_entries_are_kept(me: Person, name: str, ours: str, theirs: str) -> None:
    repo = Repository(me, FILES[name])
    before = values(repo)
    words = [("set", *filter(None, [option]), FILE) for option in (ours, theirs)]
    assert merge(repo, (*words[0], f"mine=m{MARK}"), (*words[1], f"yours=y{MARK}")) == 0
    assert values(repo) == before | {"mine": f"m{MARK}", "yours": f"y{MARK}"}


def test_ours_comes_first_in_a_field_that_neither_had(me: Person) -> None:
    repo = Repository(me, HEAD + DATA)
    assert merge(repo, ("set", "--string-data", FILE, "z=1"), ("set", "--string-data", FILE, "y=2", "x=3")) == 0
    assert repo.clear() == HEAD + DATA + 'stringData:\n  z: "1"\n  "y": "2"\n  x: "3"\n'


def test_the_same_name_added_twice_to_a_field_that_neither_had_keeps_both_tokens(me: Person) -> None:
    repo = Repository(me, HEAD + DATA)
    assert merge(repo, ("set", "--string-data", FILE, "k=1"), ("set", "--string-data", FILE, "k=2", "x=3")) == 1
    assert "<<<<<<<" not in repo.text
    assert list(yaml.safe_load(repo.text)["stringData"]) == ["k", "k.CONFLICT", "x"]
    assert "a merge waits for you" in me.fails(5, "decrypt", FILE)


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("clear", [HEAD + TEXT, HEAD + DATA + TEXT], ids=["alone", "beside data"])
def test_an_entry_is_added_where_the_other_side_removed_all_the_others(me: Person, clear: str, swapped: bool) -> None:
    repo = Repository(me, clear)
    left = values(repo)
    del left["s"]
    sides = [("unset", FILE, "s"), ("set", "--string-data", FILE, "yours=y")]
    assert merge(repo, *(reversed(sides) if swapped else sides)) == 0
    assert values(repo) == left | {"yours": "y"}


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("words", [("keys", "add", "-k"), ("rotate", "--rewrap"), ("set",)], ids=lambda words: words[0])
def test_an_added_entry_merges_with_a_key_and_with_a_changed_value(
    me: Person, tmp_path: Path, words: tuple[str, ...], swapped: bool
) -> None:
    ann = Person(tmp_path, "ann")
    repo = Repository(me, HEAD + TEXT)
    more = {"keys": (ann.ref, FILE), "rotate": (FILE,), "set": (FILE, "s=new")}[words[0]]
    sides = [(*words, *more), ("set", FILE, "yours=y")]
    assert merge(repo, *(reversed(sides) if swapped else sides)) == 0
    assert values(repo) == {"s": "new" if words == ("set",) else "t", "yours": "y"}
    if words[0] == "keys":
        assert ann.ok("get", FILE, "yours").out == b"y"


@pytest.mark.parametrize(("ours", "theirs"), [("", ""), ("", "--string-data"), ("--string-data", "--string-data")])
def test_in_kubesec_s_format_only_the_mac_is_left_to_somebody_with_a_key(
    me: Person, world: World, ours: str, theirs: str
) -> None:
    me.environ |= {"GNUPGHOME": world.alice.path}
    repo = Repository(me, "")
    repo.path.write_text(HEAD + DATA)
    me.ok("encrypt", "-i", "--format", "kubesec", "-k", str(world.ref("alice")), FILE)
    repo.commit()
    words = [("set", *filter(None, [option]), FILE) for option in (ours, theirs)]
    assert merge(repo, (*words[0], "mine=m"), (*words[1], "yours=y")) == 1
    assert "<<<<<<<" not in repo.text
    assert me.run("decrypt", FILE).code == 5
    (command,) = re.findall(r"# ksecret (encrypt -i --recompute-mac .*)", repo.text)
    repo.path.write_text(re.sub(r"(?m)^# (ksecret|Settle).*\n", "", repo.text))
    me.ok(*command.split(), "--yes")
    assert values(repo) == {"a": "aa", "mine": "m", "yours": "y"}
