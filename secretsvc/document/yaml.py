"""YAML files as documents: any tree, several documents in a file, comments, aliases. Typed as go-yaml v3 does."""

from __future__ import annotations

from secretsvc.document import yaml_member, yaml_spelling
from secretsvc.document.base import (
    MOST_ALIASED,
    MOST_LEAVES,
    Comments,
    Leaf,
    Member,
    Value,
    check_size,
    too_many_leaves,
)
from secretsvc.document.places import BytePlaces
from secretsvc.document.yaml_comments import Container, YamlComment, YamlItem, comments
from secretsvc.document.yaml_spelling import Spot
from secretsvc.document.yaml_types import is_word, typed
from secretsvc.errors import ManifestError
from secretsvc.manifest.characters import refuse_odd_characters
from secretsvc.manifest.line_reader import yaml_documents
from secretsvc.manifest.nodes import MAX_DEPTH, Alias, Mapping, Node, Scalar, Sequence
from secretsvc.manifest.splice import start_of_line
from secretsvc.patterns import pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Sequence as ListOf

    from secretsvc.document.base import Edit, Path, Tree

_DIRECTIVE = pattern(r"(?m)^%YAML[ \t]+1\.(?!1[ \t\r\n])")
_DASH = pattern(r"(?:[ \t\r\n]++|#[^\r\n]*+)*+-")

_HEADER = pattern(r"(?:[&!][^ \t\r\n]+[ \t\r\n]+)*[|>][-+0-9]*([^\r\n]*)")
"""Of a block; what stands behind it may be a comment."""
_SLASH = pattern(r"(?<!\\)(?:\\\\)*\\/")


class YamlDocument:
    """A text of YAML. `member` names the member of each document's root that is no part of the tree."""

    kind = "yaml"

    def __init__(self, data: bytes, member: str, most: int = MOST_LEAVES) -> None:
        """Raises ManifestError, with a line, for what is not YAML, too large, or no tree that SOPS takes."""
        check_size(data)
        self.data = data
        self.name = member
        self._text, bom = _decoded(data)
        refuse_odd_characters(self._text)
        directive = _DIRECTIVE.search(self._text) if "%YAML" in self._text else None
        if directive:
            line = self._text.count("\n", 0, directive.start()) + 1
            raise ManifestError("SOPS reads no %YAML directive but 1.1", hint="take the line out", line=line)
        self._places = BytePlaces(self._text, bom)
        self.roots = [_root(node) for node in yaml_documents(self._text, most)]
        self.units = len(self.roots)
        self.leaves: ListOf[Leaf] = _Walk(self._text, self.roots, member, most).leaves()

    def spell(self, leaf: Leaf, value: Value | bytes) -> list[Edit]:
        """Return the edits that put a value or a token where the leaf stands. Raises ManifestError."""
        return self._places.edits(yaml_spelling.spelled(self._text, leaf, value))

    def source(self, leaf: Leaf) -> bytes:
        """Return the bytes that stand for a leaf."""
        return yaml_spelling.source(self._text, leaf).encode("utf-8", "surrogatepass")

    def member(self) -> Member | None:
        """Return the member of the first document."""
        found = yaml_member.find(self.roots[0], self.name) if self.roots else None
        return Member(yaml_member.tree(found.value), found.key.line) if found else None

    @property
    def has_member(self) -> bool:
        """Whether any document of it has the member."""
        return any(yaml_member.find(root, self.name) for root in self.roots)

    def set_member(self, tree: dict[str, Tree]) -> list[Edit]:
        """Return the edits that make every document's member hold that."""
        made = [edit for root in self.roots for edit in yaml_member.put(self._text, root, self.name, tree)]
        if self.roots and self.leaves and not yaml_member.find(self.roots[-1], self.name):
            made += yaml_spelling.closed(self._text, self.leaves[-1])
        return self._places.edits(made)

    def drop_member(self) -> list[Edit]:
        """Return the edits that take the member out of every document; one that has nothing else becomes `{}`."""
        made = [edit for root in self.roots for edit in yaml_member.drop(self._text, root, self.name)]
        return self._places.edits(made)

    def add(self, path: Path, value: Value) -> list[Edit]:
        """Return the edits that add a leaf to the first document. Raises ManifestError."""
        return self._places.edits(yaml_member.added(self._text, self.roots[0], path, value))

    def remove(self, leaf: Leaf) -> list[Edit]:
        """Return the edits that take a leaf out, its key too. Raises ManifestError."""
        return self._places.edits(yaml_member.removed(self._text, leaf))

    def __repr__(self) -> str:
        return f"YamlDocument({len(self.leaves)} leaves, masked)"


