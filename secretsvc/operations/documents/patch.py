"""Changes of the one Secret in a file that SOPS's format seals: its entries, its name, labels, annotations."""

from __future__ import annotations

from base64 import b64encode

from secretsvc.errors import InputError, UsageError
from secretsvc.formats.sops import sealing
from secretsvc.operations import Result
from secretsvc.operations.documents import SealedTree, open_sealed
from secretsvc.operations.documents.changes import DocumentChange, sealed_anew, trusting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from secretsvc.document.base import Path
    from secretsvc.operations.keyring import Keyring
    from secretsvc.operations.request import Changes, Request

_BY_PATH = "ksecret set FILE PATH=VALUE changes any value of it"


def patch_secret(tree: SealedTree, changes: Changes, request: Request, keyring: Keyring, which: str = "") -> Result:
    """Return the file with these changes of its Secret, under a new data key where the request finds the old too old.

    Raises UsageError for a file that is not one Secret, InputError, and what opening and wrapping raise.
    """
    if any(request.change) or request.scope:
        what = "whom a file in SOPS's format is sealed to is not patched, and it is bound to nothing"
        raise UsageError(what, hint="ksecret keys add and keys remove change its keys")
    _check(tree, which)
    pairs = list(_pairs(changes))
    there = {leaf.path for leaf in tree.document.leaves}
    for path, value in pairs:  # paths are in the clear: a slip costs nobody a key's use
        if value is None and path not in there:
            raise InputError(f"it has no {sealing.named(path)} to take away", hint="ksecret get FILE lists them")
    change = DocumentChange(tree, open_sealed(tree, keyring, trusting(tree, request)))
    for path, value in pairs:
        change.put_at(path, value)
        if value is not None and path[0] in _OTHER and (_OTHER[path[0]], *path[1:]) in there:
            change.put_at((_OTHER[path[0]], *path[1:]), None)  # else one of the two would win in the cluster
    if not request.rotates(tree.metadata.created):
        return Result(change.sealed(request.created), 1)
    document, values = change.document_and_values()
    opened = sealing.Opened(tree.metadata, b"", values, [])
    changed = SealedTree(document, tree.metadata)
    return Result(sealed_anew(changed, opened, tree.metadata.entries, request.created, keyring), 1)


_OTHER = {"data": "stringData", "stringData": "data"}


def _check(tree: SealedTree, which: str) -> None:
    """Refuse what is no manifest of one Secret, of the name that is asked for."""
    said = {leaf.path: leaf.value.text.decode("utf-8", "replace") for leaf in tree.document.leaves}
    if tree.document.units != 1 or said.get(("kind",)) != "Secret":
        raise UsageError("patch changes the one Secret of a file, and it is none", hint=_BY_PATH)
    name, namespace = said.get(("metadata", "name")), said.get(("metadata", "namespace"))
    if which and which not in (name, f"{namespace}/{name}"):
        raise InputError("there is no such Secret in it", hint=f"it has {name}")


def _pairs(changes: Changes) -> Iterator[tuple[Path, bytes | None]]:
    """Each value's path, and its bytes as they are to stand there; None for one that is to go."""
    for key, value in changes.data.items():
        yield ("data", key), None if value is None else b64encode(value)
    texts = {
        ("stringData",): changes.string_data,
        ("metadata",): changes.metadata,
        ("metadata", "labels"): changes.labels,
        ("metadata", "annotations"): changes.annotations,
    }
    for path, members in texts.items():
        for key, text in members.items():
            yield (*path, key), None if text is None else text.encode("utf-8", "surrogateescape")
