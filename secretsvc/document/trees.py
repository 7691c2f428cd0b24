"""Documents as trees, empty mappings and lists among them: to be written anew, in another kind, or a part alone."""

from __future__ import annotations

from secretsvc.document.base import Value
from secretsvc.document.ini import Ini
from secretsvc.document.ini_lines import DEFAULT
from secretsvc.document.json_document import JsonDocument
from secretsvc.document.yaml import YamlDocument
from secretsvc.errors import ManifestError
from secretsvc.manifest import nodes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TypeAlias

    from secretsvc.document.base import Document, Leaf, Path

    Tree: TypeAlias = "Branch | Value"


class Branch:
    """A mapping or a list: its items in order, comments among them."""

    __slots__ = ("is_list", "items")

    def __init__(self, *, is_list: bool = False) -> None:
        self.is_list = is_list
        self.items: list[tuple[str | None, Tree]] = []
        """Keys, repeated ones too, with what is under them. Items of a list have None, and so have comments."""

    def __repr__(self) -> str:
        return f"Branch({len(self.items)}, masked)"


def of(document: Document, values: Sequence[Value]) -> list[Branch]:
    """Return a tree for each unit of a document, with these values in its leaves' places."""
    if not isinstance(document, YamlDocument | JsonDocument):
        root = _flat(document.leaves, values, DEFAULT if isinstance(document, Ini) else "")
        for name in document.section_names if isinstance(document, Ini) else ():
            if name not in (key for key, _ in root.items):
                root.items.append((name, Branch()))
        return [root]
    walk = _Walk(zip(document.leaves, values, strict=True))
    return [walk.unit(root, document.name) for root in document.roots]


def at(tree: Tree, path: Path) -> Tree | None:
    """Return what stands at a path; None where nothing does. Of a repeated key the first counts, as for SOPS."""
    for step in path:
        if not isinstance(tree, Branch):
            return None
        if isinstance(step, int):
            items = [item for _, item in tree.items if not is_comment(item)] if tree.is_list else []
            if not 0 <= step < len(items):
                return None
            tree = items[step]
            continue
        found = next((item for key, item in tree.items if key == step and not tree.is_list), None)
        if found is None:
            return None
        tree = found
    return tree


def put(branch: Branch, path: Path, tree: Tree) -> None:
    """Put a value or a branch at a path, with what lacks around it, in place of what stands in the way.

    A number that a list has no place for means its end. Raises ManifestError for a step that a list or a mapping has
    none of.
    """
    step, rest = path[0], path[1:]
    index = _index(branch, step)
    if not rest:
        made = tree
    elif index is not None and isinstance(branch.items[index][1], Branch):
        below = branch.items[index][1]
        assert isinstance(below, Branch)
        put(below, rest, tree)
        return
    else:
        made = Branch(is_list=isinstance(rest[0], int))
        put(made, rest, tree)
    key = None if isinstance(step, int) else step
    if index is None:
        branch.items.append((key, made))
    else:
        branch.items[index] = (key, made)


def take(branch: Branch, path: Path) -> bool:
    """Take away what stands at a path; False where nothing does. Raises ManifestError as `put`."""
    above = at(branch, path[:-1])
    if not isinstance(above, Branch):
        return False
    index = _index(above, path[-1])
    if index is None:
        return False
    del above.items[index]
    return True


def _index(branch: Branch, step: str | int) -> int | None:
    """Return where a step leads among a branch's items; None where it would be a new one."""
    if isinstance(step, int) is not branch.is_list:
        what = "a name for an item of a list" if branch.is_list else "a number for a member of a mapping"
        raise ManifestError(f"the path has {what}", hint="names lead into mappings, numbers into lists")
    if not isinstance(step, int):
        return next((number for number, (key, _) in enumerate(branch.items) if key == step), None)
    items = [number for number, (_, item) in enumerate(branch.items) if not is_comment(item)]
    return items[step] if 0 <= step < len(items) else None


def same(tree: Tree, other: Tree) -> bool:
    """Tell whether two trees hold the same, comments aside. Numbers are the same by their text."""
    if isinstance(tree, Value) or isinstance(other, Value):
        return isinstance(tree, Value) and isinstance(other, Value) and _meaning(tree) == _meaning(other)
    items = [pair for pair in tree.items if not is_comment(pair[1])]
    others = [pair for pair in other.items if not is_comment(pair[1])]
    return (
        tree.is_list is other.is_list
        and [key for key, _ in items] == [key for key, _ in others]
        and all(same(one, two) for (_, one), (_, two) in zip(items, others, strict=True))
    )


def _meaning(value: Value) -> tuple[str, bytes]:
    return ("number" if value.kind in ("int", "float") else value.kind, value.text)


def is_comment(tree: Tree) -> bool:
    """Tell whether an item is a comment."""
    return isinstance(tree, Value) and tree.kind == "comment"


def _flat(leaves: Sequence[Leaf], values: Sequence[Value], first: str) -> Branch:
    """A tree of what has no empty containers: dotenv, INI, a whole file. `first`: a section that is always there."""
    root = Branch()
    root.items += [(first, Branch())] if first else []
    for leaf, value in zip(leaves, values, strict=True):
        branch = root
        for key in leaf.path if value.kind == "comment" else leaf.path[:-1]:
            last = branch.items[-1] if branch.items else (None, None)
            if last[0] != key or not isinstance(last[1], Branch):
                branch.items.append((str(key), Branch()))
            below = branch.items[-1][1]
            assert isinstance(below, Branch)
            branch = below
        branch.items.append((None if value.kind == "comment" else str(leaf.path[-1]), value))
    return root


class _Walk:
    """Goes through the nodes of a document, and takes a value for each scalar, in order."""

    def __init__(self, pairs: Iterator[tuple[Leaf, Value]]) -> None:
        self._pairs = pairs
        self._next = next(pairs, None)
        self._unit = -1
        self._open: dict[Path, Branch] = {}
        """The containers around the place that is looked at, and those before it."""

    def unit(self, root: nodes.Node, member: str) -> Branch:
        self._unit += 1
        branch = Branch()
        self._open = {(): branch}
        if isinstance(root, nodes.Mapping):
            self._mapping(root, branch, (), member)
        self._comments()
        return branch

    def _mapping(self, node: nodes.Mapping, branch: Branch, path: Path, member: str = "") -> None:
        for key, value in node.members:
            name = key.value if isinstance(key, nodes.Scalar) else ""
            if not member or name != member:
                self._node(name, value, branch, (*path, name))

    def _node(self, key: str | None, node: nodes.Node, branch: Branch, path: Path) -> None:
        target = nodes.resolved(node)
        if isinstance(target, nodes.Mapping | nodes.Sequence):
            below = Branch(is_list=isinstance(target, nodes.Sequence))
            self._open[path] = below
            branch.items.append((key, below))
            if isinstance(target, nodes.Mapping):
                self._mapping(target, below, path)
            else:
                for index, item in enumerate(target.items):
                    self._node(None, item, below, (*path, index))
            return
        self._comments()
        assert self._next
        value = self._next[1]
        branch.items.append((None if value.kind == "comment" else key, value))
        self._next = next(self._pairs, None)

    def _comments(self) -> None:
        """Take the comments that come before the next value, each into its container."""
        while self._next and self._next[0].value.kind == "comment" and self._next[0].unit == self._unit:
            leaf, value = self._next
            branch = self._open.get(leaf.path, self._open[()])
            last = branch.items[-1][1] if branch.items else None
            ahead = isinstance(last, Branch) and not last.items
            branch.items.insert(len(branch.items) - ahead, (None, value))
            self._next = next(self._pairs, None)
