"""Refusals: errors as whole answers, made before the application is asked; and the log of mistakes of ours."""

from __future__ import annotations

import logging
import traceback
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from secretsvc.api.problems import MEDIA_TYPE, problem_of

if TYPE_CHECKING:
    from secretsvc.api.problems import Problem

_LOG = logging.getLogger("ksecret")

_HEADERS = [
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
]


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


def own_headers(request_id: str, *, closing: bool) -> list[tuple[bytes, bytes]]:
    """Return the headers that every answer has. `closing`: no more is to come on this connection."""
    headers = [*_HEADERS, (b"x-request-id", request_id.encode())]
    return [*headers, (b"connection", b"close")] if closing else headers


def refusal_of(error: Exception, request_id: str, *, closing: bool) -> Refusal:
    """Return how an error is answered. `closing`: no more is to come on this connection."""
    problem = problem_of(error)
    hashable = problem._replace(headers=cast("Any", tuple(problem.headers.items())))
    found = _refusal(hashable, closing=closing, slowly=getattr(error, "slowly", False))
    own = request_id.encode()
    return Refusal(
        found.status,
        (*found.headers, (b"x-request-id", own)),
        found.lines.replace(_ID, own),
        found.body.replace(_ID, own),
        found.closing,
        found.slowly,
    )


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
