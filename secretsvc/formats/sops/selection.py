"""Selection of the leaves that are sealed: one rule of SOPS's six, on the keys above a leaf or the comments before it.

Source: shouldBeEncrypted in sops.go. Patterns are Go's (RE2), searched in each key: they come from files, so none of
them may take longer than a key is long. The few shapes that people write are words to be compared; all others are
matched by RE2 itself, which takes a start longer to load than all else.
"""

from __future__ import annotations

from secretsvc.errors import InputError
from secretsvc.go_regexp import MOST_CHARACTERS, GoRegexp
from secretsvc.record import Record

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
"""The rule of a file that states none."""

_IN_WORDS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_ /:-")
"""Characters that stand for themselves in patterns."""
_ESCAPED = frozenset(".-_/")
"""Those that do so behind a backslash."""

_FOLDED = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ\u017f\u212a", "abcdefghijklmnopqrstuvwxyzsk")
"""Of `(?i)`: the last two are no ASCII, and to RE2 letters of ASCII all the same."""


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
    bare = pattern.removeprefix("(?i)")
    words = _words(bare) if len(pattern) <= MOST_CHARACTERS else []
    if words and bare == pattern:
        return lambda text: any(word.is_in(text) for word in words)
    if words:
        words = [word._replace(text=word.text.translate(_FOLDED)) for word in words]
        return lambda text: any(word.is_in(text.translate(_FOLDED)) for word in words)
    try:
        compiled = GoRegexp(pattern)
    except InputError as error:
        raise InputError(f"{what}: {error.message}", hint=error.hint) from None
    return lambda text: compiled.finds(text.encode("utf-8", "surrogateescape"))


class _Word(Record):
    """A word that a pattern is found by, and whether it must stand at a text's start, or its end."""

    text: str
    at_start: bool
    at_end: bool

    def is_in(self, text: str) -> bool:
        if self.at_start and self.at_end:
            return text == self.text
        if self.at_start:
            return text.startswith(self.text)
        return text.endswith(self.text) if self.at_end else self.text in text


def _words(pattern: str) -> list[_Word]:
    """Return the words of a pattern such as `^(data|stringData)$`; none where there is anything else in it.

    Without a group, the anchors are those of the first word and of the last.
    """
    starts, ends = pattern.startswith("^"), pattern.endswith("$")
    inner = pattern.removeprefix("^").removesuffix("$")
    is_group = inner.startswith("(") and inner.endswith(")")
    texts = [_plain(text) for text in (inner[1:-1].removeprefix("?:") if is_group else inner).split("|")]
    last = len(texts) - 1
    return [
        _Word(text, starts and (is_group or not number), ends and (is_group or number == last))
        for number, text in enumerate(texts)
        if all(texts)
    ]


def _plain(pattern: str) -> str:
    """Return the one text that a pattern fits; empty where it may fit others."""
    first, *escaped = pattern.split("\\")
    unescaped = first + "".join(piece[1:] for piece in escaped)
    is_plain = _IN_WORDS.issuperset(unescaped) and all(piece[:1] in _ESCAPED for piece in escaped)
    return first + "".join(escaped) if is_plain else ""


def _text(leaf: Leaf) -> str:
    return leaf.value.text.decode("utf-8", "replace")
