"""JSON text → the same nodes as YAML: RFC 8259, one document or several after one another, as kubectl takes them.

Not through the YAML reader: libyaml refuses surrogate pairs in escapes, which are good JSON.
"""

from __future__ import annotations

import re
from json import JSONDecodeError, JSONDecoder
from json.decoder import scanstring  # type: ignore[attr-defined]

from secretsvc import patience
from secretsvc.errors import ManifestError
from secretsvc.manifest.nodes import (
    MAX_DEPTH,
    MOST_NODES,
    NODES_AT_A_TIME,
    Mapping,
    Member,
    Node,
    Scalar,
    Sequence,
    most_nodes,
    new,
    too_many,
)

_SPACE = re.compile(r"[ \t\r\n]*")
_BARE = re.compile(r"[-+.0-9a-zA-Z]+")


def read_documents(text: str, most: int = MOST_NODES) -> list[Node] | None:
    """The root node of every document, or None where the text is not JSON (it may still be YAML).

    Raises ManifestError where it is JSON but nested too deep, or has more nodes.
    """
    most = min(most, most_nodes(len(text)))
    refuse_many(text, most)
    if not _accepted(text):
        return None
    reader = _Reader(text, most)
    documents = []
    at = reader.skip(0)
    while at < len(text):
        node = reader.node(at, 0)
        documents.append(node)
        at = reader.skip(node.end)
    return documents


def refuse_many(text: str, most: int) -> None:
    """Raises ManifestError for JSON of more values than that, before the standard library reads it.

    That holds the interpreter's lock to its end, and no other thread goes on meanwhile. Each value here has at most one
    comma or colon before it, and one bracket of its own.
    """
    strings = marks = at = 0
    while True:
        quote = text.find('"', at)
        end = quote if quote >= 0 else len(text)
        marks += sum(text.count(mark, at, end) for mark in ",:[{")
        if strings > most or marks > 2 * most:
            raise too_many(most, text.count("\n", 0, end) + 1)
        if quote < 0:
            return
        strings += 1
        if not strings % NODES_AT_A_TIME:
            patience.check()
        try:
            _, at = scanstring(text, quote + 1)
        except JSONDecodeError:
            return  # not JSON, which is found by whoever reads it


def _accepted(text: str) -> bool:
    """The standard library's word on whether this is JSON, so that the scanner below meets nothing else."""
    # What it builds meanwhile is thrown away, and made small: a number is True, an object how many members it has.
    decoder = JSONDecoder(object_pairs_hook=len, parse_int=bool, parse_float=bool, parse_constant=_refuse_constant)
    at = _end(_SPACE, text, 0)
    try:
        while at < len(text):
            _, at = decoder.raw_decode(text, at)
            at = _end(_SPACE, text, at)
    except (JSONDecodeError, ValueError):
        return False
    except RecursionError:
        raise ManifestError(f"nested deeper than {MAX_DEPTH} levels") from None
    return True


def _refuse_constant(word: str) -> None:
    raise ValueError(f"{word} is not JSON")


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at


class _Reader:
    """Walks one accepted text from left to right, counting lines as it goes."""

    def __init__(self, text: str, most: int) -> None:
        self._text = text
        self._most = self._left = most
        self._counted = 0
        self._line = 1
        self._line_start = 0

    def skip(self, at: int) -> int:
        return _end(_SPACE, self._text, at)

    def node(self, at: int, depth: int) -> Node:
        """The value that starts at `at` (white space already skipped)."""
        breaks = self._text.count("\n", self._counted, at)
        if breaks:
            self._line += breaks
            self._line_start = self._text.rfind("\n", self._counted, at) + 1
        self._counted = at
        line, column = self._line, at - self._line_start
        if depth > MAX_DEPTH:
            raise ManifestError(f"nested deeper than {MAX_DEPTH} levels", line=line)
        self._left -= 1
        if not self._left % NODES_AT_A_TIME:
            patience.check()
        if self._left < 0:
            raise too_many(self._most, line)
        first = self._text[at]
        if first == "{":
            members, end = self._members(at + 1, depth)
            return new(Mapping, (at, end, line, column, members, True, None, None))
        if first == "[":
            items, end = self._items(at + 1, depth)
            return Sequence(at, end, line, items, True, None, None)
        if first == '"':
            value, end = scanstring(self._text, at + 1)
            return new(Scalar, (at, end, line, value, '"', None, None))
        end = _end(_BARE, self._text, at)
        return new(Scalar, (at, end, line, self._text[at:end], "", None, None))

    def _members(self, at: int, depth: int) -> tuple[list[Member], int]:
        members: list[Member] = []
        at = self.skip(at)
        while self._text[at] != "}":
            if self._text[at] == ",":
                at = self.skip(at + 1)
            key = self.node(at, depth + 1)
            colon = self.skip(key.end)
            value = self.node(self.skip(colon + 1), depth + 1)
            members.append(new(Member, (key, value)))
            at = self.skip(value.end)
        return members, at + 1

    def _items(self, at: int, depth: int) -> tuple[list[Node], int]:
        items: list[Node] = []
        at = self.skip(at)
        while self._text[at] != "]":
            if self._text[at] == ",":
                at = self.skip(at + 1)
            items.append(self.node(at, depth + 1))
            at = self.skip(items[-1].end)
        return items, at + 1
