"""Merging of envelopes: its input and result, and what formats share of it. No key takes part."""

from __future__ import annotations

from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, Literal, Protocol, TypeAlias, TypeVar

    from secretsvc.formats.base import Opened, Place, Sealed
    from secretsvc.manifest.model import Manifest, Secret
    from secretsvc.manifest.nodes import Member

    Side: TypeAlias = Literal["ours", "theirs"]
    Key = TypeVar("Key")
else:
    Protocol = object


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


class Merges(Protocol):
    """Optional for a format: a way to merge three versions of a file entry by entry, without a key."""

    def lines(self, manifest: Manifest, secret: Secret) -> EnvelopeLines:
        """Return the Secret's envelope.

        Raises UnmergeableError for one that is not of lines of its own, or not complete.
        """
        ...

    def home(self, sides: Sequence[EnvelopeLines]) -> Side | None:
        """Return the side with the data key of the merged Secret, where the two have different ones.

        Raises UnmergeableError where no side can be taken.
        """
        ...

    def envelope(
        self, sides: Sequence[EnvelopeLines], home: Side | None, values: Mapping[Place, str] | None, name: str
    ) -> MergedEnvelope:
        """Return the merged envelope. `values`: the merged tokens, None where they are in conflict; `name`: the file's.

        Raises UnmergeableError.
        """
        ...

    def mixes_data_keys(self, origins: Sequence[Secret], merged: Secret) -> bool:
        """Tell whether the merged Secret has a token of another data key than its envelope's, as far as texts tell."""
        ...

    def second(self, secret: Secret) -> Member | None:
        """Return the member in which a merge kept the other side's envelope, as a text."""
        ...

    def read_second(self, text: str, line: int) -> Sealed:
        """Return what that text says. Raises ManifestError, InputError, AlteredError."""
        ...

    def joined(self, opened: Opened, other: Sealed, secret: Secret) -> Opened:
        """Return what was opened, with the keys of the other side's envelope, which a merge kept, too.

        Raises AlteredError unless the DEK itself vouches for that envelope: nobody else's may get into the keyset.
        """
        ...

    def without_note(self, text: str) -> str:
        """Return the text without the comment that says that a proof is to be made anew.

        It is the same text where there is none.
        """
        ...


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
