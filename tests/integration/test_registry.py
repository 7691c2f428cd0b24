"""Keysets over several backends: any member opens, and where none does every member's reason is told."""

from __future__ import annotations

import os
from base64 import b64encode
from typing import TYPE_CHECKING

import pyrage
import pytest

from secretsvc import backends
from secretsvc.backends import registry
from secretsvc.backends.base import Scheme, Settings
from secretsvc.backends.registry import Backends
from secretsvc.errors import AlteredError, BackendError, KeyNotHeldError, KeyRefError, NoKeyError
from secretsvc.keyref import KeyRef, WrappedKey
from tests.support import wrapped_keys

if TYPE_CHECKING:
    from collections.abc import Mapping

DEK = bytes(range(32))


def identity() -> tuple[str, KeyRef]:
    made = pyrage.x25519.Identity.generate()
    return str(made), KeyRef("age", str(made.to_public()))


def holding(*identities: str, **environ: str) -> Backends:
    keys = {"KSECRET_AGE_KEY": "\n".join(identities)} if identities else {}
    return Backends(Settings({"XDG_CONFIG_HOME": os.devnull, "HOME": os.devnull} | keys | environ, lambda what: None))


def wrapped(*refs: KeyRef) -> dict[str, str]:
    return {str(ref): b64encode(holding().wrap(ref, DEK, {})).decode() for ref in refs}


MINE, MY_REF = identity()
ANNS, ANN = identity()
BOBS, BOB = identity()


@pytest.mark.parametrize("held", [MINE, ANNS, BOBS], ids=["mine", "anns", "bobs"])
def test_any_one_member_opens(held: str) -> None:
    assert holding(held).unwrap(wrapped_keys(wrapped(MY_REF, ANN, BOB))) == DEK


def test_members_of_unknown_schemes_and_damaged_ones_are_no_obstacle() -> None:
    keys = {"nokms:x": "AAAA", str(ANN): "!!", str(BOB): "AAAA", "no-uri": "AAAA"} | wrapped(MY_REF)
    assert holding(MINE).unwrap(wrapped_keys(keys)) == DEK


def test_every_member_that_is_not_held_is_listed_with_its_reason() -> None:
    with pytest.raises(NoKeyError, match=r"^none of its keys could be used here: ") as caught:
        holding(MINE).unwrap(wrapped_keys(wrapped(ANN, BOB) | {"nokms:x": "AAAA"}))
    assert type(caught.value) is NoKeyError
    first, second = sorted([str(ANN), str(BOB)])
    message = str(caught.value).removeprefix("none of its keys could be used here: ")
    assert message.split("; ") == [
        f"{first}: none of the age identities at hand opens it",
        f"{second}: none of the age identities at hand opens it",
        "nokms:x: no backend for keys that start with nokms:",
    ]
    assert "ksecret keys add" in caught.value.hint


def test_one_member_that_is_not_held_is_named() -> None:
    with pytest.raises(KeyNotHeldError, match=f"^{ANN}: none of the age identities at hand opens it$") as caught:
        holding(MINE).unwrap(wrapped_keys(wrapped(ANN)))
    assert caught.value.key_ref == str(ANN)
    with pytest.raises(KeyNotHeldError, match=f"^{ANN}: no age identity is at hand$"):
        holding().unwrap(wrapped_keys(wrapped(ANN)))
    with pytest.raises(KeyNotHeldError, match=r"^nokms:x: no backend for keys that start with nokms:$") as caught:
        holding(MINE).unwrap(wrapped_keys({"nokms:x": "AAAA"}))
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("text", ["!!!!", "AAA", "ä", "AA AA", "AAAA\n"])
def test_a_wrapped_key_that_is_not_base64_was_altered(text: str) -> None:
    with pytest.raises(AlteredError, match="its wrapped data key is not base64"):
        holding(MINE).unwrap(wrapped_keys({str(MY_REF): text}))


def test_the_gravest_failure_decides_what_is_raised() -> None:
    altered = {str(MY_REF): b64encode(b"no age file").decode()}
    with pytest.raises(AlteredError, match="its wrapped data key was altered"):
        holding(MINE).unwrap(wrapped_keys(altered))
    with pytest.raises(
        AlteredError, match=r"none of its keys .*was altered.*nokms:x|none of its keys .*nokms:x.*altered"
    ):
        holding(MINE).unwrap(wrapped_keys(altered | {"nokms:x": "AAAA"}))
    broken = holding(KSECRET_AGE_KEY="not an identity")
    with pytest.raises(BackendError, match=f"^{ANN}: KSECRET_AGE_KEY holds a line that is not an age identity$"):
        broken.unwrap(wrapped_keys(wrapped(ANN)))
    with pytest.raises(BackendError, match="KSECRET_AGE_KEY holds a line"):
        broken.unwrap(wrapped_keys(wrapped(ANN, BOB) | {"nokms:x": "AAAA"}))


