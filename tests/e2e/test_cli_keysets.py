"""`ksecret keys`, and what a policy says about keysets."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from tests.e2e.cli import BIN, CONFIG_MAP, MANIFEST, Person, key_refs, member

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.gnupg_support import World

GENERATOR = b"apiVersion: ksecret.dev/v1alpha1\nkind: KsecretGenerator\nfiles: [unsigned.yaml]\n"


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
    after = file.read_bytes()
    ran = me.ok("keys", "remove", "-k", ann.ref, "a.yaml")
    assert ran.err == f"ksecret: nothing here was sealed to {ann.ref}, so it was taken away nowhere\n"
    assert file.read_bytes() == after
    assert "would leave none" in me.fails(2, "keys", "remove", "-k", me.ref, "a.yaml")


def test_a_tree_of_all_kinds_of_files_loses_and_gets_a_key(me: Person, ann: Person, tmp_path: Path) -> None:
    """Whoever leaves is taken out of every file that has them; the others are as they should be."""
    bob = Person(tmp_path, "bob")
    both, mine = ("-k", me.ref, "-k", ann.ref), ("-k", me.ref)
    paths = [me.write_sealed("t/both.yaml", MANIFEST, *both), me.write_sealed("t/mine.yaml", MANIFEST, *mine)]
    other = MANIFEST.replace(b"name: db", b"name: other")
    one, two = (me.ok("encrypt", *keys, "-", stdin=text).out for keys, text in ((both, MANIFEST), (mine, other)))
    paths.append(me.write("t/mixed.yaml", one + b"---\n" + two))
    paths += [me.write("t/clear.yaml"), me.write("t/map.yaml", CONFIG_MAP)]
    before = [path.read_bytes() for path in paths]
    dry = me.ok("keys", "remove", "--dry-run", "-k", ann.ref, "-r", "t")
    assert dry.out.decode().splitlines() == [f"t/{name}.yaml: prod/db: -{ann.ref}" for name in ("both", "mixed")]
    ran = me.ok("keys", "remove", "-k", ann.ref, "-k", bob.ref, "-r", "t")
    counted, note = ran.err.splitlines()
    assert counted == "ksecret: 2 changed, 1 unchanged, 2 skipped, 0 failed"
    assert note == f"ksecret: nothing here was sealed to {bob.ref}, so it was taken away nowhere"
    changed = [path.read_bytes() != data for path, data in zip(paths, before, strict=True)]
    assert changed == [True, False, True, False, False]
    assert b"\n" + two in paths[2].read_bytes(), "the Secret that had not the key is left as it was"
    assert ann.ref.encode() not in paths[0].read_bytes() + paths[2].read_bytes()
    add = ("keys", "add", "-k", ann.ref, "-r", "t")
    assert me.ok(*add).err == "ksecret: 3 changed, 0 unchanged, 2 skipped, 0 failed\n"
    assert me.ok(*add).err == "ksecret: 0 changed, 3 unchanged, 2 skipped, 0 failed\n"


def test_a_secret_of_others_keeps_nobody_from_changing_ones_own_in_the_same_file(me: Person, ann: Person) -> None:
    hers = MANIFEST.replace(b"name: db", b"name: hers")
    one, two = (
        me.ok("encrypt", *keys, "-", stdin=text).out
        for keys, text in ((("-k", ann.ref), hers), (("-k", me.ref, "-k", ann.ref), MANIFEST))
    )
    clear = b"---\n" + MANIFEST.replace(b"name: db", b"name: clear")
    path = me.write("a.yaml", one + b"---\n" + two + clear)
    me.fails(4, "decrypt", "a.yaml")
    me.write(".ksecret.yaml", policy(("name: hers", [ann]), ("name: db", [me])))
    assert me.ok("keys", "sync", "a.yaml").err == ""
    after = path.read_bytes()
    assert after.startswith(one + b"---\n")
    assert key_refs(after.removeprefix(one)) == [me.ref]
    assert after.endswith(clear)
    assert me.ok("keys", "sync", "a.yaml").err == ""
    assert path.read_bytes() == after, "nor is one in the clear sealed where nothing else is to change"


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
    assert told == [f"prod/{name}.yaml: {line}" for name in "ab" for line in expected]
    assert me.ok("keys", "sync", "-r", ".").err == "ksecret: 2 changed, 1 unchanged, 1 skipped, 0 failed\n"
    for name in ("prod/a.yaml", "prod/b.yaml"):
        after = (me.work / name).read_bytes()
        assert key_refs(after) == sorted([me.ref, ann.ref])
        assert member(after, "password") != member(before[name], "password")  # bob must not read what comes next
    assert (me.work / "test/c.yaml").read_bytes() == before["test/c.yaml"]
    assert me.ok("keys", "sync", "-r", ".").err == "ksecret: 0 changed, 3 unchanged, 1 skipped, 0 failed\n"


def test_sync_without_a_rule_that_fits(me: Person) -> None:
    me.write_sealed("a.yaml")
    assert "no rule of a .ksecret.yaml fits prod/db" in me.fails(3, "keys", "sync", "a.yaml")
    me.write(".ksecret.yaml", policy(("name: other", [me])))
    assert "no rule of .ksecret.yaml fits prod/db" in me.fails(2, "keys", "sync", "a.yaml")


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
    me.write("generator.yaml", GENERATOR)
    ran = me.run("generator.yaml", program=os.path.join(BIN, "ksecret-krm"), **alice)
    assert (ran.code, ran.out) == (1, b"")
    assert "a signature is required on its wrapped data key" in ran.err
    ran = me.run("encrypt", "-k", str(world.ref("alice")), "-", stdin=MANIFEST, **public)
    assert ran.code == 6
    assert "a signature is required" in ran.err
    me.write("signed.yaml")
    me.ok("encrypt", "-i", "-k", str(world.ref("alice")), "signed.yaml", **alice)
    assert me.ok("decrypt", "signed.yaml", **alice).out == MANIFEST


CANT = "is sealed to no key of yours on this machine, so you can't open it here\n"


def test_sealing_what_one_can_not_open_oneself_is_warned_of_once(me: Person, ann: Person, tmp_path: Path) -> None:
    for name in ("a.yaml", "b.yaml"):
        me.write(name)
    ran = me.ok("encrypt", "-i", "-k", ann.ref, "a.yaml", "b.yaml")
    assert ran.err == f"ksecret: warning: a.yaml: prod/db {CANT}ksecret: 2 sealed, 0 unchanged, 0 failed\n"
    assert me.ok("encrypt", "-k", ann.ref, "-", stdin=MANIFEST).err.startswith("ksecret: warning: standard input: ")
    me.write_sealed("c.yaml", MANIFEST, "-k", ann.ref, "-k", me.ref)
    assert me.ok("keys", "remove", "-k", me.ref, "c.yaml").err == f"ksecret: warning: c.yaml: prod/db {CANT}"
    nobody = Person(tmp_path, "nobody", identity=False)
    assert CANT in nobody.ok("encrypt", "-k", ann.ref, "-", stdin=MANIFEST).err


def test_sealing_what_one_can_open_or_might_is_not_warned_of(me: Person, ann: Person, world: World) -> None:
    ours = ("-k", ann.ref, "-k", me.ref)
    assert me.ok("encrypt", *ours, "-", stdin=MANIFEST).err == ""
    me.write_sealed("a.yaml", MANIFEST, *ours)
    for words in (("set", "a.yaml", "x=y"), ("keys", "remove", "-k", ann.ref, "a.yaml"), ("rotate", "a.yaml")):
        assert me.ok(*words).err == ""
    assert me.ok("encrypt", "-k", ann.ref, "-", stdin=MANIFEST, KSECRET_AGE_KEY=ann.identity).err == ""
    alice, public = {"GNUPGHOME": world.alice.path}, {"GNUPGHOME": world.public.path}
    hers = ("encrypt", "-k", str(world.ref("alice")), "-k", ann.ref, "-")
    assert me.ok(*hers, stdin=MANIFEST, **alice).err == ""
    assert CANT in me.ok(*hers, stdin=MANIFEST, **public).err
