"""Members of a YAML document's tree: the format's own at each root, and leaves that come and go."""

from __future__ import annotations

from secretsvc.document.base import MOST_LEAVES, too_many_leaves
from secretsvc.document.yaml_comments import YamlComment
from secretsvc.document.yaml_spelling import scalar_of
from secretsvc.document.yaml_types import plain, typed
from secretsvc.errors import ManifestError
from secretsvc.manifest.model import Entry
from secretsvc.manifest.nodes import MAX_DEPTH, Alias, Mapping, Node, Scalar, Sequence
from secretsvc.manifest.nodes import member as member_of
from secretsvc.manifest.scalars import is_string, quoted, replaced
from secretsvc.manifest.splice import (
    Edit,
    append_member,
    line_break,
    remove_member,
    remove_members,
    replace_member,
)
from secretsvc.patterns import pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from secretsvc.document.base import Leaf, Path, Tree, Value
    from secretsvc.document.yaml_spelling import Spot
    from secretsvc.manifest.nodes import Member
    from secretsvc.manifest.splice import Layout

_SAFE = pattern(r"[A-Za-z][A-Za-z0-9_./-]*|[0-9]+\.[0-9]+\.[0-9]+|ENC\[[A-Za-z0-9_+/=,:]*\]")
"""Words, versions, and tokens: Flux takes for sealed what holds `mac: ENC[`, without quotes (see json_document.py)."""
_STEP = 4
"""Columns of a level where the file does not show its own, as SOPS writes."""


def find(root: Mapping | Scalar, name: str) -> Member | None:
    """Return the member of that name at a root."""
    return member_of(root, name) if isinstance(root, Mapping) else None


def tree(node: Node) -> Tree:
    """Return what a member holds. Times are texts. Raises ManifestError."""
    return _Trees().of(node, 0)


class _Trees:
    def __init__(self) -> None:
        self._left = MOST_LEAVES

    def of(self, node: Node, depth: int) -> Tree:
        self._left -= 1
        if self._left < 0 or depth > MAX_DEPTH:
            raise too_many_leaves(node.line)
        if isinstance(node, Alias):
            return self.of(node.target, depth + 1) if node.target else None
        if isinstance(node, Sequence):
            return [self.of(item, depth + 1) for item in node.items]
        if isinstance(node, Mapping):
            return {key.value: self.of(value, depth + 1) for key, value in node.members if isinstance(key, Scalar)}
        value = typed(node.value, node.style, node.tag, node.line)
        if value.kind == "int":
            return int(value.text)
        return {"bool": value.text == b"True", "null": None}.get(value.kind, node.value)


def put(text: str, root: Mapping | Scalar, name: str, wanted: dict[str, Tree]) -> list[Edit]:
    """Return the edits that make the root's member hold that tree."""
    found = find(root, name)
    if isinstance(root, Scalar):
        return [_instead_of_null(text, root, name, wanted)]
    if not found:
        return [_appended(text, root, name, wanted)]
    node = found.value
    if tree(node) == wanted:
        return []
    if isinstance(node, Mapping) and not node.flow and node.members:
        return _changed(text, node, wanted)
    return [Edit(node.start, node.end, _json(wanted))]


def drop(text: str, root: Mapping | Scalar, name: str) -> list[Edit]:
    """Return the edits that take the member out. What has nothing else stays as an empty mapping."""
    found = find(root, name)
    if not found or not isinstance(root, Mapping):
        return []
    if len(root.members) == 1 and not root.flow:
        gone = remove_member(text, root, found)
        return [
            Edit(gone.start, gone.end, "{}" + (line_break(text) if text[gone.start : gone.end].endswith("\n") else ""))
        ]
    return [remove_member(text, root, found)]


def added(text: str, root: Mapping | Scalar, path: Path, value: Value) -> list[Edit]:
    """Return the edits that add a leaf, and the mappings that lack above it. Raises ManifestError."""
    node: Node = root
    for depth, key in enumerate(path):
        step = _child(node, key)
        if step is None:
            return [_grown(text, node, path[depth:], value)]
        node = step
    raise ManifestError("that place is taken", hint="set another one", line=node.line)


