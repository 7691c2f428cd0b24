"""JSON as Go's encoding/json prints it, which is what kubectl hashes, stores and shows."""

from __future__ import annotations

from json import dumps

_ESCAPED = {ord(mark): f"\\u{ord(mark):04x}" for mark in "<>&\u2028\u2029"}
_ESCAPED |= dict.fromkeys(range(0xDC80, 0xDD00), "\\ufffd")  # Python's stand-ins for bytes that are not UTF-8


def go_json(value: object, indent: int | None = None) -> str:
    """Compact unless indented; members in the order given (design KUBECTL, sections 5.1, 6 and 8)."""
    separators = (",", ":") if indent is None else (",", ": ")
    return dumps(value, ensure_ascii=False, indent=indent, separators=separators).translate(_ESCAPED)


def go_text(raw: bytes) -> str:
    """Bytes as `go_json` takes them: it makes one U+FFFD of each that is not UTF-8, as Go does."""
    return raw.decode(errors="surrogateescape")
