"""Public keys of an issuer (JWKS, RFC 7517): from a file, from a URL, or from the URL that OIDC discovery tells."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
import time
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, HTTPSHandler, OpenerDirector, Request, build_opener

from jwt import PyJWK
from jwt.exceptions import InvalidKeyError, PyJWKError

from secretsvc import __version__
from secretsvc.api.problems import ISSUER, RefusedError
from secretsvc.api.transport.watched import Watched
from secretsvc.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from secretsvc.api.settings import Issuer

_ALGORITHMS = {
    "RSA": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    "P-256": ("ES256",),
    "P-384": ("ES384",),
    "P-521": ("ES512",),
    "OKP": ("EdDSA",),
}
"""Algorithms by type of key, or by curve (RFC 7518, section 3.1; RFC 8037): one key never serves two families."""


_PRIVATE = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")

MAX_BYTES = 1024 * 1024
FRESH = 600.0
"""Seconds after which keys are fetched again, so that a withdrawn one does not live on."""
STALE = 6 * 3600.0
"""Seconds for which keys serve when the issuer can't be reached."""
PAUSE = 10.0
"""Least seconds between two fetches, whatever tokens ask for."""
SECONDS = 5.0
"""Seconds for each of the fetch's two requests."""

_ACCEPT = "application/json, application/jwk-set+json"
"""Kubernetes has its keys as the latter only (RFC 7517, section 8.5), and answers 406 to who does not name it."""

_LOG = logging.getLogger("ksecret")


class PublicKey(NamedTuple):
    """A public key, and the algorithms that it may be used with."""

    key: Any
    algorithms: tuple[str, ...]


class UnknownKeyError(Exception):
    """A key's id that its issuer does not show."""


class Keys(Protocol):
    """Keys of one issuer."""

    async def key(self, kid: str) -> PublicKey:
        """Return the key of that id; of no id, the only key. Raises UnknownKeyError, and RefusedError (503)."""


class FileKeys:
    """Keys from a file, which may be replaced: while it can't be used, which the log tells once, its last keys stay."""

    def __init__(self, path: str) -> None:
        """Raises InputError for a file that can't be used."""
        self._path = path
        self._file = Watched(path)
        self._keys = _from_file(path)

    async def key(self, kid: str) -> PublicKey:
        """Return a key as `Keys.key` does, without waiting."""
        if self._file.changed():
            try:
                self._keys = _from_file(self._path)
            except InputError as error:
                _LOG.error("a changed JWKS is not used: %s: %s", error.where, error)
            else:
                _LOG.info("a changed JWKS is used from now on: %s", self._path)
        found = find(self._keys, kid)
        if found is None:
            raise UnknownKeyError
        return found


def find(keys: Mapping[str, PublicKey], kid: str) -> PublicKey | None:
    """Return the key of that id; of no id, the only key there is."""
    return keys.get(kid) if kid or len(keys) != 1 else next(iter(keys.values()))


def _from_file(path: str) -> dict[str, PublicKey]:
    try:
        return parsed(Path(path).read_bytes())
    except OSError as error:
        raise InputError(f"the JWKS can't be read: {error.strerror}", file=path) from error
    except ValueError as error:
        raise InputError("not a JWKS with public keys (RFC 7517)", file=path) from error


def parsed(data: bytes) -> dict[str, PublicKey]:
    """Return the signing keys of a JWKS, without kinds that are not known (RFC 7517, section 5). Raises ValueError."""
    document = json.loads(data)
    if not isinstance(document, dict) or not isinstance(document.get("keys"), list):
        raise ValueError("not a JWKS")
    found: dict[str, PublicKey] = {}
    for member in document["keys"]:
        if not isinstance(member, dict) or member.get("use", "sig") != "sig":
            continue
        known = _ALGORITHMS.get(str(member.get("crv" if member.get("kty") == "EC" else "kty")), ())
        allowed = tuple(name for name in known if member.get("alg", name) == name)
        try:
            key = PyJWK.from_dict({name: text for name, text in member.items() if name not in _PRIVATE})
        except (PyJWKError, InvalidKeyError, ValueError, TypeError, KeyError):
            continue
        if allowed:
            found[str(member.get("kid", ""))] = PublicKey(key.key, allowed)
    if not found:
        raise ValueError("no usable key")
    return found


