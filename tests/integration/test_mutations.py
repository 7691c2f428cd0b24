"""Spoilt documents, plain and tampered with: no garbled value, and no exception that is no KsecretError.

Six hundred of each kind in a run; KSECRET_TEST_MUTATIONS=100000 is the nightly number (all kinds together).
"""

from __future__ import annotations

import os
from functools import cache
from random import Random
from typing import TYPE_CHECKING

import pytest

from secretsvc.errors import KsecretError
from secretsvc.formats.ksecret.envelope import TOKEN_PREFIX
from secretsvc.manifest.reader import read
from secretsvc.operations.check import check_file
from secretsvc.operations.edit import open_draft, seal_draft
from secretsvc.operations.inspect import describe_manifest
from secretsvc.operations.merge import merge_manifests
from secretsvc.operations.open import open_manifest
from secretsvc.operations.output import as_data, as_env, as_json
from secretsvc.operations.patch import patch_manifest
from secretsvc.operations.prepare import decode_data, encode_cleartext
from secretsvc.operations.request import Changes
from secretsvc.operations.rotate import rotate_manifest
from secretsvc.operations.seal import seal_manifest
from secretsvc.operations.textconv import structure, with_values
from secretsvc.programs.git import Merged
from tests.kubesec_support import ALL, PGP, Want
from tests.mutations import corpus, mutated

if TYPE_CHECKING:
    from collections.abc import Callable

CASES = int(os.environ.get("KSECRET_TEST_MUTATIONS", "2400")) // 4
pytestmark = pytest.mark.uncounted
FORMATS = ("ksecret", "kubesec")
Values = dict[tuple[str | None, str | None, str, str], str]


def want(format_: str) -> Want:
    return Want(keys=(PGP,), format=format_)


def seal(data: bytes, format_: str) -> bytes:
    return seal_manifest(data, want(format_).request, ALL).data


def open_(data: bytes) -> bytes:
    return open_manifest(data, ALL).data


@cache
def sealed_corpus(format_: str) -> tuple[tuple[bytes, bytes], ...]:
    """(clear, sealed) of every document that this format takes."""
    found = []
    for clear in corpus():
        try:
            found.append((clear, seal(clear, format_)))
        except KsecretError:
            continue
    assert len(found) > (60 if format_ == "ksecret" else 30)
    return tuple(found)


def values(data: bytes) -> Values:
    """Every value by namespace, name, field and key."""
    return {
        (secret.namespace, secret.name, entry.field, entry.key): entry.value
        for secret in read(data).secrets
        for entry in secret.entries
    }


def run(work: Callable[[], object]) -> object:
    """What it gives; None where it refuses in the way that users meet."""
    try:
        return work()
    except KsecretError:
        return None


def every_reader(data: bytes) -> None:
    """All that looks at a document without a change."""
    run(lambda: check_file(data, "f.yaml", None, 0))
    run(lambda: describe_manifest(data, lambda _: ""))
    run(lambda: decode_data(data))
    run(lambda: encode_cleartext(data))
    run(lambda: as_data(data))
    run(lambda: as_json([("f.yaml", data)]))
    run(lambda: as_env([("f.yaml", data)]))
    structure(data)


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.timeout(3600)
def test_a_spoilt_document_is_refused_or_sealed_and_opened_byte_for_byte(format_: str) -> None:
    texts, taken = corpus(), 0
    for seed in range(CASES):
        random = Random(f"plain {format_} {seed}")
        data = mutated(random, random.choice(texts), texts)
        every_reader(data)
        sealed = run(lambda data=data: seal(data, format_))  # type: ignore[misc]
        if isinstance(sealed, bytes):
            taken += 1
            opened = open_(sealed)
            assert (opened == data) if format_ == "ksecret" else (values(opened) == values(data)), seed
            found = {finding.code for finding in check_file(sealed, "f.yaml", None, 0).findings}
            assert not found & {"KS001", "KS002", "KS003", "KS004", "KS006"}, seed
    assert taken > CASES // 30


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.timeout(3600)
def test_a_tampered_document_gives_the_sealed_values_or_none(format_: str) -> None:
    pairs = sealed_corpus(format_)
    texts, opened = [sealed for _, sealed in pairs], 0
    for seed in range(CASES):
        random = Random(f"tampered {format_} {seed}")
        clear, sealed = random.choice(pairs)
        data = mutated(random, sealed, texts)
        every_reader(data)
        result = run(lambda data=data: open_(data))  # type: ignore[misc]
        if isinstance(result, bytes):
            opened += 1
            known = set(values(clear).values())
            for place, value in values(result).items():
                assert TOKEN_PREFIX not in value, seed
                assert value in known or _was_clear(data, place, value), seed
        with_values(data, lambda: ALL)
        _changed(random, data, format_)
        merge_manifests(sealed, data, random.choice(texts), "f.yaml", lambda *_: Merged(b"", -1))
    assert opened > CASES // 30


def _was_clear(data: bytes, place: tuple[str | None, str | None, str, str], value: str) -> bool:
    """Whether that value stood in the tampered document in the clear: in a Secret that is not sealed."""
    return any(
        (secret.namespace, secret.name, entry.field, entry.key) == place and entry.value == value
        for secret in read(data).secrets
        if "ksecret" not in {key.value for key, _ in secret.root.members}
        for entry in secret.entries
    )


def _changed(random: Random, data: bytes, format_: str) -> None:
    """One of the operations that open and seal again; what it writes opens."""
    request = want(format_).request
    rotating = Want(keys=(PGP,), format=format_, rotate=True).request
    works: list[Callable[[], object]] = [
        lambda: rotate_manifest(data, rotating, ALL).data,
        lambda: seal_manifest(data, request, ALL).data,
        lambda: seal_draft(draft := open_draft(data, request, ALL), draft.shown, request, ALL).data,
        lambda: patch_manifest(data, Changes({"new": b"\xff a value"}), request, ALL).data,
    ]
    after = run(random.choice(works))
    if isinstance(after, bytes):
        assert run(lambda: open_(after)) is not None
