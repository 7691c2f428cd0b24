"""The tree that both readers (YAML and JSON) make of a text: what stands where, nothing interpreted.

Places are code-point offsets into the text without its BOM, `end` exclusive; lines count from 1,
columns from 0. A collection's `end` is the end of its last member (block) or its bracket (flow).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_DEPTH = 64
"""How deep a document may nest. Kubernetes' own objects stay under 20."""

ANY_NUMBER = 1 << 62
"""Of nodes, where nobody bounds them. A node takes up to 1 KB while a file is worked on."""
_MERGE = "tag:yaml.org,2002:merge"
TOO_MANY = "more keys, values and lists than are taken"


class Scalar(NamedTuple):
    """A scalar; `style` is what it is written in: "" (plain), "'", '"', "|" or ">"."""

    start: int
    end: int
    line: int
    column: int
    value: str
    style: str
    anchor: str | None
    tag: str | None

    def __repr__(self) -> str:
        return f"Scalar(line {self.line}, masked)"


class Alias(NamedTuple):
    """`*name`; `target` is what it stands for, None inside that very node."""

    start: int
    end: int
    line: int
    column: int
    target: Node | None


class Sequence(NamedTuple):
    """A list."""

    start: int
    end: int
    line: int
    column: int
    items: list[Node]
    flow: bool
    anchor: str | None
    tag: str | None


class Member(NamedTuple):
    """One `key: value` of a mapping."""

    key: Node
    value: Node


class Mapping(NamedTuple):
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


def with_bases(mapping: Mapping) -> Iterator[Mapping]:
    """A mapping, and all that merge keys bring into it, each once."""
    seen: set[int] = set()
    waiting = [mapping]
    while waiting:
        one = waiting.pop()
        if one.start in seen:
            continue
        seen.add(one.start)
        yield one
        for key, value in one.members:
            target = resolved(value)
            if is_merge(key):
                bases = target.items if isinstance(target, Sequence) else [target]
                waiting += [base for node in bases if isinstance(base := resolved(node), Mapping)]


def is_null(node: Node) -> bool:
    """Whether Kubernetes reads a null here."""
    return isinstance(node, Scalar) and not node.style and node.value in ("", "~", "null", "Null", "NULL")
