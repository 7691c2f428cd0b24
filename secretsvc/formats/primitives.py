"""AES-GCM, HMAC and HKDF as formats use them, by the shortest way that a cold start can import them.

AES-GCM (NIST SP 800-38D) is cryptography's. HMAC (RFC 2104) and HKDF (RFC 5869) on
it are few lines; `hmac` and `hashlib` would load a second OpenSSL. Names that are private to those have their
documented ones behind them: the standard library's `random` and `hmac` import the same two so.
"""

from __future__ import annotations

from secretsvc.formats.sha2 import sha256

try:
    from cryptography.hazmat.bindings._rust import openssl

    AESGCM = openssl.aead.AESGCM
except (ImportError, AttributeError):
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
try:
    from _operator import _compare_digest as equal
except ImportError:
    from hmac import compare_digest as equal  # type: ignore[no-redef]

__all__ = ["AESGCM", "DEK_BYTES", "NONCE_BYTES", "TAG_BYTES", "equal", "hkdf_sha256", "hmac_sha256", "invalid_tag"]

DEK_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
"""AES-256-GCM's, which all formats here use."""

_BLOCK = 64
"""Bytes that SHA-256 takes at a time."""
_INNER, _OUTER = (bytes(byte ^ pad for byte in range(256)) for pad in (0x36, 0x5C))


def invalid_tag() -> type[Exception]:
    """Return what AES-GCM raises for a text that was altered; only whoever catches it imports it."""
    from cryptography.exceptions import InvalidTag

    return InvalidTag


def hmac_sha256(key: bytes, *parts: bytes) -> bytes:
    """HMAC-SHA256 of the parts, one after the other (RFC 2104, section 2). The key: any number of bytes."""
    block = (key if len(key) <= _BLOCK else sha256(key).digest()).ljust(_BLOCK, b"\0")
    inner = sha256(block.translate(_INNER) + b"".join(parts)).digest()
    return sha256(block.translate(_OUTER) + inner).digest()


def hkdf_sha256(key: bytes, *infos: bytes) -> list[bytes]:
    """HKDF-SHA256 without a salt: 32 bytes for each of these purposes (RFC 5869, section 2: one block of output)."""
    extracted = hmac_sha256(bytes(32), key)
    return [hmac_sha256(extracted, info, b"\x01") for info in infos]
