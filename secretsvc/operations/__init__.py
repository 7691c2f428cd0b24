"""Seal, open and what follows from them: the only place where manifest, envelope, formats and backends meet.

`Result` is what they give.
"""

from __future__ import annotations

from secretsvc.record import Record


class Result(Record):
    """`data`: the manifest's bytes, or a value's; `secrets`: how many Secrets the operation was about."""

    data: bytes
    secrets: int
    bound: bool = True
    """Whether what was opened is bound to its name and namespace, as not every format does."""

    notes: tuple[tuple[int, str], ...] = ()
    """What is likely a mistake, and no reason to stop: line and words, without any value."""

    def __repr__(self) -> str:
        return f"Result({self.secrets} Secrets, masked)"
