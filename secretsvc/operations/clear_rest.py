"""The parts of a manifest that stay in the clear when its Secrets are sealed: comments, annotations, other objects."""

from __future__ import annotations

from bisect import bisect_right

from secretsvc import formats
from secretsvc.manifest.model import FIELDS
from secretsvc.manifest.nodes import Mapping, Scalar, Sequence
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator
    from collections.abc import Sequence as Sequence_

    from secretsvc.manifest.model import Manifest, Secret
    from secretsvc.manifest.nodes import Node

_BETWEEN = " \t\r\n:,-?{}[]"
_SHORT = 8
"""Bytes. In less no value is looked for, but in comments."""
_HEADER = ("apiVersion", "kind")
_NAMES = ("name", "namespace", "generateName")
_STANDARD = {
    "labels": ("app.kubernetes.io/", "helm.sh/", "topology.kubernetes.io/"),
    "annotations": ("meta.helm.sh/", "kubernetes.io/service-account.name"),
}
"""Labels, and a few annotations, that name an application, its chart, its place (Kubernetes' "Well-Known Labels")."""


class ClearPiece(Record):
    """A text that stays in the clear. `path`: the names down to it from its object; None for what is no member.

    The path of a name itself ends in an empty one.
    """

    line: int
    path: tuple[str, ...] | None
    text: str
    lined: bool
    """Whether its line breaks are the file's own."""

    @property
    def what(self) -> str:
        """Return what kind of place it is, as messages name it."""
        if self.path is None:
            return "a comment" if "#" in self.text else "a text between the members"
        if self.path[-1:] == ("",):
            return f"a name under {'.'.join(self.path[:-1])}" if self.path[:-1] else "a name"
        if self.path[-3:-1] == ("metadata", "annotations"):
            return f"the annotation {self.path[-1]}"
        if self.path[-3:-1] == ("metadata", "labels"):
            return f"the label {self.path[-1]}"
        return f"the member {'.'.join(self.path)}" if self.path else "a text"

    def __repr__(self) -> str:
        return f"ClearPiece({self.line}, masked)"


class ClearRest:
    """The pieces of a manifest, and the texts that say what its objects are.

    `identities` are no pieces; `descriptions`, texts of standard labels, may be guesses or slips, and are.
    """

    def __init__(self, manifest: Manifest, sealed: Container[int]) -> None:
        """`sealed`: the places (`Scalar.start`) of the values that are sealed, whatever stands there now."""
        self.pieces: list[ClearPiece] = []
        self.identities: set[str] = set()
        self.descriptions: set[str] = set()
        self._text = manifest.text
        self._format = formats.of(manifest)
        self._sealed = sealed
        self._secrets = {secret.root.start for secret in manifest.secrets}
        self._at = self._counted = 0
        self._line = 1
        for document in manifest.documents:
            self._object(document)
        self._between(len(manifest.text))

    def _object(self, node: Node) -> None:
        """An object with a kind: its names are no pieces, for it can't be without them."""
        if not isinstance(node, Mapping):
            self._node(node, ())
            return
        is_secret = node.start in self._secrets
        for key, value in node.members:
            name = self._identity(key)
            if name in _HEADER or (is_secret and name == "type"):
                self._identity(value)
            elif name == "metadata" and isinstance(value, Mapping):
                self._metadata(value)
            elif name == "items" and isinstance(value, Sequence):
                for item in value.items:
                    self._object(item)
            elif is_secret and name in FIELDS and isinstance(value, Mapping):
                self._entries(value, name)
            elif is_secret and name and name == self._format.member:
                self._pass(value)
            else:
                self._node(value, (name,))

    def _metadata(self, mapping: Mapping) -> None:
        for key, value in mapping.members:
            name = self._identity(key)
            if name in _NAMES:
                self._identity(value)
            elif name in _STANDARD and isinstance(value, Mapping):
                self._described(value, name)
            else:
                self._node(value, ("metadata", name))

    def _described(self, mapping: Mapping, field: str) -> None:
        for key, value in mapping.members:
            if isinstance(key, Scalar) and key.value.startswith(_STANDARD[field]) and isinstance(value, Scalar):
                self.descriptions.add(value.value)
        self._node(mapping, ("metadata", field))

    def _entries(self, mapping: Mapping, field: str) -> None:
        for key, value in mapping.members:
            name = self._identity(key)
            sealed = isinstance(value, Scalar) and (value.start in self._sealed or self._format.is_token(value.value))
            if sealed:
                self._pass(value)
            else:
                self._node(value, (field, name))

    def _identity(self, node: Node) -> str:
        """A text that can't be anything else than it is; what is no scalar is looked into all the same."""
        if not isinstance(node, Scalar):
            self._node(node, ())
            return ""
        self.identities.add(node.value)
        self._skip(node)
        return node.value

    def _pass(self, node: Node) -> None:
        """A token, or an envelope: only what stands between its texts is in the clear."""
        if isinstance(node, Scalar):
            self._skip(node)
        for child in _children(node):
            self._pass(child)

    def _node(self, node: Node, path: tuple[str, ...]) -> None:
        if isinstance(node, Scalar):
            self._skip(node)
            self._add(node, path)
        elif isinstance(node, Sequence):
            for item in node.items:
                self._node(item, path)
        elif isinstance(node, Mapping):
            names = (*path, "")
            for key, value in node.members:
                self._node(key, names)
                self._node(value, (*path, key.value if isinstance(key, Scalar) else "?"))

    def _add(self, scalar: Scalar, path: tuple[str, ...]) -> None:
        value, style = scalar.value, scalar.style
        if len(value) < _SHORT and len(value.encode("utf-8", "surrogatepass")) < _SHORT:
            return  # a text may have a hundred thousand of them
        self.pieces.append(ClearPiece(scalar.line + (style in ("|", ">")), path, value, style == "|"))

    def _skip(self, scalar: Scalar) -> None:
        """Goes on behind a scalar; the first line of a block, where a comment may stand, is none of it."""
        start = scalar.start
        if scalar.style in ("|", ">"):
            end = self._text.find("\n", start, scalar.end)
            start = end if end >= 0 else scalar.end
        self._between(start)
        self._at = max(self._at, scalar.end)
        if scalar.anchor or scalar.tag:
            self.pieces += [ClearPiece(scalar.line, None, name, False) for name in (scalar.anchor, scalar.tag) if name]

    def _between(self, end: int) -> None:
        """Notes what stands between the scalar before and that place."""
        start = self._at
        if end <= start:
            return
        gap, self._at = self._text[start:end], end
        if "#" not in gap and (end - start < _SHORT or len(gap.strip(_BETWEEN)) < _SHORT):
            return
        self._line += self._text.count("\n", self._counted, start)
        self._counted = start
        gap = self._format.without_lines(gap)
        self.pieces.append(ClearPiece(self._line, None, gap, True))


