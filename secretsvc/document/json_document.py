"""JSON files as documents, typed as SOPS types them: an object, whose numbers are int64 or float64.

https://github.com/getsops/sops/blob/main/stores/json/store.go. Repeated keys stay, both; there are no comments.
"""

from __future__ import annotations

import json
import re

from secretsvc.document.base import MOST_LEAVES, Edit, Leaf, Member, Value, check_size, too_many_leaves
from secretsvc.document.places import BytePlaces
from secretsvc.document.yaml_types import float_text
from secretsvc.errors import ManifestError
from secretsvc.manifest import nodes, splice
from secretsvc.manifest.json_reader import read_documents

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence as ListOf
    from typing import TypeAlias

    from secretsvc.document.base import Path, Tree
    from secretsvc.manifest.nodes import Node

    Branch: TypeAlias = "Mapping[str, Branch] | list[Branch] | Tree | Value"
    """Content that is written anew: a member's tree, or a value with the containers around it."""

_INT64 = range(-(2**63), 2**63)
_LONGEST_INT64 = 20
"""Characters."""

_LEGIBLE = ": "
"""Between key and value of the member, in compact files too: Flux takes for sealed what holds `"mac": "ENC[`.

Source: sopsFormatToMarkerBytes in internal/decryptor/decryptor.go of https://github.com/fluxcd/kustomize-controller.
"""

_WORDS = {"true": Value("bool", b"True"), "false": Value("bool", b"False"), "null": Value("null", b"")}