def _decoded(data: bytes) -> tuple[str, int]:
    """The text without its BOM, and how many bytes that has."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ManifestError("not UTF-8 text", hint="convert the file to UTF-8", line=line) from None
    return (text[1:], 3) if text.startswith("\ufeff") else (text, 0)


def _root(node: Node) -> Mapping | Scalar:
    if isinstance(node, Mapping) or (
        isinstance(node, Scalar) and typed(node.value, node.style, node.tag).kind == "null"
    ):
        return node
    kind = "a list" if isinstance(node, Sequence) else "a text"
    raise ManifestError(f"{kind} where SOPS wants a mapping", hint="put it under a key", line=node.line)


class _Walk:
    """Goes through the trees of one text, depth first, and makes leaves of them."""

    def __init__(self, text: str, roots: list[Mapping | Scalar], member: str, most: int) -> None:
        self._text = text
        self._roots = roots
        self._member = member
        self._left = self._most = most
        self._aliased_left = MOST_ALIASED
        self._found: list[tuple[int, Container, Leaf]] = []
        self._items: list[YamlItem] = []
        self._taken: list[tuple[int, int]] = []
        self._has_comments = "#" in text
        self._unit = 0

    def leaves(self) -> list[Leaf]:
        """All leaves, comments among them."""
        containers, own, end = [], [], 0
        for unit, root in enumerate(self._roots):
            self._unit = unit
            column = root.column if isinstance(root, Mapping) else 0
            flow = isinstance(root, Mapping) and root.flow
            start = max(self._text.rfind("---", end, root.start), 0) if unit else 0
            container = Container(None, (), unit, start, column, flow=flow)
            containers.append(container)
            end = root.end
            if isinstance(root, Mapping):
                self._mapping(root, container, None, 0)
                found = yaml_member.find(root, self._member)
                own += [(found.key.start, found.value.end)] if found else []
        if not self._has_comments:
            return [leaf for _, _, leaf in self._found]
        self._taken += own  # what is commented within the member is nobody's leaf
        self._taken.sort()
        made = []
        for comment in comments(self._text, self._items, self._taken, containers):
            self._left -= 1
            if self._left < 0:
                raise too_many_leaves(comment.line)
            made.append(comment)
        return list(_merged(self._found, sorted(made, key=lambda one: one.order)))

    def _node(self, node: Node, path: Path, item: YamlItem, spot: Spot, depth: int) -> None:
        """`spot`: where it stands, as far as that is known outside of it."""
        self._left -= 1
        self._aliased_left -= spot.shared is not None
        if self._left < 0 or self._aliased_left < 0:
            raise too_many_leaves(node.line, self._most, aliased=self._left >= 0)
        if depth > MAX_DEPTH:
            raise ManifestError(f"nested deeper than {MAX_DEPTH} levels, aliases followed", line=node.line)
        target = node.target if isinstance(node, Alias) else node
        if target is None or isinstance(target, Alias):
            raise ManifestError("an alias within what it stands for", hint="write it out", line=node.line)
        if isinstance(target, Scalar):
            self._scalar(node, target, path, item, spot)
            return
        shared = node if spot.shared is None and target is not node else spot.shared
        column = target.column if isinstance(target, Mapping) else _column(self._text, target.start)
        container = Container(item.container, path, self._unit, target.start, column, flow=target.flow)
        if isinstance(target, Mapping):
            self._mapping(target, container, shared, depth)
        else:
            self._sequence(target, container, shared, depth)

    def _mapping(self, node: Mapping, container: Container, shared: Node | None, depth: int) -> None:
        seen: set[str] = set()
        for index, (key, value) in enumerate(node.members):
            name = _key(key)
            is_member = not depth and not container.path and name == self._member
            if name in seen and (is_member or not self._unit):
                raise ManifestError("a duplicate key", hint="keep one of the two", line=key.line)
            seen.add(name)
            if is_member:
                continue
            item = self._item(container, key.start, shared, is_first=not index)
            if self._has_comments and not shared:
                self._taken.append((key.start, key.end))
            self._node(value, (*container.path, name), item, Spot(node, index, container.column, shared), depth + 1)

    def _sequence(self, node: Sequence, container: Container, shared: Node | None, depth: int) -> None:
        before = node.start
        for index, value in enumerate(node.items):
            dash = _DASH.match(self._text, before) if self._has_comments and not node.flow and not shared else None
            at = dash.end() - 1 if dash else value.start
            item = self._item(container, at, shared, is_first=not index)
            self._node(value, (*container.path, index), item, Spot(node, index, container.column, shared), depth + 1)
            before = value.end

    def _item(self, container: Container, start: int, shared: Node | None, *, is_first: bool) -> YamlItem:
        item = YamlItem(container, start, is_first=is_first)
        if self._has_comments and not shared:
            self._items.append(item)
        return item

    def _scalar(self, node: Node, target: Scalar, path: Path, item: YamlItem, spot: Spot) -> None:
        spot.node = node
        spot.scalar = target
        stands = spot.shared or node
        if target.style == '"' and node is target and _has_slash(self._text, target):
            raise ManifestError("an escape of / that SOPS does not read", hint="write / alone", line=target.line)
        value = typed(_as_it_ends(self._text, target), target.style, target.tag, stands.line)
        leaf = Leaf(self._unit, path, value, stands.line, own=spot)
        self._found.append((stands.start, item.container, leaf))
        if self._has_comments and not spot.shared:
            item.leaf_start, item.leaf_end = node.start, node.end
            start = node.start
            if target.style in ("|", ">") and node is target:
                header = _HEADER.match(self._text, start)
                item.leaf_end, start = header.span(1) if header else (start, start)
            self._taken.append((start, node.end))


def _as_it_ends(text: str, scalar: Scalar) -> str:
    """A scalar's text, as go-yaml reads it: the manifests' reader ends a last line that has no end, as kubectl does."""
    return scalar.value.removesuffix("\n") if yaml_spelling.is_open(text, scalar) else scalar.value


def _key(node: Node) -> str:
    """Raises ManifestError for a key that is no text to go-yaml: SOPS takes no other."""
    if isinstance(node, Scalar) and node.tag is None and is_word(node.value):
        return node.value
    if not isinstance(node, Scalar) or typed(node.value, node.style, node.tag, node.line).kind != "str":
        raise ManifestError("a key that is no text, which SOPS does not take", hint="quote it", line=node.line)
    return node.value


def _column(text: str, at: int) -> int:
    return at - start_of_line(text, at)


def _has_slash(text: str, node: Scalar) -> bool:
    """Tell whether a slash is escaped in it, as JSON and YAML 1.2 have it, and go-yaml has not."""
    return text.find("\\/", node.start, node.end) >= 0 and _SLASH.search(text[node.start : node.end]) is not None


def _merged(found: list[tuple[int, Container, Leaf]], comments: list[YamlComment]) -> Iterator[Leaf]:
    """Leaves and comments in order, each with the comments before it."""
    pending = _Pending()
    at = 0
    for order, container, leaf in found:
        while at < len(comments) and comments[at].order <= order:
            yield pending.comment(comments[at])
            at += 1
        yield pending.leaf(container, leaf)
    for comment in comments[at:]:
        yield pending.comment(comment)


class _Pending:
    """The comments that wait for a leaf, in each of the containers around the place that is looked at."""

    def __init__(self) -> None:
        self._open: list[tuple[Container, Comments | None]] = []
        """Each container, with the comments that stood before it."""
        self._now: list[Comments | None] = []

    def comment(self, comment: YamlComment) -> Leaf:
        container = comment.container
        self._enter(container)
        value = Value("comment", comment.text.encode("utf-8", "surrogatepass"))
        known, inline = self._now[-1], comment.inline
        leaf = Leaf(container.unit, container.path, value, comment.line, comments=known, own=comment, inline=inline)
        self._now[-1] = Comments(leaf, self._now[-1])
        return leaf

    def leaf(self, container: Container, leaf: Leaf) -> Leaf:
        self._enter(container)
        leaf.comments = self._now[-1]
        self._now[-1] = self._open[-1][1]
        return leaf

    def _enter(self, container: Container) -> None:
        chain = []
        one: Container | None = container
        while one:
            chain.append(one)
            one = one.outer
        chain.reverse()
        common = 0
        while common < min(len(chain), len(self._open)) and chain[common] is self._open[common][0]:
            common += 1
        while len(self._open) > common:
            self._open.pop()
            self._now.pop()
            if self._now:
                self._now[-1] = self._open[-1][1]  # a collection has ended
        for one in chain[common:]:
            before = self._now[-1] if self._now else None
            self._open.append((one, before))
            self._now.append(before)
