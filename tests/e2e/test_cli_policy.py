"""`.ksecret.yaml` at work: which keys `encrypt` takes without being told, and what `init` leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.cli import CONFIG_MAP, MANIFEST, Person, is_sealed, key_refs

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def me(tmp_path: Path) -> Person:
    return Person(tmp_path)


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
    me.write("c.yaml")
    me.ok("encrypt", "-i", "prod/b.yaml", "c.yaml", KSECRET_KEYS=bob.ref)
    assert (sealed_to(me, "prod/b.yaml"), sealed_to(me, "c.yaml")) == ([ann.ref], [bob.ref])
    me.write_sealed("d.yaml")
    assert sealed_to(me, "d.yaml") == [me.ref], "no rule fits"
    me.write_sealed("prod/e.yaml", MANIFEST, "-k", f"+{bob.ref}")
    assert sealed_to(me, "prod/e.yaml") == sorted([ann.ref, bob.ref]), "added to the policy's"


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
        "ksecret: .ksecret.yaml:3: a rule has an unknown key here\n"
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
    bad = [typo, f"age:ssh-ed25519 {ssh[:-8]}", "vault:transit/keys/x"]
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
            ".ksecret.yaml:5: KS018 key 2 of this rule: no backend for keys that start with vault:",
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
    assert "ksecret: ./a/a.yaml: no key to seal to\n  run `ksecret init`" in ran.err
    assert "1 sealed, 1 unchanged, 1 failed" in ran.err
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
    told = "ksecret: warning: .ksecret.yaml:3: a rule has an unknown key here; opening goes on without this policy\n"
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
