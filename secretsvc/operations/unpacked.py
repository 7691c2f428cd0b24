"""The contents of a text, one level down or more: escapes resolved, lines joined, base64 decoded, gzip unpacked."""

from __future__ import annotations

import re
from binascii import Error, a2b_base64

from secretsvc import patience

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_LEVELS = 4
"""How many wrappings are taken off one after another: `base64(gzip(JSON in JSON))` has four."""

# Patterns as text: `re` compiles and keeps what is used, and a cold start pays for no other.
_ESCAPES = rb'(?:\\(?:[nrt"\'/\\]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8})){1,999}'
"""Escapes of JSON and YAML, many at once: two of `u` may be one character."""
_BASE64 = rb"[A-Za-z0-9+/_-]{16,}"
_STANDARD = bytes.maketrans(b"-_", b"+/")


class TooMuchError(Exception):
    """Too much was to be unpacked, or compared; `line` and `what` tell where, as far as is known."""

    line = 0
    what = "what stays in the clear"


class Room:
    """Room for the bytes that may come out of a whole manifest; what is compressed may be any number."""

    def __init__(self, size: int) -> None:
        """`size`: the manifest's, in bytes."""
        self.left = 4 * 1024 * 1024 + 6 * size

    def take(self, data: bytes) -> bytes:
        """Raises TooMuchError."""
        self.left -= len(data)
        if self.left < 0:
            raise TooMuchError
        return data


def unpacked(text: bytes, room: Room) -> Iterator[bytes]:
    """All that the text holds in other spellings than its own. Raises TooMuchError."""
    waiting = [(text, MAX_LEVELS)]
    while waiting:
        patience.check()
        outer, levels = waiting.pop()
        for inner in _inside(outer, room):
            yield room.take(inner)
            if levels > 1:
                waiting.append((inner, levels - 1))


def _inside(text: bytes, room: Room) -> Iterator[bytes]:
    if b"\\" in text:
        plain = _unescaped(text)
        if plain != text:
            yield plain
    if b"\n" in text or b"\r" in text:
        yield text.translate(None, b" \t\r\n#")
    for run in re.findall(_BASE64, text):
        if run.lower() != run:  # base64 of this length is hardly ever without a capital, and names often are
            yield _decompressed(_decoded(run), room)


def _unescaped(text: bytes) -> bytes:
    plain, at = bytearray(), 0  # not `re.sub`, which keeps every piece until the end
    for found in re.finditer(_ESCAPES, text):
        plain += text[at : found.start()]
        plain += _resolved(found[0])
        at = found.end()
    return bytes(plain + text[at:])


def _resolved(escapes: bytes) -> bytes:
    """Python knows all of them but that of a slash, and leaves halves of pairs."""
    halves = escapes.replace(rb"\/", b"/").decode("unicode_escape", "replace")
    return halves.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def _decoded(run: bytes) -> bytes:
    """Base64, standard or URL-safe, padded or not."""
    whole = run.translate(_STANDARD)
    if len(whole) % 4 == 1:
        whole = whole[:-1]
    try:
        return a2b_base64(whole + b"=" * (-len(whole) % 4))
    except Error:
        return b""


def _decompressed(data: bytes, room: Room) -> bytes:
    if data[:2] not in (b"\x1f\x8b", b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda"):
        return data
    import zlib

    try:
        return zlib.decompressobj(wbits=47).decompress(data, room.left + 1)
    except zlib.error:
        return data
