"""Lines of the audit log, and the chain that holds them together: each has the SHA-256 of the line before it.

Imported by `ksecret audit verify` too, so: the standard library only.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

FIRST = "0" * 64
"""Stands in the first line of all, in place of the hash of a line before it."""

MAX_LINE_BYTES = 4 * 1024 * 1024


def digest(line: bytes) -> str:
    """Return the SHA-256 of a line without its line break, in hex."""
    return sha256(line).hexdigest()


def render(event: Mapping[str, object], previous: str) -> bytes:
    """Return the line, without its line break, that follows the line with that hash."""
    return json.dumps({**event, "previous": previous}, separators=(",", ":")).encode()


class Break(NamedTuple):
    """A line (counted from 1) at which the chain is broken, and how."""

    line: int
    said: str


class Verified(NamedTuple):
    """Count of the lines read, the first `previous` and the last hash of each chain, and what is wrong."""

    lines: int
    begins: Mapping[str, str]
    heads: Mapping[str, str]
    findings: list[Break]


def verify(lines: Iterable[bytes], heads: Mapping[str, str] | None = None) -> Verified:
    """Follow every chain through the lines. `heads`: where the chains stand at the start, from an earlier file.

    Finds lines that were altered, removed, added or moved. Lines cut off the end leave no trace in the rest: only a
    hash kept elsewhere (`heads` of an earlier run) shows that.
    """
    now = dict(heads or {})
    begins: dict[str, str] = {}
    findings: list[Break] = []
    torn: tuple[int, bytes] | None = None
    count = 0
    for count, raw in enumerate(lines, 1):
        line = raw.rstrip(b"\n")
        event = _event(line)
        if event is None:
            if torn:
                findings.append(Break(torn[0], "not a line of the audit log"))
            torn = (count, line)
            continue
        chain, previous = str(event.get("chain", "")), event["previous"]
        if torn:
            findings += _judged(torn, event)
            now[chain] = digest(torn[1]) if event.get("torn") else now.get(chain, FIRST)
            torn = None
        if chain not in now:
            begins[chain] = str(previous)
        elif previous != now[chain]:
            findings.append(Break(count, "does not follow the line before it: altered, removed, added or moved"))
        now[chain] = digest(line)
    if torn:
        findings.append(Break(torn[0], "the last line is torn"))
    return Verified(count, begins, now, findings)


def _judged(torn: tuple[int, bytes], following: Mapping[str, object]) -> Iterator[Break]:
    """Judge a torn line: a crash leaves one, and the next start says so."""
    if not following.get("torn") or following.get("previous") != digest(torn[1]):
        yield Break(torn[0], "not a line of the audit log")


def _event(line: bytes) -> dict[str, object] | None:
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) and isinstance(event.get("previous"), str) else None
