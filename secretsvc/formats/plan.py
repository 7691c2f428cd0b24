"""Sealing one Secret: the plan for it, and what comes of it."""

from __future__ import annotations

from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from secretsvc.formats.base import Opened, Place
    from secretsvc.keyref import WrappedKey
    from secretsvc.manifest.splice import Edit


class Plan(Record):
    """A plan for sealing one Secret."""

    dek: bytes
    keys: tuple[WrappedKey, ...]
    """Those that stay first, in their order."""
    sealed_for: str
    created: str
    """When the DEK was made."""
    before: Opened | None
    """What of it is sealed already and stays as it is."""
    known: Opened | None
    """Whose tokens and proof serve again where the value is the same: a former self or a parent, of the same DEK."""
    threshold: int = 1
    """How many groups of keys have to be opened."""

    def kept(self, place: Place, value: Any) -> str:
        """Return the token that serves again for that value there; empty where a new one is to be made."""
        return self.known.tokens[place] if self.known and self.known.values.get(place) == value else ""

    def __repr__(self) -> str:
        return "Plan(masked)"


class Made(Record):
    """The result of sealing one Secret."""

    edits: list[Edit]
    own: Any
    """What `read` is to give as `own`, once the edits are made."""

    def __repr__(self) -> str:
        return f"Made({len(self.edits)} edits, masked)"
