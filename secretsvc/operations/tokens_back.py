"""What somebody made of a clear text, with the sealed bytes of all that stayed the same put back: bytes alone.

Opening a file made edits of its sealed text. Where the typed text is the clear one still, the same places of the sealed
text stand for it, tokens and their shells and the format's own member. Nothing here is proven: who calls reads it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from secretsvc.document.base import Edit

_MOST_LINES = 20_000
"""That differ, from the first line that does to the last: in more no lines are looked for that stayed."""


class _Region:
    """An edit that opening made: where it stands in the sealed text, and what it became in the clear one."""

    __slots__ = ("clear_end", "clear_start", "end", "start")

    def __init__(self, start: int, end: int, clear_start: int, clear_end: int) -> None:
        self.start = start
        self.end = end
        self.clear_start = clear_start
        self.clear_end = clear_end


class _Hunk:
    """`clear[start:end]` became `typed[typed_start:typed_end]`."""

    __slots__ = ("end", "start", "typed_end", "typed_start")

    def __init__(self, start: int, end: int, typed_start: int, typed_end: int) -> None:
        self.start = start
        self.end = end
        self.typed_start = typed_start
        self.typed_end = typed_end


def with_tokens(sealed: bytes, edits: Iterable[Edit], clear: bytes, typed: bytes) -> Iterator[bytes]:
    """Yield texts that may mean what was typed, the likeliest first; what was typed itself is the last.

    `edits` are those that made `clear` of `sealed`. They differ in whether what opening took out where something was
    changed (the format's member) stands there still.
    """
    regions = _regions(edits)
    hunks = _widened(list(_hunks(clear, typed)), [one for one in regions if one.clear_start < one.clear_end], clear)
    for keeps in (True, False):
        yield _Text(sealed, clear, typed, regions, hunks).put_together(keeps=keeps)
    yield typed


def _regions(edits: Iterable[Edit]) -> list[_Region]:
    found, moved = [], 0
    for edit in sorted(edits, key=lambda edit: (edit.start, edit.end)):
        start = edit.start + moved
        found.append(_Region(edit.start, edit.end, start, start + len(edit.new)))
        moved += len(edit.new) - (edit.end - edit.start)
    return found


def _hunks(clear: bytes, typed: bytes) -> Iterator[_Hunk]:
    """Yield what differs, by lines, without the bytes at either end of a piece that are the same."""
    old, new = clear.splitlines(keepends=True), typed.splitlines(keepends=True)
    first = _common(old, new)
    last = _common(old[first:][::-1], new[first:][::-1])
    old_middle, new_middle = old[first : len(old) - last], new[first : len(new) - last]
    at, typed_at = (sum(map(len, old[:first])),) * 2
    for old_lines, new_lines, is_same in _pieces(old_middle, new_middle):
        before, after = b"".join(old_lines), b"".join(new_lines)
        if not is_same:
            head = _common(before, after)
            tail = _common(before[head:][::-1], after[head:][::-1])
            end, typed_end = at + len(before) - tail, typed_at + len(after) - tail
            yield _Hunk(at + head, end, typed_at + head, typed_end)
        at, typed_at = at + len(before), typed_at + len(after)


def _pieces(old: list[bytes], new: list[bytes]) -> Iterator[tuple[list[bytes], list[bytes], bool]]:
    if not (old and new) or len(old) + len(new) > _MOST_LINES:
        yield from [(old, new, False)] if old or new else []
        return
    from difflib import SequenceMatcher

    for tag, start, end, new_start, new_end in SequenceMatcher(None, old, new).get_opcodes():
        yield old[start:end], new[new_start:new_end], tag == "equal"


def _common(one: bytes | list[bytes], other: bytes | list[bytes]) -> int:
    """Return how many items both begin with."""
    most = min(len(one), len(other))
    if one[:most] == other[:most]:
        return most
    return next(at for at in range(most) if one[at] != other[at])


def _widened(hunks: list[_Hunk], regions: list[_Region], clear: bytes) -> list[_Hunk]:
    """Return the hunks with the whole of each value that they touch, and those that meet then as one."""
    starts, ends = [one.clear_start for one in regions], [one.clear_end for one in regions]
    found: list[_Hunk] = []
    for hunk in hunks:
        first, last = bisect_left(ends, hunk.start), bisect_right(starts, hunk.end)
        if first < last and ends[first] == hunk.start and clear[hunk.start - 1 : hunk.start] == b"\n":
            first += 1  # a block that ends on the line above
        start, end = hunk.start, hunk.end
        if first < last:
            start, end = min(start, starts[first]), max(end, ends[last - 1])
        typed_start, typed_end = hunk.typed_start - (hunk.start - start), hunk.typed_end + (end - hunk.end)
        if found and start <= found[-1].end:
            before = found[-1]
            typed_end += max(before.end - end, 0)
            found[-1] = _Hunk(before.start, max(end, before.end), before.typed_start, typed_end)
        else:
            found.append(_Hunk(start, end, typed_start, typed_end))
    return found


class _Text:
    """The texts that a typed one is put together of."""

    def __init__(self, sealed: bytes, clear: bytes, typed: bytes, regions: list[_Region], hunks: list[_Hunk]) -> None:
        self._sealed = sealed
        self._clear = clear
        self._typed = typed
        self._regions = regions
        self._hunks = hunks
        self._ends = [one.clear_end for one in regions]

    def put_together(self, *, keeps: bool) -> bytes:
        """`keeps`: whether what was taken out within a change stands behind it."""
        pieces: list[bytes] = []
        at = 0
        for hunk in self._hunks:
            pieces += (self._sealed_at(at, hunk.start), self._typed[hunk.typed_start : hunk.typed_end])
            gone = [one for one in self._regions_at(hunk.start, hunk.end) if keeps and one.clear_end < hunk.end]
            pieces += (self._sealed[one.start : one.end] for one in gone)
            at = hunk.end
        pieces.append(self._sealed_at(at, None))
        return b"".join(pieces)

    def _regions_at(self, start: int, end: int) -> list[_Region]:
        """Those that left nothing, between these places of the clear text or at either."""
        found = self._regions[bisect_left(self._ends, start) : bisect_right(self._ends, end)]
        return [one for one in found if one.clear_start == one.clear_end >= start]

    def _sealed_at(self, start: int, end: int | None) -> bytes:
        """The sealed text for a piece of the clear one; what left nothing at its start is in it, at its end is not."""
        return self._sealed[self._place(start) : len(self._sealed) if end is None else self._place(end)]

    def _place(self, at: int) -> int:
        """A place of the clear text in the sealed one: before what left nothing there."""
        number = bisect_right(self._ends, at) - 1
        while number >= 0 and self._regions[number].clear_start == at:
            number -= 1
        if number < 0:
            return at
        before = self._regions[number]
        return before.end + at - before.clear_end
