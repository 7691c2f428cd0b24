"""`people:` in `.ksecret.yaml`: names for keys, wherever keys are said and shown."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.e2e.cli import MANIFEST, Person, key_refs, member

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def ann(tmp_path: Path) -> Person:
    return Person(tmp_path, "ann")


@pytest.fixture
def bob(tmp_path: Path) -> Person:
    return Person(tmp_path, "bob")


@pytest.fixture
def me(tmp_path: Path, ann: Person, bob: Person) -> Person:
    """Whose policy seals to Ann and me."""
    me = Person(tmp_path)
    me.write(".ksecret.yaml", policy({"me": me.ref, "ann": ann.ref[4:], "both": f"[{ann.ref}, {bob.ref}]"}))
    return me


def policy(people: dict[str, str], rule: str = "keys: [me, ann]") -> bytes:
    listed = "".join(f"  {name}: {keys}\n" for name, keys in people.items())
    return f"version: 1\npeople:\n{listed}rules:\n- {{{rule}}}\n".encode()


def refs(*people: Person) -> list[str]:
    return sorted(person.ref for person in people)


def test_rules_and_options_say_names(me: Person, ann: Person, bob: Person) -> None:
    path = me.write_sealed("a.yaml")
    assert key_refs(path.read_bytes()) == refs(me, ann)
    assert key_refs(me.ok("encrypt", "-k", "both", "-", stdin=MANIFEST).out) == refs(ann, bob)
    assert key_refs(me.ok("encrypt", "-k", "+both", "-", stdin=MANIFEST).out) == refs(me, ann, bob)
    create = ("create", "generic", "db", "--from-literal", "a=n0t-public")
    assert key_refs(me.ok(*create, "-k", "ann").out) == refs(ann)
    me.ok("keys", "add", "-k", "both", "a.yaml")
    assert key_refs(path.read_bytes()) == refs(me, ann, bob)
    before = path.read_bytes()
    me.ok("keys", "remove", "-k", "both", "a.yaml")
    assert key_refs(path.read_bytes()) == refs(me)
    assert member(path.read_bytes(), "password") != member(before, "password")
    gone = me.ok("keys", "remove", "-k", "ann", "a.yaml").err
    assert gone == f"ksecret: nothing here was sealed to ann ({ann.ref}), so it was taken away nowhere\n"
    assert f"ok    {me.ref}: seals and opens" in me.ok("doctor", "-k", "me").out.decode()


def test_a_name_means_what_the_policy_of_each_file_says(me: Person, ann: Person, bob: Person) -> None:
    me.write("other/.ksecret.yaml", policy({"ann": bob.ref}, "keys: [ann]"))
    me.write("a.yaml")
    me.write("other/a.yaml")
    me.ok("encrypt", "-i", "-k", "ann", "a.yaml", "other/a.yaml")
    assert key_refs((me.work / "a.yaml").read_bytes()) == refs(ann)
    assert key_refs((me.work / "other/a.yaml").read_bytes()) == refs(bob)
    assert key_refs(me.ok("encrypt", "-k", "ann", "--path", "other/b.yaml", "-", stdin=MANIFEST).out) == refs(bob)


def test_an_unknown_name_says_which_may_have_been_meant(me: Person) -> None:
    path = me.write("a.yaml")
    for words in (("encrypt", "-i", "-k", "bth"), ("encrypt", "-i", "-k", "+bth")):
        err = me.fails(2, *words, "a.yaml")
        assert err.startswith("ksecret: a.yaml: people of .ksecret.yaml has no such name: did you mean both?\n")
    assert path.read_bytes() == MANIFEST
    err = me.fails(2, "encrypt", "-i", "-k", "hunter2", "a.yaml")
    assert "no such name\n" in err
    assert "hunter2" not in err
    me.write(".ksecret.yaml", policy({"me": me.ref, "ann": me.ref}).replace(b"ann]", b"an]"))
    assert "ksecret: .ksecret.yaml:6: people has no such name: did you mean ann?" in me.fails(3, "encrypt", "a.yaml")
    me.ok("doctor", "-k", me.ref)
    assert ".ksecret.yaml:6: people has no such name" in me.fails(3, "doctor", "-k", "ann")
    (me.work / ".ksecret.yaml").unlink()
    assert "a key is written SCHEME:NAME" in me.fails(2, "encrypt", "-k", "ann", "a.yaml")


def test_names_are_shown_beside_their_keys(me: Person, ann: Person, bob: Person) -> None:
    me.write_sealed("a.yaml", MANIFEST, "-k", me.ref, "-k", bob.ref)
    named = {me.ref: f"me ({me.ref})", bob.ref: f"both ({bob.ref})", ann.ref: f"ann ({ann.ref})"}
    lines = me.ok("keys", "list", "a.yaml").out.decode().splitlines()
    assert lines == [f"a.yaml: prod/db  {named[ref]}" for ref in refs(me, bob)]
    (entry,) = map(json.loads, me.ok("keys", "list", "--json", "a.yaml").out.splitlines())
    assert {key["ref"]: key["name"] for key in entry["keys"]} == {me.ref: "me", bob.ref: "both"}
    told = me.ok("inspect", "a.yaml").out.decode()
    assert [line for line in told.splitlines() if line.startswith("  key   ")] == [
        f"  key          {named[ref]}" for ref in refs(me, bob)
    ]
    (entry,) = map(json.loads, me.ok("inspect", "--json", "a.yaml").out.splitlines())
    assert {key["ref"]: key["name"] for key in entry["keys"]} == {me.ref: "me", bob.ref: "both"}
    changes = me.ok("keys", "sync", "--dry-run", "a.yaml").out.decode().splitlines()
    assert sorted(changes) == sorted([f"a.yaml: prod/db: +{named[ann.ref]}", f"a.yaml: prod/db: -{named[bob.ref]}"])
    found = me.run("check", "a.yaml").out.decode()
    assert f"not sealed to {named[ann.ref]}; sealed to {named[bob.ref]} as well" in found


@pytest.mark.parametrize("command", ["decrypt", "set", "rotate", "verify", "apply"])
def test_errors_name_the_people_whose_keys_do_not_fit(me: Person, ann: Person, bob: Person, command: str) -> None:
    me.write_sealed("a.yaml", MANIFEST, "-k", me.ref, "-k", ann.ref)
    ran = bob.run(command, "a.yaml", *(["a=b"] if command == "set" else []))
    assert ran.code == 4
    for name, ref in (("me", me.ref), ("ann", ann.ref)):
        assert f"{name} ({ref}): " in ran.err
    me.write_sealed("b.yaml", MANIFEST, "-k", me.ref)
    assert f"ksecret: b.yaml: me ({me.ref}): " in bob.run(command, "b.yaml", *(["a=b"] if command == "set" else [])).err


def test_a_key_that_cant_be_sealed_to_is_named(me: Person) -> None:
    me.write(".ksecret.yaml", policy({"carol": "pgp:" + "A" * 40}, "keys: [carol]"))
    assert f"carol (pgp:{'A' * 40}): " in me.run("encrypt", "-", stdin=MANIFEST).err


def test_a_diff_that_shows_values_names_people_too(me: Person, ann: Person) -> None:
    path = me.write_sealed("a.yaml")

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", *words],
            cwd=me.work, env=me.environ, check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip

    git("init", "-q")
    (me.work / ".gitattributes").write_text("*.yaml diff=ksecret\n")
    git("add", "-A")
    git("commit", "-qm", "x")
    me.ok("keys", "remove", "-k", "ann", "a.yaml")
    shown = git("-c", "diff.ksecret.textconv=ksecret git textconv --show --", "diff", "a.yaml")
    assert f"-    {ann.ref}: <wrapped for ann " in shown
    assert f"+    {me.ref}: <wrapped for me " in shown
    me.write(".ksecret.yaml", b"version: 2\n")
    shown = git("-c", "diff.ksecret.textconv=ksecret git textconv --show --", "diff", "a.yaml")
    assert f"-    {ann.ref}: <wrapped " in shown
    assert " for ann" not in shown
    assert key_refs(path.read_bytes()) == refs(me)


def test_history_names_the_people_whom_a_commit_brings(me: Person, ann: Person) -> None:
    def git(*words: str) -> None:
        words = ("-c", "user.name=x", "-c", "user.email=x@example.org", *words)
        subprocess.run(["git", *words], cwd=me.work, env=me.environ, check=True, capture_output=True)

    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "policy")
    me.write_sealed("a.yaml", MANIFEST, "-k", "ann")
    git("add", "-A")
    git("commit", "-qm", "Secret")
    assert f"newly sealed, to ann ({ann.ref});" in me.run("check", "--range", "HEAD~1..HEAD").out.decode()
