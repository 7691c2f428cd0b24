"""Three versions of what SOPS files say of themselves → one. No key takes part."""

from __future__ import annotations

from secretsvc.formats.merge import UnmergeableError
from secretsvc.formats.sops.metadata import LISTS, Metadata
from secretsvc.formats.sops.selection import RULES
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    from secretsvc.document.base import Tree
    from secretsvc.formats.sops.metadata import KeyEntry

    Name: TypeAlias = tuple[str, ...]
    """Identity of a key: its group, kind and name, role, profile and context."""

PROOF = ("lastmodified", "mac")
"""Fields that are made anew with every change of a value."""

_KEYS = (*LISTS, "key_groups")
RULE = (*RULES, "mac_only_encrypted")
"""Fields that say what is sealed, and what of it the MAC covers."""


class Versions(Record):
    """The member in each of the three."""

    base: Metadata
    ours: Metadata
    theirs: Metadata


def merge_fields(versions: Versions) -> Metadata:
    """Return ours with what is neither a key nor proof merged: the rule, the threshold, and fields of other programs.

    Raises UnmergeableError where both sides changed one of them, each in its way.
    """
    tree: dict[str, Tree] = dict(versions.ours.tree)
    others = dict.fromkeys(name for one in versions for name in one.tree)
    groups = [RULE, *((name,) for name in others if name not in (*PROOF, *_KEYS, *RULE))]
    for names in groups:
        base, ours, theirs = ([one.tree.get(name) for name in names] for one in versions)
        taken = _taken(base, ours, theirs, names)
        tree |= dict(zip(names, taken, strict=True))
    return Metadata({name: value for name, value in tree.items() if value is not None}, versions.ours.line)


def _taken(base: Sequence[Tree], ours: Sequence[Tree], theirs: Sequence[Tree], names: Sequence[str]) -> Sequence[Tree]:
    if ours in (base, theirs):
        return theirs
    if theirs == base:
        return ours
    if names == ("version",):
        return max(ours, theirs, key=_version)
    raise UnmergeableError(f"both sides changed {'its rule' if names == RULE else names[0]}")


def _version(fields: Sequence[Tree]) -> tuple[int, ...]:
    numbers = str(fields[0]).partition("-")[0].split(".")
    return tuple(int(number) for number in numbers if number.isdigit())


def same_data_key(one: Metadata, other: Metadata) -> bool:
    """Tell whether both wrap the same data key, as far as texts tell: something that wraps it is the same."""
    return not _wraps(one).isdisjoint(_wraps(other))


def _wraps(metadata: Metadata) -> set[tuple[Name, str]]:
    return {(name_of(entry), str(entry.fields.get("enc"))) for entry in metadata.entries}


def name_of(entry: KeyEntry) -> Name:
    """Return what tells a key from others."""
    context = sorted((str(word), str(text)) for word, text in entry.key.context.items())
    return (str(entry.key.group), entry.list, entry.key.ref.id, entry.role, entry.profile, repr(context))


def same_keys(one: Metadata, other: Metadata) -> bool:
    """Tell whether both are sealed to the same keys, whatever these wrap."""
    return set(map(name_of, one.entries)) == set(map(name_of, other.entries))


def merge_entries(versions: Versions) -> list[KeyEntry]:
    """Return the keys as a set: what either side added, without what either took away; ours first.

    Of one that both sides wrapped anew, ours: where the data key is one, either serves. Raises UnmergeableError where
    none would be left, or the sides have groups of their own.
    """
    base, ours, theirs = ({name_of(entry): entry for entry in one.entries} for one in versions)
    if len({one.groups for one in versions}) > 1:
        raise UnmergeableError("a side has other groups of keys")
    found: list[KeyEntry] = []
    for name in {**ours, **theirs}:
        before, left, right = base.get(name), ours.get(name), theirs.get(name)
        if left and right:
            found.append(right if before and _is_same(before, left) else left)
        elif not before:
            found += [entry for entry in (left, right) if entry]
    if len({entry.key.group for entry in found}) != versions.ours.groups:
        raise UnmergeableError("no key would be left")
    return found


def _is_same(one: KeyEntry, other: KeyEntry) -> bool:
    return one.fields == other.fields


def side_of_keys(versions: Versions) -> Metadata | None:
    """Return the side whose keys count as they stand, as the other left them alone; None if both changed them."""
    base, ours, theirs = ([dict(entry.fields) for entry in one.entries] for one in versions)
    if ours in (base, theirs):
        return versions.theirs
    return versions.ours if theirs == base else None


def with_keys_of(metadata: Metadata, side: Metadata) -> dict[str, Tree]:
    """Return the member's tree with the keys of that version."""
    tree = {name: value for name, value in metadata.tree.items() if name not in _KEYS}
    return tree | {name: value for name, value in side.tree.items() if name in _KEYS}
