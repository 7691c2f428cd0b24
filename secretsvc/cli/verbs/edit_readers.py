"""Who will be able to read what somebody edits, as the lines that an editor's page begins with."""

from __future__ import annotations

from secretsvc.errors import printable
from secretsvc.keyref import divided

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from secretsvc.formats.sops.metadata import Metadata
    from secretsvc.keyref import Keyset
    from secretsvc.operations.documents.keysets import SopsKeyset

    Named = Callable[[str], str]
    """A KeyRef → the same behind the name that the file's policy has for it."""
    Groups = Sequence[Sequence[str]]

_MOST_LINES = 40
"""More would push the values off the screen."""
_MORE = "ksecret inspect tells all of them"


def of_secrets(secrets: Sequence[tuple[str, Keyset]], named: Named) -> list[str]:
    """Lines on each Secret, by its label; on all together where the same keys open all."""
    if not secrets:
        return []
    if len(set(keys for _, keys in secrets)) == 1:
        return _cut(_lines("it" if len(secrets) == 1 else "all of it", *_groups(secrets[0][1]), named))
    return _cut([line for label, keys in secrets for line in _lines(label, *_groups(keys), named)])


def of_tree(metadata: Metadata, named: Named) -> list[str]:
    """Lines on a file that SOPS's format seals."""
    from secretsvc.operations.documents import groups_needed

    groups: list[list[str]] = [[] for _ in range(metadata.groups)]
    for entry in metadata.entries:
        groups[entry.key.group].append(str(entry.key.ref))
    return _cut(_lines("it", groups, groups_needed(metadata), named))


def of_new_tree(keys: SopsKeyset, named: Named) -> list[str]:
    """Lines on one that is to be made."""
    groups = [[str(ref) for ref, _ in group] for group in keys.groups]
    return _cut(_lines("it", groups, (keys.threshold or len(groups)) if len(groups) > 1 else 1, named))


def _groups(keys: Keyset) -> tuple[Groups, int]:
    groups, needed = divided(keys)
    return [[str(ref) for ref in group] for group in groups], needed


def _lines(what: str, groups: Groups, needed: int, named: Named) -> list[str]:
    who = f"Who will be able to read {what}"
    if len(groups) == 1 and len(groups[0]) == 1:
        return [f"{who}: {named(groups[0][0])}"]
    if len(groups) == 1:
        return [f"{who}, each alone:", *_keys(groups[0], named)]
    lines = [f"{who}, keys of {needed} of these {len(groups)} groups together:"]
    for number, group in enumerate(groups, 1):
        lines += [f"  group {number}:", *(f"  {line}" for line in _keys(group, named))]
    return lines


def _keys(refs: Iterable[str], named: Named) -> list[str]:
    return [f"  {named(ref)}" for ref in refs]


def _cut(lines: list[str]) -> list[str]:
    told = lines if len(lines) <= _MOST_LINES else [*lines[:_MOST_LINES], f"  and more: {_MORE}"]
    return list(map(printable, told))
