"""Keys that a person may choose to seal to, or have made: off the path of sealing and opening."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from secretsvc.record import Record

if TYPE_CHECKING:
    from secretsvc.keyref import KeyRef


class Offer(Record):
    """A key that the caller may choose to seal to."""

    ref: KeyRef
    about: str
    """Whose or what it is, for people; empty where nothing is known but its name."""


MOST_OFFERS = 100
"""Of one backend: a list that a person reads."""


@runtime_checkable
class Offers(Protocol):
    """Optional for a backend: a list of the keys that the caller could seal to, for a person to choose from."""

    def offers(self) -> list[Offer]:
        """The keys that the caller's credentials, or this machine, can list. Raises BackendError."""
        ...


@runtime_checkable
class Makes(Protocol):
    """Optional for a backend: a way to make a key of the caller's own."""

    wanted: str
    """What it must be told, for the question: `your name and address, as Alice Doe <alice@example.org>`."""

    def make(self, told: str) -> KeyRef:
        """Make a key, and return its KeyRef. Raises UsageError for what it can't be told, and BackendError."""
        ...
