"""Envelopes that both sides changed: what still has a seal that fits is taken, all else is refused until settled."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode

import pytest
import yaml

from secretsvc.errors import AlteredError
from secretsvc.keyref import KeysetChange
from secretsvc.operations.merge import Outcome, merge_manifests
from secretsvc.operations.request import Request
from secretsvc.operations.seal import seal_manifest
from secretsvc.programs.git import merge_lines
from tests.support import LOCK, Lock, new_lock, open_, seal, wrapped_keys

CLEAR = b"""\
apiVersion: v1
kind: Secret
metadata:
  name: a
type: Opaque
data:
  one: YQ==
  two: Yg==
"""
ANN, BOB = new_lock(), new_lock()


def merged(base: bytes, ours: bytes, theirs: bytes) -> Outcome:
    outcome = merge_manifests(base, ours, theirs, "f.yaml", merge_lines)
    yaml.compose(outcome.data)
    return outcome


def with_key(sealed: bytes, other: Lock) -> bytes:
    change = KeysetChange((), other.keys, ())
    return seal_manifest(sealed, Request(change, lambda *_: (), "", "never"), LOCK.keyring).data


def changed(sealed: bytes, old: bytes, new: bytes) -> bytes:
    """Opened, edited, and sealed under the same data key."""
    clear = open_(sealed)
    assert old in clear
    return LOCK.seal(clear.replace(old, new), parent=sealed)


def rewrapped(sealed: bytes) -> bytes:
    """The same data key, wrapped anew."""
    ref = LOCK.keys[0]
    (old,) = re.findall(rf"{ref}: (\S+)".encode(), sealed)
    dek = LOCK.keyring.unwrap(wrapped_keys({str(ref): old.decode()}, {"ksecret-name": "a"}))
    assert len(b64decode(old)) > 32
    return sealed.replace(old, b64encode(LOCK.keyring.wrap(ref, dek, {"ksecret-name": "a"})))


def rotated(sealed: bytes, created: str = "2026-12-01T00:00:00Z") -> bytes:
    return LOCK.seal(open_(sealed), created=created)


def refused(outcome: Outcome) -> bool:
    assert b"# ksecret: CONFLICT" in outcome.data
    with pytest.raises(AlteredError, match=r"a merge waits for you|CONFLICT"):
        open_(outcome.data)
    return len(outcome.conflicts) >= 1


def test_wrapped_anew_on_both_sides() -> None:
    base = seal(CLEAR)
    ours, theirs = rewrapped(base), rewrapped(base)
    assert merged(base, ours, theirs) == (ours, [])


@pytest.mark.parametrize("turned", [False, True])
def test_wrapped_anew_here_and_a_key_added_there(turned: bool) -> None:
    base = seal(CLEAR)
    ours, theirs = rewrapped(base), with_key(base, ANN)
    outcome = merged(base, *((theirs, ours) if turned else (ours, theirs)))
    assert outcome.conflicts == []
    assert open_(outcome.data) == ANN.open_(outcome.data) == CLEAR
    assert set(re.findall(rb"age:\S+ \S+", outcome.data)) >= set(re.findall(rb"age:\S+ \S+", ours))


def test_the_same_key_added_on_both_sides() -> None:
    base = seal(CLEAR)
    outcome = merged(base, with_key(base, ANN), with_key(changed(base, b"YQ==", b"eA=="), ANN))
    assert outcome.conflicts == []
    assert ANN.open_(outcome.data) == CLEAR.replace(b"YQ==", b"eA==")


def test_different_keys_added() -> None:
    base = seal(CLEAR)
    outcome = merged(base, with_key(base, ANN), with_key(base, BOB))
    assert refused(outcome)
    assert f"-k +{BOB.keys[0]} f.yaml" in outcome.data.decode()
    assert f"-k +{ANN.keys[0]}" not in outcome.data.decode()


@pytest.mark.parametrize("turned", [False, True])
def test_a_type_changed_here_and_a_key_added_there(turned: bool) -> None:
    """Each seal fits its own side only."""
    base = seal(CLEAR)
    ours, theirs = changed(base, b"type: Opaque", b"type: example.com/x"), with_key(base, ANN)
    assert refused(merged(base, *((theirs, ours) if turned else (ours, theirs))))


@pytest.mark.parametrize("turned", [False, True])
def test_a_new_data_key_here_and_a_key_added_there(turned: bool) -> None:
    base = seal(CLEAR)
    ours, theirs = rotated(base), with_key(base, ANN)
    outcome = merged(base, *((theirs, ours) if turned else (ours, theirs)))
    assert refused(outcome)
    assert f"-k +{ANN.keys[0]} f.yaml" in outcome.data.decode()


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("created", ["2026-12-01T00:00:00Z", "2026-11-23T03:10:20Z"])
def test_a_new_data_key_here_and_the_same_wrapped_anew_there(turned: bool, created: str) -> None:
    """The time of a rotation may be that of the sealing, for scripts are quick."""
    base = seal(CLEAR)
    ours, theirs = rotated(base, created), rewrapped(base)
    assert merged(base, *((theirs, ours) if turned else (ours, theirs))) == (ours, [])


@pytest.mark.parametrize("turned", [False, True])
def test_a_new_data_key_here_and_a_field_of_its_own_there(turned: bool) -> None:
    """Line by line they would merge, and give a Secret with tokens of two data keys."""
    spread = CLEAR.replace(b"metadata:", b"stringData:\n  x: text\nmetadata:")
    base = seal(CLEAR)
    ours, theirs = rotated(base), LOCK.seal(spread, parent=base)
    outcome = merged(base, *((theirs, ours) if turned else (ours, theirs)))
    assert outcome.conflicts


def test_new_data_keys_on_both_sides_keep_both_envelopes() -> None:
    base = seal(CLEAR)
    ours, theirs = rotated(base), rotated(base)
    outcome = merged(base, ours, theirs)
    assert refused(outcome)
    envelope = yaml.safe_load(outcome.data)["ksecret"]
    assert yaml.safe_load(envelope.pop("conflict")) == yaml.safe_load(theirs)["ksecret"]
    assert envelope == yaml.safe_load(ours)["ksecret"]


def test_an_envelope_that_a_formatter_moved_merges_too() -> None:
    base = seal(CLEAR)
    head, _, envelope = base.partition(b"ksecret:\n")
    moved = b"ksecret:\n" + envelope + head
    outcome = merged(base, moved, changed(base, b"YQ==", b"eA=="))
    assert outcome.conflicts == []
    assert open_(outcome.data) == CLEAR.replace(b"YQ==", b"eA==")
