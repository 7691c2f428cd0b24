"""`ksecret keys`, and what a policy says about keysets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.e2e.cli import MANIFEST, Person, key_refs, member

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.gnupg_support import World


@pytest.fixture
def me(tmp_path: Path) -> Person:
    return Person(tmp_path)


@pytest.fixture
def ann(tmp_path: Path) -> Person:
    return Person(tmp_path, "ann")


def policy(*rules: tuple[str, list[Person]]) -> bytes:
    lines = ["version: 1", "rules:"]
    for condition, people in rules:
        lines += [f"  - {condition}", f"    keys: [{', '.join(person.ref for person in people)}]"]
    return "\n".join(lines).encode() + b"\n"


def test_list_tells_who_opens_what(me: Person, ann: Person, tmp_path: Path) -> None:
    me.write_sealed("a.yaml", MANIFEST, "-k", me.ref, "-k", ann.ref)
    nobody = Person(tmp_path, "nobody", identity=False)
    lines = nobody.ok("keys", "list", "a.yaml").out.decode().splitlines()
    assert lines == [f"a.yaml: prod/db  {ref}" for ref in sorted([me.ref, ann.ref])]
    (entry,) = map(json.loads, nobody.ok("keys", "list", "--json", "a.yaml").out.splitlines())
    assert [key["ref"] for key in entry["keys"]] == sorted([me.ref, ann.ref])
    me.write("clear.yaml")
    assert "no Secret in it is sealed" in me.fails(3, "keys", "list", "clear.yaml")


def test_add_keeps_the_data_key_and_remove_does_not(me: Person, ann: Person) -> None:
    file = me.write_sealed("a.yaml")
    before = file.read_bytes()
    me.ok("keys", "add", "-k", ann.ref, "a.yaml")
    both = file.read_bytes()
    assert key_refs(both) == sorted([me.ref, ann.ref])
    assert member(both, "password") == member(before, "password")
    assert ann.ok("decrypt", "a.yaml").out == MANIFEST
    me.ok("keys", "add", "-k", ann.ref, "a.yaml")  # has it already
    assert file.read_bytes() == both
    me.ok("keys", "remove", "-k", ann.ref, "a.yaml")
    assert key_refs(file.read_bytes()) == [me.ref]
    assert member(file.read_bytes(), "password") != member(before, "password")
    ann.fails(4, "decrypt", "a.yaml")
    assert "can't be removed: it is not in the keyset" in me.fails(2, "keys", "remove", "-k", ann.ref, "a.yaml")
    assert "would leave none" in me.fails(2, "keys", "remove", "-k", me.ref, "a.yaml")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("add", "a.yaml"), "keys add takes --key KEYREF"),
        (("sync", "-k", "age:age1x", "a.yaml"), "unknown option -k"),
        (("mix", "a.yaml"), "choose"),
    ],
)
def test_used_wrongly(me: Person, words: tuple[str, ...], message: str) -> None:
    me.write_sealed("a.yaml")
    assert message in me.fails(2, "keys", *words)


def test_sync_makes_keysets_what_the_policy_says(me: Person, ann: Person, tmp_path: Path) -> None:
    bob = Person(tmp_path, "bob")
    for name in ("prod/a.yaml", "prod/b.yaml", "test/c.yaml"):
        me.write_sealed(name, MANIFEST, "-k", me.ref, "-k", bob.ref)
    me.write(".ksecret.yaml", policy(('path: "prod/**"', [me, ann]), ("name: db", [me, bob])))
    before = {name: (me.work / name).read_bytes() for name in ("prod/a.yaml", "prod/b.yaml", "test/c.yaml")}
    nobody = Person(tmp_path, "nobody", identity=False)
    told = nobody.ok("keys", "sync", "--dry-run", "-r", ".").out.decode().splitlines()
    expected = sorted([f"prod/db: +{ann.ref}", f"prod/db: -{bob.ref}"], key=lambda line: line[10:])
    assert told == [f"./prod/{name}.yaml: {line}" for name in "ab" for line in expected]
    assert me.ok("keys", "sync", "-r", ".").err == "ksecret: 2 changed, 2 unchanged, 0 failed\n"
    for name in ("prod/a.yaml", "prod/b.yaml"):
        after = (me.work / name).read_bytes()
        assert key_refs(after) == sorted([me.ref, ann.ref])
        assert member(after, "password") != member(before[name], "password")  # bob must not read what comes next
    assert (me.work / "test/c.yaml").read_bytes() == before["test/c.yaml"]
    assert me.ok("keys", "sync", "-r", ".").err == "ksecret: 0 changed, 4 unchanged, 0 failed\n"


def test_sync_without_a_rule_that_fits(me: Person) -> None:
    me.write_sealed("a.yaml")
    assert "no rule of a .ksecret.yaml fits prod/db" in me.fails(3, "keys", "sync", "a.yaml")
    me.write(".ksecret.yaml", policy(("name: other", [me])))
    assert "no rule of a .ksecret.yaml fits prod/db" in me.fails(3, "keys", "sync", "a.yaml")


def test_a_policys_demand_for_signatures_holds_for_sealing_and_opening(me: Person, world: World) -> None:
    alice, public = {"GNUPGHOME": world.alice.path}, {"GNUPGHOME": world.public.path}  # public has no key to sign with
    me.write("unsigned.yaml")
    me.ok("encrypt", "-i", "-k", str(world.ref("alice")), "unsigned.yaml", **public)
    assert me.ok("decrypt", "unsigned.yaml", **alice).out == MANIFEST
    me.write(".ksecret.yaml", b"version: 1\nrequireSignature: true\n")
    for command in ("decrypt", "verify", "rotate", "get"):
        words = (command, "unsigned.yaml", "password") if command == "get" else (command, "unsigned.yaml")
        ran = me.run(*words, **alice)
        assert (ran.code, ran.out) == (1 if command == "verify" else 5, b""), command
        assert "a signature is required on its wrapped data key" in ran.err
    ran = me.run("encrypt", "-k", str(world.ref("alice")), "-", stdin=MANIFEST, **public)
    assert ran.code == 6
    assert "a signature is required" in ran.err
    me.write("signed.yaml")
    me.ok("encrypt", "-i", "-k", str(world.ref("alice")), "signed.yaml", **alice)
    assert me.ok("decrypt", "signed.yaml", **alice).out == MANIFEST
