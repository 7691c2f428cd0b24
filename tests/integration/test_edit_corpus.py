"""Every manifest of the corpus in somebody's editor: what was not touched comes back as the very same bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from secretsvc.errors import InputError, ManifestError
from secretsvc.manifest.reader import read
from secretsvc.operations.edit import open_draft, seal_draft
from secretsvc.operations.request import Request
from tests.support import CREATED, DATA, NO_CHANGE, Lock

if TYPE_CHECKING:
    from pathlib import Path

FILES = sorted(path for path in (DATA / "manifests").iterdir() if path.suffix in (".yaml", ".yml", ".json"))
NOT_DECODED = ["json-escapes.json"]  # bytes that JSON can't show

each = pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)


@each
@pytest.mark.parametrize("decoded", [True, False])
def test_what_was_not_touched_is_sealed_as_it_was(lock: Lock, path: Path, *, decoded: bool) -> None:
    sealed = lock.seal(path.read_bytes())
    request = Request(NO_CHANGE, lambda *_: lock.keys, "", CREATED, allow_repeated=True)
    if decoded and path.name in NOT_DECODED:
        with pytest.raises(InputError, match="holds bytes that are no text") as caught:
            open_draft(sealed, request, lock.keyring, decoded=True)
        assert "--base64" in caught.value.hint
        return
    draft = open_draft(sealed, request, lock.keyring, decoded=decoded)
    assert seal_draft(draft, draft.shown, request, lock.keyring, decoded=decoded).data == sealed


@each
def test_the_line_of_a_mistake_is_that_of_the_text_as_typed(lock: Lock, path: Path) -> None:
    """A token of another Secret in place of each value in turn, told where it stands."""
    request = Request(NO_CHANGE, lambda *_: lock.keys, "", CREATED, allow_repeated=True)
    draft = open_draft(lock.seal(path.read_bytes()), request, lock.keyring, decoded=path.name not in NOT_DECODED)
    shown = read(draft.shown, allow_binary_tag=True)
    entries = [entry for secret in shown.secrets for entry in secret.entries if entry.field == "stringData"]
    for entry in entries[:: len(entries) // 10 + 1]:
        if (
            entry.scalar.style in ("|", ">")
            or not entry.value
            or entry.scalar.line != 1 + shown.text.count("\n", 0, entry.scalar.start)
        ):
            continue
        text = shown.text[: entry.scalar.start] + '"ksecret.v1.AAAA"' + shown.text[entry.scalar.end :]
        with pytest.raises(ManifestError, match="is a ksecret token") as caught:
            seal_draft(draft, shown.encoded(text), request, lock.keyring)
        assert caught.value.line == entry.scalar.line
