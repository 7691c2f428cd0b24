"""Who can open what, over many files: the facts of `who_opens` by person, by key, by month and by environment."""

from __future__ import annotations

from collections import Counter

from secretsvc.backends import unversioned_uri
from secretsvc.errors import InputError
from secretsvc.formats import created
from secretsvc.operations.who_opens import ALONE, CLEAR, SEALED, TOGETHER
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from secretsvc.operations.findings import Finding
    from secretsvc.operations.who_opens import SecretFacts
    from secretsvc.policy.people import People

DRIFT = ("KS008", "KS009", "KS015", "KS019")
"""Findings about what differs from the policy: keys, age, no rule, SOPS's selection."""
MOST_NAMES = 200
"""Names of one key: each is told of each Secret that the key opens."""
_DAY = 86400


class Holder(Record):
    """Somebody whom a policy names, or a key that nobody has a name for."""

    name: str
    """The KeyRef where it has no name."""
    keys: tuple[str, ...]
    sources: tuple[str, ...] = ()
    """The policies that name it; none for a key without a name."""
    is_divided: bool = False
    """Whether the policies give the name different keys. All of them are counted."""


class Unread(Record):
    """A file, or a folder, that could not be looked at."""

    file: str
    line: int
    message: str


class Access:
    """The facts of a run, and what follows from them."""

    def __init__(
        self,
        secrets: Iterable[SecretFacts],
        findings: Iterable[Finding],
        unread: Iterable[Unread],
        policies: Iterable[tuple[str, People]],
        *,
        files: int,
        now: float,
    ) -> None:
        """`policies`: each that counts for one of the files, by its name. `now`: seconds since 1970.

        Raises InputError for a key with more than MOST_NAMES names.
        """
        self.secrets = sorted(secrets, key=lambda one: (one.environment, one.file, one.line))
        found = list(findings)
        self.drift = [finding for finding in found if finding.code in DRIFT]
        self.faults = [finding for finding in found if finding.code not in DRIFT]
        self.unread = list(unread)
        self.files = files
        self.now = now
        self.named = _named(policies)
        used = {ref for one in self.secrets for ref in one.keys}
        self._names = _names(self.named.values(), used)
        bare = sorted(ref for ref in used if self._names[ref] == {ref})
        self.holders = [*self.named.values(), *(Holder(ref, (ref,)) for ref in bare)]
        self._holders_of: dict[tuple[tuple[tuple[str, ...], ...], int], dict[str, str]] = {}
        self._days: dict[str, int | None] = {"": None}

    def holders_of(self, one: SecretFacts) -> dict[str, str]:
        """Name → ALONE or TOGETHER, of each who can do something about a Secret."""
        division = one.groups, one.needed  # which many have in common
        if division not in self._holders_of:
            of_groups = ({name for ref in group for name in self._names[ref]} for group in one.groups)
            held = Counter(name for names in of_groups for name in names)
            found = {name: ALONE if held[name] >= one.needed else TOGETHER for name in sorted(held)}
            self._holders_of[division] = found
        return self._holders_of[division]

    def counts(self) -> dict[str, dict[str, int]]:
        """Name → how many Secrets each opens, ALONE and TOGETHER."""
        counts = {holder.name: {ALONE: 0, TOGETHER: 0} for holder in self.holders}
        for one in self.secrets:
            for name, how in self.holders_of(one).items():
                counts[name][how] += 1
        return counts

    def environments(self) -> dict[str, dict[str, int]]:
        """Environment → number of files, and of Secrets by their state."""
        found: dict[str, dict[str, int]] = {}
        files: dict[str, set[str]] = {}
        for one in self.secrets:
            numbers = found.setdefault(one.environment, {"files": 0, SEALED: 0, CLEAR: 0})
            numbers[one.state] = numbers.get(one.state, 0) + 1
            files.setdefault(one.environment, set()).add(one.file)
        for name, numbers in found.items():
            numbers["files"] = len(files[name])
        return found

    def months(self) -> dict[str, int]:
        """`2026-11` → how many data keys were made in that month, the months between included."""
        made = [one.created[:7] for one in self.secrets if self.days(one) is not None]
        if not made:
            return {}
        counts = dict.fromkeys(_months(min(made), max(made)), 0)
        for month in made:
            counts[max(month, next(iter(counts)))] += 1  # what is older than the first stands there
        return counts

    def undated(self) -> int:
        """Count sealed Secrets whose format does not tell when their data key was made, or not in its form."""
        return sum(one.state == SEALED and self.days(one) is None for one in self.secrets)

    def days(self, one: SecretFacts) -> int | None:
        """Return how old a data key is; None where that is not known."""
        if one.created not in self._days:
            try:
                self._days[one.created] = max(0, int(self.now - created.seconds(one.created)) // _DAY)
            except ValueError:
                self._days[one.created] = None
        return self._days[one.created]


_MOST_MONTHS = 240
"""In a chart: a date in a file may be any."""


def _months(first: str, last: str) -> list[str]:
    """Every month from one to another, of the last twenty years of these."""
    year, month = map(int, last.split("-"))
    found = [last]
    while found[-1] > first and len(found) < _MOST_MONTHS:
        year, month = (year, month - 1) if month > 1 else (year - 1, 12)
        found.append(f"{year:04}-{month:02}")
    return found[::-1]


def _names(holders: Iterable[Holder], used: Iterable[str]) -> dict[str, set[str]]:
    """KeyRef → who has that key, of each that is used: itself where nobody has. Raises InputError for too many."""
    names: dict[str, set[str]] = {}
    for holder in holders:
        for ref in holder.keys:
            names.setdefault(ref, set()).add(holder.name)
    found = {ref: names.get(ref, set()) | names.get(unversioned_uri(ref), set()) or {ref} for ref in used}
    for ref, those in found.items():
        if len(those) > MOST_NAMES:
            what = f"more than {MOST_NAMES} names have the key {ref} in the policies"
            raise InputError(what, hint="report on folders whose policies name fewer people")
    return found


def _named(policies: Iterable[tuple[str, People]]) -> dict[str, Holder]:
    """Everybody whom a policy names, in the order of their names. A name's keys are those of all policies."""
    keys: dict[str, dict[str, tuple[str, ...]]] = {}
    for source, people in policies:
        for name in people:
            keys.setdefault(name, {})[source] = people.keys(name)
    return {
        name: Holder(
            name,
            tuple(dict.fromkeys(ref for refs in by.values() for ref in refs)),
            tuple(by),
            is_divided=len({frozenset(refs) for refs in by.values()}) > 1,
        )
        for name, by in sorted(keys.items())
    }
