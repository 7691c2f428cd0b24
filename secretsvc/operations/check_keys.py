"""Sealed Secrets of a file that may have a data key, or recipients, that its former versions had not. Needs no key."""

from __future__ import annotations

from secretsvc import formats
from secretsvc.errors import KsecretError
from secretsvc.formats import lost
from secretsvc.manifest import reader
from secretsvc.operations.findings import Finding
from secretsvc.policy.people import NOBODY
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from secretsvc.manifest.model import Manifest
    from secretsvc.policy.people import People

_LISTED = 5


class KeysShown(Record):
    """The marks that a sealed Secret shows of its data key and its recipients."""

    label: str
    line: int
    proof: str
    """What only a holder of the data key can write, so where it is the same the key is. Where a MAC changes with each
    value: the wrapped data keys."""
    refs: frozenset[str]


def keys_shown(data: bytes) -> list[KeysShown]:
    """Return what a manifest's Secrets show; nothing for one that can't be read."""
    if not formats.may_be_sealed(data) and not lost.may_stand_in(data):
        return []
    try:
        return list(_shown(reader.read(data, allow_binary_tag=True)))
    except KsecretError:
        return []  # other rules find that


def _shown(manifest: Manifest) -> Iterator[KeysShown]:
    format_ = formats.of(manifest)
    for secret in manifest.secrets:
        if format_.is_sealed(manifest, secret):
            sealed = format_.read(manifest, secret)
            wrapped = sorted(f"{key.ref} {key.source}" for key in sealed.keys)
            proof = "\n".join(wrapped) if format_.proves_values else sealed.proof
            yield KeysShown(secret.label, sealed.line, proof, frozenset(str(key.ref) for key in sealed.keys))


def new_keys(
    now: Iterable[KeysShown],
    before: Iterable[KeysShown],
    elsewhere: Iterable[KeysShown],
    file: str,
    people: People = NOBODY,
) -> list[Finding]:
    """KS017 for each Secret whose data key can't be told to be one of those that were there before.

    `elsewhere`: those of files that went away as this one came. `people`: the names that the file's policy has.
    """
    former = {one.label: one for one in before}
    known = {one.proof for one in (*former.values(), *elsewhere)}
    return [
        Finding(file, one.line, "KS017", f"{_said(one, former.get(one.label), people)}; {_ADVICE}")
        for one in now
        if one.proof not in known
    ]


_ADVICE = "who made the commit may know its data key: `ksecret rotate` before a value is added"


def _said(one: KeysShown, former: KeysShown | None, people: People) -> str:
    if not former:
        return f"{one.label} is newly sealed, to {_listed(one.refs, people)}"
    come, gone = one.refs - former.refs, former.refs - one.refs
    parts = [f"{one.label} was sealed anew"]
    parts += [f"to {_listed(come, people)} as well"] if come else []
    parts += [f"no longer to {_listed(gone, people)}"] if gone else []
    return ", ".join(parts)


def _listed(refs: frozenset[str], people: People) -> str:
    names = [people.named(ref) for ref in sorted(refs)]
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
