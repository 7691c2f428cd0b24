"""JWTs as bearer tokens (RFC 7519, and RFC 8725's advice), checked by PyJWT."""

from __future__ import annotations

import asyncio
import json
import time
from base64 import urlsafe_b64decode
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

import jwt as pyjwt

from secretsvc.api.auth.caller import Caller, UnauthenticatedError, refused
from secretsvc.api.auth.jwks import FetchedKeys, FileKeys, UnknownKeyError
from secretsvc.api.problems import busy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from secretsvc.api.auth.jwks import Keys, PublicKey
    from secretsvc.api.settings import Issuer

_REASONS: tuple[tuple[type[pyjwt.InvalidTokenError], str, str], ...] = (
    (pyjwt.ExpiredSignatureError, "expired", "the token has expired"),
    (pyjwt.ImmatureSignatureError, "not-yet", "the token is not valid yet"),
    (pyjwt.InvalidAudienceError, "audience", "the token is for another audience"),
    (pyjwt.InvalidIssuerError, "issuer", "the token's issuer is not known"),
    (pyjwt.MissingRequiredClaimError, "claims", "the token lacks one of exp, iss, aud"),
    (pyjwt.InvalidAlgorithmError, "algorithm", "the token's algorithm is not allowed"),
    (pyjwt.InvalidSignatureError, "signature", "the token's signature does not fit"),
)


MOST_AT_A_TIME = 32
"""Signatures that are checked or wait for it."""
REST = 0.002
"""Seconds without a check after one that failed: who brings bad signatures gets a tenth of a core at most."""
MOST_REMEMBERED = 1000
"""Tokens that were found good, the one that was used longest ago being forgotten first."""


class Claimed(NamedTuple):
    """Claims of a token about itself, of which nothing is believed: it chooses what to check it with."""

    token: str
    issuer: str
    algorithm: str
    key: str

    def __repr__(self) -> str:
        return "Claimed(masked)"


class _Good(NamedTuple):
    """A token that was checked, with that key of its issuer's."""

    key: PublicKey
    claims: Mapping[str, Any]


class Issuers:
    """Issuers whose tokens are taken."""

    def __init__(self, issuers: Sequence[Issuer]) -> None:
        """Raises InputError for files of theirs that can't be used."""
        self._issuers = {issuer.issuer: (issuer, _keys(issuer)) for issuer in issuers}
        self._algorithms = {name for issuer in issuers for name in issuer.algorithms}
        self._checker = ThreadPoolExecutor(1, thread_name_prefix="jwt")  # more would keep the others waiting
        self._checking = 0
        self._good: OrderedDict[bytes, _Good] = OrderedDict()

    def claimed(self, token: str) -> Claimed:
        """Read cheaply, since anybody may send anything: each part once, and the second where the first fits.

        Raises RefusedError: 401 for what names no issuer, or an algorithm that is not allowed; 503 as `caller`.
        """
        if not self._issuers:
            raise refused("issuer", "no issuer of JWTs is known")
        if _digest(token) not in self._good:
            self._find_place()
        head, body, _ = token.split(".")
        header = _object(head)
        algorithm, kid = header.get("alg"), header.get("kid", "")
        texts = isinstance(algorithm, str) and isinstance(kid, str)
        if "crit" in header or not texts or algorithm not in self._algorithms:
            raise refused("algorithm", "the token's algorithm is not allowed")
        name = _object(body).get("iss")
        if not isinstance(name, str) or name not in self._issuers:
            raise refused("issuer", "the token's issuer is not known")
        if algorithm not in self._issuers[name][0].algorithms:
            raise refused("algorithm", "the token's algorithm is not allowed")
        return Claimed(token, name, algorithm, kid)

    async def caller(self, claimed: Claimed) -> Caller:
        """Return whom the token is about, every claim verified.

        Raises RefusedError: 401, or 503 where keys can't be had, or too many signatures wait to be checked.
        """
        issuer, keys = self._issuers[claimed.issuer]
        try:
            key = await keys.key(claimed.key)
        except UnknownKeyError:
            raise refused("key", "the token was signed by a key that its issuer does not show") from None
        if claimed.algorithm not in key.algorithms:
            raise refused("algorithm", "the token's algorithm is not allowed")
        claims = await self._verified(claimed, issuer, key)
        return Caller(issuer=issuer.name, subject=str(claims.get("sub", ""))[:500], claims=claims)

    async def _verified(self, claimed: Claimed, issuer: Issuer, key: PublicKey) -> Mapping[str, Any]:
        """Return the token's claims; of one that was found good with the very key, if only it has not expired since.

        A key that its issuer shows no more, or shows anew, is another: then the token is checked anew, too.
        """
        which = _digest(claimed.token)
        good = self._good.pop(which, None)
        if good and good.key is key and int(good.claims["exp"]) > time.time() - issuer.leeway:
            self._good[which] = good
            return good.claims
        self._find_place()
        self._checking += 1
        try:
            loop = asyncio.get_running_loop()
            claims = await loop.run_in_executor(self._checker, _checked, claimed, issuer, key)
        finally:
            self._checking -= 1
        self._good[which] = _Good(key, claims)
        if len(self._good) > MOST_REMEMBERED:
            self._good.popitem(last=False)
        return claims

    def _find_place(self) -> None:
        """Raises RefusedError (503)."""
        if self._checking >= MOST_AT_A_TIME:
            error = busy("too many tokens at a time whose signatures are to be checked")
            error.slowly = True
            raise error


def _digest(token: str) -> bytes:
    return sha256(token.encode()).digest()


def _object(part: str) -> dict[str, Any]:
    """Read a part of a JWT as JSON. Raises RefusedError (401)."""
    try:
        found = json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, RecursionError):
        raise _malformed() from None
    if not isinstance(found, dict):
        raise _malformed()
    return found


def _checked(claimed: Claimed, issuer: Issuer, key: PublicKey) -> Mapping[str, Any]:
    """Return the claims, once PyJWT has found them and the signature good. Raises RefusedError (401)."""
    try:
        claims: dict[str, Any] = pyjwt.decode(
            claimed.token,
            key.key,
            algorithms=[claimed.algorithm],
            audience=issuer.audience,
            issuer=issuer.issuer,
            leeway=issuer.leeway,
            options={"require": ["exp", "iss", "aud"]},
        )
    except pyjwt.InvalidTokenError as error:
        time.sleep(REST)
        for kind, reason, said in _REASONS:
            if isinstance(error, kind):
                raise refused(reason, said) from None
        raise _malformed() from None
    except (pyjwt.PyJWTError, ValueError, TypeError, RecursionError):
        raise _malformed() from None
    return claims


def _malformed() -> UnauthenticatedError:
    return refused("malformed", "not a JWT that can be read")


def _keys(issuer: Issuer) -> Keys:
    return FileKeys(issuer.jwks_file) if issuer.jwks_file else FetchedKeys(issuer)
