"""Which keys a file is sealed to, and how `--key` changes them."""

from __future__ import annotations

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


def test_without_a_word_it_is_the_users_own_identity(me: Person) -> None:
    assert key_refs(me.ok("encrypt", "-", stdin=MANIFEST).out) == [me.ref]


def test_no_key_at_all_says_what_to_do(tmp_path: Path) -> None:
    nobody = Person(tmp_path, identity=False)
    nobody.write("a.yaml")
    err = nobody.fails(2, "encrypt", "a.yaml")
    assert err.startswith("ksecret: no key to seal to\n  run `ksecret init`")


def test_repeated_keys_make_a_keyset_that_each_of_them_opens(me: Person, ann: Person, bob: Person) -> None:
    sealed = me.ok("encrypt", "-k", ann.ref, "--key", bob.ref, "-", stdin=MANIFEST).out
    assert key_refs(sealed) == sorted([ann.ref, bob.ref])
    for person in (ann, bob):
        assert person.ok("decrypt", "-", stdin=sealed).out == MANIFEST
    assert "none of the age identities at hand opens it" in me.fails(4, "decrypt", "-", stdin=sealed)


def test_the_environment_lists_keys_with_commas_and_key_options_go_before(me: Person, ann: Person, bob: Person) -> None:
    listed = f"{ann.ref}, {bob.ref},\n"
    assert key_refs(me.ok("encrypt", "-", stdin=MANIFEST, KSECRET_KEYS=listed).out) == sorted([ann.ref, bob.ref])
    one = me.ok("encrypt", "-k", me.ref, "-", stdin=MANIFEST, KSECRET_KEYS=listed).out
    assert key_refs(one) == [me.ref]
    message = me.fails(2, "encrypt", "-", stdin=MANIFEST, KSECRET_KEYS=f"{ann.ref},nonsense")
    assert "KSECRET_KEYS: a key is written SCHEME:NAME" in message
    empty = me.ok("encrypt", "-", stdin=MANIFEST, KSECRET_KEYS=" , ").out
    assert key_refs(empty) == [me.ref]


def test_a_sealed_file_keeps_its_keys_whatever_the_environment_says(me: Person, ann: Person) -> None:
    path = me.write_sealed("a.yaml")
    path.write_bytes(path.read_bytes().replace(b"stringData:\n", b"stringData:\n  more: text\n"))
    me.ok("encrypt", "-i", "a.yaml", KSECRET_KEYS=ann.ref)
    assert key_refs(path.read_bytes()) == [me.ref]


@pytest.mark.parametrize("words", [("-k", "+REF"), ("-k+REF",), ("--key=+REF",), ("--key", "+REF")])
def test_plus_adds_a_key_and_changes_no_token(me: Person, ann: Person, words: tuple[str, ...]) -> None:
    path = me.write_sealed("a.yaml")
    before = path.read_bytes()
    me.ok("encrypt", "-i", *(word.replace("REF", ann.ref) for word in words), "a.yaml")
    after = path.read_bytes()
    assert key_refs(after) == sorted([me.ref, ann.ref])
    for name in ("username", "password", "url", "created", me.ref):
        assert member(after, name) == member(before, name)
    assert member(after, "seal") != member(before, "seal")
    assert ann.ok("decrypt", "a.yaml").out == MANIFEST


@pytest.mark.parametrize("words", [("-k", "-REF"), ("-k-REF",), ("--key=-REF",), ("--key", "-REF")])
def test_minus_removes_a_key_and_seals_anew(me: Person, ann: Person, words: tuple[str, ...]) -> None:
    path = me.write_sealed("a.yaml", MANIFEST, "-k", me.ref, "-k", ann.ref)
    before = path.read_bytes()
    me.ok("encrypt", "-i", *(word.replace("REF", ann.ref) for word in words), "a.yaml")
    after = path.read_bytes()
    assert key_refs(after) == [me.ref]
    for name in ("username", "password", "url", "seal", me.ref):
        assert member(after, name) != member(before, name)
    assert me.ok("decrypt", "a.yaml").out == MANIFEST
    ann.fails(4, "decrypt", "a.yaml")


