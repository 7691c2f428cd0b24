"""The YAML that nearly all Secrets are written in, read line by line: quicker than libyaml, and without importing it.

Takes block mappings of plain keys, explicit (`? KEY`) ones too, and lists of them, with plain, quoted and literal (`|`)
values and lists in a line (`[a, b]`) that need no knowledge of YAML beyond their lines; of all else it says that it
does not know. What it takes, it reads to the same nodes as `yaml_reader`, place for place, and a test holds it to that.
`documents` has each text read by the reader that it is for; nothing above asks which that was.
YAML 1.1, chapters 7 to 10: https://yaml.org/spec/1.1/
"""

from __future__ import annotations

from secretsvc.errors import ManifestError
from secretsvc.manifest.nodes import MAX_DEPTH, MOST_NODES, Mapping, Member, Scalar, Sequence, most_nodes, new

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secretsvc.manifest.nodes import Node

MOST_CHARACTERS = 1 << 20
"""Of a text. A longer one is libyaml's, which asks meanwhile whether anybody still waits."""

_LONGEST_KEY = 1000
"""Characters; YAML takes 1,024."""

_NODES_OF_A_LINE = 4
"""At most, beside one for each comma: a key, its value, the mapping that they begin, and the list that this begins."""

_END = -1
"""The indentation of a line that ends a document, `---`, and of the text's end: less than any other's."""

_PLAIN = bytes(range(0x20, 0x7F)) + b"\n"
_QUOTES = frozenset("'\"")
_DIGITS = frozenset("123456789")
_FLOW = frozenset("[]{}?\"'&*!|>%@`#")
"""What a scalar of a list in a line had better not have in it."""
_STARTS = frozenset("/._+^($\\")
"""What plain scalars may start with, beside letters and digits: no sign of YAML's."""


def leading_documents(text: str) -> tuple[list[Node], bool]:
    """Return the root nodes of a text's documents, nothing refused, up to what is malformed; and whether nothing is."""
    try:
        found = _json_documents(text, MOST_NODES)
    except ManifestError:
        found = None
    if found is not None:
        return found, True
    from secretsvc.manifest import yaml_reader

    return yaml_reader.leading_documents(text)


def documents(text: str, most: int) -> tuple[list[Node], bool]:
    """Return the root nodes of a text's documents, and whether it is JSON. Raises ManifestError."""
    found = _json_documents(text, most)
    return (found, True) if found is not None else (yaml_documents(text, most), False)


def _json_documents(text: str, most: int) -> list[Node] | None:
    """Return them; None where it is no JSON."""
    if text.lstrip(" \t\r\n")[:1] not in ("{", "["):
        return None
    # Imported when needed: most manifests are YAML, and a cold start pays for every import.
    from secretsvc.manifest import json_reader

    return json_reader.read_documents(text, most)


def yaml_documents(text: str, most: int = MOST_NODES) -> list[Node]:
    """Return the root node of every document in a YAML text, read line by line or, where that will not do, by libyaml.

    Raises ManifestError.
    """
    found = read_documents(text, most)
    if found is not None:
        return found
    from secretsvc.manifest import yaml_reader  # and PyYAML with it, which takes as long as all else of a start

    return yaml_reader.read_documents(text, most)


def read_documents(text: str, most: int = MOST_NODES) -> list[Node] | None:
    """Return the root node of every document in the text (without a BOM); None for what it does not know.

    `most`: how many nodes are taken, if the text's size allows so many.
    """
    is_known = len(text) <= MOST_CHARACTERS and text.endswith("\n") and _is_printable(text)
    if not is_known or _NODES_OF_A_LINE * text.count("\n") + text.count(",") > min(most, most_nodes(len(text))):
        return None
    try:
        return _Lines(text).documents()
    except _UnknownError:
        return None


def _is_printable(text: str) -> bool:
    """Tell whether all of it but line breaks is."""
    is_plain = text.isascii() and not text.encode().translate(None, _PLAIN)  # quicker, and most texts are
    return is_plain or text.replace("\n", "").isprintable()


