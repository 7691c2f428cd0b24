"""SHA-256 (FIPS 180-4) by the shortest way that a cold start can import it.

It is CPython's own, by names that are private to it, as the standard library's `random` imports them; `hashlib`, which
is behind them, would load OpenSSL.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hashlib import sha256
else:
    try:
        from _sha256 import sha256  # CPython 3.11
    except ImportError:
        try:
            from _sha2 import sha256  # since 3.12
        except ImportError:
            from hashlib import sha256

__all__ = ["sha256"]
