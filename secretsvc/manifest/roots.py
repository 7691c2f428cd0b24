"""Roots of a text: its documents, and the Secrets in them, however they say so.

A Secret must not be missed for how it is written: it would stay in the clear. So this errs on the side of finding one:
of repeated, merged and aliased members every one counts, and `!!binary` is what Go's YAML makes of it, text.
"""

from __future__ import annotations

from secretsvc.errors import ManifestError
from secretsvc.manifest import line_reader, nodes
from secretsvc.manifest.nodes import Alias, Mapping, Node, Scalar, Sequence

BINARY = "tag:yaml.org,2002:binary"
_CORE = frozenset(("v1", "/v1"))
"""How an apiVersion may say `v1`: kubectl takes an empty group before the slash as well."""


def leading_documents(text: str) -> tuple[list[Node], bool]:
    """Return the root nodes of a text's documents, nothing refused, up to what is malformed; and whether nothing is."""
    try:
        found = _json_documents(text, nodes.MOST_NODES)
    except ManifestError:
        found = None
    if found is not None:
        return found, True
    from secretsvc.manifest import yaml_reader

    return yaml_reader.leading_documents(text)


def documents(text: str, most_nodes: int) -> tuple[list[Node], bool]:
    """Return the root nodes of a text's documents, and whether it is JSON. Raises ManifestError."""
    found = _json_documents(text, most_nodes)
    return (found, True) if found is not None else (yaml_documents(text, most_nodes), False)


def yaml_documents(text: str, most_nodes: int = nodes.MOST_NODES) -> list[Node]:
    """Return the root nodes of a YAML text's documents. Raises ManifestError."""
    found = line_reader.read_documents(text, most_nodes)
    if found is not None:
        return found
    from secretsvc.manifest import yaml_reader  # and PyYAML with it, which takes as long as all else of a start

    return yaml_reader.read_documents(text, most_nodes)


def _json_documents(text: str, most_nodes: int) -> list[Node] | None:
    """Return them; None where it is no JSON."""
    if text.lstrip(" \t\r\n")[:1] not in ("{", "["):
        return None
    # Imported when needed: most manifests are YAML, and a cold start pays for every import.
    from secretsvc.manifest import json_reader

    return json_reader.read_documents(text, most_nodes)


def secret_roots(document: Node, merges: nodes.MergeKeys) -> list[Mapping]:
    """The Secrets at a document's root or among a list's items, and nowhere deeper, in the order in which they are met.

    To kubectl a list is whatever has `items`. Raises ManifestError for a Secret that is an alias or a list, and where
    merge keys bring in too much.
    """
    found: dict[int, Mapping] = {}
    seen: set[tuple[int, str, bool]] = set()
    opened: set[tuple[int, str]] = set()
    waiting: list[tuple[Node, str]] = [(document, "")]  # and what it is without saying so
    while waiting:
        node, listed_kind = waiting.pop()
        mapping = nodes.resolved(node)
        if not isinstance(mapping, Mapping) or (way := (mapping.start, listed_kind, isinstance(node, Alias))) in seen:
            continue
        seen.add(way)
        stated = _stated(mapping, merges)
        kinds = _texts(stated["kind"]) or {listed_kind}
        versions = _texts(stated["apiVersion"])
        lists = [one for one in stated["items"] if isinstance(one, Sequence) and one.items]
        if "Secret" in kinds and (not versions or versions & _CORE):
            if isinstance(node, Alias):
                raise ManifestError("a Secret is an alias", hint="write it out in its place", line=node.line)
            if lists:
                hint = "move the items into a List, or remove them"
                raise ManifestError("a Secret with items, which kubectl takes for a list", hint=hint, line=mapping.line)
            found[mapping.start] = mapping
        if lists:
            item_kind = "Secret" if "SecretList" in kinds else ""
            # An alias may stand for one list in many places: what is in it is looked at once.
            lists = [one for one in lists if (one.start, item_kind) not in opened]
            opened |= {(one.start, item_kind) for one in lists}
            waiting += [(item, item_kind) for one in reversed(lists) for item in reversed(one.items)]
    return list(found.values())


def text_of(node: Node | None) -> str:
    """The text that a parser may make of a scalar; empty for what is none, and for null."""
    scalar = nodes.resolved(node)
    if not isinstance(scalar, Scalar) or (nodes.is_null(scalar) and not scalar.tag):
        return ""
    if scalar.tag != BINARY:
        return scalar.value
    try:
        from binascii import a2b_base64

        return a2b_base64(scalar.value).decode()
    except ValueError:
        return ""


def _texts(found: list[Node]) -> set[str]:
    return {text for node in found if (text := text_of(node))}


def _stated(mapping: Mapping, merges: nodes.MergeKeys) -> dict[str, list[Node]]:
    """Return, by name, every value that tells what it is, repeated and merged ones too; aliases resolved."""
    found: dict[str, list[Node]] = {"apiVersion": [], "kind": [], "items": []}
    for one in merges.with_bases(mapping):
        for key, value in one.members:
            name = key.value if isinstance(key, Scalar) and not key.tag else text_of(key)
            target = nodes.resolved(value) if name in found else None
            if target and not nodes.is_merge(key):
                found[name].append(target)
    return found
