"""`dataKey: fresh` in kubesec's format: every change makes a new DEK, and what changes nothing makes none."""

from __future__ import annotations

from secretsvc.operations.patch import patch_manifest
from secretsvc.operations.request import Changes
from secretsvc.operations.seal import seal_manifest
from tests.kubesec_support import ALL, MORE, PGP, Want, independent, lines, seal, texts

CLEAR = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: pay\nstringData:\n  a: one\n  b: two\n"
FRESH = Want().request._replace(renews=lambda _: True)


def test_every_change_makes_a_new_dek() -> None:
    sealed = seal(CLEAR)
    before = set(texts(sealed).values())
    changes = (
        Changes(values={"a": b"three"}),
        Changes(values={"b": None}),
        Changes(string_data={"new": "four"}),
    )
    for change in changes:
        kept = patch_manifest(sealed, change, Want().request, ALL).data
        assert before & set(texts(kept).values())
        fresh = patch_manifest(sealed, change, FRESH, ALL).data
        assert not before & set(texts(fresh).values())
        assert independent(fresh) == independent(kept)
    more = seal_manifest(sealed, Want(add=MORE[:1]).request._replace(renews=lambda _: True), ALL).data
    assert not before & set(texts(more).values())
    half = sealed.replace(b"stringData:\n", b"stringData:\n  new: four\n")
    assert not before & set(texts(seal_manifest(half, FRESH, ALL).data).values())


def test_what_changes_nothing_makes_none() -> None:
    sealed = seal(CLEAR, Want(keys=(PGP,)))
    for change in (Changes(values={"a": b"one"}), Changes(labels={"app": "web"})):
        assert lines(patch_manifest(sealed, change, FRESH, ALL).data) == lines(sealed)
