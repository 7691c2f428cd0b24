"""Words about tokens that several places need, whatever the format: how SOPS's look, and what a merge does to names."""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64

SOPS_MARK = b"ENC[AES256_GCM,"
"""How they all start."""

SOPS_TOKEN = r"ENC\[AES256_GCM,data:[A-Za-z0-9+/=]*,iv:[A-Za-z0-9+/=]+,tag:[A-Za-z0-9+/=]+,type:[a-z]+\]"  # noqa: S105
"""The whole shape of SOPS's tokens (https://github.com/getsops/sops, aes/cipher.go)."""

NOT_YET = "this is not done for SOPS's files yet: ksecret decrypt, get, set, unset, edit, rotate and keys work on them"
"""What to do about a whole file of SOPS's where only Secrets in other formats are worked on."""
SOPS_CUT = "what SOPS writes beside its MAC is not there, and nothing opens it so: restore the file from Git"
"""What to do about one that has lost its time, its version or its keys."""

SUFFIX = ".CONFLICT"
"""What a merge adds to a key's name. A token opens under its own name only, so nothing opens while it is in a file."""
UNMERGED = "a merge waits for you"
"""Said where a merge left two versions."""


def encode_base64(data: bytes) -> str:
    """Standard base64 in one line. (`base64` would do, whose import a start does not need: it imports `re`.)"""
    return b2a_base64(data, newline=False).decode()


def decode_strict(text: str) -> bytes:
    """Standard base64 in its one canonical spelling (RFC 4648, section 3.5), else ValueError."""
    raw = a2b_base64(text, strict_mode=True)
    if encode_base64(raw) != text:
        raise ValueError("not canonical base64")
    return raw
