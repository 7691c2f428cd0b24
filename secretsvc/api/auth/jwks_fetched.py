"""An issuer's public keys from a URL, or from the URL that OIDC discovery tells."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
import time
from http.client import HTTPException
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, HTTPSHandler, OpenerDirector, Request, build_opener

from secretsvc import __version__
from secretsvc.api.auth.jwks import Key, NoKeyError, find, parsed
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

_ACCEPT = "application/json, application/jwk-set+json"
"""Kubernetes has its keys as the latter only (RFC 7517, section 8.5), and answers 406 to who does not name it."""
_LOG = logging.getLogger("ksecret")


class FetchedKeys:
    """Keys that are fetched when they are asked for, and kept for a while."""

    def __init__(self, issuer: Issuer) -> None:
        """Raises InputError for certificates that can't be used."""
        self._issuer = issuer
        self._lock = asyncio.Lock()
        self._keys: dict[str, Key] = {}
        self._fetched = float("-inf")
        self._tried = float("-inf")
        self._refreshing: asyncio.Task[None] | None = None
        _opener(issuer.ca_file)

    async def key(self, kid: str) -> Key:
        """As that of jwks.Keys."""
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
            raise NoKeyError
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
    if isinstance(error, InputError):
        return "caFile holds certificates that can't be used"
    cause = error.reason if isinstance(error, URLError) else error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {cause.verify_message}"
    if isinstance(cause, OSError):
        return cause.strerror or type(cause).__name__
    return "not the document that it should be"


def _get_keys(issuer: Issuer) -> dict[str, Key]:
    """Raises OSError, ValueError, HTTPException and InputError."""
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