class _UnknownError(Exception):
    """A line, or an order of lines, that is not known here."""


class _Lines:
    """The lines of one text, blank ones and comments left out, and the one at which reading has arrived."""

    __slots__ = ("_at", "_last", "_lines", "_rows")

    def __init__(self, text: str) -> None:
        self._lines = lines = text.split("\n")
        self._last = len(lines) - 1  # behind the last line break
        self._rows: list[tuple[int, int, int, str]] = []
        """Of each: its indentation, where its words start, its number from 1, and its words."""
        self._at = 0
        start = number = 0
        for line in lines:
            number += 1
            words = line.lstrip(" ")
            if words and words[0] != "#":
                indent = len(line) - len(words)
                words = words.rstrip(" ")
                is_end = words == "---" and not indent
                self._rows.append((_END if is_end else indent, start + indent, number, words))
            start += len(line) + 1
        self._rows.append((_END, start, number, ""))

    def documents(self) -> list[Node]:
        found: list[Node] = []
        rows = self._rows
        while self._at < len(rows) - 1:
            if rows[self._at][0] == _END:  # a line `---`
                self._at += 1
            found.append(self._mapping(0))
            if rows[self._at][0] != _END:  # deeper than the mapping's keys, or between two mappings'
                raise _UnknownError
        return found

    def _mapping(self, depth: int) -> Mapping:
        """Read the mapping whose first key is in this line."""
        rows, member = self._rows, self._member
        column, start, line, _ = rows[self._at]
        if depth > MAX_DEPTH - 2:  # libyaml's reader knows how much deeper it may be
            raise _UnknownError
        members: list[Member] = []
        indent = column
        while indent == column:
            _, at, number, words = rows[self._at]
            members.append(member(depth, column, at, number, words))
            indent = rows[self._at][0]
        return new(Mapping, (start, members[-1].value.end, line, column, members, False, None, None))

    def _member(self, depth: int, column: int, start: int, line: int, words: str) -> Member:
        key, colon, value = words.partition(": ")
        if not colon and words[-1:] == ":":
            key = words[:-1]
        elif not colon:
            return self._explicit(column, start, line, words)
        if not (key.isalnum() or (_is_plain(key) and key[-1] != " ")) or len(key) > _LONGEST_KEY:
            raise _UnknownError
        self._at += 1
        end = start + len(words)
        name = new(Scalar, (start, start + len(key), line, key, "", None, None))
        if value[:1].isalnum() and ":" not in value and "#" not in value:  # as most are
            return new(Member, (name, new(Scalar, (end - len(value), end, line, value, "", None, None))))
        value = value.lstrip(" ")
        at = end - len(value)
        if value[:1] == "|":
            text, end = self._block(column, line, end, _without_comment(value)[1:])
            return new(Member, (name, new(Scalar, (at, end, line, text, "|", None, None))))
        value = _without_comment(value)
        return new(Member, (name, _in_line(value, at, line) if value else self._below(depth, column, name)))

    def _explicit(self, column: int, start: int, line: int, words: str) -> Member:
        """Read a member of two lines, `? KEY` and `: VALUE`, both plain; its key may be longer than others."""
        if not words.startswith("? "):
            raise _UnknownError
        indent, at, number, below = self._rows[self._at + 1]
        key, value = words[2:].lstrip(" "), below[2:].lstrip(" ")
        if indent != column or not below.startswith(": ") or not (_is_plain(key) and _is_plain(value)):
            raise _UnknownError
        if ": " in value or value[-1] == ":":
            raise _UnknownError
        self._at += 2
        ends = start + len(words), at + len(below)
        name = new(Scalar, (ends[0] - len(key), ends[0], line, key, "", None, None))
        return new(Member, (name, new(Scalar, (ends[1] - len(value), ends[1], number, value, "", None, None))))

    def _below(self, depth: int, column: int, name: Scalar) -> Node:
        """Read the value of the key in that column, of which nothing stands in its own line."""
        indent, _, _, words = self._rows[self._at]
        if words.startswith("- ") and indent >= column:
            return self._list(depth + 1)
        if indent > column:
            return self._mapping(depth + 1)
        colon = name.end + 1
        return new(Scalar, (colon, colon, name.line, "", "", None, None))

    def _list(self, depth: int) -> Sequence:
        """Read the list whose first dash is in this line."""
        column, start, line, _ = row = self._rows[self._at]
        if depth > MAX_DEPTH - 3:
            raise _UnknownError
        items: list[Node] = []
        while row[0] == column and row[3].startswith("- "):
            items.append(self._item(depth + 1, *row))
            row = self._rows[self._at]
        return new(Sequence, (start, items[-1].end, line, items, False, None, None))

    def _item(self, depth: int, indent: int, start: int, line: int, dashed: str) -> Node:
        words = dashed[1:].lstrip(" ")
        before = len(dashed) - len(words)
        if ": " in f"{words} " or words.startswith("? "):
            self._rows[self._at] = (indent + before, start + before, line, words)
            return self._mapping(depth)
        self._at += 1
        return _in_line(_without_comment(words), start + before, line)

    def _block(self, column: int, line: int, end: int, header: str) -> tuple[str, int]:
        """Read the text of the literal scalar below that line, whose words end there, and where it ends itself."""
        digit, chomping = (header[0], header[1:]) if header[:1] in _DIGITS else ("0", header)
        if chomping not in ("", "-", "+"):
            raise _UnknownError
        indent = column + int(digit) if digit != "0" else 0  # until the first line that is not blank tells it
        widest = 0
        body: list[str] = []
        above = self._lines[line - 1]
        end += len(above) - len(above.rstrip(" ")) + 1
        for number in range(line, self._last):
            text = self._lines[number]
            words = text.lstrip(" ")
            width = len(text) - len(words)
            if words and not indent:
                if width <= column or width < widest:
                    raise _UnknownError
                indent = width
            if words and width < indent:
                break
            widest = max(widest, width)
            body.append(text[indent:] if indent else "")
            end += len(text) + 1
        while self._rows[self._at][2] <= line + len(body):
            self._at += 1
        whole = "\n".join(body)
        if not whole.strip(" \n"):
            raise _UnknownError
        return (whole if chomping == "+" else whole.rstrip("\n")) + ("" if chomping == "-" else "\n"), end


