"""Merging of envelopes: its input and result, and what formats share of it. No key takes part."""

from __future__ import annotations

from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Literal, TypeAlias, TypeVar

    Side: TypeAlias = Literal["ours", "theirs"]
    Key = TypeVar("Key")


class UnmergeableError(Exception):
    """The texts are not such that entries can be told apart by lines: the caller merges them as plain text."""


class EnvelopeLines(Record):
    """An envelope in one version of a file: `text[start:end]`, whole lines without the last line break."""

    start: int
    end: int
    own: Any
    """What the format makes of it."""


class MergedEnvelope(Record):
    """The lines that go where the envelope stood. `home`: whose data key it is, where the sides have different ones."""

    text: str
    home: Side | None
    conflict: str
    """What the sides disagree on; empty where they don't."""


def merge_keys(base: Mapping[Key, str], ours: Mapping[Key, str], theirs: Mapping[Key, str]) -> dict[Key, str]:
    """KeyRef by KeyRef the side that changed; where both did, either serves, since both wrap the same DEK."""
    merged = {}
    for ref in {**ours, **theirs}:
        before, left, right = base.get(ref), ours.get(ref), theirs.get(ref)
        taken = right if left == before else left if right == before else left or right
        if taken is not None:
            merged[ref] = taken
    return merged


def home_of(base_is_ours: bool, base_is_theirs: bool) -> Side:
    """Return the side with the new data key; ours where both have one."""
    return "theirs" if base_is_ours and not base_is_theirs else "ours"
