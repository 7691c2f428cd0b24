"""SHA-256 and SHA-512 (FIPS 180-4) by the shortest way that a cold start can import them.

They are CPython's own, by names that are private to it, as the standard library's `random` imports them; `hashlib`,
which is behind them, would load OpenSSL.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hashlib import sha256, sha512
else:
    try:
        from _sha256 import sha256  # CPython 3.11
    except ImportError:
        try:
            from _sha2 import sha256  # since 3.12
        except ImportError:
            from hashlib import sha256

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


__all__ = ["sha256", "sha512"]
