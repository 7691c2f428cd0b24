"""What a merged text holds, read again while marks stand in it for values: whether each is where it can be opened."""

from __future__ import annotations

from hashlib import blake2b

from secretsvc.document import kinds
from secretsvc.errors import ManifestError
from secretsvc.formats.sops.cipher import is_token
from secretsvc.formats.sops.metadata import MEMBER
from secretsvc.formats.sops.selection import Selection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from secretsvc.document.base import Document, Leaf
    from secretsvc.formats.sops.metadata import Metadata
    from secretsvc.operations.document_marks import Marks


class Places:
    """The places that the sides have values in."""

    def __init__(self, marks: Marks, sides: Sequence[Document]) -> None:
        self._marks = marks
        self._kind = sides[0].kind
        self._known = {hash(leaf.path) for side in sides for leaf in _values(side)}
        self._repeated = max(map(_repeated, sides))

    def read(self, text: bytes, metadata: Metadata) -> Document | None:
        """Return what a merged text, with marks, holds; None where something stands where neither side has it, where
        it would not open, or against the file's rule.
        """
        try:
            document = kinds.read(self._kind, text, MEMBER)
            if document.member() is None:
                return None
        except ManifestError:
            return None
        selection = Selection(*metadata.rule)
        is_right = all(self._is_right(leaf, is_due=selection.selects(leaf)) for leaf in document.leaves)
        return document if is_right and _repeated(document) <= self._repeated else None

    def _is_right(self, leaf: Leaf, *, is_due: bool) -> bool:
        if leaf.value.kind == "comment":
            return True  # it is covered by nothing
        mark = self._marks.pattern.match(leaf.value.text)
        if mark:
            return is_due and mark[1] == self._marks.place(leaf)
        is_clear = not leaf.value.text or leaf.value.kind == "null" or not is_due
        return is_clear and not is_token(leaf.value.text) and hash(leaf.path) in self._known

    def content(self, document: Document, names: dict[bytes, bytes], *, only_sealed: bool) -> bytes:
        """Return a digest of all that a MAC covers, or of what is sealed; `names`: those of tokens' values."""
        digest = blake2b(digest_size=16)
        for leaf in _values(document):
            text = leaf.value.text
            mark = self._marks.pattern.match(text)
            name = mark[2] if mark else names.get(text[: text.rfind(b"]") + 1]) if is_token(text) else None
            if name or not only_sealed:
                kind = b"sealed" if name else leaf.value.kind.encode()
                digest.update(b"%b:%d:%b" % (kind, len(name or text), name or text))
        return digest.digest()


def _values(document: Document) -> Sequence[Leaf]:
    return [leaf for leaf in document.leaves if leaf.value.kind != "comment"]


def _repeated(document: Document) -> int:
    """How many values have a path that another one has."""
    leaves = _values(document)
    return len(leaves) - len({hash((leaf.unit, leaf.path)) for leaf in leaves})
