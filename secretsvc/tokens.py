"""How tokens look, for those who tell them from values without any cryptography (design FORMAT)."""

from __future__ import annotations

from base64 import b64decode, b64encode

TOKEN_PREFIX = "ksecret.v1."  # noqa: S105

SUFFIX = ".CONFLICT"
"""What a merge adds to a key's name. A token opens under its own name only, so nothing opens while it is in a file."""
UNMERGED = "a merge waits for you"
"""Said where a merge left two versions."""


def decode_strict(text: str) -> bytes:
    """Standard base64 in its one canonical spelling (RFC 4648, section 3.5), else ValueError."""
    raw = b64decode(text, validate=True)
    if b64encode(raw).decode() != text:
        raise ValueError("not canonical base64")
    return raw
