"""KeyRefs, keysets, and what `--key` options change about them."""

from __future__ import annotations

import pytest

from secretsvc.backends import complete, split
from secretsvc.errors import KeyRefError
from secretsvc.keyref import MAX_LENGTH, KeyRef, Keyset, KeysetChange, keyset, parse_change

A, B, C = (KeyRef("age", name) for name in "abc")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("age:age1x", KeyRef("age", "age1x")),
        (" age:age1x \n", KeyRef("age", "age1x")),
        ("age:ssh-ed25519 AAAA", KeyRef("age", "ssh-ed25519 AAAA")),
        ("aws:arn:aws:kms:eu-west-1:1:key/2", KeyRef("aws", "arn:aws:kms:eu-west-1:1:key/2")),
        ("gcp:projects/ü", KeyRef("gcp", "projects/ü")),
        ("x9:y", KeyRef("x9", "y")),
    ],
)
def test_a_uri_is_split_at_its_first_colon(text: str, expected: KeyRef) -> None:
    assert split(text) == expected
    assert str(split(text)) == text.strip()


@pytest.mark.parametrize(
    "text",
    ["", ":", "age", "x9", "age:", ":x", "Age:x", "AGE:x", "a-b:x", "a b:x", "ä:x", " : ", "a.b:x"],
)
def test_what_has_no_scheme_or_no_name_is_refused(text: str) -> None:
    with pytest.raises(KeyRefError, match=r"^a key is written SCHEME:NAME$"):
        split(text)


@pytest.mark.parametrize(
    "text", ["AGE-SECRET-KEY-1QQ", "age:AGE-SECRET-KEY-1QQ", "age-secret-key-1qq", "x: AGE-SECRET-KEY-1"]
)
def test_a_private_identity_is_no_name_and_is_not_shown(text: str) -> None:
    with pytest.raises(KeyRefError, match=r"^that is a private age identity, not a recipient$") as caught:
        split(text)
    assert "leaked" in caught.value.hint


@pytest.mark.parametrize("name", ["a\nb", "a\x00b", "a\x1b[0m", "a\u2028b", "\ud800", "a\u200bb", "x" * MAX_LENGTH])
def test_a_name_that_does_not_print_or_is_too_long_is_refused_and_not_shown(name: str) -> None:
    with pytest.raises(KeyRefError, match=rf"^a key's name is up to {MAX_LENGTH} printable characters on one line$"):
        split(f"age:{name}")


def test_the_longest_name_that_is_taken() -> None:
    assert split("age:" + "x" * (MAX_LENGTH - 4)).id == "x" * (MAX_LENGTH - 4)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("arn:aws:kms:eu-west-1:1:key/2", "aws:arn:aws:kms:eu-west-1:1:key/2"),
        (" projects/p/locations/l\n", "gcp:projects/p/locations/l"),
        ("age1x", "age:age1x"),
        ("ssh-ed25519 AAAA", "age:ssh-ed25519 AAAA"),
        ("0123456789abcdef", "pgp:0123456789abcdef"),
        ("0x0123456789ABCDEF", "pgp:0x0123456789ABCDEF"),
        ("0123456789ABCDEF0", "pgp:0123456789ABCDEF0"),
        ("0123 4567 89AB CDEF", "pgp:0123 4567 89AB CDEF"),
        ("AAAAAAAAAAAAAAAA", "pgp:AAAAAAAAAAAAAAAA"),
        ("0123456789abcdefABCDEF", "pgp:0123456789abcdefABCDEF"),
        ("0123456789abcde", "0123456789abcde"),
        ("0x123456789abcde", "0x123456789abcde"),
        ("DEADBEEF", "DEADBEEF"),
        ("0123456789abcdeg", "0123456789abcdeg"),
        ("age:age1x", "age:age1x"),
        ("alice", "alice"),
        ("", ""),
    ],
)
def test_a_name_that_says_whose_it_is_needs_no_scheme(text: str, expected: str) -> None:
    """Of a fingerprint's last digits, 16 at least: fewer name a key that anybody can make."""
    assert complete(text) == expected


def test_a_keyset_is_sorted_by_bytes_without_repetition() -> None:
    refs = [KeyRef("pgp", "a"), KeyRef("age", "ä"), KeyRef("age", "z"), KeyRef("age", "Z"), KeyRef("age", "z")]
    assert list(map(str, keyset(refs))) == ["age:Z", "age:z", "age:ä", "pgp:a"]
    assert keyset([KeyRef("age", "\U00010000"), KeyRef("age", "\uffff")])[0].id == "\uffff"
    assert keyset([]) == ()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], KeysetChange((), (), ())),
        (["age:b", "age:a", "age:b"], KeysetChange((A, B), (), ())),
        (["+age:a"], KeysetChange((), (A,), ())),
        (["-age:a"], KeysetChange((), (), (A,))),
        (["+age:c", "-age:a", "+age:b"], KeysetChange((), (B, C), (A,))),
    ],
)
def test_key_options_are_sorted_into_three_kinds(words: list[str], expected: KeysetChange) -> None:
    assert parse_change(words, split) == expected


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["age:a", "+age:b"], "use one kind at a time"),
        (["-age:a", "age:b"], "use one kind at a time"),
        (["+age:a", "-age:a"], "can't be added and removed in one call"),
        (["+"], "SCHEME:NAME"),
        (["--age:a"], "SCHEME:NAME"),
        (["+-age:a"], "SCHEME:NAME"),
        ([""], "SCHEME:NAME"),
    ],
)
def test_key_options_that_contradict_each_other_are_refused(words: list[str], message: str) -> None:
    with pytest.raises(KeyRefError, match=message):
        parse_change(words, split)


@pytest.mark.parametrize(
    ("change", "current", "expected"),
    [
        (KeysetChange((C,), (), ()), (A, B), (C,)),
        (KeysetChange((C,), (), ()), (), (C,)),
        (KeysetChange((), (), ()), (A, B), (A, B)),
        (KeysetChange((), (A,), ()), (B,), (A, B)),
        (KeysetChange((), (A,), ()), (A,), (A,)),
        (KeysetChange((), (), (A,)), (A, B), (B,)),
        (KeysetChange((), (C,), (A,)), (A,), (C,)),
    ],
)
def test_a_change_applied(change: KeysetChange, current: Keyset, expected: Keyset) -> None:
    assert change.applied(current) == expected


def test_a_key_that_is_not_there_can_not_be_removed() -> None:
    with pytest.raises(KeyRefError, match="age:c can't be removed: it is not in the keyset") as caught:
        KeysetChange((), (), (A, C)).applied((A, B))
    assert caught.value.key_ref == "age:c"


def test_who_asks_is_told_of_keys_that_go_and_then_one_that_is_not_there_is_no_error() -> None:
    gone: list[KeyRef] = []
    change = KeysetChange((), (), (A, C), gone.append)
    assert (change.applied((A, B)), gone) == ((B,), [A])
    assert (change.applied((B,)), gone) == ((B,), [A])


def test_the_last_key_can_not_be_removed() -> None:
    with pytest.raises(KeyRefError, match="removing that key would leave none") as caught:
        KeysetChange((), (), (A, B)).applied((A, B))
    assert "--key +REF" in caught.value.hint
