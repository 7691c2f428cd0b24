"""Which leaves of a file are sealed: one rule of SOPS's six, on the keys above a leaf or the comments before it.

Source: shouldBeEncrypted in sops.go. Patterns are Go's (RE2), searched in each key: they come from files, so none of
them may take longer than a key is long. The few shapes that people write are matched by Python, in bounded time; all
others by RE2 itself, which takes a start longer to load than all else.
"""

from __future__ import annotations

import re

from secretsvc.errors import InputError
from secretsvc.go_regexp import MOST_CHARACTERS, GoRegexp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from secretsvc.document.base import Comments, Leaf

RULES = (
    "unencrypted_suffix",
    "encrypted_suffix",
    "unencrypted_regex",
    "encrypted_regex",
    "unencrypted_comment_regex",
    "encrypted_comment_regex",
)
DEFAULT = ("unencrypted_suffix", "_unencrypted")
"""What counts where a file states no rule."""

_WORD = r"(?:[A-Za-z0-9_ /:-]|\\[.\-_/])+"
_SIMPLE = re.compile(rf"(?:\(\?i\))?\^?(?:{_WORD}|\((?:\?:)?{_WORD}(?:\|{_WORD})*\)|{_WORD}(?:\|{_WORD})*)\$?")
"""Words, with or without anchors around one group or none: the same to RE2 and to Python, and matched in one look."""

_FOLDED = {0x17F: "s", 0x212A: "k"}
"""What is no ASCII, and to RE2 a letter of ASCII with `(?i)`."""


class Selection:
    """One rule. `Selection(*DEFAULT)` is SOPS's own where none is given."""

    def __init__(self, rule: str, pattern: str) -> None:
        """Raises InputError for a pattern that is none, without showing it."""
        self.rule = rule
        self.pattern = pattern
        self._is_default_on = rule.startswith("un")
        self._by_comments = rule.endswith("comment_regex")
        self._matches: Callable[[str], bool]
        if rule.endswith("suffix"):
            self._matches = lambda key: key.endswith(pattern)
        else:
            self._matches = searcher(pattern, rule)
        self._keys: dict[str, bool] = {}
        self._marks: dict[int, bool] = {}

    def selects(self, leaf: Leaf) -> bool:
        """Tell whether the rule means this leaf. Leaves are asked for in their order."""
        if self._by_comments:
            return self._selects_by_comments(leaf)
        hit = any(self._matches_key(key) for key in leaf.path if isinstance(key, str))
        return hit is not self._is_default_on

    def _matches_key(self, key: str) -> bool:
        known = self._keys.get(key)
        if known is None:
            known = self._keys[key] = self._matches(key)
        return known

    def _selects_by_comments(self, leaf: Leaf) -> bool:
        """A comment that the rule of what stays clear fits stays itself; the other rule's is not sealed by itself."""
        hit = self._marked(leaf.comments)
        if leaf.value.kind == "comment" and self._is_default_on:
            hit = hit or self._matches(_text(leaf))
        return hit is not self._is_default_on

    def _marked(self, comments: Comments | None) -> bool:
        """Tell whether one of these fits; what is known of those before it is not asked again."""
        chain = []
        hit = False
        while comments is not None:
            known = self._marks.get(id(comments))
            if known is not None:
                hit = known
                break
            chain.append(comments)
            comments = comments.before
        for link in reversed(chain):
            hit = hit or self._matches(_text(link.comment))
            self._marks[id(link)] = hit
        return hit


def searcher(pattern: str, what: str) -> Callable[[str], bool]:
    """Return a function that tells whether a Go pattern is found in a text, in time in proportion to its length.

    Raises InputError for what is no such pattern; `what` is the field that it stands in.
    """
    if len(pattern) <= MOST_CHARACTERS and _SIMPLE.fullmatch(pattern):
        found = re.compile(pattern[:-1] + r"\Z" if pattern.endswith("$") else pattern, re.ASCII)
        return lambda text: found.search(text.translate(_FOLDED) if pattern.startswith("(?i)") else text) is not None
    try:
        compiled = GoRegexp(pattern)
    except InputError as error:
        raise InputError(f"{what}: {error.message}", hint=error.hint) from None
    return lambda text: compiled.finds(text.encode("utf-8", "surrogateescape"))


def _text(leaf: Leaf) -> str:
    return leaf.value.text.decode("utf-8", "replace")
