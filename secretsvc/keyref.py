"""KeyRefs, the URIs that name KEKs, and keysets, the KeyRefs that a Secret is sealed to."""

from __future__ import annotations

from secretsvc.errors import KeyRefError
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

MAX_LENGTH = 1000
"""Characters in a KeyRef: a YAML key may have 1,024 (YAML 1.1, section 9.2), quotes included."""

MOST_KEYS = 100
"""In the keyset of one Secret. Each costs who opens it a try, and a wrapped DEK in the file."""


class KeyRef(Record):
    """The name of one KEK: `age:age1…`, `pgp:<fingerprint>`, `aws:<ARN>`, `gcp:projects/…`, `azure:https://…`.

    `id` is in the canonical form of its backend; str() gives the URI as it stands in an envelope.
    """

    scheme: str
    id: str

    def __str__(self) -> str:
        return f"{self.scheme}:{self.id}"


Keyset = tuple[KeyRef, ...]
"""Sorted by the bytes of the URI, without repetition."""


class Principal(Record):
    """Who uses a key of AWS KMS, as a policy names it. Nothing of a sealed file's own word is ever put here."""

    profile: str = ""
    """Whose credentials are used; empty for those of the environment."""
    role: str = ""
    """ARN of the IAM role that is assumed with them; empty for none."""


class WrappedKey(Record):
    """A DEK, or a share of one, wrapped under one KEK. How it is spelled in a file is its format's business."""

    ref: KeyRef
    wrapped: bytes
    """Empty where the file has something else than what it should have."""
    context: Mapping[str, str] = {}
    """What the KEK's home authenticates with it, where it can."""
    group: int = 0
    """Which share it is, where a DEK is split among groups of keys."""
    source: str = ""
    """The text that a file has for it, so that it is not spelled anew; empty for one that was wrapped just now."""

    def __repr__(self) -> str:
        return f"WrappedKey({self.ref}, masked)"


def refuse_identity(text: str) -> None:
    """Raises KeyRefError, which does not show it, for a private age identity where a public key is wanted."""
    if "AGE-SECRET-KEY-" in text.upper():
        raise KeyRefError(
            "that is a private age identity, not a recipient",
            hint="give the public key, age1…; count it as leaked if it stands in a file or a shell history",
        )


def keyset(refs: Iterable[KeyRef]) -> Keyset:
    """The refs in the order in which envelopes list and seals count them: by the URI's UTF-8 bytes."""
    return tuple(sorted(set(refs), key=lambda ref: str(ref).encode()))


class Recipients(Record):
    """Whom something is sealed to: any one key of a group opens for its group.

    With several groups `threshold` of them are needed (0: all); only one group can be sealed to, yet.
    """

    groups: tuple[tuple[KeyRef | str, ...], ...]
    threshold: int = 0


class KeysetChange(Record):
    """A change of a keyset, as `--key` asks for it: a keyset outright (`exact`), or keys to add and to remove."""

    exact: Keyset
    add: Keyset
    remove: Keyset
    taken: Callable[[KeyRef], None] | None = None
    """Told of each key that a keyset has and loses; one that it has not is no error then."""

    def applied(self, current: Keyset) -> Keyset:
        """The keyset after the change; KeyRefError where a key to be removed is not in it or none is left."""
        if self.exact:
            return self.exact
        for ref in self.remove:
            if ref in current and self.taken:
                self.taken(ref)
            elif ref not in current and not self.taken:
                raise KeyRefError(f"{ref} can't be removed: it is not in the keyset", key_ref=str(ref))
        left = keyset((set(current) | set(self.add)) - set(self.remove))
        if not left:
            raise KeyRefError("removing that key would leave none", hint="add another with --key +REF first")
        return left


def parse_change(words: Iterable[str], parse: Callable[[str], KeyRef]) -> KeysetChange:
    """The `--key` options: `ref`s, or `+ref`s and `-ref`s, but not both kinds in one call.

    `parse` makes one KeyRef canonical. Raises KeyRefError.
    """
    exact: list[KeyRef] = []
    add: list[KeyRef] = []
    remove: list[KeyRef] = []
    for word in words:
        into = add if word.startswith("+") else remove if word.startswith("-") else exact
        into.append(parse(word if into is exact else word[1:]))
    if exact and (add or remove):
        raise KeyRefError("--key REF names the whole keyset, --key +REF and -REF change it: use one kind at a time")
    if set(add) & set(remove):
        raise KeyRefError("a key can't be added and removed in one call")
    return KeysetChange(keyset(exact), keyset(add), keyset(remove))
