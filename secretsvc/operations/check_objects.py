"""Objects in a text that say they are Secrets and hold values in the clear: wherever they stand, however they say so.

Each node is looked at once, aliases and merge keys included: what they stand for comes before them in a text.
"""

from __future__ import annotations

from secretsvc import formats
from secretsvc.formats.sops_metadata import is_whole_sops_token
from secretsvc.manifest import nodes, rules
from secretsvc.manifest.nodes import Alias, Mapping, Scalar, Sequence, text_of
from secretsvc.operations.check_template import LATER, without_placeholders
from secretsvc.operations.check_text import seems_to_hold
from secretsvc.patterns import pattern
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from secretsvc.manifest.nodes import Node

_VERSION = pattern(r"(?i)(?:core)?/?v[0-9]\w*")
"""An apiVersion without a group; `core/v1` and `v2` are slips of the pen."""
_NO_KEY = pattern(r"[^-._0-9A-Za-z]")
_ANY = "*?"
"""Kyverno's wildcards: of them alone, a pattern fits any key or value (its docs, "Validate Rules", "Wildcards")."""
_SHORTEST = len("kind: Secret\ndata: {a: b}")
_PATH = 200
"""How many characters of a path a message shows."""


class ClearSecret(Record):
    """An object that says that it is a Secret, with a value in the clear."""

    root: Mapping
    line: int
    """Of its first value in the clear."""
    path: tuple[str | int, ...]
    """Where it stands in its document."""

    @property
    def is_top(self) -> bool:
        """Tell whether it is a document, or an item of a list, and so of lists in lists."""
        names = self.path[::2]
        return all(name == "items" for name in names) and all(isinstance(at, int) for at in self.path[1::2])


class Text(Record):
    """A text that seems to hold a Secret's manifest."""

    scalar: Scalar
    path: tuple[str | int, ...]


class Objects(Record):
    """The objects that a walk has met."""

    found: list[ClearSecret]
    texts: list[Text]


class _Facts:
    """The facts that a mapping tells, its merge keys' included; lines are of first values in the clear, 0 for none."""

    __slots__ = ("as_field", "core", "in_fields", "is_object", "kinds", "odd", "says_secret", "versions")

    def __init__(self) -> None:
        self.kinds = self.says_secret = self.versions = self.core = False
        self.in_fields = 0  # under its own `data` and `stringData`, however these are capitalized
        self.odd = 0  # in such a field that is no mapping, or in a member that no Secret has: it lost its indentation
        self.as_field = 0  # in itself, were it somebody's `data`
        self.is_object = False  # no map of strings, but an object with fields of its own

    @property
    def may_be_secret(self) -> bool:
        """Tell whether it says so, or says nothing about itself."""
        return (self.says_secret or not self.kinds) and (self.core or not self.versions)

    def merge(self, other: _Facts) -> None:
        """Adds what another mapping says that is merged into it."""
        for name in _Facts.__slots__:
            setattr(self, name, getattr(self, name) or getattr(other, name))


def objects(documents: Iterable[Node], text: str, passed_over: Container[int] = ()) -> Objects:
    """All of them but those that start at `passed_over`. `text` is what the nodes' places count in."""
    walk = _Walk(text, passed_over)
    for document in documents:
        walk.below(document)
    return Objects(walk.found, walk.texts)


