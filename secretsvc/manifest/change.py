"""Putting a value at a path of a Secret, and taking one away, as edits of the text."""

from __future__ import annotations

from functools import partial

from secretsvc.errors import ManifestError
from secretsvc.manifest import nodes
from secretsvc.manifest.nodes import Mapping, Scalar
from secretsvc.manifest.scalars import canonical, quoted
from secretsvc.manifest.splice import Edit, append_member, insert_member, remove_members, replace_member
from secretsvc.manifest.styles import styled

TYPE_CHECKING = False
if TYPE_CHECKING:
    import collections.abc
    from collections.abc import Iterator
    from typing import TypeAlias

    from secretsvc.manifest.model import Secret
    from secretsvc.manifest.nodes import Member, Node
    from secretsvc.manifest.splice import Layout

    Texts: TypeAlias = dict[str, "str | Texts | None"]
    """Members by name: a text, None for one that is to go, or the members of a mapping."""

Path = tuple[str, ...]
"""Member names from a Secret's root downwards, such as `("metadata", "labels", "app")`."""


def changes(
    text: str, secret: Secret, texts: collections.abc.Mapping[Path, str | None], stays_last: Member | None
) -> list[Edit]:
    """Return the edits that put those texts at those paths, mappings made where they are missing.

    What is at the path of a None goes, and with it the mapping that it leaves empty. `stays_last`: a member of the
    Secret that new ones go before, where it is the last one. Raises ManifestError where
    something else than a mapping stands in the way.
    """
    tree: Texts = {}
    for path, value in texts.items():
        holder = tree
        for name in path[:-1]:
            inner = holder.setdefault(name, {})
            assert isinstance(inner, dict)
            holder = inner
        holder[path[-1]] = value
    return list(_changes(text, secret.root, tree, stays_last))


def _changes(text: str, holder: Mapping, tree: Texts, stays_last: Member | None, way: str = "") -> Iterator[Edit]:
    """Yield the edits of one mapping; `way`: of what it is in, and a point behind."""
    added: Texts = {}
    gone: set[str] = set()
    for name, value in tree.items():
        found = nodes.member(holder, name)
        if not found:
            added[name] = value
        elif _goes(found.value, value):
            gone.add(name)
        elif isinstance(value, str):
            yield _put(text, holder, found, value)
        elif value and _is_to_be_made(found.value, value, holder):
            yield _anew(text, holder, found, value)
        elif value and isinstance(found.value, Mapping):
            yield from _changes(text, found.value, value, None, f"{way}{name}.")
        else:
            raise ManifestError(f"{way}{name} is not a mapping", line=found.key.line)
    if gone:
        members = [_whole(text, member) for member in holder.members]
        yield from remove_members(text, holder._replace(members=members), gone)
    if added:
        yield _added(text, holder, added, stays_last)


def _goes(node: Node, value: str | Texts | None) -> bool:
    """Tell whether nothing is left of what stands there."""
    if isinstance(value, dict):
        return _is_emptied(node, value) and not any(one is not None for one in value.values())
    return value is None


def _is_emptied(node: Node, tree: Texts) -> bool:
    """Tell whether it is a mapping, and all that it has is to go."""
    if not isinstance(node, Mapping) or not node.members:
        return False
    names = [key.value if isinstance(key, Scalar) else "" for key, _ in node.members]
    return all(tree.get(name, "") is None for name in names)


def _is_to_be_made(node: Node, tree: Texts, holder: Mapping) -> bool:
    """Tell whether a mapping is to be written there: none has a line yet, or a member that stays between brackets."""
    if not isinstance(node, Mapping):
        return nodes.is_null(node)
    return _is_emptied(node, tree) if node.flow and node.members else not node.members and not holder.flow


def _put(text: str, holder: Mapping, found: Member, value: str) -> Edit:
    """Put the text in the member's place, in its own style where it is a scalar on one line."""
    at = found.value
    if isinstance(at, Scalar) and at.style not in ("|", ">") and at.end > at.start:
        style = at.style or ('"' if holder.flow else "")  # in JSON, a text is nothing without quotes
        return Edit(at.start, at.end, styled(value, style, flow=holder.flow))
    return _anew(text, holder, found, value)


def _anew(text: str, holder: Mapping, found: Member, value: str | Texts) -> Edit:
    name = found.key.value if isinstance(found.key, Scalar) else ""
    return replace_member(text, holder, _whole(text, found), partial(_members, {name: value}))


def _added(text: str, holder: Mapping, added: Texts, stays_last: Member | None) -> Edit:
    if not holder.members:  # `{}`
        return Edit(holder.start, holder.end, _in_braces(added, ": "))
    last = holder.members[-1]
    if last is stays_last and not holder.flow:
        return insert_member(text, holder, last, partial(_members, added))
    return append_member(text, holder, partial(_members, added))


def _whole(text: str, member: Member) -> Member:
    """The member from its `?` on, where its key is written with one."""
    at = member.key.start
    while at and text[at - 1] in " \t":
        at -= 1
    if at and text[at - 1] == "?" and text[max(0, at - 2) : at - 1] in ("", " ", "\t", "\n", "\r", "{", ","):
        return member._replace(key=member.key._replace(start=at - 1))
    return member


def _members(tree: Texts, layout: Layout) -> str:
    if layout.flow:
        gap = "," + (layout.newline + layout.indent if layout.newline else layout.colon[1:])
        return gap.join(_in_flow(tree, layout.colon))
    return layout.newline.join(_in_lines(tree, layout.indent, layout.unit)).removeprefix(layout.indent)


def _in_lines(tree: Texts, indent: str, unit: str) -> Iterator[str]:
    for name, value in tree.items():
        start = f"{indent}{canonical(name, flow=False)}:"
        if isinstance(value, str):
            yield f"{start} {canonical(value, flow=False)}"
        elif value is not None:
            yield start
            yield from _in_lines(value, indent + unit, unit)


def _in_braces(tree: Texts, colon: str) -> str:
    return "{" + ("," + colon[1:]).join(_in_flow(tree, colon)) + "}"


def _in_flow(tree: Texts, colon: str) -> Iterator[str]:
    for name, value in tree.items():
        if value is not None:
            yield quoted(name) + colon + (quoted(value) if isinstance(value, str) else _in_braces(value, colon))
