"""AES-GCM, SHA-2, HMAC and HKDF as formats use them, by the shortest way that a cold start can import them.

AES-GCM (NIST SP 800-38D) is cryptography's, SHA-256 and SHA-512 (FIPS 180-4) are CPython's own. HMAC (RFC 2104) and
HKDF (RFC 5869) on SHA-256 are few lines; `hmac` and `hashlib` would load a second OpenSSL. Names that are private to
those have their documented ones behind them: the standard library's `random` and `hmac` import the same two so.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hashlib import sha256, sha512
    from hmac import compare_digest as equal

    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
else:
    try:
        from _sha256 import sha256  # CPython 3.11
    except ImportError:
        try:
            from _sha2 import sha256  # since 3.12
        except ImportError:
            from hashlib import sha256
    try:
        from _operator import _compare_digest as equal
    except ImportError:
        from hmac import compare_digest as equal

    def sha512(data):
        """Return the hash of the data. Imported when called: few files need it."""
        try:
            from _sha512 import sha512  # CPython 3.11
        except ImportError:
            try:
                from _sha2 import sha512  # since 3.12
            except ImportError:
                from hashlib import sha512
        return sha512(data)


__all__ = [
    "DEK_BYTES",
    "NONCE_BYTES",
    "TAG_BYTES",
    "aes_gcm",
    "equal",
    "hkdf_sha256",
    "hmac_sha256",
    "invalid_tag",
    "sha256",
    "sha512",
]

DEK_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
"""AES-256-GCM's, which all formats here use."""

_BLOCK = 64
"""Bytes that SHA-256 takes at a time."""
_INNER, _OUTER = (bytes(byte ^ pad for byte in range(256)) for pad in (0x36, 0x5C))


def aes_gcm(key: bytes) -> AESGCM:
    """Return AES-GCM under a key. Imported when called: whoever only hashes does without cryptography."""
    try:
        from cryptography.hazmat.bindings._rust import openssl

        kind: type[AESGCM] = openssl.aead.AESGCM
    except (ImportError, AttributeError):
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM as kind  # noqa: N811
    return kind(key)


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
