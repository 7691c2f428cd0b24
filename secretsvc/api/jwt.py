"""JWTs as bearer tokens (RFC 7519, and RFC 8725's advice), checked by PyJWT."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jwt as pyjwt

from secretsvc.api.auth import Caller, refused
from secretsvc.api.jwks import FileKeys, NoKeyError
from secretsvc.api.jwks_fetched import FetchedKeys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from secretsvc.api.jwks import Keys
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


class Issuers:
    """Those whose tokens are taken."""

    def __init__(self, issuers: Sequence[Issuer]) -> None:
        """Raises InputError for files of theirs that can't be used."""
        self._issuers = {issuer.issuer: (issuer, _keys(issuer)) for issuer in issuers}

    async def caller(self, token: str) -> Caller:
        """Whom the token is about, every claim verified. Raises RefusedError: 401, or 503 where keys can't be had."""
        try:
            header = pyjwt.get_unverified_header(token)
            claimed = pyjwt.decode(token, options={"verify_signature": False})
        except (pyjwt.InvalidTokenError, ValueError, RecursionError):
            raise refused("malformed", "not a JWT that can be read") from None
        known = self._issuers.get(claimed["iss"]) if isinstance(claimed.get("iss"), str) else None
        if not known:
            raise refused("issuer", "the token's issuer is not known")
        issuer, keys = known
        kid = header.get("kid", "")
        if "crit" in header or header.get("alg") not in issuer.algorithms or not isinstance(kid, str):
            raise refused("algorithm", "the token's algorithm is not allowed")
        try:
            key = await keys.key(kid)
        except NoKeyError:
            raise refused("key", "the token was signed by a key that its issuer does not show") from None
        if header["alg"] not in key.algorithms:
            raise refused("algorithm", "the token's algorithm is not allowed")
        try:
            claims = pyjwt.decode(
                token,
                key.key,
                algorithms=[header["alg"]],
                audience=issuer.audience,
                issuer=issuer.issuer,
                leeway=issuer.leeway,
                options={"require": ["exp", "iss", "aud"]},
            )
        except pyjwt.InvalidTokenError as error:
            for kind, reason, said in _REASONS:
                if isinstance(error, kind):
                    raise refused(reason, said) from None
            raise refused("malformed", "not a JWT that can be read") from None
        except (pyjwt.PyJWTError, ValueError, TypeError):
            raise refused("malformed", "not a JWT that can be read") from None
        return Caller(issuer=issuer.name, subject=str(claims.get("sub", ""))[:500], claims=claims)


def _keys(issuer: Issuer) -> Keys:
    return FileKeys(issuer.jwks_file) if issuer.jwks_file else FetchedKeys(issuer)