def _is_plain(text: str) -> bool:
    """Tell whether a text of one line is a plain scalar, without a comment behind it."""
    return bool(text) and (text[0].isalnum() or text[0] in _STARTS) and " #" not in text and text[:3] != "..."


def _without_comment(value: str) -> str:
    """Return what stands behind a key, without the comment behind that."""
    if " #" not in value and value[:1] != "#":
        return value
    end = value.find(value[0], 1) + 1 if value[0] in _QUOTES else 0
    at = f" {value}".find(" #", end)  # in the value: where the blank before the sign is
    return value[:at].rstrip(" ") if at >= 0 else value


def _in_line(value: str, at: int, line: int) -> Scalar | Sequence:
    """Read the value that starts there and ends in its line."""
    if not value.startswith("["):
        style, text = _read(value)
        return new(Scalar, (at, at + len(value), line, text, style, None, None))
    if value[-1] != "]":
        raise _UnknownError
    items: list[Node] = []
    start = at + 1
    for piece in value[1:-1].split(","):
        text = piece.strip(" ")
        if not _is_plain(text) or not _FLOW.isdisjoint(text) or ": " in text or text[-1] == ":":
            raise _UnknownError
        first = start + piece.index(text)
        items.append(new(Scalar, (first, first + len(text), line, text, "", None, None)))
        start += len(piece) + 1
    return new(Sequence, (at, at + len(value), line, items, True, None, None))


def _read(value: str) -> tuple[str, str]:
    """Return the style of a scalar that ends in its line, and its text."""
    quote = value[:1]
    if quote in _QUOTES:
        if value.find(quote, 1) != len(value) - 1 or (quote == '"' and "\\" in value):
            raise _UnknownError
        return quote, value[1:-1]
    if not _is_plain(value) or ": " in value or value[-1] == ":":
        raise _UnknownError
    return "", value
