"""PEM blocks as Go's encoding/pem finds them, so that kubectl and ksecret see the same ones.

cryptography's own reader takes what Go passes over (a BOM, indentation, CR line ends) and refuses what Go takes.
Source: design KUBECTL, section 4.
"""

from __future__ import annotations

import binascii

from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_DASHES = b"-----"
_BEGIN = b"-----BEGIN "
_END = b"-----END "


class Block(Record):
    """One block: its label, and the DER in it."""

    label: str
    der: bytes

    def __repr__(self) -> str:
        return f"Block({self.label!r}, masked)"


def blocks(text: bytes) -> Iterator[Block]:
    """The blocks of a text; a malformed one is passed over, as if it were not there. No text is walked over twice."""
    at = headers_end = 0
    end = -1
    while (at := _after_begin(text, at)) >= 0:
        label, body = _line(text, at)
        at = body
        if not label.endswith(_DASHES):
            continue
        if body >= headers_end:  # else it stands among headers that were walked over already
            headers_end = _headers_end(text, body)
        if headers_end >= len(text):
            return  # so it is for every later one
        if headers_end == body and text.startswith(_END, body):
            end = body - 1
        elif end < headers_end and (end := text.find(b"\n" + _END, headers_end)) < 0:
            return
        last, rest = _line(text, end + 1 + len(_END))
        der = _decoded(text, headers_end, max(headers_end, end)) if last == label[: -len(_DASHES)] + _DASHES else None
        if der is not None:
            yield Block(label[: -len(_DASHES)].decode(errors="replace"), der)
            at = rest


def _after_begin(text: bytes, at: int) -> int:
    """Return the place behind the next `-----BEGIN ` that starts a line, as `at` does; -1 for none."""
    if text.startswith(_BEGIN, at):
        return at + len(_BEGIN)
    found = text.find(b"\n" + _BEGIN, at)
    return found + 1 + len(_BEGIN) if found >= 0 else -1


def _headers_end(text: bytes, at: int) -> int:
    """Find where the lines that start at `at` have no colon any more."""
    while True:
        line, following = _line(text, at)
        if b":" not in line:
            return at
        at = following


def _decoded(text: bytes, at: int, end: int) -> bytes | None:
    if text.find(b"-", at, end) >= 0:  # the next block's beginning, where this one has no end
        return None
    try:
        return binascii.a2b_base64(text[at:end].translate(None, b" \t\r\n"), strict_mode=True)
    except binascii.Error:
        return None


def _line(text: bytes, at: int) -> tuple[bytes, int]:
    """The line at `at` without blanks and line break at its end, and where the next one starts."""
    end = text.find(b"\n", at)
    if end < 0:
        return text[at:].rstrip(b" \t"), len(text)
    return text[at:end].removesuffix(b"\r").rstrip(b" \t"), end + 1
