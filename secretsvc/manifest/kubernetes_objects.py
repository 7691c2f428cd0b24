"""Nodes → the objects that Kubernetes makes of them. What parsers read in several ways is refused, not guessed."""

from __future__ import annotations

import re
from base64 import b64encode

from secretsvc.errors import ManifestError
from secretsvc.manifest import nodes
from secretsvc.manifest.nodes import MAX_DEPTH, Alias, Mapping, Node, Scalar, Sequence
from secretsvc.manifest.reader import read
from secretsvc.manifest.scalars import is_string

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from secretsvc.manifest.model import Secret

MAX_NODES = 1_000_000
"""How many nodes a text may hold once its aliases are written out."""

_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"-?(?:0|[1-9][0-9]{0,14})\.[0-9]{1,15}")


def documents(data: bytes) -> list[Any]:
    """Every document of a manifest, empty ones left out, as dicts, lists, strings, numbers, booleans and None.

    Raises ManifestError with a line, for what is malformed, and for what is not read alike by every parser.
    """
    builder = _Builder()
    built = [builder.build(node, 0) for node in read(data).documents]
    return [one for one in built if one is not None]


def built(node: Node) -> Any:
    """One node as `documents` gives it. Raises ManifestError."""
    return _Builder().build(node, 0)


def secret_object(secret: Secret) -> dict[str, Any]:
    """One Secret as an object of its own, `kind` and `apiVersion` written out. Raises ManifestError."""
    built: dict[str, Any] = _Builder().build(secret.root, 0)
    return {"apiVersion": "v1", "kind": "Secret"} | built


def with_data(secret: dict[str, Any]) -> dict[str, Any]:
    """A Secret's object with `stringData` moved into `data`, before which it goes, as the API server does it."""
    texts = secret.get("stringData") or {}
    encoded = {key: b64encode(text.encode()).decode() for key, text in texts.items()}
    rest = {name: value for name, value in secret.items() if name != "stringData"}
    return rest | {"data": (secret.get("data") or {}) | encoded}


class _Builder:
    """Builds objects until there are too many: a few aliases can stand for any number of nodes."""

    def __init__(self) -> None:
        self._left = MAX_NODES

    def build(self, node: Node | None, depth: int) -> Any:
        self._left -= 1
        node = nodes.resolved(node)
        if node is None or isinstance(node, Alias) or self._left < 0 or depth > MAX_DEPTH:
            raise ManifestError("its aliases stand for too much", hint="write them out", line=node.line if node else 0)
        if node.tag:
            raise ManifestError("a value has a tag", hint="remove the tag", line=node.line)
        if isinstance(node, Scalar):
            return _value(node)
        if isinstance(node, Sequence):
            return [self.build(item, depth + 1) for item in node.items]
        return self._mapping(node, depth)

    def _mapping(self, mapping: Mapping, depth: int) -> dict[str, Any]:
        built: dict[str, Any] = {}
        for key, value in mapping.members:
            if nodes.is_merge(key):
                raise ManifestError("a merge key (<<)", hint="write out what it brings in", line=key.line)
            if not isinstance(key, Scalar) or not (key.style or is_string(key.value)):
                raise ManifestError("a key that is not a string", hint="quote it", line=key.line)
            if key.value in built:
                raise ManifestError("a duplicate key", hint="keep one of the two", line=key.line)
            built[key.value] = self.build(value, depth + 1)
        return built


def _value(scalar: Scalar) -> str | bool | int | float | None:
    text = scalar.value
    if scalar.style or is_string(text):
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    raise ManifestError("a plain value that parsers read in several ways", hint="quote it", line=scalar.line)