def removed(text: str, leaf: Leaf) -> list[Edit]:
    """Return the edits that take a leaf out. The collection that it was the last of stays, empty."""
    if isinstance(leaf.own, YamlComment):
        return [Edit(leaf.own.start, leaf.own.end, "")]
    spot: Spot = leaf.own
    holder = spot.holder
    if spot.shared is not None:
        raise ManifestError("an alias stands for what it is in", hint="write the collection out", line=leaf.line)
    if isinstance(holder, Mapping):
        if len(holder.members) == 1:
            return [Edit(holder.start, holder.end, "{}")]
        return [remove_member(text, holder, holder.members[spot.index])]
    if len(holder.items) == 1:
        return [Edit(holder.start, holder.end, "[]")]
    return [_without_item(text, holder, spot.index)]


def _without_item(text: str, holder: Sequence, index: int) -> Edit:
    items = holder.items
    if holder.flow:
        if index:
            return Edit(items[index - 1].end, items[index].end, "")
        return Edit(items[0].start, items[1].start, "")
    start = text.rfind("-", 0, items[index].start) if items[index].start else 0
    if index + 1 < len(items):
        following = text.rfind("-", 0, items[index + 1].start)
        return Edit(start, following, "")
    line = text.rfind("\n", 0, start) + 1
    end = text.find("\n", items[index].end)
    return Edit(line, len(text) if end < 0 else end + 1, "")


def _child(node: Node, key: str | int) -> Node | None:
    """Return what stands there; None where it can be added. Raises ManifestError where something is in the way."""
    target = node.target if isinstance(node, Alias) else node
    if isinstance(target, Mapping) and isinstance(key, str):
        found = member_of(target, key)
        return found.value if found else None
    if isinstance(target, Sequence) and isinstance(key, int):
        return target.items[key] if key < len(target.items) else None
    if isinstance(target, Scalar) and typed(target.value, target.style, target.tag, target.line).kind == "null":
        return None
    what = "a list" if isinstance(target, Sequence) else "a mapping" if isinstance(target, Mapping) else "a value"
    raise ManifestError(f"{what} is in the way", hint="name another place", line=node.line)


def _grown(text: str, node: Node, path: Path, value: Value) -> Edit:
    if isinstance(node, Alias) or any(isinstance(key, int) and key for key in path[1:]):
        raise ManifestError("an alias, or a list's end, is in the way", hint="write it out", line=node.line)
    if isinstance(node, Scalar):
        return Edit(
            node.start, node.end, (" " if text[node.start - 1 : node.start] == ":" else "") + _inline(path, value)
        )
    if isinstance(node, Mapping):
        if not node.members:
            return Edit(node.start, node.end, _inline(path, value))
        return append_member(text, node, lambda layout: _member(path, value, layout))
    if not node.items or node.flow:
        at = node.items[-1].end if node.items else node.end - 1
        return Edit(at, at, (", " if node.items else "") + _inline(path[1:], value))
    last = node.items[-1]
    line = text.rfind("\n", 0, node.start) + 1
    end = text.find("\n", last.end) if text[last.end - 1 : last.end] != "\n" else last.end - 1
    lead = " " * (node.start - line)
    if end < 0:
        return Edit(len(text), len(text), f"\n{lead}- {_inline(path[1:], value)}")
    return Edit(end + 1, end + 1, f"{lead}- {_inline(path[1:], value)}{line_break(text)}")


def _inline(path: Path, value: Value) -> str:
    """The value under its keys, on one line."""
    made = scalar_of(value, flow=bool(path))
    for key in reversed(path):
        made = "{" + f"{quoted(key)}: {made}" + "}" if isinstance(key, str) else f"[{made}]"
    return made


def _member(path: Path, value: Value, layout: Layout) -> str:
    name = path[0]
    assert isinstance(name, str)
    if layout.flow:
        return f"{quoted(name)}{layout.colon}{_inline(path[1:], value)}"
    return f"{_word(name)}: {_inline(path[1:], value)}"


def _instead_of_null(text: str, root: Scalar, name: str, wanted: dict[str, Tree]) -> Edit:
    """An empty document, or `null`, gets the member alone."""
    newline = line_break(text)
    lines = newline.join(_lines(name, wanted, _STEP))
    start = text.rfind("\n", 0, root.start) + 1
    behind = text[start : root.start].strip()
    lead = newline if behind or (root.start and text[root.start - 1] != "\n") else ""
    ends = newline if text[root.end : root.end + 1] not in ("\n", "\r") else ""
    return Edit(root.start, root.end, lead + lines + ends)


