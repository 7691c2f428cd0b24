"""Authenticator of callers: by static bearer tokens, of which only hashes are known, and by JWTs."""

from __future__ import annotations

import time
from hashlib import sha256
from hmac import compare_digest
from secrets import token_urlsafe
from typing import TYPE_CHECKING

from secretsvc.api.auth.caller import Caller, refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from secretsvc.api.auth.jwt import Claimed, Issuers
    from secretsvc.api.settings import Token

MAX_TOKEN = 4 * 1024
"""Characters of a token: those of known platforms have less than 2,000."""

_HINT = "send `Authorization: Bearer TOKEN`"


def new_token() -> tuple[str, str]:
    """Make a new token, 256 random bits, and the hash of it that a configuration holds."""
    text = f"kst_{token_urlsafe(32)}"
    return text, sha256(text.encode()).hexdigest()


class Authenticator:
    """Teller of who sent an Authorization header."""

    def __init__(self, tokens: Sequence[Token], issuers: Issuers) -> None:
        self._tokens = [(bytes.fromhex(token.sha256), token.name, token.expires) for token in tokens]
        self._issuers = issuers

    def look(self, header: str) -> Caller | Claimed:
        """Return the caller; of a JWT what it claims, for `verified`. Raises RefusedError (401) without the token."""
        scheme, _, text = header.partition(" ")
        text = text.strip()
        if not header:
            raise refused("missing", "no token", _HINT)
        if scheme.lower() != "bearer" or not text or len(text) > MAX_TOKEN:
            raise refused("malformed", "not a bearer token", _HINT)
        if text.count(".") == 2:
            return self._issuers.claimed(text)
        return self._holder(text)

    async def verified(self, claimed: Claimed) -> Caller:
        """Verify a claim. Raises RefusedError: 401, or 503: no keys of the issuer, or too much is to be checked."""
        return await self._issuers.caller(claimed)

    def _holder(self, text: str) -> Caller:
        """Compare with every token, so that the time says nothing of which one came near."""
        presented = sha256(text.encode()).digest()
        found: tuple[str, str] | None = None
        for known, name, expires in self._tokens:
            if compare_digest(presented, known):
                found = name, expires
        if not found:
            raise refused("unknown", "the token is not known")
        name, expires = found
        if expires and expires <= time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()):
            raise refused("expired", "the token has expired")
        return Caller(token=name)
