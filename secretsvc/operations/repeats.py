"""Values that stand once more, in the clear, in what stays of a manifest beside its tokens."""

from __future__ import annotations

import re
from bisect import bisect_right
from contextlib import contextmanager
from itertools import accumulate, islice

from secretsvc.errors import RepeatedError
from secretsvc.manifest.model import decode_base64
from secretsvc.operations.clear_rest import commented_entries
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from secretsvc.manifest.model import Manifest
    from secretsvc.operations.clear_rest import ClearBefore, ClearPiece, ClearRest
    from secretsvc.operations.needles import Needles
    from secretsvc.operations.unpacked import Room

HINT = "take it out, and change the value if it was pushed; where it is no secret: --allow-repeated"
_GUARDED = r"(?i)pass|pwd|secret|token|cred|salt|private|(?<![a-z])key(?![a-z])|apikey"
"""In the key of an entry whose value is nothing that a label describes, as a user's or a database's name may be."""
_APART = b"\xff\0\xff"
_TOGETHER = 1 << 20
"""Bytes that are searched at once."""
_MOST_HITS = 1000
"""Of which the first in the text is told."""


@contextmanager
def lines_of(file: bytes, sealed: bytes) -> Iterator[None]:
    """Has a RepeatedError about a text that is not quite the file's own tell the file's line; 0 for a line it lacks."""
    try:
        yield
    except RepeatedError as error:
        lines = sealed.splitlines()
        line = lines[error.line - 1] if 0 < error.line <= len(lines) else b""
        rank = lines[: error.line].count(line)
        same = (number for number, one in enumerate(file.splitlines(), 1) if line and one == line)
        error.line = next(islice(same, rank - 1, None), 0) if rank else 0
        raise


class Known(Record):
    """A value that an operation knows: the Secret's label, the entry, and its text in the manifest."""

    label: str
    field: str
    key: str
    text: str

    @property
    def entry(self) -> str:
        return f'{self.field}["{self.key}"] of {self.label}'

    @property
    def data(self) -> bytes:
        """Return what a container gets; the text as it stands where that is no base64."""
        raw = self.text.encode("utf-8", "surrogatepass")
        try:
            return decode_base64(self.text) if self.field == "data" else raw
        except ValueError:
            return raw

    def __repr__(self) -> str:
        return f"Known({self.entry}, masked)"


def refuse_repeats(
    manifest: Manifest,
    rest: ClearRest,
    given: Iterable[Known],
    held: Iterable[Known],
    before: ClearBefore | None = None,
) -> None:
    """Looks for the values in `rest`, which is all that stays in the clear. Of the manifest, an outline will do.

    That is comments, annotations and labels, other objects, in the text's own spelling or another, and one level down.
    A value that is a name, a type or a key in the manifest is not looked for. `held`: values that were sealed
    already when `before` was what is in the clear; that was let pass then, and is not looked through for them again.
    Raises RepeatedError, with the line.
    """
    if not rest.pieces:
        return
    old = list(held)
    fresh = list(before.fresh(rest.pieces)) if before and old else rest.pieces
    found = []
    for pieces, known in ((rest.pieces, list(given)), (fresh, old)):
        found += [*_commented(pieces, manifest, known), *_repeated(pieces, rest, manifest, known)]
    if found:
        line, message = min(found)
        raise RepeatedError(message, hint=HINT, line=line)


def _commented(pieces: list[ClearPiece], manifest: Manifest, known: list[Known]) -> Iterator[tuple[int, str]]:
    """Comments that read as an entry with its value, however short that is."""
    from secretsvc.operations.needles import is_public

    secret_ones = [one for one in known if not is_public(one.data.strip())]
    values = {(one.key, text) for one in secret_ones for text in (one.text, one.data.decode("utf-8", "replace"))}
    for line, secret, key, text in commented_entries(pieces, manifest.secrets) if values else ():
        if (key, text) in values:
            yield line, f"a comment repeats the value of {key} of {secret.label} in the clear"


def _is_called(one: Known, rest: ClearRest) -> bool:
    """Tell whether the manifest says by that text what an object is, or what it belongs to."""
    text = one.data.strip().decode("utf-8", "replace")
    return text in rest.identities or (text in rest.descriptions and not re.search(_GUARDED, one.key))


def _repeated(
    pieces: list[ClearPiece], rest: ClearRest, manifest: Manifest, known: list[Known]
) -> Iterator[tuple[int, str]]:
    from secretsvc.operations.needles import LEAST, Needles, spellings
    from secretsvc.operations.unpacked import Room, TooMuchError

    texts = [(piece, piece.text.encode("utf-8", "surrogatepass")) for piece in pieces]
    texts = [(piece, text) for piece, text in texts if len(text) >= LEAST]
    owners = {
        spelling: one.entry
        for one in reversed(known)  # of several with one value, the first is named
        if not _is_called(one, rest)
        for spelling in spellings(one.data)
    }
    if not (texts and owners):
        return
    needles = Needles(owners)
    try:
        found = _first(needles, texts)
        if found:
            piece, at, entry = found
            before = piece.text.encode("utf-8", "surrogatepass")[:at] if piece.lined else b""
            yield piece.line + before.count(b"\n"), f"{piece.what} repeats the value of {entry} in the clear"
            return
        hits = (_first(needles, some) for some in _unpacked(texts, Room(len(manifest.text))))
        found = next(filter(None, hits), None)
        if found:
            piece, _, entry = found
            yield piece.line, f"{piece.what} holds the value of {entry} in the clear, in another spelling"
    except TooMuchError as error:
        yield error.line, f"{error.what} holds more than can be looked through for values that it repeats"


def _unpacked(texts: list[tuple[ClearPiece, bytes]], room: Room) -> Iterator[list[tuple[ClearPiece, bytes]]]:
    """Return what the pieces hold in other spellings, some of it at a time. Raises TooMuchError."""
    from secretsvc.operations.unpacked import TooMuchError, unpacked

    some: list[tuple[ClearPiece, bytes]] = []
    size = 0
    for piece, text in texts:
        try:
            for inner in unpacked(text, room):
                some.append((piece, inner))
                size += len(inner)
                if size > _TOGETHER:
                    yield some
                    some, size = [], 0
        except TooMuchError as error:
            error.line, error.what = piece.line, piece.what
            raise
    yield some


def _first(needles: Needles, texts: list[tuple[ClearPiece, bytes]]) -> tuple[ClearPiece, int, str] | None:
    """The first text in which a value stands: its piece, the place in it, and the entry."""
    hits = min(islice(_hits(needles, [text for _, text in texts]), _MOST_HITS), default=None)
    return (texts[hits[0]][0], *hits[1:]) if hits else None


def _hits(needles: Needles, texts: list[bytes]) -> Iterator[tuple[int, int, str]]:
    starts = list(accumulate((len(text) + len(_APART) for text in texts), initial=0))
    for start, end, entry in needles.found(_APART.join(texts)):
        index = bisect_right(starts, start) - 1
        if end <= starts[index] + len(texts[index]):  # and not across two of them
            yield index, start - starts[index], entry
