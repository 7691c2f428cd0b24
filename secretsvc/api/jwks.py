"""An issuer's public keys: from a file, from a URL, or from the URL that OIDC discovery tells."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
import time
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, HTTPSHandler, OpenerDirector, Request, build_opener

from jwt import PyJWK
from jwt.exceptions import InvalidKeyError, PyJWKError

from secretsvc import __version__
from secretsvc.api.problems import ISSUER, RefusedError
from secretsvc.errors import InputError

if TYPE_CHECKING:
    from secretsvc.api.settings import Issuer

MAX_BYTES = 1024 * 1024
FRESH = 600.0
"""Seconds after which keys are fetched again, so that a withdrawn one does not live on."""
STALE = 6 * 3600.0
"""Seconds for which keys serve when the issuer can't be reached."""
PAUSE = 10.0
"""Least seconds between two fetches, whatever tokens ask for."""
SECONDS = 5.0
"""For each of the fetch's two requests."""


_ALGORITHMS = {
    "RSA": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    "P-256": ("ES256",),
    "P-384": ("ES384",),
    "P-521": ("ES512",),
    "OKP": ("EdDSA",),
}
"""By type of key, or by curve (RFC 7518, section 3.1; RFC 8037): one key never serves two families."""


_ACCEPT = "application/json, application/jwk-set+json"
"""Kubernetes has its keys as the latter only (RFC 7517, section 8.5), and answers 406 to who does not name it."""
_LOG = logging.getLogger("ksecret")


class Key(NamedTuple):
    """A public key, and the algorithms that it may be used with."""

    key: Any
    algorithms: tuple[str, ...]


class NoKeyError(Exception):
    """The issuer has no key of that id."""


class Keys:
    """The keys of one issuer, by their id."""

    def __init__(self, issuer: Issuer) -> None:
        """Raises InputError for a JWKS file, or certificates, that can't be used."""
        self._issuer = issuer
        self._lock = asyncio.Lock()
        self._keys: dict[str, Key] = {}
        self._fetched = float("-inf")
        self._tried = float("-inf")
        self._fixed = bool(issuer.jwks_file)
        self._refreshing: asyncio.Task[None] | None = None
        if issuer.jwks_file:
            self._keys = _from_file(Path(issuer.jwks_file))
        else:
            self._opener = _opener(issuer.ca_file)

    async def key(self, kid: str) -> Key:
        """The key of that id; of no id, the only key there is. Raises NoKeyError, and RefusedError (503)."""
        found = self._find(kid)
        if self._fixed:
            pass
        elif found is None:
            async with self._lock:  # only tokens that name a new key wait for it
                if self._find(kid) is None and time.monotonic() - self._tried > PAUSE:
                    await self._fetch()
            found = self._find(kid)
        elif time.monotonic() - max(self._fetched + FRESH, self._tried + PAUSE) > 0:
            self._tried = time.monotonic()
            self._refreshing = asyncio.create_task(self._fetch())
        if not self._fixed and time.monotonic() - self._fetched > STALE:
            hint = "try again; if it stays so, the service can't reach the issuer"
            detail = f"the keys of {self._issuer.name} can't be fetched"
            raise RefusedError(ISSUER, detail, hint=hint, headers={"retry-after": "10"})
        if found is None:
            raise NoKeyError
        return found

    def _find(self, kid: str) -> Key | None:
        if not kid:
            return next(iter(self._keys.values())) if len(self._keys) == 1 else None
        return self._keys.get(kid)

    async def _fetch(self) -> None:
        self._tried = time.monotonic()
        try:
            keys = await asyncio.to_thread(_fetched, self._issuer, self._opener)
        except (OSError, ValueError, HTTPException) as error:
            _LOG.warning("the keys of %s can't be fetched: %s", self._issuer.name, _reason(error))
            return
        self._keys = keys
        self._fetched = time.monotonic()


def _from_file(path: Path) -> dict[str, Key]:
    try:
        return _parsed(path.read_bytes())
    except OSError as error:
        raise InputError(f"the JWKS can't be read: {error.strerror}", file=str(path)) from error
    except ValueError as error:
        raise InputError("not a JWKS with public keys (RFC 7517)", file=str(path)) from error


def _parsed(data: bytes) -> dict[str, Key]:
    """The signing keys of a JWKS; kinds that are not known are passed over (RFC 7517, section 5). Raises ValueError."""
    document = json.loads(data)
    if not isinstance(document, dict) or not isinstance(document.get("keys"), list):
        raise ValueError("not a JWKS")
    found: dict[str, Key] = {}
    for member in document["keys"]:
        usable = isinstance(member, dict) and member.get("use", "sig") == "sig" and member.get("kty") != "oct"
        if not usable:
            continue
        known = _ALGORITHMS.get(str(member.get("crv" if member.get("kty") == "EC" else "kty")), ())
        allowed = tuple(name for name in known if member.get("alg", name) == name)
        try:
            key = PyJWK.from_dict({name: text for name, text in member.items() if name not in _PRIVATE})
        except (PyJWKError, InvalidKeyError, ValueError, TypeError, KeyError):
            continue
        if allowed:
            found[str(member.get("kid", ""))] = Key(key.key, allowed)
    if not found:
        raise ValueError("no usable key")
    return found


_PRIVATE = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """A redirect could lead away from https, or to another host."""


def _opener(ca_file: str) -> OpenerDirector:
    try:
        context = ssl.create_default_context(cafile=ca_file or None)
    except OSError as error:  # an SSLError is one, and quotes nothing
        raise InputError("certificates that can't be used: it must be PEM, and readable", file=ca_file) from error
    return build_opener(_NoRedirects, HTTPSHandler(context=context))


def _reason(error: Exception) -> str:
    """Why, without a word of the answer."""
    if isinstance(error, HTTPError):
        return f"HTTP {error.code}"
    cause = error.reason if isinstance(error, URLError) else error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {cause.verify_message}"
    if isinstance(cause, OSError):
        return cause.strerror or type(cause).__name__
    return "not the document that it should be"


def _fetched(issuer: Issuer, opener: OpenerDirector) -> dict[str, Key]:
    """Raises OSError, ValueError and HTTPException."""
    url = issuer.jwks_url
    if not url:
        document = json.loads(_get(f"{issuer.issuer.rstrip('/')}/.well-known/openid-configuration", opener))
        # OpenID Connect Discovery 1.0, section 4.3: the document's issuer must be the one that was asked for.
        if not isinstance(document, dict) or document.get("issuer") != issuer.issuer:
            raise ValueError("another issuer's document")
        url = str(document.get("jwks_uri"))
        if not url.startswith("https://") and not issuer.issuer.startswith("http://"):
            raise ValueError("keys are fetched by https:// only")
    return _parsed(_get(url, opener))


def _get(url: str, opener: OpenerDirector) -> bytes:
    request = Request(url, headers={"User-Agent": f"ksecret/{__version__}", "Accept": _ACCEPT})  # noqa: S310
    until = time.monotonic() + SECONDS
    data = b""
    with opener.open(request, timeout=SECONDS) as answer:
        while part := answer.read1(MAX_BYTES):
            data += part
            if len(data) > MAX_BYTES or time.monotonic() > until:  # the timeout is for each part alone
                raise ValueError("too large, or too slow")
    return data
