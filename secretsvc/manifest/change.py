"""Putting a value at a path of a Secret, and taking one away, as edits of the text."""

from __future__ import annotations

from functools import partial

from secretsvc.errors import ManifestError
from secretsvc.manifest import nodes
from secretsvc.manifest.nodes import Mapping, Scalar
from secretsvc.manifest.scalars import canonical, quoted
from secretsvc.manifest.splice import Edit, append_member, insert_member, remove_member, replace_member
from secretsvc.manifest.styles import styled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secretsvc.manifest.model import Secret
    from secretsvc.manifest.nodes import Member
    from secretsvc.manifest.splice import Layout

Path = tuple[str, ...]
"""Member names from a Secret's root downwards, such as `("metadata", "labels", "app")`."""


def put(text: str, secret: Secret, path: Path, value: str) -> Edit:
    """The text `value` at that path, its mappings made where they are missing.

    Raises ManifestError where something else than a mapping stands in the way.
    """
    holder = secret.root
    for depth, name in enumerate(path):
        rest = path[depth:]
        found = nodes.member(holder, name)
        if not found:
            return _added(text, secret, holder, rest, value)
        if not rest[1:] and isinstance(found.value, Scalar) and found.value.style not in ("|", ">"):
            at = found.value
            if at.end > at.start:
                style = at.style or ('"' if holder.flow else "")  # in JSON, a text is nothing without quotes
                return Edit(at.start, at.end, styled(value, style, flow=holder.flow))
        if nodes.is_null(found.value) or not rest[1:] or (_is_empty(found.value) and not holder.flow):
            return replace_member(text, holder, _whole(text, found), partial(_member, rest, value))
        if not isinstance(found.value, Mapping):
            raise ManifestError(f"{'.'.join(path[: depth + 1])} is not a mapping", line=found.key.line)
        holder = found.value
    raise ValueError("an empty path")


def is_text_at(secret: Secret, path: Path) -> bool:
    """Tell whether a text stands there that `put` would write anew where it is, and touch nothing beside it."""
    node: object = secret.root
    for name in path:
        found = nodes.member(node, name) if isinstance(node, Mapping) else None
        node = found.value if found else None
    return isinstance(node, Scalar) and node.style not in ("|", ">") and node.end > node.start


def _is_empty(node: object) -> bool:
    return isinstance(node, Mapping) and not node.members  # `{}`, whose first member gets a line of its own


def _added(text: str, secret: Secret, holder: Mapping, path: Path, value: str) -> Edit:
    if not holder.members:  # `{}`
        return Edit(holder.start, holder.end, "{" + _flow_member(path, value, ": ") + "}")
    last = holder.members[-1]
    if holder is secret.root and secret.envelope is last and not holder.flow:  # the envelope stays last
        return insert_member(text, holder, last, partial(_member, path, value))
    return append_member(text, holder, partial(_member, path, value))


def drop(text: str, secret: Secret, path: Path) -> Edit | None:
    """Take away what stands at that path, with the mapping that it leaves empty; None where there is nothing."""
    way: list[tuple[Mapping, Member]] = []
    node: object = secret.root
    for name in path:
        found = nodes.member(node, name) if isinstance(node, Mapping) else None
        if not isinstance(node, Mapping) or not found:
            return None
        way.append((node, found))
        node = found.value
    while len(way) > 1 and len(way[-1][0].members) == 1:
        way.pop()
    holder, last = way[-1]
    at = holder.members.index(last)
    near = [_whole(text, member) for member in holder.members[max(0, at - 1) : at + 2]]
    return remove_member(text, holder._replace(members=near), near[min(at, 1)])


def _whole(text: str, member: Member) -> Member:
    """The member from its `?` on, where its key is written with one."""
    at = member.key.start
    while at and text[at - 1] in " \t":
        at -= 1
    if at and text[at - 1] == "?" and text[max(0, at - 2) : at - 1] in ("", " ", "\t", "\n", "\r", "{", ","):
        return member._replace(key=member.key._replace(start=at - 1))
    return member


def _member(path: Path, value: str, layout: Layout) -> str:
    if layout.flow:
        return _flow_member(path, value, layout.colon)
    lines = [f"{layout.indent + layout.unit * depth}{canonical(name, flow=False)}:" for depth, name in enumerate(path)]
    return layout.newline.join(lines).removeprefix(layout.indent) + " " + canonical(value, flow=False)


def _flow_member(path: Path, value: str, colon: str) -> str:
    first, *rest = path
    inner = "{" + _flow_member(tuple(rest), value, colon) + "}" if rest else quoted(value)
    return quoted(first) + colon + inner
