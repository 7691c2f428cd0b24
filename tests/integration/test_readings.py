"""How often each operation reads a text: what is written is read to prove it, and nothing that was read already."""

from __future__ import annotations

import re
import tracemalloc
from typing import TYPE_CHECKING

import pyrage
import pytest

from secretsvc.cli.verbs.edit_text import Sheet
from secretsvc.formats import lost
from secretsvc.keyref import KeyRef, keyset
from secretsvc.manifest import reader
from secretsvc.operations.edit import open_draft, seal_draft
from secretsvc.operations.get import get_value
from secretsvc.operations.keysets import change_keys
from secretsvc.operations.open import open_manifest
from secretsvc.operations.patch import patch_manifest, rename_manifest
from secretsvc.operations.request import Changes, Request
from secretsvc.operations.rotate import rotate_manifest
from secretsvc.operations.seal import seal_manifest
from tests.support import CREATED, LOCK, NO_CHANGE

if TYPE_CHECKING:
    from collections.abc import Callable

    from secretsvc.operations import Result

CLEAR = b"kind: Secret\nmetadata: {name: db, namespace: dev}\ndata:\n  user: YQ==\n  password: aHVudGVyMg==\n"
REQUEST = Request(NO_CHANGE, lambda *_: LOCK.keys, "", CREATED)
SEALED = LOCK.seal(CLEAR)
OTHERS = keyset([*LOCK.keys, KeyRef("age", str(pyrage.x25519.Identity.generate().to_public()))])
LATER = REQUEST._replace(rotate_before="9")


MANY_CHANGES = Changes(
    values={"user": b"x", "new": b"y", "newer": b"z", "password": None},
    string_data={"a": "b", "c": "d"},
    metadata={"name": "other"},
    labels={"a": "b", "c": "d"},
    annotations={"e": "f"},
)


def edited() -> None:
    draft = open_draft(SEALED, REQUEST, LOCK.keyring)
    seal_draft(draft, draft.shown.replace(b"hunter2", b"other"), REQUEST, LOCK.keyring)


OPERATIONS: dict[str, tuple[int, Callable[[], object]]] = {
    "decrypt": (2, lambda: open_manifest(SEALED, LOCK.keyring)),
    "encrypt": (2, lambda: seal_manifest(CLEAR, REQUEST, LOCK.keyring)),
    "rotate": (2, lambda: rotate_manifest(SEALED, LATER, LOCK.keyring)),
    "get": (2, lambda: get_value(SEALED, "user", LOCK.keyring)),
    "set": (3, lambda: patch_manifest(SEALED, Changes(values={"user": b"x"}), REQUEST, LOCK.keyring)),
    "unset": (2, lambda: patch_manifest(SEALED, Changes(values={"user": None}), REQUEST, LOCK.keyring)),
    "patch": (3, lambda: patch_manifest(SEALED, MANY_CHANGES, REQUEST, LOCK.keyring)),
    "rename": (3, lambda: rename_manifest(SEALED, {"name": "a", "namespace": "b"}, REQUEST, LOCK.keyring)),
    "edit": (5, edited),
}
"""What is read: the file, a changed text, what is written, what was typed; and what opens, unless it was read so."""


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The lengths of the texts that are parsed meanwhile."""
    found: list[int] = []
    parse = reader.documents
    monkeypatch.setattr(reader, "documents", lambda text, *rest: found.append(len(text)) or parse(text, *rest))
    return found


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_text_is_read_no_more_often_than_its_proof_needs(name: str, readings: list[int]) -> None:
    most, operation = OPERATIONS[name]
    operation()
    assert len(readings) == most


TEXTS = b"kind: Secret\nmetadata: {name: db}\nstringData:\n  a: one, two\n  b: |\n    x\n    y\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"  a: ", b"  a:  "),
        (b"stringData:\n  a: ", b"stringData:\n  'a': "),
        (b"db}\nstring", b"db}\n# by hand\nstring"),
    ],
    ids=["blanks", "a key's quotes", "a comment"],
)
def test_what_opens_is_not_read_again_where_its_values_stand_as_they_were_sealed(
    before: bytes, after: bytes, readings: list[int]
) -> None:
    sealed = LOCK.seal(TEXTS).replace(before, after)
    readings.clear()
    patch_manifest(sealed, Changes(values={"b": b"other"}), REQUEST, LOCK.keyring)
    assert len(readings) == 3


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (rb"  a: (\S+)", rb"  a: '\1'"),
        (rb"stringData:\n  a: (\S+)\n  b: \|\n +(\S+)\n", rb"stringData: {a: \1, b: '\2'}\n"),
        (rb"  b: \|\n", rb"  b: |-\n"),
    ],
    ids=["quotes", "brackets", "a block's header"],
)
def test_what_opens_is_read_again_where_somebody_moved_or_restyled_it(
    before: bytes, after: bytes, readings: list[int]
) -> None:
    sealed, moved = re.subn(before, after, LOCK.seal(TEXTS))
    assert moved == 1
    readings.clear()
    written = rotate_manifest(sealed, LATER, LOCK.keyring).data
    assert len(readings) > 2
    assert LOCK.open_(written) == LOCK.open_(sealed)


MANY = b"---\n".join(CLEAR.replace(b"name: db", b"name: db%d" % number) for number in range(20))


@pytest.mark.parametrize(
    "operation",
    [
        lambda sealed: rotate_manifest(sealed, LATER, LOCK.keyring),
        lambda sealed: change_keys(sealed, REQUEST._replace(keyset_of=lambda _: OTHERS), LOCK.keyring),
    ],
    ids=["rotate", "keys"],
)
def test_a_manifest_is_looked_through_for_lost_tokens_once_and_not_for_each_of_its_secrets(
    monkeypatch: pytest.MonkeyPatch, operation: Callable[[bytes], Result]
) -> None:
    """Twice as many Secrets took four times as long: 9,000 of them 44 s."""
    sealed, looks = LOCK.seal(MANY), []
    look = lost.in_manifest
    monkeypatch.setattr(lost, "in_manifest", lambda manifest: looks.append(1) or look(manifest))
    assert operation(sealed).secrets == 20
    assert len(looks) <= 2, "and once more in the proof"


def test_comments_cost_a_command_no_more_memory_than_values_do() -> None:
    """Of four million lines the editor's text and what is compared made objects, 660 MB of them."""
    many = b"#\n" * 500_000
    sealed = many + LOCK.seal(CLEAR)
    tracemalloc.start()
    try:
        sheet = Sheet.of_manifest("s.yaml", sealed, is_json=False, base64=False)
        assert sheet.read(sheet.written(sealed)) == sealed
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * len(sealed)
