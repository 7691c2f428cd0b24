"""Secrets in the clear in texts that are refused, however they spell `kind` and `data`: by their nodes, not lines."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from secretsvc.errors import ManifestError
from secretsvc.manifest import nodes, reader
from secretsvc.manifest.model import FIELDS
from secretsvc.manifest.nodes import Mapping, Scalar
from secretsvc.manifest.roots import secret_roots, text_of
from secretsvc.operations.check_text import seems_to_hold, split_documents, without_placeholders
from secretsvc.tokens import TOKEN_PREFIX

if TYPE_CHECKING:
    from secretsvc.manifest.nodes import Node

_CONTINUED = re.compile(r"\\(?:\r\n|[\r\n\x85\u2028\u2029])\s*")
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U000([0-9a-fA-F]{5}))")
_BETWEEN = re.compile(r"(?m)(?:^|(?<=\s))#.*|(?<=:)[ \t]+[|>][-+0-9]*(?=\s)")


def line_in_the_clear(text: str) -> int:
    """The first line of a Secret with a value in the clear, or of a document that may hide one; 0 where none is seen.

    Each document by itself, as kubectl reads them: what is wrong with one keeps it from no other.
    """
    for number, lines in split_documents(text):
        document = "\n".join(lines)
        try:
            merges = nodes.Merges()
            roots = [root for node in reader.documents(document) for root in secret_roots(node, merges)]
        except ManifestError:
            if not seems_to_hold(document) and seems_to_hold(_spelled_out(document)):
                return number
            continue
        seen: set[tuple[int, bool]] = set()
        for root in roots:
            if _has_clear_value(root, document, seen):
                return number + root.line - 1
    return 0


def _spelled_out(document: str) -> str:
    """A text that can't be parsed, without what may hide a word in it: escapes, comments, block headers."""
    unescaped = _ESCAPE.sub(lambda found: chr(int("".join(filter(None, found.groups())), 16)), document)
    return _BETWEEN.sub("", _CONTINUED.sub("", unescaped))


def _has_clear_value(root: Mapping, text: str, seen: set[tuple[int, bool]]) -> bool:
    """A merge key may bring anything. `seen`: what was looked at, and had no value in the clear."""
    if any(nodes.is_merge(key) for key, _ in root.members):
        return True
    return any(_is_clear(value, text, seen, is_field=True) for key, value in root.members if text_of(key) in FIELDS)


def _is_clear(node: Node | None, text: str, seen: set[tuple[int, bool]], *, is_field: bool = False) -> bool:
    """Whether that is a value in the clear, or a field that holds one. What aliases stand for is looked at once."""
    target = nodes.resolved(node)
    if target is None or (id(target), is_field) in seen or nodes.is_null(target):
        return False
    seen.add((id(target), is_field))
    if not without_placeholders(text[target.start : target.end]).strip():
        return False
    if isinstance(target, Mapping) and is_field:
        return any(nodes.is_merge(key) or _is_clear(value, text, seen) for key, value in target.members)
    if isinstance(target, Scalar):
        value = without_placeholders(text_of(target)).strip()
        return bool(value) and not value.startswith(TOKEN_PREFIX)
    return True
