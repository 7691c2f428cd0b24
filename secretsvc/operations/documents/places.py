"""Where a merged text has what, read again while marks stand in it for values: each must be where it can be opened."""

from __future__ import annotations

from hashlib import blake2b

from secretsvc.document import kinds
from secretsvc.errors import ManifestError
from secretsvc.formats.sops.cipher import is_token
from secretsvc.formats.sops.metadata import MEMBER
from secretsvc.formats.sops.selection import Selection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from secretsvc.document.base import Document, Leaf
    from secretsvc.formats.sops.metadata import Metadata
    from secretsvc.operations.documents.marks import Marks


class Places:
    """The places that the sides have values in."""

    def __init__(self, marks: Marks) -> None:
        self._marks = marks
        self._kind = ""
        self._known: set[int] = set()
        self._repeated = 0

    def add(self, document: Document) -> None:
        """Take those of a side."""
        self._kind = document.kind
        self._known |= {hash(leaf.path) for leaf in document.leaves}
        self._repeated = max(self._repeated, _repeated(document))

    def content_of(self, document: Document, *, only_sealed: bool) -> bytes:
        """Return a digest of what a side's MAC covers."""
        return _content(document, self._marks.name_of_token, only_sealed=only_sealed)

    def content(self, text: bytes, metadata: Metadata) -> bytes | None:
        """Return the same of a merged text, with marks; None where something stands where neither side has it, where
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
        if not is_right or _repeated(document) > self._repeated:
            return None
        return _content(document, self._marks.name_of_mark, only_sealed=metadata.mac_only_encrypted)

    def _is_right(self, leaf: Leaf, *, is_due: bool) -> bool:
        if leaf.value.kind == "comment":
            return True  # it is covered by nothing
        place = self._marks.place_of_mark(leaf.value.text)
        if place:
            return is_due and place == self._marks.place(leaf)
        is_clear = not leaf.value.text or leaf.value.kind == "null" or not is_due
        return is_clear and not is_token(leaf.value.text) and hash(leaf.path) in self._known


def _content(document: Document, name_of: Callable[[bytes], bytes], *, only_sealed: bool) -> bytes:
    digest = blake2b(digest_size=16)
    for leaf in document.leaves:
        if leaf.value.kind == "comment":
            continue
        text = leaf.value.text
        name = name_of(text)
        if name or not only_sealed:
            kind = b"sealed" if name else leaf.value.kind.encode()
            digest.update(b"%b:%d:%b" % (kind, len(name or text), name or text))
    return digest.digest()


def _repeated(document: Document) -> int:
    """How many values have a path that another one has."""
    found: set[int] = set()
    count = 0
    for leaf in document.leaves:
        if leaf.value.kind != "comment":
            count += 1
            found.add(hash((leaf.unit, leaf.path)))
    return count - len(found)
