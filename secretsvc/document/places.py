"""Places in a text, in code points, as places in its bytes."""

from __future__ import annotations

from secretsvc.document.base import Edit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from secretsvc.manifest.splice import Edit as TextEdit

_STEP = 4096


class BytePlaces:
    """The places of one text, which stands in its file in UTF-8 behind `lead` bytes (of a BOM)."""

    def __init__(self, text: str, lead: int) -> None:
        self._text = text
        self._lead = lead
        self._starts: list[int] = []
        """Of the bytes of each piece of that many code points; none where all is ASCII."""
        if not text.isascii():
            at = 0
            for start in range(0, len(text), _STEP):
                self._starts.append(at)
                at += len(text[start : start + _STEP].encode("utf-8", "surrogatepass"))

    def in_bytes(self, at: int) -> int:
        """Return the byte offset in the file of a code point's place."""
        if not self._starts:
            return self._lead + at
        piece = min(at // _STEP, len(self._starts) - 1)
        return self._lead + self._starts[piece] + len(self._text[piece * _STEP : at].encode("utf-8", "surrogatepass"))

    def in_text(self, at: int) -> int:
        """Return the code point's place of a byte offset in the file, which must be a code point's first byte."""
        at -= self._lead
        if not self._starts:
            return at
        from bisect import bisect_right

        piece = bisect_right(self._starts, at) - 1
        rest = self._text[piece * _STEP : (piece + 1) * _STEP].encode("utf-8", "surrogatepass")
        return piece * _STEP + len(rest[: at - self._starts[piece]].decode("utf-8", "surrogatepass"))

    def edits(self, edits: Iterable[TextEdit]) -> list[Edit]:
        """Return edits of the text as edits of its bytes."""
        return [Edit(self.in_bytes(edit.start), self.in_bytes(edit.end), edit.new.encode()) for edit in edits]
