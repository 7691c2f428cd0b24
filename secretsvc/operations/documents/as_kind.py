"""A sealed file of SOPS's format written as one of another kind, its tokens as they are; needs no key."""

from __future__ import annotations

from secretsvc.document import kinds, trees, writers
from secretsvc.document.base import apply
from secretsvc.errors import ManifestError
from secretsvc.formats.sops.metadata import MEMBER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secretsvc.document.base import Document
    from secretsvc.operations.documents import SealedTree


def in_kind(sealed: SealedTree, kind: str) -> bytes:
    """Return the file as one of that kind. Raises ManifestError where its MAC would not fit any more."""
    document = sealed.document
    kind = "json" if kind == "binary" else kind
    made = writers.written(kind, trees.of(document, [leaf.value for leaf in document.leaves]))
    there = kinds.read(kind, made, MEMBER)
    if _hashed(there) != _hashed(document):
        what = f"not all of its values can stand in {kind} as they were sealed"
        raise ManifestError(what, hint="leave it in its own kind, or convert it in the clear")
    return apply(made, there.set_member(sealed.metadata.tree))


def _hashed(document: Document) -> list[bytes]:
    """What the MAC is over, where all is in the clear or a token."""
    return [leaf.value.text for leaf in document.leaves if leaf.value.kind not in ("comment", "null")]