class _Walk:
    """One pass over a text's nodes, and what it knows of those behind it, by where they start."""

    def __init__(self, text: str, passed_over: Container[int]) -> None:
        self.found: list[ClearSecret] = []
        self.texts: list[Text] = []
        self._text = text
        self._passed_over = passed_over
        self._path: list[str | int] = []
        self._facts: dict[int, _Facts] = {}
        self._merged: dict[int, _Facts] = {}
        self._clear: dict[int, int] = {}

    def below(self, node: Node, *, is_listed: bool = False) -> None:
        """Looks at a node and all in it. `is_listed`: an item of a SecretList, which need not say what it is."""
        if isinstance(node, Scalar):
            if len(node.value) > _SHORTEST and seems_to_hold(node.value):
                self.texts.append(Text(node, tuple(self._path)))
        elif isinstance(node, Sequence):
            for number, item in enumerate(node.items):
                self._step(number, item, is_listed=is_listed)
        elif isinstance(node, Mapping) and node.start not in self._passed_over:
            self._in_mapping(node, is_listed=is_listed)

    def _in_mapping(self, mapping: Mapping, *, is_listed: bool) -> None:
        names = [text_of(key).replace(LATER, "") for key, _ in mapping.members]
        is_list = "kind" in names and text_of(mapping.members[names.index("kind")].value) == "SecretList"
        for name, (key, value) in zip(names, mapping.members, strict=True):
            if not isinstance(key, Scalar):
                self._step("?", key)
            self._step(name, value, is_listed=is_list and name == "items")
        facts = self._facts[mapping.start] = self._of(mapping, names)
        if (facts.says_secret or is_listed) and facts.may_be_secret:
            self._judge(ClearSecret(mapping, facts.in_fields or facts.odd, tuple(self._path)), facts)

    def _judge(self, secret: ClearSecret, facts: _Facts) -> None:
        last = self.found[-1] if self.found else secret
        is_told = last.line == secret.line and len(last.path) > len(secret.path)  # of an object in its `data`
        if not is_told and (facts.in_fields or (facts.odd and secret.is_top)):
            self.found.append(secret)

    def _step(self, part: str | int, node: Node, *, is_listed: bool = False) -> None:
        if not isinstance(node, Alias):
            self._path.append(part)
            self.below(node, is_listed=is_listed)
            self._path.pop()

    def _of(self, mapping: Mapping, names: list[str]) -> _Facts:
        facts = _Facts()
        for name, (key, value) in zip(names, mapping.members, strict=True):
            target = nodes.resolved(value)
            if nodes.is_merge(key):
                facts.merge(self._of_bases(target))
            elif target is not None:
                facts.as_field = facts.as_field or self._line_of(target) or (key.line if _holds_more(name) else 0)
                self._add(facts, name, target)
        return facts

    def _add(self, facts: _Facts, name: str, target: Node) -> None:
        """Return what one member says."""
        lower = name.lower()
        if lower == "kind" and (kind := text_of(target)):
            facts.kinds = True
            facts.says_secret |= _says_secret(kind)
        elif lower == "apiversion" and (version := text_of(target).replace(LATER, "").strip()):
            facts.versions = True
            facts.core |= _VERSION.fullmatch(version) is not None
        elif not rules.is_like_a_field(name):
            facts.is_object |= name == "metadata" and isinstance(target, Mapping)
            if not facts.odd and name and isinstance(target, Scalar) and rules.is_stray(name):
                facts.odd = self._line_of(target)
        elif isinstance(target, Mapping):
            facts.is_object = True
            inside = self._known(target)
            facts.in_fields = facts.in_fields or (inside.in_fields if inside.is_object else inside.as_field)
        else:
            facts.odd = facts.odd or self._line_of(target)

    def _of_bases(self, target: Node | None) -> _Facts:
        """Return what a merge key brings in; a list of mappings, which thousands may share, is put together once."""
        if not isinstance(target, Sequence):
            return self._known(target)
        if target.start not in self._merged:
            together = self._merged[target.start] = _Facts()
            for base in target.items:
                together.merge(self._known(nodes.resolved(base)))
        return self._merged[target.start]

    def _known(self, node: Node | None) -> _Facts:
        return self._facts.get(node.start, _NOTHING) if isinstance(node, Mapping) else _NOTHING

    def _line_of(self, node: Node) -> int:
        if node.start not in self._clear:
            self._clear[node.start] = _clear_line(node, self._text) if is_clear(node, self._text) else 0
        return self._clear[node.start]


def is_clear(node: Node, text: str) -> bool:
    """Tell whether a node of that text is a value in the clear: not empty, no placeholder, no token."""
    if isinstance(node, Scalar):
        return not nodes.is_null(node) and is_clear_text(text_of(node))
    if isinstance(node, Mapping):
        if text.startswith("{{", node.start):  # to YAML a placeholder is a mapping, with a mapping for its key
            return bool(without_placeholders(text[node.start : node.end]).strip())
        return bool(node.members)
    return isinstance(node, Sequence) and bool(node.items)


def _clear_line(node: Node, text: str) -> int:
    """Return its line; of a block, the first that is none of a placeholder alone."""
    if isinstance(node, Scalar) and node.style in ("|", ">"):
        for number, line in enumerate(text[node.start : node.end].split("\n")[1:], 1):
            if without_placeholders(line).strip():
                return node.line + number
    return node.line


def is_clear_text(value: str) -> bool:
    """Tell whether a text is a value in the clear."""
    bare = without_placeholders(value).strip()
    is_pattern = not bare.strip(_ANY)
    return not is_pattern and not formats.starts_token(bare) and not is_whole_sops_token(bare)


def place(path: tuple[str | int, ...]) -> str:
    """A path as messages name it: `objects[0]`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    shown = "".join(parts).removeprefix(".")[:_PATH]
    return shown if shown.isprintable() else "…"


def _holds_more(name: str) -> bool:
    """Tell whether a key may hold a value: without the blank in `{password:hunter2}` all of it is a key to YAML."""
    return _NO_KEY.search(name) is not None and _NO_KEY.search(without_placeholders(name).strip(_ANY)) is not None


def _says_secret(kind: str) -> bool:
    """Tell whether it is a Secret's, in capitals or not, and where a template chooses between kinds."""
    return any(part.strip().lower() == "secret" for part in kind.split(LATER))


_NOTHING = _Facts()
