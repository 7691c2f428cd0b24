"""The report as text for people, and as JSON for programs."""

from __future__ import annotations

from secretsvc.cli.report import counted, printable
from secretsvc.operations.who_opens import ALONE, BROKEN, CLEAR, SEALED, TOGETHER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from secretsvc.operations.access import Access, Holder
    from secretsvc.operations.findings import Finding
    from secretsvc.operations.who_opens import SecretFacts

_BAR = 40
"""Characters of the longest bar."""
STATES = {SEALED: "", BROKEN: "its envelope can't be read", CLEAR: "IN THE CLEAR"}
"""What is said of a Secret in each state."""


def as_text(access: Access) -> str:
    """Everything, by sections; each line is printable."""
    sections: tuple[tuple[str, list[str]], ...] = (
        (_title(access), []),
        ("WHO OPENS HOW MANY", list(_holders(access))),
        ("FILES BY ENVIRONMENT", list(_environments(access))),
        ("DATA KEYS BY MONTH", list(_ages(access))),
        (f"DRIFT FROM THE POLICY ({len(access.drift)})", list(_findings(access.drift))),
        (f"OTHER FINDINGS ({len(access.faults)})", list(_findings(access.faults))),
        ("SECRETS", list(_secrets(access))),
    )
    told = [[heading, *lines] for heading, lines in sections if lines or heading == sections[0][0]]
    return "\n\n".join("\n".join(map(printable, lines)) for lines in told)


def _title(access: Access) -> str:
    sealed = sum(one.state == SEALED for one in access.secrets)
    clear = sum(one.state == CLEAR for one in access.secrets)
    broken = len(access.secrets) - sealed - clear
    parts = [
        f"{counted(sealed, 'sealed Secret')} in {counted(len({one.file for one in access.secrets}), 'file')}",
        *([f"{clear} in the clear"] if clear else []),
        *([f"{broken} with an envelope that can't be read"] if broken else []),
        counted(len(access.named), "name"),
        *([counted(bare, "key") + " without a name"] if (bare := len(access.holders) - len(access.named)) else []),
        f"{counted(access.files, 'file')} looked at",
        *([f"{len(access.unread)} that could not be"] if access.unread else []),
    ]
    return ", ".join(parts)


def _holders(access: Access) -> Iterator[str]:
    counts = access.counts()
    width = min(40, max((len(holder.name) for holder in access.holders), default=0))
    for holder in access.holders:
        numbers = counts[holder.name]
        part = f", and {numbers[TOGETHER]} together with others" if numbers[TOGETHER] else ""
        yield f"  {holder.name:{width}}  {numbers[ALONE]:6}{part}{_keys_of(holder)}"


def _keys_of(holder: Holder) -> str:
    if not holder.sources:
        return ""
    note = f" (other keys in each of {', '.join(holder.sources)})" if holder.is_divided else ""
    return f"  {', '.join(holder.keys)}{note}"


def _environments(access: Access) -> Iterator[str]:
    found = access.environments()
    width = min(60, max(map(len, found), default=0))
    for name, numbers in sorted(found.items()):
        clear = f", {numbers[CLEAR]} in the clear" if numbers[CLEAR] else ""
        yield f"  {name:{width}}  {counted(numbers['files'], 'file')}, {numbers[SEALED]} sealed{clear}"


def _ages(access: Access) -> Iterator[str]:
    months = access.months()
    most = max(months.values(), default=0)
    for month, count in months.items():
        yield f"  {month}  {count:6}  {'#' * -(-count * _BAR // most)}".rstrip()
    if undated := access.undated():
        yield f"  unknown  {undated:6}  (their format does not tell)"


def _findings(findings: Iterable[Finding]) -> Iterator[str]:
    for one in findings:
        yield f"  {one.file}:{one.line}: {one.code} {one.message}"


def _secrets(access: Access) -> Iterator[str]:
    environment = None
    for one in access.secrets:
        if one.environment != environment:
            environment = one.environment
            yield f"  {environment}"
        yield f"    {one.file}: {one.label}  {said_of(access, one)}"


def said_of(access: Access, one: SecretFacts) -> str:
    """Return who opens a Secret, and how old its data key is."""
    if one.state != SEALED:
        return STATES[one.state]
    days = access.days(one)
    age = "" if days is None else f"  ({counted(days, 'day')})"
    clear = f"  IN THE CLEAR: {', '.join(one.clear)}" if one.clear else ""
    of = f"  ({one.needed} of {len(one.groups)} groups of keys together)" if one.needed > 1 else ""
    return f"{', '.join(access.holders_of(one))}{of}{age}{clear}"


def as_json(access: Access) -> str:
    """One JSON object: `secrets`, `holders`, `environments`, `months`, `drift`, `findings`, `unread`."""
    import json

    counts = access.counts()
    told = {
        "version": 1,
        "created": told_time(access.now),
        "files": access.files,
        "secrets": [_secret(access, one) for one in access.secrets],
        "holders": [
            {"name": one.name, "keys": one.keys, "policies": one.sources, **counts[one.name]} for one in access.holders
        ],
        "environments": access.environments(),
        "months": access.months(),
        "undated": access.undated(),
        "drift": [one.as_json() for one in access.drift],
        "findings": [one.as_json() for one in access.faults],
        "unread": [one._asdict() for one in access.unread],
    }
    return json.dumps(told)  # by its C part, which does no indenting: a third of the time for 5,000 Secrets


def _secret(access: Access, one: SecretFacts) -> dict[str, object]:
    return {
        "file": one.file,
        "line": one.line,
        "label": one.label,
        "type": one.type,
        "state": one.state,
        "format": one.format,
        "created": one.created,
        "ageDays": access.days(one),
        "environment": one.environment,
        "values": [name for name, _ in one.values],
        "inTheClear": one.clear,
        "keyGroups": one.groups,
        "threshold": one.needed,
        "openedBy": access.holders_of(one),
    }


def told_time(seconds: float) -> str:
    """Return a time, of seconds since 1970, as envelopes have it."""
    import time

    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
