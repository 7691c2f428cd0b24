"""PEM blocks as Go's encoding/pem finds them, so that kubectl and ksecret see the same ones.

cryptography's own reader takes what Go passes over (a BOM, indentation, CR line ends) and refuses what Go takes.
Source: design KUBECTL, section 4.
"""

from __future__ import annotations

import binascii
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_DASHES = b"-----"
_BEGIN = b"-----BEGIN "
_END = b"-----END "


class Block(NamedTuple):
    """One block: its label, and the DER in it."""

    label: str
    der: bytes

    def __repr__(self) -> str:
        return f"Block({self.label!r}, masked)"


class _Known:
    """What a search from an earlier place has found, so that many beginnings don't each look through all of a text."""

    def __init__(self) -> None:
        self._headers = self._end = 0

    def headers_end(self, text: bytes, at: int) -> int:
        """Where the lines with a colon end that start at `at`."""
        if at < self._headers:  # within those that were passed over before
            return self._headers
        while b":" in (found := _line(text, at))[0]:
            at = self._headers = found[1]
        return at

    def end(self, text: bytes, at: int) -> int:
        """The line break before the next end of a block; -1 where there is none."""
        if 0 <= self._end < at:
            self._end = text.find(b"\n" + _END, at)
        return self._end


def blocks(text: bytes) -> Iterator[Block]:
    """The blocks of a text; a malformed one is passed over, as if it were not there."""
    at = 0
    known = _Known()
    while (at := _after_begin(text, at)) >= 0:
        label, body = _line(text, at)
        if not label.endswith(_DASHES):
            at = body
            continue
        found = _block(text, label[: -len(_DASHES)], body, known)
        if found is None:
            at = body
        else:
            block, at = found
            yield block


def _after_begin(text: bytes, at: int) -> int:
    """Just behind the next `-----BEGIN ` that starts a line; -1 where there is none."""
    if text.startswith(_BEGIN, at) and (at == 0 or text[at - 1 : at] == b"\n"):
        return at + len(_BEGIN)
    found = text.find(b"\n" + _BEGIN, at)
    return found + 1 + len(_BEGIN) if found >= 0 else -1


def _block(text: bytes, label: bytes, at: int, known: _Known) -> tuple[Block, int] | None:
    """The block whose lines start at `at`, and where the search goes on."""
    start = at
    at = known.headers_end(text, at)
    if at >= len(text):
        return None
    if at == start and text.startswith(_END, at):
        end, trailer = at, at + len(_END)
    else:
        end = known.end(text, at)
        trailer = end + 1 + len(_END)
    last, rest = _line(text, trailer)
    if end < 0 or last != label + _DASHES or text.find(b"-", at, end) >= 0:
        return None
    body = text[at:end].translate(None, b" \t\r\n")
    try:
        return Block(label.decode(errors="replace"), binascii.a2b_base64(body, strict_mode=True)), rest
    except binascii.Error:
        return None


def _line(text: bytes, at: int) -> tuple[bytes, int]:
    """The line at `at` without blanks and line break at its end, and where the next one starts."""
    end = text.find(b"\n", at)
    if end < 0:
        return text[at:].rstrip(b" \t"), len(text)
    return text[at:end].removesuffix(b"\r").rstrip(b" \t"), end + 1
