r"""Dotenv as SOPS reads it: `KEY=value` lines and comments, nothing quoted, nothing trimmed.

https://github.com/getsops/sops/blob/main/stores/dotenv/store.go. The one escape is `\n`, which stands for a line break
in a value. Metadata are lines of their own, flattened (`flattened`), under names that start with the member's.
"""

from __future__ import annotations

from secretsvc.document.base import (
    MOST_LEAVES,
    Comments,
    Edit,
    Leaf,
    Member,
    Value,
    check_lines,
    check_size,
    too_many_leaves,
)
from secretsvc.document.flattened import flatten, unflatten
from secretsvc.document.texts import decoded, encoded, text_of
from secretsvc.errors import ManifestError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence as ListOf

    from secretsvc.document.base import Path, Tree

_HINT = "SOPS takes KEY=value lines, comments that start with # in the first column, and empty lines"


class Dotenv:
    """One file. Its leaves' `own` is the value's place: (start, end) in bytes."""

    kind = "dotenv"
    units = 1

    def __init__(self, data: bytes, member: str, most: int = MOST_LEAVES) -> None:
        """Raises ManifestError for a line that is none of SOPS's."""
        check_size(data)
        check_lines(data, most)
        self.data = data
        self._prefix = f"{member}_".encode()
        self._leaves: list[Leaf] = []
        self._most = most
        self._metadata: list[_Line] = []
        self._read()
        self.leaves: ListOf[Leaf] = self._leaves

    def _read(self) -> None:
        at, comments = 0, None
        for number, line in enumerate(self.data.split(b"\n"), 1):
            start, at = at, at + len(line) + 1
            if line.startswith(b"#"):
                leaf = Leaf(0, (), Value("comment", line[1:]), number, comments=comments, own=(start + 1, at - 1))
                self._add(leaf)
                comments = Comments(leaf, comments)
                continue
            key, equals, text = line.partition(b"=")
            if line and not equals:
                raise ManifestError("a line without `=`", hint=_HINT, line=number)
            if key.startswith(self._prefix):
                self._metadata.append(_Line(decoded(key[len(self._prefix) :]), text, start, number))
            elif line:
                place = (start + len(key) + 1, at - 1)
                self._add(Leaf(0, (decoded(key),), Value("str", _value(text)), number, comments=comments, own=place))
                comments = None

    def _add(self, leaf: Leaf) -> None:
        if len(self._leaves) >= self._most:
            raise too_many_leaves(leaf.line, self._most)
        self._leaves.append(leaf)

    def spell(self, leaf: Leaf, value: Value | bytes) -> list[Edit]:
        """Return the edit that puts a value or a token after the `=`, or after the `#`."""
        start, end = leaf.own
        return [Edit(start, end, value if isinstance(value, bytes) else self._spelled(leaf, value))]

    def _spelled(self, leaf: Leaf, value: Value) -> bytes:
        if leaf.value.kind != "comment":
            return text_of(value).replace(b"\n", b"\\n")
        if b"\n" in value.text:
            raise ManifestError("a comment of several lines, for which dotenv has no place", line=leaf.line)
        return value.text

    def source(self, leaf: Leaf) -> bytes:
        """Return what stands behind the `=` or the `#`."""
        start, end = leaf.own
        return self.data[start:end]

    def member(self) -> Member | None:
        """Return what the metadata lines say, every scalar as a text."""
        if not self._metadata:
            return None
        pairs = [(one.name, decoded(_value(one.text)), one.number) for one in self._metadata]
        return Member(unflatten(pairs), self._metadata[0].number)

    def set_member(self, tree: dict[str, Tree]) -> list[Edit]:
        """Return the edits that change, add and take away metadata lines; new ones end in LF, as SOPS needs them."""
        wanted = {name: encoded(text).replace(b"\n", b"\\n") for name, text in flatten(tree).items()}
        edits, gone, there = [], [], set()
        for one in self._metadata:
            if one.name not in wanted or one.name in there:
                gone.append(one.start)
            elif one.text != wanted[one.name]:
                start = one.start + len(self._prefix) + len(encoded(one.name)) + 1
                edits.append(Edit(start, start + len(one.text), wanted[one.name]))
            there.add(one.name)
        new = [self._prefix + encoded(name) + b"=" + wanted[name] for name in wanted if name not in there]
        edits += self._without(*gone)
        return [*edits, self._appended(b"\n".join(new))] if new else edits

    def drop_member(self) -> list[Edit]:
        """Return the edits that take the metadata lines away."""
        return self._without(*(one.start for one in self._metadata))

    def add(self, path: Path, value: Value) -> list[Edit]:
        """Return the edit that adds a line before the metadata. Raises ManifestError for a key that is none here."""
        key = encoded(path[0]) if len(path) == 1 and isinstance(path[0], str) else b""
        if not key or set(b"=\n") & set(key) or key.startswith((b"#", self._prefix)):
            raise ManifestError(
                "dotenv has no place for that", hint="one key, without = and line breaks; nothing nested"
            )
        line = key + b"=" + text_of(value).replace(b"\n", b"\\n")
        if not self._metadata:
            return [self._appended(line)]
        at = min(one.start for one in self._metadata)
        return [Edit(at, at, line + b"\n")]

    def remove(self, leaf: Leaf) -> list[Edit]:
        """Return the edit that takes its line away."""
        return self._without(self.data.rfind(b"\n", 0, leaf.own[0]) + 1)

    def _appended(self, lines: bytes) -> Edit:
        """At the end of the file, which ends as it did before, with a line break or without."""
        end = len(self.data)
        if not self.data or self.data.endswith(b"\n"):
            return Edit(end, end, lines + b"\n")
        return Edit(end, end, b"\n" + lines)

    def _without(self, *starts: int) -> list[Edit]:
        """The lines that start there away; with a last line that has no end, the end of what is before it."""
        gone: list[tuple[int, int]] = []
        for start in sorted(starts):
            end = self.data.find(b"\n", start) + 1 or len(self.data)
            begin = gone.pop()[0] if gone and gone[-1][1] == start else start
            gone.append((begin, end))
        if gone and gone[-1][1] == len(self.data) and not self.data.endswith(b"\n"):
            gone[-1] = (max(0, gone[-1][0] - 1), len(self.data))
        return [Edit(start, end, b"") for start, end in gone]


class _Line:
    """A line of metadata."""

    __slots__ = ("name", "number", "start", "text")

    def __init__(self, name: str, text: bytes, start: int, number: int) -> None:
        self.name = name
        """Without the member's."""
        self.text = text
        self.start = start
        self.number = number


def _value(text: bytes) -> bytes:
    return text.replace(b"\\n", b"\n")
