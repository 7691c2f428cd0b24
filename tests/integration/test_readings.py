"""How often each operation reads a text: what is written is read to prove it, and nothing that was read already."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from secretsvc.manifest import reader
from secretsvc.operations.edit import open_draft, seal_draft
from secretsvc.operations.open import open_manifest
from secretsvc.operations.patch import Changes, get_value, patch_manifest, rename_manifest
from secretsvc.operations.request import Request
from secretsvc.operations.rotate import rotate_manifest
from secretsvc.operations.seal import seal_manifest
from tests.support import CREATED, LOCK, NO_CHANGE

if TYPE_CHECKING:
    from collections.abc import Callable

CLEAR = b"kind: Secret\nmetadata: {name: db, namespace: dev}\ndata:\n  user: YQ==\n  password: aHVudGVyMg==\n"
REQUEST = Request(NO_CHANGE, lambda *_: LOCK.keys, "", CREATED)
SEALED = LOCK.seal(CLEAR)
LATER = REQUEST._replace(rotate_before="9")


def edited() -> None:
    draft = open_draft(SEALED, REQUEST, LOCK.keyring)
    seal_draft(draft, draft.shown.replace(b"hunter2", b"other"), REQUEST, LOCK.keyring)


OPERATIONS: dict[str, tuple[int, Callable[[], object]]] = {
    "decrypt": (2, lambda: open_manifest(SEALED, LOCK.keyring)),
    "encrypt": (2, lambda: seal_manifest(CLEAR, REQUEST, LOCK.keyring)),
    "rotate": (3, lambda: rotate_manifest(SEALED, LATER, LOCK.keyring)),
    "get": (2, lambda: get_value(SEALED, "user", LOCK.keyring)),
    "set": (4, lambda: patch_manifest(SEALED, Changes(values={"user": b"x"}), REQUEST, LOCK.keyring)),
    "unset": (2, lambda: patch_manifest(SEALED, Changes(values={"user": None}), REQUEST, LOCK.keyring)),
    "rename": (4, lambda: rename_manifest(SEALED, {"name": "a", "namespace": "b"}, REQUEST, LOCK.keyring)),
    "edit": (6, edited),
}
"""What is read: the file, what is written, and what that opens to; the changed text before it; and what was typed."""


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
