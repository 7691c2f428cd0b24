"""Requests that a page of another site has a browser send: refused, whoever they are of.

A caller is known by a bearer token, which no browser adds by itself. But a proxy that knows people by cookies may add
one, and the browser sends these along, whichever page asks. The rules are those of Go's http.CrossOriginProtection
(https://pkg.go.dev/net/http#CrossOriginProtection), on Fetch Metadata (https://www.w3.org/TR/fetch-metadata/).
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from secretsvc.api.problems import CROSS_SITE, RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable

_OWN = (b"same-origin", b"none")
"""Sent by a page of this address, or by somebody who typed it."""


def refuse_other_sites(headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Refuse a request that another site's page sent. What is no browser says neither, and passes.

    Raises RefusedError (403).
    """
    site = origin = host = b""
    for name, text in headers:
        if name == b"sec-fetch-site":
            site = text
        elif name == b"origin":
            origin = text
        elif name == b"host":
            host = text
    if site in _OWN or not (site or origin) or (not site and _host(origin) == host):
        return
    raise RefusedError(CROSS_SITE, "a page of another site sent this request", hint="use the service's own page")


def _host(origin: bytes) -> bytes | None:
    """Return host and port of an Origin header (RFC 6454, section 7); None for what is none, such as `null`."""
    try:
        return urlsplit(origin).netloc or None
    except ValueError:
        return None
