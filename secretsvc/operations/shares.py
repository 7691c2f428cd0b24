"""A DEK in shares, one for each group of keys: dividing it, and joining it by as few groups as it takes.

One way for every format that has groups (`secretsvc.shamir` has the scheme).
"""

from __future__ import annotations

from itertools import combinations, islice

from secretsvc import backends, shamir
from secretsvc.errors import RESTORE_HINT, AlteredError, BackendError, KeyRefError, KsecretError, NoKeyError
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

MOST_TRIES = 32
"""Combinations of shares that are tried where one of them is broken (design FORMAT)."""


class GroupOfKeys(Record):
    """A group of keys, as who opens it sees it."""

    unwrap: Callable[[], bytes]
    """Gives its share. Raises what a keyring's `unwrap` raises."""
    schemes: frozenset[str]
    """The kinds of its keys that can be used here: the cheapest groups are asked first."""


def split(dek: bytes, groups: int, threshold: int) -> tuple[bytes, ...]:
    """Return what each group of keys wraps: the DEK, or its share, made anew with new coefficients."""
    return (dek,) if groups == 1 else shamir.split(dek, threshold, groups)


def join(groups: Sequence[GroupOfKeys], needed: int, is_dek: Callable[[bytes], bool]) -> bytes:
    """Return the DEK by the cheapest groups; more of them are opened only where these don't give what `is_dek` takes.

    Where no combination gives that, what the first gives is returned, which the format refuses in its own words.
    Raises NoKeyError, BackendError, AlteredError where too few groups open, which names each that did not; AlteredError
    for shares that can't belong together.
    """
    shares: dict[int, bytes] = {}
    failures: dict[int, KsecretError] = {}
    found: list[bytes | AlteredError] = []
    for number in sorted(range(len(groups)), key=lambda number: (_cost(groups[number]), number)):
        try:
            shares[number] = groups[number].unwrap()
        except (NoKeyError, BackendError, AlteredError, KeyRefError) as error:
            failures[number] = error
            continue
        for dek in islice(_combined(shares, number, needed), MOST_TRIES - len(found)):
            if isinstance(dek, bytes) and is_dek(dek):
                return dek
            found.append(dek)
        if len(found) == MOST_TRIES:
            break
    if not found:
        raise _too_few(len(groups), needed, shares, failures)
    first = next((dek for dek in found if isinstance(dek, bytes)), found[0])
    if isinstance(first, AlteredError):
        raise first
    return first


def checked_share(share: bytes, number: int) -> bytes:
    """Return the share of a group, numbered from 0. Raises AlteredError for another group's, or a whole DEK."""
    if len(share) != shamir.SHARE_BYTES or share[-1] != number + 1:
        raise AlteredError("what its keys hold is not this group's share of the data key", hint=RESTORE_HINT)
    return share


def _combined(shares: Mapping[int, bytes], newest: int, needed: int) -> Iterator[bytes | AlteredError]:
    """Yield what the newest share gives with each choice of the others."""
    others = [share for number, share in shares.items() if number != newest]
    for chosen in combinations(others, needed - 1):
        try:
            yield shamir.combine((*chosen, shares[newest]))
        except AlteredError as error:
            yield error


def _cost(group: GroupOfKeys) -> float:
    """Return what the group's cheapest key costs."""
    found = [backends.find(scheme) for scheme in group.schemes]
    return min((scheme.cost for scheme in found if scheme), default=float("inf"))


def _too_few(count: int, needed: int, opened: Iterable[int], failures: Mapping[int, KsecretError]) -> KsecretError:
    """Return the error, of the gravest kind among those of the groups that did not open."""
    kinds = (BackendError, AlteredError, NoKeyError)
    kind = next((kind for kind in kinds if any(isinstance(error, kind) for error in failures.values())), NoKeyError)
    those = [str(number + 1) for number in sorted(opened)]
    did = f"group{'s' if len(those) > 1 else ''} {', '.join(those)} did" if those else "none did"
    what = f"of its {count} groups of keys {needed} must open, and {did}"
    reasons = tuple(f"group {number + 1}: {error.told}" for number, error in sorted(failures.items()))
    hint = next((error.hint for error in failures.values() if error.hint), "")
    return kind(what, reasons=reasons, hint=hint)