def test_an_unknown_scheme_is_refused_with_the_ones_there_are() -> None:
    for text in ("nokms:x", "sops:y"):
        with pytest.raises(KeyRefError, match="no backend for keys that start with") as caught:
            holding().parse(text)
        assert caught.value.hint.startswith("the ones installed here: age, pgp")
    with pytest.raises(KeyRefError, match="no backend for keys that start with nokms:") as caught:
        holding().wrap(KeyRef("nokms", "x"), DEK, {})
    assert caught.value.key_ref == "nokms:x"


def test_a_failed_wrapping_names_its_key() -> None:
    with pytest.raises(KeyRefError, match="that is not an age recipient") as caught:
        holding().wrap(KeyRef("age", "age1qqqq"), DEK, {})
    assert caught.value.key_ref == "age:age1qqqq"


def test_backends_are_made_once_a_run_and_only_when_needed() -> None:
    ring = holding(MINE)
    assert ring.backend("age") is ring.backend("age")
    assert holding(MINE).backend("age") is not ring.backend("age")


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The KeyRefs whose wrapped keys are looked at, from now on."""
    order: list[str] = []
    right = registry._wrapped

    def noted(key: WrappedKey) -> bytes:
        order.append(str(key.ref))
        return right(key)

    monkeypatch.setattr(registry, "_wrapped", noted)
    return order


def test_the_cheapest_backend_is_tried_first_and_the_rest_not_at_all(tried: list[str]) -> None:
    keys = {"pgp:" + "A" * 40: "AAAA", "nokms:x": "AAAA", "other:y": "AAAA"} | wrapped(MY_REF)
    assert holding(MINE).unwrap(wrapped_keys(keys)) == DEK
    assert tried == [str(MY_REF)]


def test_within_a_scheme_members_are_tried_in_the_order_of_the_envelope(tried: list[str]) -> None:
    with pytest.raises(NoKeyError, match="none of its keys"):
        holding(identity()[0]).unwrap(wrapped_keys(wrapped(BOB, ANN, MY_REF)))
    assert tried == sorted(map(str, (MY_REF, ANN, BOB)))


@pytest.mark.parametrize("uri", ["nokms:x", "no uri", "", "age:age1qqqq"])
def test_what_is_not_known_has_no_description(uri: str) -> None:
    assert holding().describe(uri) == ""


class Recorded:
    """A plug-in's backend; notes what it is handed."""

    jobs = 1

    def __init__(self) -> None:
        self.handed: list[str] = []

    def wrap(self, ref: KeyRef, dek: bytes, context: Mapping[str, str]) -> bytes:
        self.handed.append(ref.id)
        return dek

    def unwrap(self, ref: KeyRef, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        self.handed.append(ref.id)
        return wrapped

    def describe(self, ref: KeyRef) -> str:
        self.handed.append(ref.id)
        return "its owner"


class Capitals(Scheme):
    """A plug-in's kind of keys, whose names are in capitals."""

    name, title, example, cost = "capitals", "Capitals", "NAME", 5

    def __init__(self) -> None:
        self.made = Recorded()

    def backend(self, settings: Settings) -> Recorded:
        return self.made

    def parse(self, text: str) -> KeyRef:
        return KeyRef(self.name, text.upper())


def test_a_backend_is_handed_only_what_its_schemes_parse_gives_back_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    plugin, ours = Capitals(), backends.find
    monkeypatch.setattr(registry, "find", lambda name: plugin if name == "capitals" else ours(name))
    ring, wrapped_dek = holding(MINE), b64encode(DEK).decode()
    assert ring.describe(" capitals:a") == ""
    for uri in ("capitals:a", "capitals:a "):
        assert ring.describe(uri) == ""
        with pytest.raises(AlteredError, match="not how ksecret spells a key of the kind capitals:"):
            ring.unwrap(wrapped_keys({uri: wrapped_dek}))
        with pytest.raises(AlteredError, match="not how ksecret spells"):
            ring.rewrap(wrapped_keys({uri: wrapped_dek}), lambda: DEK)
    with pytest.raises(KeyRefError, match="not how ksecret spells"):
        ring.wrap(KeyRef("capitals", "a"), DEK, {})
    assert plugin.made.handed == []
    assert ring.parse("capitals:a") == KeyRef("capitals", "A")
    assert (ring.describe("capitals:A"), ring.unwrap(wrapped_keys({"capitals:A": wrapped_dek}))) == ("its owner", DEK)


def test_a_word_default_in_a_file_does_not_stand_for_ones_own_key() -> None:
    ring = holding(MINE)
    with pytest.raises(AlteredError, match="full fingerprint"):
        ring.unwrap(wrapped_keys({"pgp:default": "AAAA"}))


def test_whether_a_keyset_opens_here_is_unknown_where_a_kms_may_open_it() -> None:
    kms = KeyRef("aws", "arn:aws:kms:eu-west-1:111122223333:alias/prod")
    other = KeyRef("age", str(pyrage.x25519.Identity.generate().to_public()))
    for refs, opens in (([MY_REF, other, kms], True), ([other, kms], None), ([other], False), ([other, MY_REF], True)):
        assert holding(MINE).opens(refs) is opens