def test_one_key_for_another_in_one_call(me: Person, ann: Person, bob: Person) -> None:
    path = me.write_sealed("a.yaml", MANIFEST, "-k", me.ref, "-k", ann.ref)
    me.ok("encrypt", "-i", "-k", "-" + ann.ref, "-k", "+" + bob.ref, "a.yaml")
    assert key_refs(path.read_bytes()) == sorted([me.ref, bob.ref])
    assert bob.ok("decrypt", "a.yaml").out == MANIFEST


def test_exact_keys_replace_the_keyset(me: Person, ann: Person) -> None:
    path = me.write_sealed("a.yaml")
    me.ok("encrypt", "-i", "-k", ann.ref, "a.yaml")
    assert key_refs(path.read_bytes()) == [ann.ref]
    me.fails(4, "decrypt", "a.yaml")


def test_plus_on_clear_text_adds_to_the_default_key(me: Person, ann: Person) -> None:
    assert key_refs(me.ok("encrypt", "-k", "+" + ann.ref, "-", stdin=MANIFEST).out) == sorted([me.ref, ann.ref])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("-k", "-ANN"), "can't be removed: it is not in the keyset"),
        (("-k", "-ME"), "removing that key would leave none"),
        (("-k", "ANN", "-k", "+ANN"), "use one kind at a time"),
        (("-k", "+ANN", "-k", "-ANN"), "a key can't be added and removed in one call"),
        (("-k", ""), "a key is written SCHEME:NAME"),
        (("-k", "+"), "a key is written SCHEME:NAME"),
        (("-k", "qqqq"), "a key is written SCHEME:NAME"),
        (("-k", "age:age1qqqq"), "that is not an age recipient"),
        (("-k", "nokms:x"), "no backend for keys that start with nokms:"),
    ],
)
def test_a_change_that_makes_no_sense_is_refused(me: Person, ann: Person, words: tuple[str, ...], message: str) -> None:
    path = me.write_sealed("a.yaml")
    before = path.read_bytes()
    named = [word.replace("ANN", ann.ref).replace("ME", me.ref) for word in words]
    assert message in me.fails(2, "encrypt", "-i", *named, "a.yaml")
    assert path.read_bytes() == before


@pytest.mark.parametrize("prefix", ["", "+", "-", "age:", "+age:"])
def test_a_private_identity_as_key_is_refused_and_not_shown(me: Person, ann: Person, prefix: str) -> None:
    me.write("a.yaml")
    for word in (ann.identity, ann.identity.lower()):
        err = me.fails(2, "encrypt", "-k", prefix + word, "a.yaml")
        assert word[20:40] not in err
        assert "age:" not in prefix or "that is a private age identity, not a recipient" in err
        assert word[20:40] not in me.fails(2, "encrypt", "a.yaml", KSECRET_KEYS=prefix + word)


def test_the_same_keys_again_are_nothing_to_do(me: Person) -> None:
    path = me.write_sealed("a.yaml")
    before = path.read_bytes()
    for words in (("-k", me.ref), ("-k", "+" + me.ref), ()):
        assert "sealed already" in me.fails(3, "encrypt", "-i", *words, "a.yaml")
    assert path.read_bytes() == before


def test_a_key_that_one_of_several_files_lacks_keeps_no_other_file_from_losing_it(me: Person, ann: Person) -> None:
    """Design CLI, "Several files": each is independent; the rest go on when one fails."""
    both = ("-k", me.ref, "-k", ann.ref)
    first, third = me.write_sealed("1.yaml", MANIFEST, *both), me.write_sealed("3.yaml", MANIFEST, *both)
    me.write_sealed("2.yaml")
    ran = me.run("encrypt", "-i", "-k", "-" + ann.ref, "1.yaml", "2.yaml", "3.yaml")
    assert ran.code == 2
    assert "ksecret: 2.yaml: " in ran.err
    assert ran.err.endswith("ksecret: 2 sealed, 0 unchanged, 1 failed\n")
    assert [key_refs(path.read_bytes()) for path in (first, third)] == [[me.ref], [me.ref]]