class JsonDocument:
    """One object. `member` names the member of it that is no part of the tree."""

    kind = "json"
    units = 1

    def __init__(self, data: bytes, member: str, most: int = MOST_LEAVES) -> None:
        """Raises ManifestError, with a line, for what is not JSON, too large, or no object."""
        check_size(data)
        self.data = data
        self.name = member
        self._text = _decoded(data)
        self._places = BytePlaces(self._text, 0)
        self._root = _root(self._text, most)
        self.roots = [self._root]
        self._members = [one for one in self._root.members if _text(one.key) == member]
        self._leaves: list[Leaf] = []
        self._most = most
        self._walk(self._root, ())
        self.leaves: ListOf[Leaf] = self._leaves

    def _walk(self, container: nodes.Mapping | nodes.Sequence, path: Path) -> None:
        if isinstance(container, nodes.Mapping):
            steps: list[tuple[str | int, Node]] = [(_text(key), value) for key, value in container.members]
        else:
            steps = list(enumerate(container.items))
        for index, (step, node) in enumerate(steps):
            if not path and step == self.name:
                continue
            if isinstance(node, nodes.Scalar):
                if len(self._leaves) >= self._most:
                    raise too_many_leaves(node.line, self._most)
                spot = _Spot(container, index, node)
                self._leaves.append(Leaf(0, (*path, step), _value(node), node.line, own=spot))
            elif isinstance(node, nodes.Mapping | nodes.Sequence):
                self._walk(node, (*path, step))

    def spell(self, leaf: Leaf, value: Value | bytes) -> list[Edit]:
        """Return the edit that puts a value or a token where the leaf stands. Raises ManifestError."""
        new = _scalar(Value("str", value) if isinstance(value, bytes) else value, leaf.line)
        return self._places.edits([splice.Edit(leaf.own.node.start, leaf.own.node.end, new)])

    def source(self, leaf: Leaf) -> bytes:
        """Return the JSON that stands for a leaf."""
        return self._text[leaf.own.node.start : leaf.own.node.end].encode()

    def member(self) -> Member | None:
        """Return the member. Raises ManifestError where it stands twice."""
        if len(self._members) > 1:
            what = f"`{self.name}` is there twice"
            raise ManifestError(what, hint="restore the file", line=self._members[1].key.line)
        return Member(_tree(self._members[0].value), self._members[0].key.line) if self._members else None

    def set_member(self, tree: dict[str, Tree]) -> list[Edit]:
        """Return the edits that make the member hold that."""
        if not self._members:
            return self._places.edits([self._appended(self._root, self.name, tree, _LEGIBLE)])
        value = self._members[0].value
        edits = self._changed(value, tree)
        if edits is None:
            edits = [self._replaced(self._root, value, _in_order(value, tree), _LEGIBLE)]
        return self._places.edits(edits)

    def drop_member(self) -> list[Edit]:
        """Return the edit that takes the member out."""
        return self._places.edits(splice.remove_members(self._text, self._root, (self.name,)))

    def add(self, path: Path, value: Value) -> list[Edit]:
        """Return the edit that adds a leaf, with what lacks around it. Raises ManifestError where something stands."""
        node: Node = self._root
        for depth, step in enumerate(path):
            found = None
            if isinstance(node, nodes.Mapping) and isinstance(step, str):
                found = next((value for key, value in node.members if _text(key) == step), None)
                if not found:
                    return self._places.edits([self._appended(node, step, _nested(path[depth + 1 :], value))])
            elif isinstance(node, nodes.Sequence) and isinstance(step, int):
                if step >= len(node.items):
                    return self._places.edits([self._appended_item(node, _nested(path[depth + 1 :], value))])
                found = node.items[step]
            if not found:
                break
            node = found
        what = "another value stands where this one, or what is to hold it, would"
        raise ManifestError(what, hint="take that out first", line=node.line)

    def remove(self, leaf: Leaf) -> list[Edit]:
        """Return the edit that takes a member or an item out."""
        spot: _Spot = leaf.own
        if isinstance(spot.container, nodes.Mapping):
            member = spot.container.members[spot.index]
            return self._places.edits([splice.remove_member(self._text, spot.container, member)])
        items = spot.container.items
        start, end = spot.node.start, spot.node.end
        if spot.index:
            start = items[spot.index - 1].end
        elif len(items) > 1:
            end = items[1].start
        return self._places.edits([splice.Edit(start, end, "")])

    def _appended(self, mapping: nodes.Mapping, name: str, branch: Branch, colon: str = "") -> splice.Edit:
        key = json.dumps(name, ensure_ascii=False)
        if not mapping.members:
            at = mapping.start + 1
            return splice.Edit(at, at, f"{key}: {rendered(branch)}")

        def text_of(layout: splice.Layout) -> str:
            return key + (colon or layout.colon) + _rendered_at(layout, branch, colon)

        return splice.append_member(self._text, mapping, text_of)

    def _appended_item(self, sequence: nodes.Sequence, branch: Branch) -> splice.Edit:
        if not sequence.items:
            at = sequence.start + 1
            return splice.Edit(at, at, rendered(branch))
        last = sequence.items[-1]
        gap = self._gap(last.start)
        return splice.Edit(last.end, last.end, f",{gap or ' '}{rendered(branch, gap)}")

    def _gap(self, at: int) -> str:
        """The line break and the indentation before a node that is the first on its line; else nothing."""
        start = self._text.rfind("\n", 0, at) + 1
        indent = self._text[start:at]
        return "" if not start or indent.strip(" \t") else splice.line_break(self._text) + indent

    def _changed(self, node: Node, tree: Tree) -> list[splice.Edit] | None:
        """The edits that make a node hold that; None where it is to be written anew."""
        if _tree(node) == tree:
            return []
        edits: list[splice.Edit] = []
        if isinstance(node, nodes.Mapping) and isinstance(tree, dict):
            names = [_text(key) for key, _ in node.members]
            if len(set(names)) < len(names) or set(names) != set(tree):
                return None
            for name, (_, value) in zip(names, node.members, strict=True):
                edits += self._changed(value, tree[name]) or self._replaced_if(node, value, tree[name])
            return edits
        if isinstance(node, nodes.Sequence) and isinstance(tree, list) and len(node.items) == len(tree):
            for item, branch in zip(node.items, tree, strict=True):
                below = self._changed(item, branch)
                if below is None:
                    return None
                edits += below
            return edits
        return None

    def _replaced_if(self, mapping: nodes.Mapping, node: Node, tree: Tree) -> list[splice.Edit]:
        return [] if _tree(node) == tree else [self._replaced(mapping, node, _in_order(node, tree))]

    def _replaced(self, mapping: nodes.Mapping, node: Node, branch: Branch, colon: str = "") -> splice.Edit:
        layout = splice.layout_of(self._text, mapping)
        return splice.Edit(node.start, node.end, _rendered_at(layout, branch, colon))

    def __repr__(self) -> str:
        return f"JsonDocument({len(self.leaves)} leaves, masked)"


class _Spot:
    """Place of a leaf."""

    __slots__ = ("container", "index", "node")

    def __init__(self, container: nodes.Mapping | nodes.Sequence, index: int, node: nodes.Scalar) -> None:
        self.container = container
        self.index = index
        self.node = node


def rendered(branch: Branch, gap: str = "", unit: str = "  ", colon: str = ": ") -> str:
    """Return JSON. `gap`: the line break and the indentation of the line that it stands on; empty for one line."""
    if isinstance(branch, Value):
        return _scalar(branch, 0)
    inner = gap + unit if gap else ""
    between = "," + (inner or colon[1:])
    if isinstance(branch, dict):
        pairs = [
            f"{json.dumps(name, ensure_ascii=False)}{colon}{rendered(below, inner, unit, colon)}"
            for name, below in branch.items()
        ]
        return f"{{{inner}{between.join(pairs)}{gap}}}" if pairs else "{}"
    if isinstance(branch, list):
        items = [rendered(below, inner, unit, colon) for below in branch]
        return f"[{inner}{between.join(items)}{gap}]" if items else "[]"
    return json.dumps(branch, ensure_ascii=False)


