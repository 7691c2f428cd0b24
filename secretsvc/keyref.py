"""KeyRefs, the URIs that name KEKs, and keysets, the KeyRefs that a Secret is sealed to."""

from __future__ import annotations

from secretsvc.errors import KeyRefError
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

MAX_LENGTH = 1000
"""Characters in a KeyRef that is a simple key of YAML: that may have 1,024 (YAML 1.1, section 9.2), quotes included."""

LONGEST = 2048
"""Characters in a KeyRef of the one kind that may be longer (`is_long`)."""

MOST_KEYS = 100
"""In the keyset of one Secret. Each costs who opens it a try, and a wrapped DEK in the file."""

MOST_GROUPS = 16
"""Groups of keys that one Secret's DEK is split among (design FORMAT)."""


class KeyRef(Record):
    """The name of one KEK: `age:age1…`, `pgp:<fingerprint>`, `aws:<ARN>`, `gcp:projects/…`, `azure:https://…`.

    `id` is in the canonical form of its backend; str() gives the URI as it stands in an envelope.
    """

    scheme: str
    id: str

    def __str__(self) -> str:
        return f"{self.scheme}:{self.id}"


MOST_IN_GROUP = 2500
"""Characters of a group of keys where it is one text, KeyRefs parted by commas: one of the longest and some others, and
all groups fit into a URL, which may have 65,535 bytes (httptools)."""

Keyset = tuple[KeyRef, ...]
"""Sorted by the bytes of the URI, without repetition."""


class Principal(Record):
    """Who uses a key of AWS KMS, as a policy names it. Nothing of a sealed file's own word is ever put here."""

    profile: str = ""
    """Whose credentials are used; empty for those of the environment."""
    role: str = ""
    """ARN of the IAM role that is assumed with them; empty for none."""


class SopsContext(dict[str, str]):
    """The context of what a file of SOPS's holds: its names of Vault's keys leave the namespace to the environment."""


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


def is_long(text: str) -> bool:
    """Tell whether a KeyRef is of a kind that has more than MAX_LENGTH characters: post-quantum recipients of age's."""
    return text.strip().lower().startswith(("age:age1pq1", "age:age1tagpq1"))


def keyset(refs: Iterable[KeyRef]) -> Keyset:
    """The refs in the order in which envelopes list and seals count them: by the URI's UTF-8 bytes."""
    return tuple(sorted(set(refs), key=lambda ref: str(ref).encode()))


class KeyGroups(tuple["KeyRef", ...]):
    """A keyset in groups, each of which holds a share of the DEK: keys of `threshold` groups together open it.

    To who asks only which keys are in it, it is a `Keyset`: every key once, in the order of keysets.
    """

    groups: tuple[Keyset, ...]
    """In the file's order; a key stands once in a group, and may stand in several."""
    threshold: int
    """How many groups have to be opened."""

    def __new__(cls, groups: Iterable[Iterable[KeyRef]], threshold: int = 0) -> KeyGroups:
        """`threshold`: 0 for all of the groups. Raises KeyRefError for a division that the format has not."""
        sorted_groups = tuple(map(keyset, groups))
        made = super().__new__(cls, keyset(ref for group in sorted_groups for ref in group))
        made.groups, made.threshold = sorted_groups, threshold or len(sorted_groups)
        check_division(len(sorted_groups), made.threshold)
        if not all(sorted_groups):
            raise KeyRefError("a group of keys has no key", hint="name one for each group")
        return made

    def __eq__(self, other: object) -> bool:
        return isinstance(other, KeyGroups) and (self.groups, self.threshold) == (other.groups, other.threshold)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash((self.groups, self.threshold))

    def __reduce__(self) -> tuple[type[KeyGroups], tuple[tuple[Keyset, ...], int]]:
        return KeyGroups, (self.groups, self.threshold)

    def __repr__(self) -> str:
        return f"KeyGroups({self.groups!r}, {self.threshold})"


def check_division(groups: int, threshold: int) -> None:
    """Raise KeyRefError unless that many groups of keys can have that threshold."""
    if not 2 <= groups <= MOST_GROUPS:
        what = f"keys are in 2 to {MOST_GROUPS} groups"
        raise KeyRefError(what, hint="without groups, any one key opens")
    if not 2 <= threshold <= groups:
        what = f"a threshold of {threshold} is none that {groups} groups of keys can have"
        raise KeyRefError(what, hint=f"2 to {groups}: so many groups have to be opened together")


def divided(refs: Keyset) -> tuple[tuple[Keyset, ...], int]:
    """Return the groups of a keyset, one where it has none, and how many of them have to be opened."""
    return (refs.groups, refs.threshold) if isinstance(refs, KeyGroups) else ((refs,), 1)


def locks_out(before: Keyset, after: Keyset) -> bool:
    """Tell whether some who could open, alone or together, can't any more: they know the DEK, so it has to be new."""
    if not isinstance(after, KeyGroups):
        return not set(before) <= set(after)
    groups, needed = divided(before)
    stay = zip(groups, after.groups, strict=False)
    return needed < after.threshold or len(groups) > len(after.groups) or any(set(b) - set(a) for b, a in stay)


def told_flattening(line: int, label: str, before: int, after: int) -> list[tuple[int, str]]:
    """Return, with its line, what to warn of where keys were in so many groups, and any one of them opens now."""
    what = f"any one key opens {label} now: its data key was split among {before} groups of keys"
    return [(line, what)] if before > 1 >= after else []


