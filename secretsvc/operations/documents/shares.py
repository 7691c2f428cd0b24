"""Whom the data key of a file in SOPS's format is wrapped to: the entries of its member, and shares for its groups."""

from __future__ import annotations

from secretsvc.errors import InputError
from secretsvc.formats.sops.metadata import EMPTY_GROUP, LISTS, KeyEntry, fields_of
from secretsvc.keyref import SopsContext, WrappedKey
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from secretsvc.document.base import Tree
    from secretsvc.formats.sops.metadata import Metadata
    from secretsvc.operations.keyring import Keyring


class Division(Record):
    """How a data key is divided: whole, or a share for each group of keys."""

    groups: int = 1
    threshold: int = 0
    """How many groups are needed, where there are several; 0 is all."""

    @property
    def needed(self) -> int:
        """Return how many groups open it: 2 at least of several, as opening has it."""
        return max(self.threshold or self.groups, 2) if self.groups > 1 else 1


def wrapped(
    division: Metadata | Division, entries: Sequence[KeyEntry], dek: bytes, now: str, keyring: Keyring
) -> list[KeyEntry]:
    """Return the entries with the data key, or their group's share of it, wrapped anew.

    Raises InputError for keys that nothing here wraps with: all of them must, or somebody would be locked out.
    """
    for entry in entries:
        if not entry.is_opened_in(keyring.role(entry.key.ref) if entry.role else ""):
            asked = f"in the role {entry.role}, which no policy names," if entry.role else "of a kind"
            what = f"{entry.key.ref}: a key {asked} that ksecret does not wrap with"
            raise InputError(what, hint="`sops rotate` and `sops updatekeys` do, or take the key away first")
    from secretsvc.operations.shares import split  # most files have no groups

    unsigned = keyring.unsigned()
    secrets = split(dek, division.groups, Division(division.groups, division.threshold).needed)
    found = []
    for entry in entries:
        key = entry.key
        made = unsigned.wrap(key.ref, secrets[key.group], SopsContext(key.context))
        new = WrappedKey(key.ref, made, key.context, key.group)
        fields = fields_of(new, now, profile=entry.profile, role=entry.role)
        found.append(KeyEntry(entry.list, new, (entry.fields if key.wrapped else {}) | fields | _kept(entry)))
    return found


def _kept(entry: KeyEntry) -> dict[str, Tree]:
    """What of an entry is not ours to say."""
    return {name: entry.fields[name] for name in ("aws_profile", "role", "fp") if name in entry.fields}


def lists(metadata: Metadata, entries: Sequence[KeyEntry], division: Division | None = None) -> dict[str, Tree]:
    """Return the member's tree with these keys. `division`: None as its data key was divided."""
    wanted = division or Division(metadata.groups, metadata.threshold)
    if wanted.groups == 1:
        gone: dict[str, Tree] = {"key_groups": None, **({"shamir_threshold": None} if metadata.groups > 1 else {})}
        return metadata.changed(**_of_group(metadata.tree, entries), **gone)
    before = metadata.tree["key_groups"] if metadata.groups > 1 else []
    groups: list[Tree] = []
    for number in range(wanted.groups):
        group = before[number] if number < len(before) else dict(EMPTY_GROUP)
        lists = _of_group(group, [entry for entry in entries if entry.key.group == number])
        groups.append({name: value for name, value in (group | lists).items() if value is not None})
    flat: dict[str, Tree] = {} if metadata.groups > 1 else dict.fromkeys(LISTS)
    return metadata.changed(**flat, key_groups=groups, shamir_threshold=wanted.threshold or None)


def _of_group(tree: dict[str, Tree], entries: Sequence[KeyEntry]) -> dict[str, Tree]:
    """The lists of one group, None for one that is not to stand there: empty ones stay where they were written."""
    lists: dict[str, Tree] = {}
    for name in LISTS:
        fields: list[Tree] = [dict(entry.fields) for entry in entries if entry.list == name]
        lists[name] = fields if fields or tree.get(name) == [] else None
    return lists