def _rendered_at(layout: splice.Layout, branch: Branch, colon: str = "") -> str:
    return rendered(branch, layout.newline and layout.newline + layout.indent, layout.unit, colon or layout.colon)


def _in_order(node: Node, tree: Tree) -> Tree:
    """The tree with its keys in the order in which the node has them, new ones behind."""
    if isinstance(node, nodes.Mapping) and isinstance(tree, dict):
        there = {_text(key): value for key, value in node.members if _text(key) in tree}
        return {name: _in_order(value, tree[name]) for name, value in there.items()} | {
            name: below for name, below in tree.items() if name not in there
        }
    if isinstance(node, nodes.Sequence) and isinstance(tree, list):
        return [_in_order(*pair) for pair in zip(node.items, tree, strict=False)] + tree[len(node.items) :]
    return tree


def _nested(path: Path, value: Value) -> Branch:
    branch: Branch = value
    for step in reversed(path):
        branch = [branch] if isinstance(step, int) else {step: branch}
    return branch


def _decoded(data: bytes) -> str:
    if data.startswith(b"\xef\xbb\xbf"):
        raise ManifestError("a byte order mark, which SOPS takes no JSON with", hint="take it out", line=1)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ManifestError("not UTF-8 text", hint="convert the file to UTF-8", line=line) from None


def _root(text: str, most: int) -> nodes.Mapping:
    documents = read_documents(text, most)
    if documents is None:
        raise ManifestError("not valid JSON", hint="`jq . FILE` shows where it breaks", line=_broken_line(text))
    if len(documents) != 1:
        line = documents[1].line if documents else 1
        raise ManifestError("a JSON file is one object", hint="give each a file of its own", line=line)
    if not isinstance(documents[0], nodes.Mapping):
        raise ManifestError("SOPS wants an object", hint="put it under a key", line=documents[0].line)
    return documents[0]


def _broken_line(text: str) -> int:
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return error.lineno
    except (ValueError, RecursionError):
        pass
    return 0


def _text(key: Node) -> str:
    """A key's text, with U+FFFD in place of each half of a surrogate pair, as Go reads it."""
    return _whole(key.value) if isinstance(key, nodes.Scalar) else ""


def _whole(text: str) -> str:
    return text if text.isascii() else re.sub("[\ud800-\udfff]", "\ufffd", text)


def _value(node: nodes.Scalar) -> Value:
    if node.style:
        return Value("str", _whole(node.value).encode())
    return _WORDS.get(node.value) or _number(node)


def _number(node: nodes.Scalar) -> Value:
    text = node.value
    if re.fullmatch("-?[0-9]+", text) and len(text) <= _LONGEST_INT64 and int(text) in _INT64:
        return Value("int", str(int(text)).encode())
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ManifestError("a number that no float64 holds, which SOPS does not take", hint="quote it", line=node.line)
    return Value("float", float_text(number))


def _scalar(value: Value, line: int) -> str:
    if value.kind == "null":
        return "null"
    if value.kind == "bool":
        return value.text.decode().lower()
    if value.kind == "int":
        return value.text.decode()
    if value.kind == "float" and value.text.strip(b"-").replace(b".", b"").isdigit():
        return value.text.decode()
    if value.kind in ("float", "comment"):
        kind = "a comment" if value.kind == "comment" else "a number that is none (NaN, Inf)"
        raise ManifestError(f"{kind}, for which JSON has no place", line=line)
    try:
        return json.dumps(value.text.decode(), ensure_ascii=False)
    except UnicodeDecodeError:
        what = "a value that is no UTF-8 text, for which JSON has no place"
        raise ManifestError(what, hint="encode it, as base64 does", line=line) from None


def _tree(node: Node) -> Tree:
    """Return the member's tree; of a key twice there the last counts, and a number that is no int is a text."""
    if isinstance(node, nodes.Mapping):
        return {_text(key): _tree(value) for key, value in node.members}
    if isinstance(node, nodes.Sequence):
        return [_tree(item) for item in node.items]
    if not isinstance(node, nodes.Scalar):
        return None
    value = _value(node)
    if value.kind == "int":
        return int(value.text)
    if value.kind in ("null", "bool"):
        return None if value.kind == "null" else value.text == b"True"
    return value.text.decode()
