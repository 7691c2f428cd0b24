"""A file of any bytes as one value: SOPS's `binary`.

In the clear it is that value; sealed it is JSON, `{"data": "ENC[…]", "sops": {…}}`, which keeps its other members until
it is opened. https://github.com/getsops/sops/blob/main/stores/json/store.go (BinaryStore).
"""

from __future__ import annotations

from secretsvc.document.base import MOST_LEAVES, Edit, Leaf, Value, check_size
from secretsvc.document.json_document import JsonDocument, rendered
from secretsvc.errors import ManifestError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from secretsvc.document.base import Document, Member, Path, Tree

KEY = "data"
"""The member that the value is in, once sealed."""


def read(data: bytes, member: str, most: int = MOST_LEAVES) -> Document:
    """Return the file as it is: sealed where it is JSON that has both members. Raises ManifestError."""
    check_size(data)
    tree = _tree(data, member, most)
    return SealedWhole(tree) if tree else ClearWhole(data, member)


def is_sealed(document: Document) -> bool:
    """Tell whether `read` found a sealed file."""
    return isinstance(document, SealedWhole)


def _tree(data: bytes, member: str, most: int) -> JsonDocument | None:
    if not data.lstrip(b" \t\r\n").startswith(b"{") or b'"%s"' % member.encode() not in data:
        return None
    try:
        tree = JsonDocument(data, member, most)
        found = tree.member()
    except ManifestError:
        return None
    return tree if found and isinstance(found.tree, dict) else None


class ClearWhole:
    """A file in the clear. A token in its one leaf's place needs `set_member` beside it, which closes the JSON."""

    kind = "binary"
    units = 1

    def __init__(self, data: bytes, member: str) -> None:
        self.data = data
        self._member = member
        self.leaves: Sequence[Leaf] = (Leaf(0, (KEY,), Value("str", data), 1),)

    def spell(self, leaf: Leaf, value: Value | bytes) -> list[Edit]:
        """Return the edit that puts another content, or the beginning of the sealed file, in the file's place."""
        new = b'{\n\t"%s": "%s"' % (KEY.encode(), value) if isinstance(value, bytes) else value.text
        return [Edit(0, len(self.data), new)]

    def source(self, leaf: Leaf) -> bytes:
        """Return all of the file."""
        return self.data

    def member(self) -> Member | None:
        """Return None: a file in the clear has none."""
        return None

    def set_member(self, tree: dict[str, Tree]) -> list[Edit]:
        """Return the edit that adds the member, and ends the file. An empty file is not sealed: that is all of it."""
        end = len(self.data)
        start = "" if self.data else f'{{\n\t"{KEY}": ""'
        member = rendered(tree, "\n\t", "\t")
        return [Edit(end, end, f'{start},\n\t"{self._member}": {member}\n}}\n'.encode())]

    def drop_member(self) -> list[Edit]:
        """Return no edits."""
        return []

    def add(self, path: Path, value: Value) -> list[Edit]:
        """Raise ManifestError: a file that is one value has place for one."""
        raise _one_value()

    def remove(self, leaf: Leaf) -> list[Edit]:
        """Raise ManifestError."""
        raise _one_value()


class SealedWhole:
    """A sealed file: JSON, until `drop_member` takes away all of it but the opened value. It has no other value."""

    kind = "binary"
    units = 1

    def __init__(self, tree: JsonDocument) -> None:
        """Raises ManifestError where the value is not there, or no text."""
        self.data = tree.data
        self._tree = tree
        self.leaves: Sequence[Leaf] = tree.leaves
        if [(leaf.path, leaf.value.kind) for leaf in tree.leaves] != [((KEY,), "str")]:
            what = f"a sealed file of no known kind has its content as one text, `{KEY}`, and nothing else"
            raise ManifestError(what, hint="give the file the name of its kind (.json), or restore it", line=1)
        (self._leaf,) = tree.leaves

    def spell(self, leaf: Leaf, value: Value | bytes) -> list[Edit]:
        """Return the edit that puts a token, or a content that is to stand for the whole file, in the text's place."""
        if leaf is self._leaf and isinstance(value, Value) and value.text:
            return [Edit(*self._place, value.text)]
        return self._tree.spell(leaf, value)

    @property
    def _place(self) -> tuple[int, int]:
        (edit,) = self._tree.spell(self._leaf, b"")
        return edit.start, edit.end

    def source(self, leaf: Leaf) -> bytes:
        """Return the JSON that stands for a leaf."""
        return self._tree.source(leaf)

    def member(self) -> Member | None:
        """Return the member, as JSON has it."""
        return self._tree.member()

    def set_member(self, tree: dict[str, Tree]) -> list[Edit]:
        """Return the edits that make the member hold that."""
        return self._tree.set_member(tree)

    def drop_member(self) -> list[Edit]:
        """Return the edits that take away all but the content, which `spell` puts there; an empty one leaves none."""
        start, end = self._place
        if not self._leaf.value.text:
            return [Edit(0, len(self.data), b"")]
        return [Edit(0, start, b""), Edit(end, len(self.data), b"")]

    def add(self, path: Path, value: Value) -> list[Edit]:
        """Raise ManifestError: a file that is one value has place for one."""
        raise _one_value()

    def remove(self, leaf: Leaf) -> list[Edit]:
        """Raise ManifestError."""
        raise _one_value()


def _one_value() -> ManifestError:
    hint = "a file of several values has the name of its kind: .yaml, .json, .env or .ini"
    return ManifestError("a file of no known kind is one value, and has no place for another", hint=hint, line=1)