def refuse_flattening(before: int, after: int) -> None:
    """Raise KeyRefError where keys were in so many groups, and are to be in so few that any one key opens alone."""
    if before > 1 >= after:
        what = f"its data key is split among {before} groups of keys, and any one of these would open it"
        hint = "name groups, by --group -k A --group -k B or in the policy; or decrypt it, and seal it anew"
        raise KeyRefError(what, hint=hint)


class Recipients(Record):
    """Whom something is sealed to: any one key of a group opens for its group.

    With several groups `threshold` of them are needed (0: all).
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
    group: int = 0
    """The only group of keys that changes, from 1; 0: all that have a key which is to go."""
    unversioned: Callable[[KeyRef], KeyRef] | None = None
    """A key → its name without a version, where keys to remove may be named so: they go in each version."""

    def naming(self, held: Iterable[KeyRef]) -> KeysetChange:
        """Return it with the keys to remove called as they are held; those that are not, as they stand."""
        by_name: dict[KeyRef, set[KeyRef]] = {}
        for ref in held:
            for name in (ref, self.unversioned(ref) if self.unversioned else ref):
                by_name.setdefault(name, set()).add(ref)
        return self._replace(remove=keyset(ref for name in self.remove for ref in by_name.get(name, {name})))

    def applied(self, current: Keyset) -> Keyset:
        """The keyset after the change; KeyRefError where a key to be removed is not in it or none is left."""
        if self.exact:
            return self.exact
        self._refuse_group(current)
        return self.naming(current)._applied(current)

    def _applied(self, current: Keyset) -> Keyset:
        scope = divided(current)[0][self.group - 1] if self.group else current
        for ref in self.remove:
            if ref in scope and self.taken:
                self.taken(ref)
            elif ref not in scope and not self.taken:
                where = f"group {self.group} of its keys" if self.group else "the keyset"
                raise KeyRefError(f"{ref} can't be removed: it is not in {where}", key_ref=str(ref))
        if not isinstance(current, KeyGroups):
            return self._changed(current)
        changed = (
            self._changed(group) if self.group in (0, number) else group
            for number, group in enumerate(current.groups, 1)
        )
        return KeyGroups(changed, current.threshold)

    def _changed(self, keys: Keyset) -> Keyset:
        """One group after the change, or all keys where they are in none."""
        left = keyset((set(keys) | set(self.add)) - set(self.remove))
        if not left:
            raise KeyRefError("removing that key would leave none", hint="add another with --key +REF first")
        return left

    def _refuse_group(self, current: Keyset) -> None:
        """Raise KeyRefError where it is not known which group of keys changes."""
        count = len(divided(current)[0])
        if self.group and not isinstance(current, KeyGroups):
            raise KeyRefError("its keys are in no groups", hint="leave --group out")
        if self.group > count:
            raise KeyRefError(f"it has no group {self.group} of keys, but {count}")
        if self.add and not self.group and count > 1:
            what = f"its data key is split among {count} groups of keys"
            raise KeyRefError(what, hint="say with keys add --group N into which one the key goes")


GROUP, THRESHOLD = "--group", "--threshold="
"""Among the words for keys: a group of keys begins; how many of them have to be opened."""


def is_of_groups(word: str) -> bool:
    """Tell whether a word for keys is none of a key, but about groups of them."""
    return word == GROUP or word.startswith(THRESHOLD)


def parse_change(
    words: Iterable[str], parse: Callable[[str], KeyRef], parse_removed: Callable[[str], KeyRef] | None = None
) -> KeysetChange:
    """The `--key` options: `ref`s, or `+ref`s and `-ref`s, but not both kinds in one call; or `ref`s in groups.

    `parse` makes one KeyRef canonical, `parse_removed` one that is to go. Raises KeyRefError.
    """
    listed = list(words)
    if any(map(is_of_groups, listed)):
        groups, threshold = split_groups(listed)
        return KeysetChange(KeyGroups(([parse(word) for word in group] for group in groups), threshold), (), ())
    exact: list[KeyRef] = []
    add: list[KeyRef] = []
    remove: list[KeyRef] = []
    for word in listed:
        into = add if word.startswith("+") else remove if word.startswith("-") else exact
        made = parse_removed if parse_removed and into is remove else parse
        into.append(made(word if into is exact else word[1:]))
    if exact and (add or remove):
        raise KeyRefError("--key REF names the whole keyset, --key +REF and -REF change it: use one kind at a time")
    if set(add) & set(remove):
        raise KeyRefError("a key can't be added and removed in one call")
    return KeysetChange(keyset(exact), keyset(add), keyset(remove))


def split_groups(words: Iterable[str]) -> tuple[list[list[str]], int]:
    """Return the words of each group of keys, and the threshold, 0 where none is said.

    Raises KeyRefError for a key outside of the groups, and for `+` or `-`.
    """
    groups: list[list[str]] = []
    threshold = 0
    for word in words:
        if word == GROUP:
            groups.append([])
        elif word.startswith(THRESHOLD):
            threshold = int(word.removeprefix(THRESHOLD))
        elif not groups:
            raise KeyRefError("a key stands before the first --group", hint="--group starts a group: --group -k A -k B")
        elif word.startswith(("+", "-")):
            hint = "keys add and keys remove change one group: --group N"
            raise KeyRefError("--group names all keys outright, +REF and -REF change some", hint=hint)
        else:
            groups[-1].append(word)
    if not groups:
        raise KeyRefError("a threshold is one of groups of keys", hint="start each group: --group -k A --group -k B")
    return groups, threshold
