"""Refusals: errors as whole answers, made before the application is asked; and the log of mistakes of ours."""

from __future__ import annotations

import logging
import traceback
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

from secretsvc.api.problems import MEDIA_TYPE, problem_of

if TYPE_CHECKING:
    from starlette.types import Scope

    from secretsvc.api.problems import Problem

_LOG = logging.getLogger("ksecret")

_HEADERS = [
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
]
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
"""Content-Security-Policy of what is no page with scripts."""


_ID = b"0" * 32
"""Placeholder of a request's id."""


class Refusal(NamedTuple):
    """An answer, whole, with every header."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    lines: bytes
    """The headers as they go over the wire."""
    body: bytes
    closing: bool
    """No more is to come on the connection."""
    slowly: bool
    """To be held back for a while, lest who is refused so try thousands of times a second."""


class Gate(Protocol):
    """What stands before the application: connections ask it before anything is begun for a request."""

    def full(self) -> bool:
        """Tell whether nothing that brings a body finds a place."""

    def shed(self, path: str) -> bytes:
        """Count a POST that is refused for want of a place; return its answer but for the status line.

        Return b"" where that path has a place at any time.
        """

    def look(self, scope: Scope) -> Refusal | None:
        """Return what a request is refused for at once."""


def own_headers(request_id: str, *, closing: bool, policy: str = _POLICY) -> list[tuple[bytes, bytes]]:
    """Return the headers that every answer has. `closing`: no more is to come on this connection."""
    told = (b"content-security-policy", policy.encode()), (b"x-request-id", request_id.encode())
    headers = [*_HEADERS, *told]
    return [*headers, (b"connection", b"close")] if closing else headers


def refusal_of(error: Exception, request_id: str, *, closing: bool) -> Refusal:
    """Return how an error is answered. `closing`: no more is to come on this connection."""
    found = _refusal_of(error, closing=closing)
    own = request_id.encode()
    return Refusal(
        found.status,
        (*found.headers, (b"x-request-id", own)),
        found.lines.replace(_ID, own),
        found.body.replace(_ID, own),
        found.closing,
        found.slowly,
    )


def stencil_of(error: Exception) -> bytes:
    """Return the answer, but for its status line, of which `filled` makes any number."""
    found = _refusal_of(error, closing=False)
    return b"%s\r\n%s" % (found.lines, found.body)


def filled(stencil: bytes, request_id: str) -> bytes:
    """Return the answer to that request."""
    return stencil.replace(_ID, request_id.encode())


def _refusal_of(error: Exception, *, closing: bool) -> Refusal:
    problem = problem_of(error)
    hashable = problem._replace(headers=cast("Any", tuple(problem.headers.items())))
    return _refusal(hashable, closing=closing, slowly=getattr(error, "slowly", False))


@lru_cache(256)
def _refusal(problem: Problem, *, closing: bool, slowly: bool) -> Refusal:
    """Return the answer but for its id, and the header of it; one for all that are refused for the same."""
    body = problem.encoded(_ID.decode())
    stated = {"content-type": MEDIA_TYPE, "content-length": str(len(body)), **dict(problem.headers)}
    headers = [(name.encode(), text.encode()) for name, text in stated.items()]
    headers += own_headers(_ID.decode(), closing=closing)
    closes = (b"connection", b"close") in headers
    lines = b"".join(b"%s: %s\r\n" % header for header in headers)
    told = tuple(header for header in headers if header[0] != b"x-request-id")
    return Refusal(problem.status, told, lines, body, closes, slowly)


def log_failure(error: BaseException, request_id: str) -> None:
    """Log the kind of a mistake of ours and its places in the code, never its message: that may hold a value."""
    places = " < ".join(
        f"{frame.name} ({frame.filename}:{frame.lineno})"
        for frame in reversed(traceback.extract_tb(error.__traceback__)[-8:])
    )
    _LOG.error("request %s failed: %s at %s", request_id, type(error).__name__, places)
