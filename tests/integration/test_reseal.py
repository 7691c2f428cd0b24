"""Sealing what is sealed already: which tokens, times and wrapped keys stay, and which do not."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NamedTuple

import pytest

from secretsvc.errors import AlreadySealedError, AlteredError, KeyNotHeldError, KeyRefError, ManifestError
from secretsvc.formats.base import token_of
from secretsvc.formats.ksecret import envelope as ksecret
from secretsvc.keyref import KeyRef, KeysetChange
from secretsvc.manifest.reader import read
from secretsvc.operations.request import Request
from secretsvc.operations.seal import seal_manifest
from tests.support import CREATED, NO_CHANGE, Lock, new_lock

if TYPE_CHECKING:
    from collections.abc import Iterable

LATER = "2027-01-02T03:04:05Z"
HEAD = b"apiVersion: v1\nkind: Secret\nmetadata:\n  name: NAME\n  namespace: prod\n"
ONE = HEAD.replace(b"NAME", b"one") + b"data:\n  a: YQ==\n  b: YmI=\nstringData:\n  c: |\n    text\n    more\n"
TWO = ONE.replace(b"name: one", b"name: two")
JSON = json.dumps(
    {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "one"},
        "data": {"a": "YQ=="},
        "stringData": {"c": "d"},
    },
    indent=2,
).encode()
LIST = b"apiVersion: v1\nkind: List\nitems:\n- " + b"\n- ".join(
    text.rstrip().replace(b"\n", b"\n  ") for text in (ONE, TWO)
) + b"\n"  # fmt: skip
OTHER = new_lock()


class State(NamedTuple):
    """What a sealed Secret is made of."""

    tokens: dict[tuple[str, str], str]
    envelope: ksecret.Envelope


def states(data: bytes) -> list[State]:
    found = []
    for secret in read(data).secrets:
        member = ksecret.member_of(secret)
        assert member
        tokens = {(entry.field, entry.key): token_of(entry) for entry in secret.entries}
        found.append(State(tokens, ksecret.read(member)))
    return found


def state(data: bytes) -> State:
    (found,) = states(data)
    return found


def change(
    lock: Lock, data: bytes, *, exact: Iterable[KeyRef] = (), add: Iterable[KeyRef] = (), remove: Iterable[KeyRef] = (),
    scope: str = "",
) -> bytes:  # fmt: skip
    wanted = KeysetChange(tuple(exact), tuple(add), tuple(remove))
    return seal_manifest(data, Request(wanted, lambda *_: lock.keys, scope, LATER), lock.keyring).data


def differing(before: State, after: State) -> set[tuple[str, str]]:
    return {place for place in before.tokens | after.tokens if before.tokens.get(place) != after.tokens.get(place)}


@pytest.mark.parametrize(
    ("place", "old", "new"),
    [
        (("data", "a"), b"  a: .*", b"  a: eA=="),
        (("data", "b"), b"  b: .*", b'  b: "eA=="'),
        (("stringData", "c"), b"  c: \\|\n    .*", b"  c: now plain"),
        (("stringData", "d"), b"stringData:\n", b"stringData:\n  d: added\n"),
    ],
)
def test_an_edited_value_gets_a_token_and_nothing_else_changes(
    lock: Lock, place: tuple[str, str], old: bytes, new: bytes
) -> None:
    sealed = lock.seal(ONE)
    edited = re.sub(old, new, sealed)
    again = lock.seal(edited, created=LATER)
    assert state(again).envelope == state(sealed).envelope
    assert state(again).envelope.created == CREATED
    assert differing(state(sealed), state(again)) == {place}
    assert lock.open_(again) == re.sub(old, new, ONE if b"|" not in new + old else ONE.replace(b"\n    more", b""))


def test_the_same_value_in_the_place_of_its_token_gets_that_token_again_from_a_parent(lock: Lock) -> None:
    """The file itself no longer holds the old token; the parent does."""
    sealed = lock.seal(ONE)
    assert lock.seal(lock.open_(sealed), parent=sealed, created=LATER) == sealed
    edited = re.sub(rb"  a: .*", b"  a: YQ==", sealed)
    assert differing(state(sealed), state(lock.seal(edited))) == {("data", "a")}


def test_an_added_key_leaves_data_key_tokens_and_time(lock: Lock) -> None:
    sealed = lock.seal(ONE)
    again = change(lock, sealed, add=OTHER.keys)
    before, after = state(sealed), state(again)
    assert after.tokens == before.tokens
    assert after.envelope.created == CREATED
    assert after.envelope.groups[0].items() > before.envelope.groups[0].items()
    assert list(after.envelope.groups[0]) == sorted(map(str, lock.keys + OTHER.keys))
    assert after.envelope.seal != before.envelope.seal
    assert OTHER.open_(again) == lock.open_(again) == ONE


def test_a_removed_key_means_a_new_data_key_new_tokens_and_a_new_time(lock: Lock) -> None:
    both = change(lock, lock.seal(ONE), add=OTHER.keys)
    again = change(lock, both, remove=OTHER.keys)
    before, after = state(both), state(again)
    assert differing(before, after) == before.tokens.keys() == after.tokens.keys()
    assert after.envelope.created == LATER
    assert after.envelope.groups[0].keys() == {str(ref) for ref in lock.keys}
    assert not after.envelope.groups[0].items() & before.envelope.groups[0].items()
    assert lock.open_(again) == ONE
    with pytest.raises(AlteredError, match="was altered"):
        lock.open_(again.replace(after.tokens["data", "a"].encode(), before.tokens["data", "a"].encode()))


def test_keys_named_outright_keep_the_data_key_where_none_is_lost(lock: Lock) -> None:
    sealed = lock.seal(ONE)
    more = change(lock, sealed, exact=sorted(lock.keys + OTHER.keys))
    assert state(more).tokens == state(sealed).tokens
    fewer = change(lock, more, exact=OTHER.keys)
    assert differing(state(more), state(fewer)) == state(more).tokens.keys()
    assert OTHER.open_(fewer) == ONE


@pytest.mark.parametrize(("scope", "sealed_for"), [("namespace", "prod/*"), ("any", "*/*")])
def test_another_scope_means_a_new_data_key(lock: Lock, scope: str, sealed_for: str) -> None:
    sealed = lock.seal(ONE)
    again = change(lock, sealed, scope=scope)
    assert state(again).envelope.sealed_for == sealed_for
    assert state(again).envelope.created == LATER
    assert differing(state(sealed), state(again)) == state(sealed).tokens.keys()
    assert lock.open_(again) == ONE
    with pytest.raises(AlreadySealedError, match="it is sealed already"):
        change(lock, again, scope=scope)


def test_nothing_to_change_is_said(lock: Lock) -> None:
    sealed = lock.seal(ONE)
    for again in ({}, {"scope": "strict"}, {"add": lock.keys}, {"exact": lock.keys}):
        with pytest.raises(AlreadySealedError, match="it is sealed already"):
            change(lock, sealed, **again)  # type: ignore[arg-type]
    for wrong, message in (({"remove": OTHER.keys}, "not in the keyset"), ({"remove": lock.keys}, "would leave none")):
        with pytest.raises(KeyRefError, match=message):
            change(lock, sealed, **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("both", [ONE + b"---\n" + TWO, LIST], ids=["documents", "list"])
def test_of_several_secrets_only_the_changed_one_is_sealed_anew(lock: Lock, both: bytes) -> None:
    sealed = lock.seal(both)
    first, second = states(sealed)
    assert first.envelope.groups[0] != second.envelope.groups[0]
    assert first.envelope.seal != second.envelope.seal
    edited = sealed.replace(second.tokens["data", "a"].encode(), b"eA==")
    again = lock.seal(edited, created=LATER)
    now_first, now_second = states(again)
    assert now_first == first
    assert now_second.envelope == second.envelope
    assert differing(second, now_second) == {("data", "a")}
    head, tail = both.rsplit(b"YQ==", 1)
    assert lock.open_(again) == head + b"eA==" + tail


def test_a_secret_in_the_clear_beside_a_sealed_one_is_sealed_and_the_other_stays(lock: Lock) -> None:
    sealed = lock.seal(ONE)
    again = lock.seal(sealed + b"---\n" + TWO, created=LATER)
    assert again.startswith(sealed)
    assert [one.envelope.created for one in states(again)] == [CREATED, LATER]
    assert lock.open_(again) == ONE + b"---\n" + TWO


def test_items_of_a_list_get_a_key_more_each(lock: Lock) -> None:
    sealed = lock.seal(LIST)
    again = change(lock, sealed, add=OTHER.keys)
    assert [one.tokens for one in states(again)] == [one.tokens for one in states(sealed)]
    assert OTHER.open_(again) == LIST
    fewer = change(lock, again, remove=lock.keys)
    assert not {*states(fewer)[0].tokens.values()} & {*states(again)[0].tokens.values()}
    assert OTHER.open_(fewer) == LIST


@pytest.mark.parametrize("data", [JSON, json.dumps(json.loads(JSON), separators=(",", ":")).encode()])
def test_json_is_sealed_anew_in_the_same_way(lock: Lock, data: bytes) -> None:
    sealed = lock.seal(data)
    before = state(sealed)
    edited = sealed.replace(before.tokens["stringData", "c"].encode(), b"new")
    again = lock.seal(edited, created=LATER)
    assert differing(before, state(again)) == {("stringData", "c")}
    assert state(again).envelope == before.envelope
    assert lock.open_(again) == data.replace(b'"d"', b'"new"')
    more = change(lock, sealed, add=OTHER.keys)
    assert state(more).tokens == before.tokens
    assert OTHER.open_(more) == data
    assert lock.open_(change(lock, more, remove=OTHER.keys)) == data


def test_a_parent_lends_what_is_unchanged_and_its_time_and_keys(lock: Lock) -> None:
    both = change(lock, lock.seal(ONE), add=OTHER.keys, scope="any")
    new = ONE.replace(b"a: YQ==", b"a: eA==")
    again = lock.seal(new, parent=both, created=LATER)
    assert state(again).envelope == state(both).envelope
    assert differing(state(both), state(again)) == {("data", "a")}
    assert OTHER.open_(again) == new
    assert lock.seal(ONE, parent=both, created=LATER) == both


def test_a_parent_that_holds_other_secrets_lends_to_the_ones_of_its_names(lock: Lock) -> None:
    parent = lock.seal(TWO + b"---\n" + ONE)
    three = ONE.replace(b"name: one", b"name: three")
    again = lock.seal(ONE + b"---\n" + three, parent=parent, created=LATER)
    first, last = states(again)
    assert first == states(parent)[1]
    assert last.envelope.created == LATER
    assert not {*last.envelope.groups[0].items()} & {*first.envelope.groups[0].items()}


def test_a_parent_that_was_altered_lends_nothing(lock: Lock) -> None:
    parent = lock.seal(ONE).replace(b"created: ", b"created:  ").replace(CREATED.encode(), LATER.encode())
    with pytest.raises(AlteredError, match="the seal does not fit"):
        lock.seal(ONE, parent=parent)


def test_a_changed_type_is_sealed_anew_only_from_clear_text(lock: Lock) -> None:
    sealed = lock.seal(ONE)
    typed = sealed.replace(b"\ndata:\n", b"\ntype: mine\ndata:\n")
    with pytest.raises(AlteredError, match="was sealed as a Secret of type Opaque"):
        lock.open_(typed)
    with pytest.raises(AlteredError, match="was sealed as a Secret of type Opaque"):
        change(lock, typed, add=OTHER.keys)
    clear = ONE.replace(b"\ndata:\n", b"\ntype: mine\ndata:\n")
    again = lock.seal(clear, parent=sealed)
    assert state(again).tokens == state(sealed).tokens
    assert state(again).envelope.seal != state(sealed).envelope.seal
    assert lock.open_(again) == clear


def test_who_holds_no_key_adds_none(lock: Lock) -> None:
    sealed = lock.seal(ONE)
    with pytest.raises(KeyNotHeldError, match="none of the age identities at hand opens it"):
        change(OTHER, sealed, add=OTHER.keys)


def test_an_envelope_that_was_moved_is_written_anew_where_it_stands(lock: Lock) -> None:
    sealed = lock.seal(ONE)
    at = sealed.index(b"ksecret:\n")
    moved = sealed[at:] + sealed[:at]
    again = change(lock, moved, add=OTHER.keys)
    assert again.startswith(b"ksecret:\n")
    assert lock.open_(again) == ONE


def test_a_value_that_can_not_be_sealed_leaves_the_rest_as_it_was(lock: Lock) -> None:
    sealed = lock.seal(ONE)
    with pytest.raises(ManifestError, match=r'data\["a"\] is not base64'):
        lock.seal(re.sub(rb"  a: .*", b"  a: not base64", sealed))


def test_a_request_says_nothing_of_keys_unless_asked(lock: Lock) -> None:
    asked: list[bool] = []

    def default_keys(*_: object) -> tuple[KeyRef, ...]:
        asked.append(True)
        return lock.keys

    request = Request(NO_CHANGE, default_keys, "", LATER)
    edited = re.sub(rb"  a: .*", b"  a: eA==", lock.seal(ONE))
    seal_manifest(edited, request, lock.keyring)
    assert not asked
    seal_manifest(ONE, request, lock.keyring)
    assert asked == [True]
