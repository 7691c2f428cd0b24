"""Which nodes of a document are Secrets, however they say so: a Secret must not be missed for how it is written.

A Secret that is missed stays in the clear, so this errs on the side of finding one: of repeated, merged and aliased
members every one counts, and `!!binary` is what Go's YAML makes of it, text.
"""

from __future__ import annotations

from base64 import b64decode
from typing import TYPE_CHECKING

from secretsvc.errors import ManifestError
from secretsvc.manifest import nodes
from secretsvc.manifest.nodes import Alias, Mapping, Node, Scalar, Sequence

if TYPE_CHECKING:
    from collections.abc import Iterator

BINARY = "tag:yaml.org,2002:binary"
_CORE = frozenset(("v1", "/v1"))
"""How an apiVersion may say `v1`: kubectl takes an empty group before the slash as well."""


def secret_roots(document: Node) -> list[Mapping]:
    """The Secrets at a document's root or among a list's items, and nowhere deeper, in the order in which they are met.

    To kubectl a list is whatever has `items`. Raises ManifestError for a Secret that is an alias or a list.
    """
    found: dict[int, Mapping] = {}
    seen: set[tuple[int, str, bool]] = set()
    waiting: list[tuple[Node, str]] = [(document, "")]  # and what it is without saying so
    while waiting:
        node, listed_kind = waiting.pop()
        mapping = nodes.resolved(node)
        if not isinstance(mapping, Mapping) or (way := (mapping.start, listed_kind, isinstance(node, Alias))) in seen:
            continue
        seen.add(way)
        kinds = _texts(mapping, "kind") or {listed_kind}
        versions = _texts(mapping, "apiVersion")
        items = [item for one in _stated(mapping, "items") if isinstance(one, Sequence) for item in one.items]
        if "Secret" in kinds and (not versions or versions & _CORE):
            if isinstance(node, Alias):
                raise ManifestError("a Secret is an alias", hint="write it out in its place", line=node.line)
            if items:
                hint = "move the items into a List, or remove them"
                raise ManifestError("a Secret with items, which kubectl takes for a list", hint=hint, line=mapping.line)
            found[mapping.start] = mapping
        item_kind = "Secret" if "SecretList" in kinds else ""
        waiting += [(item, item_kind) for item in reversed(items)]
    return list(found.values())


def text_of(node: Node | None) -> str:
    """The text that a parser may make of a scalar; empty for what is none, and for null."""
    scalar = nodes.resolved(node)
    if not isinstance(scalar, Scalar) or (nodes.is_null(scalar) and not scalar.tag):
        return ""
    if scalar.tag != BINARY:
        return scalar.value
    try:
        return b64decode(scalar.value).decode()
    except ValueError:
        return ""


def _texts(mapping: Mapping, name: str) -> set[str]:
    return {text for node in _stated(mapping, name) if (text := text_of(node))}


def _stated(mapping: Mapping, name: str) -> Iterator[Node]:
    """Every value of the members with that name, repeated, aliased and merged ones too; aliases resolved."""
    for one in nodes.with_bases(mapping):
        for key, value in one.members:
            target = nodes.resolved(value)
            if target and text_of(key) == name and not nodes.is_merge(key):
                yield target
