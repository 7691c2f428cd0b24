"""`.ksecret.yaml` at work: which keys `encrypt` takes without being told, and what `init` leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.cli import CONFIG_MAP, MANIFEST, Person, is_sealed, key_refs, member

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.gnupg_support import World


@pytest.fixture
def ann(tmp_path: Path) -> Person:
    return Person(tmp_path, "ann")


@pytest.fixture
def bob(tmp_path: Path) -> Person:
    return Person(tmp_path, "bob")


def policy(*rules: str) -> bytes:
    return ("version: 1\nrules:\n" + "".join(f"- {{{rule}}}\n" for rule in rules)).encode()


def sealed_to(person: Person, name: str) -> list[str]:
    return key_refs((person.work / name).read_bytes())


def test_the_rules_choose_the_keys_of_each_file(me: Person, ann: Person, bob: Person) -> None:
    me.write(".ksecret.yaml", policy(f"path: prod/**, keys: ['{ann.ref}', '{bob.ref}']", f"keys: ['{bob.ref}']"))
    for name in ("prod/a.yaml", "prod/deep/b.yaml", "c.yaml"):
        me.write(name)
    me.ok("encrypt", "-i", "-r", ".")
    assert sealed_to(me, "prod/a.yaml") == sealed_to(me, "prod/deep/b.yaml") == sorted([ann.ref, bob.ref])
    assert sealed_to(me, "c.yaml") == [bob.ref]
    assert bob.ok("decrypt", "prod/a.yaml").out == MANIFEST
    assert ann.run("decrypt", "c.yaml").code == 4


def test_the_rules_choose_the_keys_of_each_secret_in_a_file(me: Person, ann: Person, bob: Person) -> None:
    me.write(".ksecret.yaml", policy(f"namespace: prod, name: 'd*', keys: ['{ann.ref}']", f"keys: ['{bob.ref}']"))
    me.write_sealed("a.yaml", MANIFEST + b"---\n" + MANIFEST.replace(b"namespace: prod", b"namespace: dev"))
    assert sealed_to(me, "a.yaml") == [ann.ref, bob.ref]
    out = me.ok("encrypt", "-", stdin=MANIFEST).out
    assert key_refs(out) == [ann.ref], "standard input is as a file in the current folder"


@pytest.fixture
def divided(me: Person, ann: Person, bob: Person) -> Person:
    """At work in a repository whose prod/ is sealed to Ann's key, and all else to Bob's."""
    me.write("repo/.ksecret.yaml", policy(f"path: prod/**, keys: ['{ann.ref}']", f"keys: ['{bob.ref}']"))
    (me.work / "repo" / "prod").mkdir()
    me.write("repo/dev.yaml")
    me.write("outside/clear.yaml")
    return me


SEAL = [
    ("encrypt", "-o", "repo/prod/a.yaml", "repo/dev.yaml"),
    ("encrypt", "-o", "repo/prod/a.yaml", "outside/clear.yaml"),
    ("encrypt", "-o", "repo/prod/a.yaml", "-"),
    ("encrypt", "--path", "repo/prod/a.yaml", "-"),
    ("encrypt", "--path", "repo/prod/a.yaml", "-o", "outside/a.yaml", "-"),
    ("encrypt", "--path", "repo/prod/a.yaml", "outside/clear.yaml"),
    ("encrypt", "--path", "repo/prod/not/yet/there.yaml", "-o", "-", "repo/dev.yaml"),
    ("create", "generic", "db", "-n", "prod", "--from-literal", "a=n0t-public", "-o", "repo/prod/a.yaml"),
    ("create", "generic", "db", "-n", "prod", "--from-literal", "a=n0t-public", "--path", "repo/prod/a.yaml"),
]


@pytest.mark.parametrize("words", SEAL, ids=" ".join)
def test_the_rule_is_that_of_the_file_that_is_made(divided: Person, ann: Person, words: tuple[str, ...]) -> None:
    out = divided.ok(*words, stdin=MANIFEST).out
    assert key_refs(out or (divided.work / words[words.index("-o") + 1]).read_bytes()) == [ann.ref]


def test_the_file_that_is_made_says_whether_its_data_key_is_new(divided: Person, ann: Person) -> None:
    divided.write("repo/prod/.ksecret.yaml", policy(f"keys: ['{ann.ref}']") + b"dataKey: fresh\n")
    divided.write_sealed("outside/a.yaml", MANIFEST, "-k", divided.ref)
    before = (divided.work / "outside/a.yaml").read_bytes()
    for words in (("--path", "repo/prod/a.yaml", "-"), ("-o", "repo/prod/a.yaml", "outside/a.yaml")):
        out = divided.ok("set", *words, "url=other", stdin=before).out or (divided.work / words[1]).read_bytes()
        assert member(out, "password") != member(before, "password")


def test_the_file_that_is_made_says_whether_its_data_key_is_signed(divided: Person, world: World) -> None:
    divided.write("repo/prod/.ksecret.yaml", b"version: 1\nrequireSignature: true\n")
    words = ("encrypt", "-k", str(world.ref("alice")))
    for more in (("--path", "repo/prod/a.yaml", "-"), ("-o", "repo/prod/a.yaml", "repo/dev.yaml")):
        ran = divided.run(*words, *more, stdin=MANIFEST, GNUPGHOME=world.public.path)  # without a key to sign with
        assert ran.code == 6
        assert "a signature is required" in ran.err


def test_of_what_is_piped_only_its_place_has_a_policy(divided: Person, bob: Person) -> None:
    sealed = divided.ok("encrypt", "-k", divided.ref, "-", stdin=MANIFEST).out
    divided.write(".ksecret.yaml", policy(f"keys: ['{bob.ref}']") + b"dataKey: fresh\n")
    kept = divided.ok("set", "--path", "repo/dev.yaml", "-", "url=other", stdin=sealed).out
    assert member(kept, "password") == member(sealed, "password")
    fresh = divided.ok("set", "-", "url=other", stdin=sealed).out
    assert member(fresh, "password") != member(sealed, "password")


def test_a_parents_policy_says_whether_its_data_key_must_be_signed(divided: Person, world: World) -> None:
    divided.write("old/a.yaml")
    alice, public = {"GNUPGHOME": world.alice.path}, {"GNUPGHOME": world.public.path}  # public has no key to sign with
    divided.ok("encrypt", "-i", "-k", str(world.ref("alice")), "old/a.yaml", **public)
    words = (("encrypt", "-p", "old/a.yaml", "repo/dev.yaml"), ("merge", "old/a.yaml", "repo/dev.yaml"))
    for command in words:
        divided.ok(*command, **alice)
    divided.write("old/.ksecret.yaml", b"version: 1\nrequireSignature: true\n")
    for command in words:
        ran = divided.run(*command, **alice)
        assert (ran.code, ran.out) == (5, b"")
        assert "a signature is required" in ran.err


def test_keys_are_synchronised_with_the_rule_of_the_file_that_is_made(divided: Person, ann: Person) -> None:
    divided.write_sealed("repo/dev.yaml", MANIFEST, "-k", divided.ref)
    divided.ok("keys", "sync", "-o", "repo/prod/a.yaml", "repo/dev.yaml")
    assert sealed_to(divided, "repo/prod/a.yaml") == [ann.ref]
    sealed = (divided.work / "repo/dev.yaml").read_bytes()
    assert key_refs(divided.ok("keys", "sync", "--path", "repo/prod/a.yaml", "-", stdin=sealed).out) == [ann.ref]


def test_standard_input_is_not_sealed_by_a_guess(divided: Person, ann: Person, bob: Person) -> None:
    divided.work = divided.work / "repo"
    for words in (("encrypt", "-"), ("create", "generic", "db", "--from-literal", "a=n0t-public")):
        err = divided.fails(2, *words, stdin=MANIFEST)
        assert "which rule of .ksecret.yaml fits" in err
        assert "say with --path FILE which path it will have" in err
    assert key_refs(divided.ok("encrypt", "-k", divided.ref, "-", stdin=MANIFEST).out) == [divided.ref]
    divided.write(".ksecret.yaml", policy(f"path: prod/**, keys: ['{ann.ref}']"))
    assert "which rule of .ksecret.yaml fits" in divided.fails(2, "encrypt", "-", stdin=MANIFEST)
    divided.write(".ksecret.yaml", policy(f"path: prod/**, name: x, keys: ['{ann.ref}']", f"keys: ['{bob.ref}']"))
    assert key_refs(divided.ok("encrypt", "-", stdin=MANIFEST).out) == [bob.ref], "its name decides"
    divided.write(".ksecret.yaml", policy(f"path: a/**, keys: ['{ann.ref}']", f"keys: ['{ann.ref}']"))
    assert key_refs(divided.ok("encrypt", "-", stdin=MANIFEST).out) == [ann.ref], "all give the same"


def test_standard_input_gets_a_new_data_key_where_any_rule_for_it_wants_one(divided: Person, bob: Person) -> None:
    sealed = divided.ok("encrypt", "-k", divided.ref, "-", stdin=MANIFEST).out
    divided.work = divided.work / "repo"
    for rule, is_new in (("path: prod/**, dataKey: fresh", True), ("name: other, dataKey: fresh", False)):
        divided.write(".ksecret.yaml", policy(f"{rule}, keys: ['{bob.ref}']", f"keys: ['{bob.ref}']"))
        after = divided.ok("set", "-", "url=other", stdin=sealed).out
        assert (member(after, "password") != member(sealed, "password")) is is_new


def test_a_device_is_no_place(divided: Person, bob: Person) -> None:
    assert key_refs(divided.ok("encrypt", "-o", "/dev/stdout", "repo/dev.yaml").out) == [bob.ref]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("encrypt", "-i", "--path", "repo/prod/a.yaml", "repo/dev.yaml"), "a file that is changed in place"),
        (("set", "--path", "repo/prod/a.yaml", "repo/dev.yaml", "a=b"), "a file that is changed in place"),
        (("unset", "--path", "repo/prod/a.yaml", "repo/dev.yaml", "a"), "a file that is changed in place"),
        (("keys", "sync", "--path", "repo/prod/a.yaml", "repo/dev.yaml"), "a file that is changed in place"),
        (("edit", "--path", "repo/prod/a.yaml", "repo/dev.yaml"), "a file that is changed in place"),
        (("encrypt", "--path", "repo/prod", "-"), "takes the path of a file"),
        (("encrypt", "--path", "repo/prod/", "-"), "takes the path of a file"),
        (("check", "--path", "a.yaml", "repo"), "--path goes with standard input"),
        (("decrypt", "--path", "a.yaml", "-"), "unknown option --path"),
    ],
    ids=lambda part: " ".join(part) if isinstance(part, tuple) else "",
)
def test_a_place_that_means_nothing_is_refused(divided: Person, words: tuple[str, ...], message: str) -> None:
    assert message in divided.fails(2, *words, stdin=MANIFEST, EDITOR="true")


def test_check_holds_standard_input_against_the_rule_of_its_place(divided: Person, ann: Person, bob: Person) -> None:
    divided.work = divided.work / "repo"
    sealed = divided.ok("encrypt", "-k", bob.ref, "-", stdin=MANIFEST).out
    assert divided.ok("check", "--path", "dev.yaml", "-", stdin=sealed).out == b""
    ran = divided.run("check", "--path", "prod/a.yaml", "-", stdin=sealed)
    assert ran.code == 1
    assert ran.out.startswith(b"prod/a.yaml:")
    assert f"KS008 prod/db differs from .ksecret.yaml: not sealed to {ann.ref}".encode() in ran.out
    assert divided.ok("check", "-", stdin=sealed).out == b"", "nobody knows where it belongs"


def test_the_nearest_policy_counts_from_wherever_it_is_called(me: Person, ann: Person, bob: Person) -> None:
    me.write(".ksecret.yaml", policy(f"path: /apps/shop/, keys: ['{ann.ref}']"))
    me.write("apps/other/.ksecret.yaml", policy(f"keys: ['{bob.ref}']"))
    me.write("apps/shop/a.yaml")
    me.write("apps/other/a.yaml")
    me.work = me.work / "apps" / "shop"
    me.ok("encrypt", "-i", "a.yaml", str(me.work.parent / "other" / "a.yaml"))
    assert sealed_to(me, "a.yaml") == [ann.ref]
    assert sealed_to(me, "../other/a.yaml") == [bob.ref]


def test_options_come_before_the_policy_and_the_environment_after_it(me: Person, ann: Person, bob: Person) -> None:
    me.write(".ksecret.yaml", policy(f"path: prod/, keys: ['{ann.ref}']"))
    me.write_sealed("prod/a.yaml", MANIFEST, "-k", bob.ref)
    assert sealed_to(me, "prod/a.yaml") == [bob.ref]
    me.write("prod/b.yaml")
    me.ok("encrypt", "-i", "prod/b.yaml", KSECRET_KEYS=bob.ref)
    assert sealed_to(me, "prod/b.yaml") == [ann.ref]
    me.write_sealed("prod/e.yaml", MANIFEST, "-k", f"+{bob.ref}")
    assert sealed_to(me, "prod/e.yaml") == sorted([ann.ref, bob.ref]), "added to the policy's"
    me.write(".ksecret.yaml", b"version: 1\nrotation: {maxAge: 90d}\n")
    me.write("c.yaml")
    me.ok("encrypt", "-i", "c.yaml", KSECRET_KEYS=bob.ref)
    assert sealed_to(me, "c.yaml") == [bob.ref], "a policy without rules leaves that to others"


def test_what_no_rule_fits_is_sealed_to_nobody_by_chance(me: Person, ann: Person, bob: Person) -> None:
    me.write(".ksecret.yaml", policy(f"path: prod/, keys: ['{ann.ref}']"))
    path = me.write("de v/[c].yaml")
    for environ in ({}, {"KSECRET_KEYS": bob.ref}):
        assert me.fails(2, "encrypt", "-i", "de v/[c].yaml", **environ) == (
            "ksecret: de v/[c].yaml: no rule of .ksecret.yaml fits prod/db\n"
            '  add `- {path: "/de v/\\\\[c].yaml", keys: [KEYREF]}` to its rules, `- keys: [KEYREF]` for all others, '
            "or name keys with --key\n"
        )
    assert path.read_bytes() == MANIFEST
    create = ("create", "generic", "db", "--from-literal", "a=n0t-public", "-o", "new.yaml")
    assert "no rule of .ksecret.yaml fits db" in me.fails(2, *create)
    assert "no rule of .ksecret.yaml fits prod/db" in me.fails(2, "encrypt", "-k", f"+{bob.ref}", "de v/[c].yaml")
    assert not (me.work / "new.yaml").exists()
    me.ok("encrypt", "-i", "-k", bob.ref, "de v/[c].yaml")
    assert sealed_to(me, "de v/[c].yaml") == [bob.ref], "--key is the writer's own choice"
    bob.ok("set", "de v/[c].yaml", "a=b")
    assert sealed_to(me, "de v/[c].yaml") == [bob.ref], "what is sealed keeps its keys"
    assert "de v/[c].yaml:15: KS015 no rule of .ksecret.yaml fits prod/db" in me.run("check").out.decode()


def test_the_rule_that_is_offered_fits(me: Person, ann: Person) -> None:
    me.write(".ksecret.yaml", policy(f"path: prod/, keys: ['{ann.ref}']"))
    me.write("de v/[c].yaml")
    offered = me.fails(2, "encrypt", "-i", "de v/[c].yaml").split("`")[1].replace("KEYREF", ann.ref)
    with (me.work / ".ksecret.yaml").open("a") as file:
        file.write(offered + "\n")
    me.ok("encrypt", "-i", "de v/[c].yaml")
    assert sealed_to(me, "de v/[c].yaml") == [ann.ref]


def test_a_policy_of_a_name_that_is_not_read_is_told(me: Person, ann: Person) -> None:
    me.write(".ksecret.yaml", policy(f"keys: ['{ann.ref}']"))
    me.write("apps/.ksecret.yml", policy(f"keys: ['{me.ref}']"))
    path = me.write("apps/deep/a.yaml")
    said = "apps/.ksecret.yml is not read: a policy's name is .ksecret.yaml\n  rename it to .ksecret.yaml"
    assert said in me.fails(2, "encrypt", "-i", "apps/deep/a.yaml", KSECRET_KEYS=me.ref)
    assert path.read_bytes() == MANIFEST
    me.ok("encrypt", "-i", "-k", me.ref, "apps/deep/a.yaml")
    assert me.ok("decrypt", "apps/deep/a.yaml").out == MANIFEST, "opening needs no rule"
    assert said in me.fails(2, "keys", "sync", "apps/deep/a.yaml")
    found = me.run("check").out.decode().splitlines()
    assert [line.partition(" ")[2][:42] for line in found] == [
        "KS015 this file is not read: a policy's na",
        "KS015 apps/.ksecret.yml is not read, for a",
    ]
    (me.work / ".ksecret.yaml").unlink()
    me.write("apps/c.yaml")
    assert said in me.fails(2, "encrypt", "-i", "apps/c.yaml"), "with no other policy above it"
    (me.work / "apps/c.yaml").unlink()
    (me.work / "apps/.ksecret.yml").rename(me.work / "apps/.ksecret.yaml")
    assert me.ok("check").out == b""
    me.write("apps/.ksecret.yml")
    me.write("apps/b.yaml")
    me.ok("encrypt", "-i", "apps/b.yaml")
    assert sealed_to(me, "apps/b.yaml") == [me.ref], "one of the right name is beside it"


def test_a_sealed_file_keeps_its_keys_whatever_the_policy_says(me: Person, ann: Person) -> None:
    path = me.write_sealed("a.yaml")
    me.write(".ksecret.yaml", policy(f"keys: ['{ann.ref}']"))
    path.write_bytes(path.read_bytes().replace(b"stringData:\n", b"stringData:\n  new: n0t-public\n"))
    me.ok("encrypt", "-i", "a.yaml")
    assert sealed_to(me, "a.yaml") == [me.ref]


def test_nobody_needs_a_key_of_their_own_to_seal(tmp_path: Path, ann: Person) -> None:
    nobody = Person(tmp_path, "nobody", identity=False)
    nobody.write(".ksecret.yaml", policy(f"keys: ['{ann.ref}']"))
    nobody.write_sealed("a.yaml")
    assert ann.ok("decrypt", "a.yaml").out == MANIFEST


def test_mistakes_in_a_policy_leave_the_file_as_it_was(me: Person) -> None:
    path = me.write("a.yaml")
    me.write(".ksecret.yaml", b"version: 1\nrules:\n- kees: []\n")
    assert me.fails(3, "encrypt", "-i", "a.yaml").startswith(
        "ksecret: .ksecret.yaml:3: a rule has an unknown key `kees`\n"
    )
    me.write(".ksecret.yaml", policy("keys: ['age:age1aaaa']"))
    assert "ksecret: .ksecret.yaml:3: " in me.fails(3, "encrypt", "-i", "a.yaml")
    me.write(".ksecret.yaml", policy(f"keys: ['age:age1{'q' * 58}']"))  # only its checksum is wrong
    assert "ksecret: .ksecret.yaml:3: " in me.fails(2, "encrypt", "-i", "a.yaml")
    assert path.read_bytes() == MANIFEST
    me.ok("encrypt", "-i", "-k", me.ref, "a.yaml")


def test_encrypt_if_needed_passes_over_what_needs_nothing(me: Person) -> None:
    me.write("plain.yaml", CONFIG_MAP)
    me.write("fixture.yaml", MANIFEST.replace(b"a comment", b"ksecret:allow made up"))
    me.write_sealed("sealed.yaml")
    me.write("clear.yaml")
    before = {name: (me.work / name).read_bytes() for name in ("plain.yaml", "fixture.yaml", "sealed.yaml")}
    ran = me.ok("encrypt", "-i", "--if-needed", *before, "clear.yaml")
    assert ran.err == "ksecret: 1 sealed, 3 unchanged, 0 failed\n"
    assert is_sealed((me.work / "clear.yaml").read_bytes())
    assert {name: (me.work / name).read_bytes() for name in before} == before
    assert "gone.yaml" in me.fails(7, "encrypt", "-i", "--if-needed", "gone.yaml")


def test_a_mistake_in_a_policy_is_told_once_however_many_files_it_is_for(me: Person) -> None:
    me.write(".ksecret.yaml", b"rules: []\n")
    for name in ("a.yaml", "b.yaml"):
        me.write(name, MANIFEST)
    ran = me.run("encrypt", "-i", "-r", ".")
    assert ran.err.count("the policy states no version") == 1
    assert "0 sealed" in ran.err
    assert ran.code == 3


def test_init_writes_a_policy_for_the_folder_and_says_so(tmp_path: Path, ann: Person) -> None:
    me = Person(tmp_path, "new", identity=False)
    ran = me.ok("init")
    ref = ran.out.decode().splitlines()[1].split()[-1]
    assert ran.err == "ksecret: wrote .ksecret.yaml: what is sealed in this folder and below goes to that key\n"
    text = (me.work / ".ksecret.yaml").read_text()
    assert text.startswith("# Which keys Secrets are sealed to")
    assert f'\n      - "{ref}"\n' in text
    me.write("a.yaml")
    ann.ok("encrypt", "-i", "a.yaml")
    assert sealed_to(me, "a.yaml") == [ref]
    assert me.ok("decrypt", "a.yaml").out == MANIFEST
    assert me.ok("init").err == ""
    assert (me.work / ".ksecret.yaml").read_text() == text


def test_init_leaves_a_policy_further_up_alone(me: Person, ann: Person) -> None:
    me.write(".ksecret.yaml", policy(f"keys: ['{ann.ref}']"))
    me.write("deep/er/a.yaml")
    top, me.work = me.work, me.work / "deep" / "er"
    assert me.ok("init").err == ""
    assert me.names() == ["a.yaml"]
    (top / "deep" / ".git").mkdir()
    assert "wrote .ksecret.yaml" in me.ok("init").err, "that policy is outside of this repository"


def test_init_of_a_second_teammate_tells_the_line_to_add_and_who_goes_on(me: Person, ann: Person) -> None:
    me.write(".ksecret.yaml", policy(f"path: prod/**, keys: ['{ann.ref}']", f"keys: ['{ann.ref}']"))
    me.write("deep/a.yaml")
    top, me.work = me.work, me.work / "deep"
    ran = me.ok("init")
    assert ran.err == ""
    assert ran.out.decode().splitlines()[2:] == [
        "next: no rule of ../.ksecret.yaml names that key yet; add it to the keys of those that should:",
        f'      - "{me.ref}"',
        "then somebody who can open the files already runs: ksecret keys sync -r ..",
    ]
    (top / ".ksecret.yaml").write_bytes(policy(f"path: x, keys: ['{ann.ref}']", f"keys: ['age:{me.ref[4:].upper()}']"))
    assert b"next: ksecret encrypt -i secret.yaml\n" in me.ok("init").out
    (top / ".ksecret.yaml").write_bytes(b"version: 1\n")
    assert b"next: ksecret encrypt -i secret.yaml\n" in me.ok("init").out, "one's own key is sealed to"


def test_a_misnamed_policy_is_told_of_by_init_and_the_doctor(me: Person) -> None:
    me.write(".ksecret.yml", policy(f"keys: ['{me.ref}']"))
    assert "next: rename .ksecret.yml, which is not read" in me.ok("init").out.decode()
    assert "no    .ksecret.yml: it is not read" in me.ok("doctor").out.decode()


def test_names_stand_for_keys_where_recipients_are_tried_taken_away_and_warned_of(me: Person, ann: Person) -> None:
    me.write(".ksecret.yaml", f"version: 1\npeople: {{ann: {ann.ref}}}\nrules: [{{keys: [ann]}}]\n".encode())
    assert f"part  ann ({ann.ref}): seals, but does not open here" in me.ok("doctor").out.decode()
    me.write_sealed("a.yaml", MANIFEST, "-k", me.ref)
    assert me.ok("keys", "remove", "-k", "ann", "a.yaml").err.startswith(
        f"ksecret: nothing here was sealed to ann ({ann.ref})"
    )
    assert "no rule of .ksecret.yaml names that key yet" in me.ok("init").out.decode()


def test_the_doctor_tries_the_policys_recipients(me: Person, ann: Person, bob: Person) -> None:
    me.write(".ksecret.yaml", policy(f"path: prod/**, keys: ['{ann.ref}', '{me.ref}']", f"keys: ['{ann.ref}']"))
    out = me.ok("doctor").out.decode()
    assert out.count(f"part  {ann.ref}: seals, but does not open here") == 1
    assert out.endswith("ok    .ksecret.yaml: 1 of its 2 keys opens here\n")
    assert f"{ann.ref}: seals" not in me.ok("doctor", "-k", me.ref).out.decode()
    assert (
        bob.ok("doctor")
        .out.decode()
        .endswith(
            "no    .ksecret.yaml: 0 of its 2 keys open here\n        ksecret init tells which line to add to it\n"
        )
    )
    me.write(".ksecret.yaml", policy(f"keys: ['age:age1{'q' * 58}']"))
    ran = me.run("doctor")
    assert (ran.code, "FAIL  age:…: can't seal to it: that is not an age recipient" in ran.out.decode()) == (2, True)
    me.write(".ksecret.yaml", b"version: 2\n")
    ran = me.run("doctor")
    assert (ran.code, "FAIL  .ksecret.yaml:1: version is not 1" in ran.out.decode()) == (3, True)


def test_check_finds_a_recipient_that_no_backend_takes(me: Person, ann: Person) -> None:
    ssh = "AAAAC3NzaC1lZDI1NTE5AAAAIHsKLqeplhpW+uObz5dvMgjz1OxfM/XXUB+VHtZ6isGN"
    typo = ann.ref[:20] + ("q" if ann.ref[20] != "q" else "p") + ann.ref[21:]
    bad = [typo, f"age:ssh-ed25519 {ssh[:-8]}", "nokms:transit/keys/x"]
    rules = [f"path: p{number}, keys: ['{ann.ref}', '{key}']" for number, key in enumerate(bad)]
    me.write(".ksecret.yaml", policy(*rules, f"keys: ['{me.ref}', 'age:ssh-ed25519 {ssh}']"))
    me.write_sealed("a.yaml", MANIFEST, "-k", me.ref, "-k", f"age:ssh-ed25519 {ssh}")
    ran = me.run("check")
    cut = "that is not an age recipient: it was cut, or a letter of it changed"
    assert (ran.code, ran.out.decode().splitlines()) == (
        1,
        [
            f".ksecret.yaml:3: KS018 key 2 of this rule: {cut}",
            f".ksecret.yaml:4: KS018 key 2 of this rule: {cut}",
            ".ksecret.yaml:5: KS018 key 2 of this rule: no backend for keys that start with nokms:",
        ],
    )
    me.write(".ksecret.yaml", policy(f"keys: ['{me.ref}', 'age:ssh-ed25519 {ssh}']"))
    assert me.ok("check").out == b""


def test_init_where_no_policy_can_be_written_still_tells_the_key(me: Person) -> None:
    me.write(".ksecret.yaml", b"version: 2\n")
    ran = me.run("init")
    assert (ran.code, me.ref in ran.out.decode()) == (3, True)
    assert ran.err.startswith("ksecret: .ksecret.yaml:1: version is not 1")


def test_a_file_that_no_rule_fits_and_no_key_is_for_does_not_stop_the_others(tmp_path: Path, ann: Person) -> None:
    nobody = Person(tmp_path, identity=False)
    nobody.write(".ksecret.yaml", policy(f"path: b/**, keys: ['{ann.ref}']"))
    for name in ("a/a.yaml", "b/b.yaml"):
        nobody.write(name)
    ran = nobody.run("encrypt", "-i", "-r", ".")
    assert ran.code == 2
    assert "ksecret: a/a.yaml: no rule of .ksecret.yaml fits prod/db\n  add `- {path: " in ran.err
    assert "1 sealed, 0 unchanged, 1 skipped, 1 failed" in ran.err
    assert sealed_to(nobody, "b/b.yaml") == [ann.ref]
    assert not is_sealed((nobody.work / "a/a.yaml").read_bytes())


OPENING = {
    "decrypt": ["decrypt", "a.yaml"],
    "decrypt -": ["decrypt", "-"],
    "get": ["get", "a.yaml", "username"],
    "verify": ["verify", "a.yaml"],
    "exec": ["exec", "a.yaml", "--", "true"],
    "textconv": ["git", "textconv", "--show", "a.yaml"],
}


@pytest.mark.parametrize("name", OPENING)
def test_opening_needs_no_policy_and_warns_of_a_broken_one(me: Person, name: str) -> None:
    sealed = me.write_sealed("a.yaml").read_bytes()
    stdin = sealed if "-" in OPENING[name] else b""
    expected = me.ok(*OPENING[name], stdin=stdin)
    me.write(".ksecret.yaml", b"version: 1\nrules:\n- kees: []\n")
    ran = me.ok(*OPENING[name], stdin=stdin)
    assert ran.out == expected.out
    told = "ksecret: warning: .ksecret.yaml:3: a rule has an unknown key `kees`; opening goes on without this policy\n"
    assert ran.err == expected.err + ("" if name == "textconv" else told)


def test_a_broken_policy_is_warned_of_once_a_run(me: Person) -> None:
    for name in ("a.yaml", "b/b.yaml", "c.yaml"):
        me.write_sealed(name)
    me.write(".ksecret.yaml", b"version: 2\n")
    assert me.ok("decrypt", "-r", ".").err.count("version is not 1") == 1


def test_a_broken_policy_that_speaks_of_signatures_stops_opening(me: Person) -> None:
    me.write_sealed("a.yaml")
    me.write(".ksecret.yaml", b"version: 1\nrequireSignature: yes\n")
    for words in (["decrypt", "a.yaml"], ["get", "a.yaml", "username"], ["verify", "a.yaml"]):
        err = me.fails(3, *words)
        assert err.startswith("ksecret: .ksecret.yaml:2: requireSignature is neither true nor false\n")


def test_init_leaves_no_policy_in_a_folder_for_everybodys_files(tmp_path: Path) -> None:
    me = Person(tmp_path, "new", identity=False)
    me.work.chmod(0o1777)
    assert me.ok("init").err == ""
    assert me.names() == []


def test_a_policy_in_tmp_stops_nobody(me: Person) -> None:
    me.work.chmod(0o1777)
    me.write(".ksecret.yaml", b"no policy\n")
    me.write("mine/a.yaml")
    me.work = me.work / "mine"
    me.write_sealed("a.yaml")
    assert sealed_to(me, "a.yaml") == [me.ref]
    assert me.ok("decrypt", "a.yaml") == (0, MANIFEST, "")
