"""Who is calling: static bearer tokens, of which only hashes are known, and JWTs."""

from __future__ import annotations

import time
from hashlib import sha256
from hmac import compare_digest
from secrets import token_urlsafe
from typing import TYPE_CHECKING, NamedTuple

from secretsvc.api.problems import UNAUTHENTICATED, RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from secretsvc.api.jwt import Claimed, Issuers
    from secretsvc.api.settings import Token

MAX_TOKEN = 4 * 1024
"""Characters of a token: those of known platforms have less than 2,000."""

_HINT = "send `Authorization: Bearer TOKEN`"


class Caller(NamedTuple):
    """Who was found to be calling: a token's holder, or an issuer's subject with its verified claims."""

    token: str = ""
    issuer: str = ""
    subject: str = ""
    claims: Mapping[str, object] = {}

    def as_json(self) -> dict[str, str]:
        """As the audit log names them."""
        return {"token": self.token} if self.token else {"issuer": self.issuer, "subject": self.subject}

    @property
    def id(self) -> tuple[str, str, str]:
        return self.token, self.issuer, self.subject


def new_token() -> tuple[str, str]:
    """A new token, 256 random bits, and the hash of it that a configuration holds."""
    text = f"kst_{token_urlsafe(32)}"
    return text, sha256(text.encode()).hexdigest()


class Authenticator:
    """Tells who sent an Authorization header."""

    def __init__(self, tokens: Sequence[Token], issuers: Issuers) -> None:
        self._tokens = [(bytes.fromhex(token.sha256), token.name, token.expires) for token in tokens]
        self._issuers = issuers

    def look(self, header: str) -> Caller | Claimed:
        """The caller; of a JWT what it claims, for `verified`. Raises RefusedError (401), which shows no token."""
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
        """Raises RefusedError: 401, or 503 where an issuer's keys can't be had, or too much is to be checked."""
        return await self._issuers.caller(claimed)

    def _holder(self, text: str) -> Caller:
        """Compares with every token, so that the time says nothing of which one came near."""
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


class UnauthenticatedError(RefusedError):
    """401; `reason` is the metric's label."""

    slowly = True

    def __init__(self, reason: str, detail: str, hint: str = "") -> None:
        super().__init__(UNAUTHENTICATED, detail, hint=hint, headers={"www-authenticate": 'Bearer realm="ksecret"'})
        self.reason = reason


def refused(reason: str, detail: str, hint: str = "") -> UnauthenticatedError:
    """The 401 for that reason: one word of a few, since it labels a metric."""
    return UnauthenticatedError(reason, detail, hint)
