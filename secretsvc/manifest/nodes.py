"""The tree that both readers (YAML and JSON) make of a text: what stands where, nothing interpreted.

Places are code-point offsets into the text without its BOM, `end` exclusive; lines count from 1,
columns from 0. A collection's `end` is the end of its last member (block) or its bracket (flow).
Of how many nodes a text may have, and how far its merge keys are followed, see docs/limits.md.
"""

from __future__ import annotations

from secretsvc.errors import BoundError
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeAlias

MAX_DEPTH = 64
"""How deep a document may nest. Kubernetes' own objects stay under 20."""

MOST_NODES = 250_000
"""Of one text: keys, values, lists and mappings. 5,000 sealed Secrets of one value have 140,000."""

_ALWAYS_TAKEN, _CHARACTERS_PER_NODE = 80_000, 20
"""A text may have so many nodes, however short they are, and one more for each 20 characters: each takes 200 bytes."""

NODES_AT_A_TIME = 1000
"""How many are read before it is asked anew whether anybody still waits for them."""

MOST_MERGED = 100_000
"""Members that merge keys bring into mappings of one text; each counts anew for every mapping that it comes to."""

new = tuple.__new__
"""Makes a node of its class and a tuple of its values: readers make millions, and the class itself takes its time."""

_MERGE = "tag:yaml.org,2002:merge"
BINARY = "tag:yaml.org,2002:binary"


class Scalar(Record):
    """A scalar; `style` is what it is written in: "" (plain), "'", '"', "|" or ">"."""

    start: int
    end: int
    line: int
    value: str
    style: str
    anchor: str | None
    tag: str | None

    def __repr__(self) -> str:
        return f"Scalar(line {self.line}, masked)"


class Alias(Record):
    """`*name`; `target` is what it stands for, None inside that very node."""

    start: int
    end: int
    line: int
    target: Node | None


class Sequence(Record):
    """A list."""

    start: int
    end: int
    line: int
    items: list[Node]
    flow: bool
    anchor: str | None
    tag: str | None


class Member(Record):
    """One `key: value` of a mapping."""

    key: Node
    value: Node


class Mapping(Record):
    """A mapping, its members in the text's order, repeated keys included."""

    start: int
    end: int
    line: int
    column: int
    members: list[Member]
    flow: bool
    anchor: str | None
    tag: str | None


Node: TypeAlias = Scalar | Alias | Sequence | Mapping


def resolved(node: Node | None) -> Node | None:
    """The node that an alias stands for, or the node itself."""
    return node.target if isinstance(node, Alias) else node


def member(mapping: Mapping, name: str) -> Member | None:
    """The first member with that key."""
    for candidate in mapping.members:
        if isinstance(candidate.key, Scalar) and candidate.key.value == name:
            return candidate
    return None


def value(mapping: Mapping, name: str) -> Node | None:
    """The value of the first member with that key, aliases resolved."""
    found = member(mapping, name)
    return resolved(found.value) if found else None


def is_merge(key: Node) -> bool:
    """A YAML 1.1 merge key: a plain `<<`, or whatever has its tag (to Go a `<<` in quotes, to PyYAML any text)."""
    return isinstance(key, Scalar) and (key.tag == _MERGE or (key.value == "<<" and not key.style))


class MergeKeys:
    """Follows the merge keys of one text, and counts what they bring in: a few bytes may bring in all of a file."""

    def __init__(self) -> None:
        self._left = MOST_MERGED

    def with_bases(self, mapping: Mapping, *, shared: bool = False) -> Iterator[Mapping]:
        """A mapping, and all that merge keys bring into it, each once. `shared`: it stands there by an alias itself.

        Raises BoundError where that is too much.
        """
        seen: set[int] = set()
        waiting = [mapping]
        while waiting:
            one = waiting.pop()
            if one.start in seen:
                continue
            if seen or shared:
                self._count(len(one.members), mapping.line)
            seen.add(one.start)
            yield one
            for key, value in one.members:
                if isinstance(key, Scalar) and (key.tag or key.value == "<<") and is_merge(key):
                    bases = _bases(value)
                    self._count(len(bases), mapping.line)
                    waiting += bases

    def _count(self, more: int, line: int) -> None:
        self._left -= more
        if self._left < 0:
            message = f"merge keys (<<) and aliases bring in more than {MOST_MERGED} members"
            raise BoundError(message, hint="write out what they bring in", line=line)


def _bases(value: Node) -> list[Mapping]:
    """Return what one merge key names: a mapping, or a list of them."""
    target = resolved(value)
    bases = target.items if isinstance(target, Sequence) else [value]
    return [base for node in bases if isinstance(base := resolved(node), Mapping)]


def most_nodes(length: int) -> int:
    """Return how many nodes a text of that many characters may have."""
    return min(MOST_NODES, _ALWAYS_TAKEN + length // _CHARACTERS_PER_NODE)


def too_many(most: int, line: int) -> BoundError:
    """The error for a text that has more nodes than that."""
    message = f"more keys, values and lists than the {most} that are taken in a text of its size"
    return BoundError(message, hint="split it into several files", line=line)


def is_null(node: Node) -> bool:
    """Tell whether Kubernetes reads a null here."""
    return isinstance(node, Scalar) and not node.style and node.value in ("", "~", "null", "Null", "NULL")


def text_of(node: Node | None) -> str:
    """The text that a parser may make of a scalar; empty for what is none, and for null."""
    scalar = resolved(node)
    if not isinstance(scalar, Scalar) or (is_null(scalar) and not scalar.tag):
        return ""
    if scalar.tag != BINARY:
        return scalar.value
    try:
        from binascii import a2b_base64

        return a2b_base64(scalar.value).decode()
    except ValueError:
        return ""