class FetchedKeys:
    """Keys that are fetched when they are asked for, and kept for a while."""

    def __init__(self, issuer: Issuer) -> None:
        """Raises InputError for certificates that can't be used."""
        self._issuer = issuer
        self._lock = asyncio.Lock()
        self._keys: dict[str, PublicKey] = {}
        self._fetched = float("-inf")
        self._tried = float("-inf")
        self._refreshing: asyncio.Task[None] | None = None
        _opener(issuer.ca_file)

    async def key(self, kid: str) -> PublicKey:
        """Return a key as `Keys.key` does; only a token that names a new key waits for it."""
        found = find(self._keys, kid)
        if found is None:
            async with self._lock:  # only tokens that name a new key wait for it
                if find(self._keys, kid) is None and time.monotonic() - self._tried > PAUSE:
                    await self._fetch()
            found = find(self._keys, kid)
        elif time.monotonic() - max(self._fetched + FRESH, self._tried + PAUSE) > 0:
            self._tried = time.monotonic()
            self._refreshing = asyncio.create_task(self._fetch())
        if time.monotonic() - self._fetched > STALE:
            hint = "try again; if it stays so, the service can't reach the issuer"
            detail = f"the keys of {self._issuer.name} can't be fetched"
            raise RefusedError(ISSUER, detail, hint=hint, headers={"retry-after": "10"})
        if found is None:
            raise UnknownKeyError
        return found

    async def _fetch(self) -> None:
        self._tried = time.monotonic()
        try:
            keys = await asyncio.to_thread(_get_keys, self._issuer)
        except (OSError, ValueError, HTTPException, InputError) as error:
            _LOG.warning("the keys of %s can't be fetched: %s", self._issuer.name, _reason(error))
            return
        self._keys = keys
        self._fetched = time.monotonic()


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Follow none: it could lead away from https, or to another host."""


def _opener(ca_file: str) -> OpenerDirector:
    try:
        context = ssl.create_default_context(cafile=ca_file or None)
    except OSError as error:  # an SSLError is one, and quotes nothing
        raise InputError("certificates that can't be used: it must be PEM, and readable", file=ca_file) from error
    return build_opener(_NoRedirects, HTTPSHandler(context=context))


def _reason(error: Exception) -> str:
    """Say why, without a word of the answer."""
    if isinstance(error, HTTPError):
        return f"HTTP {error.code}"
    if isinstance(error, InputError):
        return "caFile holds certificates that can't be used"
    cause = error.reason if isinstance(error, URLError) else error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {cause.verify_message}"
    if isinstance(cause, OSError):
        return cause.strerror or type(cause).__name__
    return "not the document that it should be"


def _get_keys(issuer: Issuer) -> dict[str, PublicKey]:
    """Fetch the keys. Raises OSError, ValueError, HTTPException and InputError."""
    opener = _opener(issuer.ca_file)  # anew each time: the file may have been replaced
    url = issuer.jwks_url
    if not url:
        document = json.loads(_get(f"{issuer.issuer.rstrip('/')}/.well-known/openid-configuration", opener))
        # OpenID Connect Discovery 1.0, section 4.3: the document's issuer must be the one that was asked for.
        if not isinstance(document, dict) or document.get("issuer") != issuer.issuer:
            raise ValueError("another issuer's document")
        url = str(document.get("jwks_uri"))
        if not url.startswith("https://") and not issuer.issuer.startswith("http://"):
            raise ValueError("keys are fetched by https:// only")
    return parsed(_get(url, opener))


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
