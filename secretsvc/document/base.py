"""A document, as formats see it: its leaves in the file's order, and edits that put others in their places.

A reader gets a file's bytes and the name of the member that is no part of the tree (`sops`), and gives a Document. A
format goes through `leaves`, seals or opens each `Value`, and gets from `spell` the edits that write a token or a
value in the leaf's place, in the quotes or the block that stand there. `member` and `set_member` read and write
the format's own member, as the kind of document writes it (a mapping, a section, flattened lines), in each unit of the
file. Nothing is parsed and printed again: what no edit names stays to the byte. Readers are bounded (`MAX_BYTES`,
`MOST_LEAVES`, and the bounds of the manifest's readers where they read by these), raise ManifestError with a line,
and never quote the input.
"""

from __future__ import annotations

from secretsvc.errors import ManifestError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any, Protocol, TypeAlias
else:
    Protocol = object

MAX_BYTES = 8 * 1024 * 1024
"""Of a file that is read, as for manifests."""

MOST_LEAVES = 250_000
"""Of one file: scalars and comments, each counted wherever an alias stands for it. As many as a manifest has nodes."""

_LINES_PER_LEAF = 4
"""Blank lines, and those of values that have several."""

MOST_ALIASED = 20_000
"""Values, lists and mappings of one file that aliases bring in, each counted at each use: a few bytes may stand for any
number."""

KINDS = ("str", "int", "float", "bool", "time", "null", "comment", "bytes")
"""Kinds of leaves. `bytes` comes out of files of old; no reader makes it."""

Path: TypeAlias = "tuple[str | int, ...]"
"""Keys, and places in lists, from the root. Bytes of a key that are not UTF-8 are surrogates (PEP 383)."""

Tree: TypeAlias = "dict[str, Tree] | list[Tree] | str | int | bool | None"
"""Content of a member. Kinds of documents that know texts only give every scalar as a text."""


class Value:
    """Content of a leaf: its kind, and its canonical text.

    `int` is decimal; `float` the shortest digits that give it back, never with an exponent, else `NaN`, `+Inf`, `-Inf`;
    `bool` `True` or `False`; `time` RFC 3339; `null` empty; `comment` all that stands behind the `#`, its blank too;
    `str` any bytes, in UTF-8 where the kind of document has texts.
    """

    __slots__ = ("kind", "text")

    def __init__(self, kind: str, text: bytes) -> None:
        self.kind = kind
        self.text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Value) and (self.kind, self.text) == (other.kind, other.text)

    def __hash__(self) -> int:
        return hash((self.kind, self.text))

    def __repr__(self) -> str:
        return f"Value({self.kind}, masked)"


class Comments:
    """The comments that stand before a leaf in the containers around it, the nearest first.

    A container's own count until a leaf or a collection of it has come; those of the containers around it do inside it
    too. Leaves share them: each is a link to those before it.
    """

    __slots__ = ("before", "comment")

    def __init__(self, comment: Leaf, before: Comments | None) -> None:
        self.comment = comment
        self.before = before


class Leaf:
    """One scalar, or one comment. In a list, all comments and items have the list's path but for their number."""

    __slots__ = ("comments", "inline", "line", "own", "path", "unit", "value")

    def __init__(
        self,
        unit: int,
        path: Path,
        value: Value,
        line: int,
        *,
        comments: Comments | None = None,
        own: Any = None,
        inline: bool = False,
    ) -> None:
        self.unit = unit
        """Number of its document in the file, from 0."""
        self.path = path
        """Of a comment: of the container that it stands in."""
        self.value = value
        """As the text has it: a token is a `str`, or a `comment`."""
        self.line = line
        self.comments = comments
        """Those before it; itself is none of them. An inline comment comes before the leaf that it stands behind."""
        self.own = own
        """The document's own note of its place."""
        self.inline = inline
        """Whether it is a comment behind something on its line."""

    def __repr__(self) -> str:
        return f"Leaf(line {self.line}, {self.value.kind}, masked)"


class Edit:
    """`data[start:end]` becomes `new`; places are byte offsets."""

    __slots__ = ("end", "new", "start")

    def __init__(self, start: int, end: int, new: bytes) -> None:
        self.start = start
        self.end = end
        self.new = new

    def __repr__(self) -> str:
        return f"Edit({self.start}, {self.end}, masked)"


class Member:
    """The format's own member, as the first unit has it."""

    __slots__ = ("line", "tree")

    def __init__(self, tree: Tree, line: int) -> None:
        self.tree = tree
        self.line = line

    def __repr__(self) -> str:
        return f"Member(line {self.line}, masked)"


class Document(Protocol):
    """A file of one kind (YAML, JSON, dotenv, INI, or a whole file that is one value)."""

    kind: str
    """`yaml`, `json`, `dotenv`, `ini` or `binary`, as SOPS's `--input-type` has them."""
    data: bytes
    units: int
    """Number of documents in the file: several in YAML only."""
    leaves: Sequence[Leaf]
    """Depth first, in the file's order, all units one after another, without the format's member."""

    def spell(self, leaf: Leaf, value: Value | bytes) -> list[Edit]:
        """Return the edits that put a value, or a token (bytes, ASCII), where the leaf stands.

        Within the shell that stands there, as far as that holds it. Raises ManifestError where nothing would.
        """
        ...

    def source(self, leaf: Leaf) -> bytes:
        """Return the bytes that stand for a leaf, as they are spelled: to tell what sealing would change of them."""
        ...

    def member(self) -> Member | None:
        """Return the format's member; None where the first unit has none.

        Raises ManifestError for one that stands twice.
        """
        ...

    def set_member(self, tree: dict[str, Tree]) -> list[Edit]:
        """Return the edits that make it hold that, in every unit: what is the same already stays as it is written."""
        ...

    def drop_member(self) -> list[Edit]:
        """Return the edits that take it out of every unit."""
        ...

    def add(self, path: Path, value: Value) -> list[Edit]:
        """Return the edits that add a leaf to the first unit, with the containers that lack around it.

        Raises ManifestError where a scalar stands in the way, or the kind of document has no such place.
        """
        ...

    def remove(self, leaf: Leaf) -> list[Edit]:
        """Return the edits that take a leaf out, its key too."""
        ...


def apply(data: bytes, edits: Iterable[Edit]) -> bytes:
    """Return the bytes with all edits made; they must not overlap."""
    pieces: list[bytes] = []
    at = 0
    for edit in sorted(edits, key=lambda edit: (edit.start, edit.end)):
        if edit.start < at:
            raise ValueError("overlapping edits")
        pieces += (data[at : edit.start], edit.new)
        at = edit.end
    return b"".join((*pieces, data[at:]))


def check_size(data: bytes) -> None:
    """Refuse a file that is too large. Raises ManifestError."""
    if len(data) > MAX_BYTES:
        raise ManifestError(f"larger than {MAX_BYTES // 1024 // 1024} MiB")


def check_lines(data: bytes, most: int) -> None:
    """Refuse a file that would take long to go through line by line, with more than so many leaves in it or not.

    Raises ManifestError.
    """
    if data.count(b"\n") > _LINES_PER_LEAF * most:
        raise ManifestError(f"more than {_LINES_PER_LEAF * most} lines", hint="split it into several files")


def too_many_leaves(line: int, most: int = MOST_LEAVES, *, aliased: bool = False) -> ManifestError:
    """Return the error for one leaf more than are taken."""
    if aliased:
        return ManifestError(f"aliases bring in more than {MOST_ALIASED} values", hint="write them out", line=line)
    return ManifestError(f"more than {most} values and comments", hint="split it into several files", line=line)
