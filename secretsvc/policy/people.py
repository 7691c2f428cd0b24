"""Names for keys, as a policy's `people:` gives them (docs/policy.md)."""

from __future__ import annotations

from secretsvc.backends import complete, unversioned_uri
from secretsvc.errors import nearest
from secretsvc.keyref import is_of_groups

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

MOST_PEOPLE = 1000
"""Names in one policy."""

_LONGEST_NAME = 64
"""Characters."""


_SIGNS = str.maketrans(dict.fromkeys("._@-"))
"""What may stand in a name beside letters and digits."""


def is_name(text: str) -> bool:
    """Tell whether it may be a name: up to 64 of these characters, a letter first, and nothing that a key is called.

    A KeyRef has a colon in it, or is one of the texts that are completed to one.
    """
    return (
        len(text) <= _LONGEST_NAME
        and text.isascii()
        and text[:1].isalpha()
        and text.translate(_SIGNS).isalnum()
        and complete(text) == text
        and not text.lower().startswith(("age-secret-key-", "ssh-"))
    )


def has_name(words: Iterable[str]) -> bool:
    """Tell whether one of some `--key` words, which may begin with + or -, may be a name."""
    return any(is_name(word.lstrip("+-")) for word in words if not is_of_groups(word))


class People:
    """The names of one policy. A message gives a name beside the KeyRef that bears it, never in its place."""

    def __init__(self, keys: Mapping[str, tuple[str, ...]]) -> None:
        """`keys`: name → its KeyRefs in their canonical spelling."""
        self._keys = keys
        self._names = {ref: name for name, refs in reversed(list(keys.items())) for ref in refs}

    def __contains__(self, name: str) -> bool:
        return name in self._keys

    def __bool__(self) -> bool:
        return bool(self._keys)

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def keys(self, name: str) -> tuple[str, ...]:
        """The KeyRefs of a name. Raises KeyError; `nearest` says what may have been meant."""
        return self._keys[name]

    def nearest(self, word: str) -> str:
        """Guess which name was meant, for the end of a message."""
        return nearest(word, self._keys)

    def name(self, ref: str) -> str:
        """The name of a KeyRef, the first that has it; empty where none does."""
        return self._names.get(ref) or self._names.get(unversioned_uri(ref), "")

    def named(self, ref: str) -> str:
        """`alice (age:age1…)`, or the KeyRef alone."""
        name = self.name(ref)
        return f"{name} ({ref})" if name else ref

    def named_in(self, text: str) -> str:
        """The text with a name before each KeyRef that has one and stands there without."""
        import re

        for ref in self._names:
            if ref in text:  # and not a longer one's beginning
                text = re.sub(rf"(?<![\w(]){re.escape(ref)}(?![\w/+=-])", lambda found: self.named(found[0]), text)
        return text


NOBODY = People({})
"""The names where no policy names anybody."""
