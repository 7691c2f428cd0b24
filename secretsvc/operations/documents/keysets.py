"""Whom a file in SOPS's format is to be sealed to, groups of keys among them, and what that would change."""

from __future__ import annotations

from secretsvc.errors import InputError, KeyRefError
from secretsvc.formats.sops.metadata import KeyEntry, list_of
from secretsvc.keyref import Principal, WrappedKey, divided, keyset
from secretsvc.operations.documents.shares import Division
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import TypeAlias

    from secretsvc.document.base import Tree
    from secretsvc.formats.sops.metadata import Metadata
    from secretsvc.keyref import KeyRef, Keyset, KeysetChange

    Identity: TypeAlias = tuple[str, str, tuple[tuple[str, str], ...]]
    """What tells one key from another: KeyRef, role, context."""

TREE = "a tree"
"""What messages call a file that is no Secret."""


class SopsKeyset(Record):
    """Whom a file is sealed to."""

    groups: tuple[tuple[tuple[KeyRef, Mapping[str, str]], ...], ...]
    """Each key with the context that is authenticated with what it wraps."""
    threshold: int = 0
    principals: Mapping[str, Principal] = {}
    """KeyRef → who uses it, for keys of AWS, as its entry tells sops too."""

    def principal(self, ref: KeyRef) -> Principal:
        """Return who uses a key; for most whom the environment says."""
        return self.principals.get(str(ref)) or Principal()


def sops_keyset(keys: Keyset) -> SopsKeyset:
    """Return a keyset, groups of keys too, as such files have it."""
    groups, threshold = divided(keys)
    listed: list[tuple[tuple[KeyRef, Mapping[str, str]], ...]] = [tuple((ref, {}) for ref in group) for group in groups]
    return SopsKeyset(tuple(listed), threshold if len(groups) > 1 else 0)


class WantedEntries(Record):
    """The keys that a file is to have."""

    entries: tuple[KeyEntry, ...]
    """Those that it has already as they stand; others with nothing wrapped yet."""
    division: Division


def by_policy(metadata: Metadata, keys: SopsKeyset) -> WantedEntries:
    """Return what a policy wants of a file. Raises InputError for a key that SOPS's format has no place for."""
    held = {(entry.key.group, _identity(entry)): entry for entry in metadata.entries}
    fresh = [
        _new(ref, number, context, keys.principal(ref))
        for number, group in enumerate(keys.groups)
        for ref, context in group
    ]
    due = {(entry.key.group, _identity(entry)): entry for entry in fresh}
    kept = [entry for place, entry in held.items() if place in due]
    new = [entry for place, entry in due.items() if place not in held]
    return WantedEntries((*kept, *new), Division(len(keys.groups), keys.threshold))


def by_change(metadata: Metadata, change: KeysetChange) -> WantedEntries:
    """Return what comes of keys that are added and taken away. Raises InputError, KeyRefError."""
    group = change.group
    if group > metadata.groups:
        what = f"it has no group {group} of keys, but {metadata.groups}"
        raise InputError(what, hint="key_groups in .sops.yaml, and ksecret keys sync, make groups")
    if change.add and metadata.groups > 1 and not group:
        what = f"its data key is split among {metadata.groups} groups of keys"
        raise InputError(what, hint="say with --group N into which one the key goes")
    in_scope = [number for number in range(metadata.groups) if group in (0, number + 1)]
    there = {entry.key.ref for entry in metadata.entries if entry.key.group in in_scope}
    change = change.naming(there)
    lacking = [ref for ref in change.remove if ref not in there]
    if lacking and not change.taken:
        raise KeyRefError(f"{lacking[0]} can't be removed: it is not in the keyset", key_ref=str(lacking[0]))
    entries: list[KeyEntry] = []
    for number in range(metadata.groups):
        held = [entry for entry in metadata.entries if entry.key.group == number]
        entries += _changed(held, change, number) if number in in_scope else held
    return WantedEntries(tuple(entries), Division(metadata.groups, metadata.threshold))


def _changed(held: list[KeyEntry], change: KeysetChange, number: int) -> Iterator[KeyEntry]:
    """One group's entries after the change. Raises KeyRefError where none would be left."""
    refs = keyset(entry.key.ref for entry in held)
    own = change._replace(remove=tuple(ref for ref in change.remove if ref in refs), group=0)
    wanted = own.applied(refs) if own.exact or own.add or own.remove else refs
    yield from (entry for entry in held if entry.key.ref in wanted)
    yield from (_new(ref, number, {}, Principal()) for ref in wanted if ref not in refs)


def _new(ref: KeyRef, number: int, context: Mapping[str, str], principal: Principal) -> KeyEntry:
    fields: dict[str, Tree] = {"aws_profile": principal.profile, "role": principal.role} if any(principal) else {}
    return KeyEntry(list_of(ref), WrappedKey(ref, b"", context, number), fields)


def key_changes(metadata: Metadata, wanted: WantedEntries) -> list[tuple[str, str, bool]]:
    """Return, for each change, label, KeyRef, and whether it would come (else go). Needs no key."""
    several = max(metadata.groups, wanted.division.groups) > 1
    found = []
    for number in range(max(metadata.groups, wanted.division.groups)):
        held, due = _of_group(metadata.entries, number), _of_group(wanted.entries, number)
        label = f"group {number + 1}" if several else TREE
        found += [(label, one[0], one in due) for one in sorted(held ^ due)]
    before, after = _needed(metadata), wanted.division.needed
    if before != after:
        found += [(TREE, f"shamir_threshold {count}", count == after) for count in (before, after)]
    return found


def loses(metadata: Metadata, wanted: WantedEntries) -> bool:
    """Tell whether some who could open the file, alone or together, can't any more, and know its data key."""
    if wanted.division.groups == 1:
        return not _identities(metadata.entries) <= _identities(wanted.entries)
    if wanted.division.needed > _needed(metadata):
        return True
    return any(
        not _of_group(metadata.entries, number) <= _of_group(wanted.entries, number)
        for number in range(metadata.groups)
    )


def _needed(metadata: Metadata) -> int:
    return Division(metadata.groups, metadata.threshold).needed


def _of_group(entries: Iterable[KeyEntry], number: int) -> set[Identity]:
    return _identities(entry for entry in entries if entry.key.group == number)


def _identities(entries: Iterable[KeyEntry]) -> set[Identity]:
    return set(map(_identity, entries))


def _identity(entry: KeyEntry) -> Identity:
    return str(entry.key.ref), entry.role, tuple(sorted(entry.key.context.items()))