def _appended(text: str, root: Mapping, name: str, wanted: dict[str, Tree]) -> Edit:
    """Behind all that is in the document, comments too."""
    if root.flow:
        last = root.members[-1].value.end if root.members else root.end - 1
        return Edit(last, last, (", " if root.members else "") + f'"{name}": {_json(wanted)}')
    newline = line_break(text)
    indent = " " * root.column
    lines = newline.join(indent + line for line in _lines(name, wanted, _step(root)))
    at = _foot(text, root.end)
    if at and text[at - 1] != "\n":
        return Edit(at, at, newline + lines)
    return Edit(at, at, lines + newline)


def _foot(text: str, at: int) -> int:
    """Return where the document's last line ends, be it a comment: before `---`, `...`, or blank lines at the end."""
    if text[at - 1 : at] != "\n":
        end = text.find("\n", at)
        at = len(text) if end < 0 else end + 1
    foot = at
    while at < len(text):
        end = text.find("\n", at)
        end = len(text) if end < 0 else end + 1
        line = text[at:end]
        if line.startswith(("---", "...")) or (line.strip() and not line.lstrip().startswith("#")):
            break
        foot = end if line.strip() else foot
        at = end
    return foot


def _step(root: Mapping) -> int:
    """By how much this file indents."""
    for _, value in root.members:
        if isinstance(value, Mapping) and not value.flow and value.column > root.column:
            return value.column - root.column
    return _STEP


def _changed(text: str, node: Mapping, wanted: dict[str, Tree]) -> list[Edit]:
    """The fields that differ, each in its place; new ones behind the others."""
    edits: list[Edit] = []
    step = _step(node)
    held = {key.value: Found(key, value) for key, value in node.members if isinstance(key, Scalar)}
    gone = [name for name in held if name not in wanted]
    edits += remove_members(text, node, gone) if gone else ()
    for name, value in wanted.items():
        found = held.get(name)
        if found and tree(found.value) != value:
            edits.append(_field(text, node, found, value, step))
    new = {name: value for name, value in wanted.items() if name not in held}
    if new:
        edits.append(append_member(text, node, _render(new, step)))
    return edits


class Found:
    """A key and its value."""

    __slots__ = ("key", "value")

    def __init__(self, key: Scalar, value: Node) -> None:
        self.key = key
        self.value = value


def _field(text: str, node: Mapping, found: Found, value: Tree, step: int) -> Edit:
    if isinstance(found.value, Scalar) and isinstance(value, str) and "\n" not in value:
        scalar = found.value
        if scalar.style in ("|", ">"):
            return replaced(text, Entry("", "", scalar, node.column, False), _word(value))
        styled = value if not scalar.style and value.startswith("ENC[") else _word(value)
        return Edit(scalar.start, scalar.end, styled)
    name = found.key.value
    member = next(one for one in node.members if one.key is found.key)
    return replace_member(text, node, member, _render({name: value}, step))


def _render(fields: dict[str, Tree], step: int) -> Callable[[Layout], str]:
    def render(layout: Layout) -> str:
        lines = [line for name, value in fields.items() for line in _lines(name, value, step)]
        return (layout.newline + layout.indent).join(lines)

    return render


def _lines(name: str, value: Tree, step: int) -> list[str]:
    """A member in block style, keys sorted; those of a list's items are in the order that they have."""
    key = _word(name)
    if isinstance(value, dict) and value:
        return [f"{key}:", *(" " * step + line for one in sorted(value) for line in _lines(one, value[one], step))]
    if isinstance(value, list) and value:
        return [f"{key}:", *(" " * step + line for item in value for line in _item(item, step))]
    if isinstance(value, str) and "\n" in value:
        body = value.removesuffix("\n")
        header = "|" if value != body else "|-"
        return [f"{key}: {header}", *("  " + line for line in body.split("\n"))]
    return [f"{key}: {_json(value) if not isinstance(value, str) else _word(value)}"]


def _item(item: Tree, step: int) -> list[str]:
    if not isinstance(item, dict) or not item:
        return [f"- {_json(item) if not isinstance(item, str) else _word(item)}"]
    lines = [line for name, value in item.items() for line in _lines(name, value, step)]
    return ["- " + lines[0], *("  " + line for line in lines[1:])]


def _word(text: str) -> str:
    """A text on one line: plain where it is a plain word to everybody, else in double quotes."""
    if _SAFE.fullmatch(text) and is_string(text) and plain(text).kind == "str":
        return text
    return quoted(text)


def _json(value: Any) -> str:
    from json import dumps

    return dumps(value, ensure_ascii=False)