class ClearBefore:
    """The texts in the clear of a manifest before a change, without places: enough to tell what is new."""

    def __init__(self, manifest: Manifest) -> None:
        pieces = ClearRest(manifest, ()).pieces
        # Hashes: a file may have as many texts as bytes, and no two share one but by a chance in 2^64 that is nobody's.
        self._comments = {hash(text) for _, text in comments(pieces)}
        self._texts = {hash((*piece.path, piece.text)) for piece in pieces if piece.path is not None}
        lines = (line for piece in pieces if piece.path is None for line in set(piece.text.split("\n")))
        self._lines = {hash(line.strip()) for line in lines}

    def without_comments(self, lines: Iterable[str]) -> set[str]:
        """Return the lines that were no comment's text."""
        return {line for line in lines if hash(line) not in self._comments}

    def fresh(self, pieces: Iterable[ClearPiece]) -> Iterator[ClearPiece]:
        """The pieces, without the comments and texts that stood in the clear before, in whatever place."""
        for piece in pieces:
            if piece.path is None:
                lines = piece.text.split("\n")
                fresh = {line for line in set(lines) if line and hash(line.strip()) not in self._lines}
                if fresh:
                    yield piece._replace(text="\n".join(line if line in fresh else "" for line in lines))
            elif hash((*piece.path, piece.text)) not in self._texts:
                yield piece


def _children(node: Node) -> Iterator[Node]:
    if isinstance(node, Mapping):
        for member in node.members:
            yield from member
    elif isinstance(node, Sequence):
        yield from node.items


def comments(pieces: Iterable[ClearPiece]) -> Iterator[tuple[int, str]]:
    """Line and text, without its `#`, of every comment's every line that says something."""
    for piece in pieces:
        if piece.path is None:
            for number, line in enumerate(piece.text.split("\n"), piece.line):
                if line.strip("# \t\r"):
                    for part in line.split("\r"):
                        if text := part.partition("#")[2].strip("# \t"):
                            yield number, text


def commented_entries(
    pieces: Iterable[ClearPiece], secrets: Sequence_[Secret]
) -> Iterator[tuple[int, Secret, str, str]]:
    """Line, Secret, key and value of every comment that reads as an entry of the Secret before: `# password: hunter2`.

    A comment belongs to the last Secret that starts above it.
    """
    starts = [secret.line for secret in secrets]
    keys = [{entry.key for entry in secret.entries} for secret in secrets]
    for line, text in comments(pieces):
        index = bisect_right(starts, line) - 1
        key, value = _halves(text)
        if index >= 0 and value and key in keys[index]:
            yield line, secrets[index], key, value


def _halves(text: str) -> tuple[str, str]:
    key, _, value = text.partition(":" if ":" in text else "=")
    return key.strip(" \t\"'-"), _unquoted(value.strip(" \t,"))


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text
