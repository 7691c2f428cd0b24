"""Problems: how errors and refusals are answered (RFC 9457), with a stable `type` and a status for each kind.

The client reads them by the same table, so this module imports none of the service's libraries.
"""

from __future__ import annotations

import json
import random
import re
from typing import TYPE_CHECKING, NamedTuple

from secretsvc import errors

if TYPE_CHECKING:
    from collections.abc import Mapping

MEDIA_TYPE = "application/problem+json"

_TOLD: dict[type[errors.KsecretError], tuple[str, int]] = {
    errors.UsageError: ("usage", 400),
    errors.KeyRefError: ("key-ref", 400),
    errors.InputError: ("input", 400),
    errors.ManifestError: ("manifest", 400),
    errors.RepeatedError: ("repeated", 400),
    errors.NotSealedError: ("not-sealed", 400),
    errors.AlreadySealedError: ("already-sealed", 400),
    errors.NothingToSealError: ("nothing-to-seal", 400),
    errors.NoKeyError: ("no-key", 422),
    errors.AlteredError: ("altered", 409),
    errors.BackendError: ("backend", 502),
    errors.BackendUnavailableError: ("backend-unavailable", 503),
    errors.FileError: ("file", 500),
}
"""The name and the HTTP status of each error; one that is not here has those of its parent."""


class RefusalKind(NamedTuple):
    """Kind of a refusal that HTTP alone knows."""

    name: str
    status: int
    title: str


REQUEST = RefusalKind("request", 400, "The request's parameters are off")
UNAUTHENTICATED = RefusalKind("unauthenticated", 401, "Who is calling is not known")
FORBIDDEN = RefusalKind("forbidden", 403, "No rule allows that")
CROSS_SITE = RefusalKind("cross-site", 403, "A page of another site sent that")
NOT_FOUND = RefusalKind("not-found", 404, "There is no such path")
METHOD = RefusalKind("method", 405, "The path does not take that method")
SLOW_BODY = RefusalKind("slow-body", 408, "The body did not arrive in time")
TOO_LARGE = RefusalKind("too-large", 413, "The request is over a limit")
MEDIA = RefusalKind("media-type", 415, "The body's media type is not one that this path takes")
RATE = RefusalKind("rate", 429, "Too many requests of this caller")
INTERNAL = RefusalKind("internal", 500, "The service failed")
AUDIT = RefusalKind("audit", 503, "The audit line could not be written")
BUSY = RefusalKind("busy", 503, "Too much work for these keys")
ISSUER = RefusalKind("issuer", 503, "The token's issuer could not be asked for its keys")
TIMEOUT = RefusalKind("timeout", 504, "The keys' home did not answer in time")

REFUSAL_KINDS = (
    REQUEST,
    UNAUTHENTICATED,
    FORBIDDEN,
    CROSS_SITE,
    NOT_FOUND,
    METHOD,
    SLOW_BODY,
    TOO_LARGE,
    MEDIA,
    RATE,
    INTERNAL,
    AUDIT,
    BUSY,
    ISSUER,
    TIMEOUT,
)

TITLES = {
    400: "The input can't be worked on",
    409: "Altered, or moved from what it was sealed for",
    422: "None of its keys could be used here",
    500: "The service failed",
    502: "A backend failed",
    503: "A backend can't be reached",
}


LATEST = 5
"""Seconds after which who finds no place may come again, at most."""

_PATH = re.compile(r"(?<!\S)/\S+")
"""An absolute path, as errors of backends name the files of this machine: that is no business of a caller's."""


class RefusedError(Exception):
    """A request that is answered with a problem. `detail` never holds a value, a token or a body's text."""

    slowly = False
    """Whether the answer is held back for a while (see pauses)."""

    def __init__(
        self,
        kind: RefusalKind,
        detail: str,
        *,
        hint: str = "",
        pointer: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.hint = hint
        self.pointer = pointer
        self.headers = dict(headers or {})


def busy(detail: str, seconds: int = 0) -> RefusedError:
    """503, to come again after `seconds`, by chance where none are said: who is refused together should not come so."""
    seconds = seconds or random.randint(1, LATEST)  # noqa: S311 - no secret
    return RefusedError(BUSY, detail, headers={"retry-after": str(seconds)})


class Problem(NamedTuple):
    """A problem as it is answered."""

    type: str
    status: int
    title: str
    detail: str
    hint: str = ""
    line: int = 0
    entry: str = ""
    key_ref: str = ""
    pointer: str = ""
    """JSON Pointer (RFC 6901, section 6) to the member of the body at fault."""
    headers: Mapping[str, str] = {}

    def members(self, request_id: str) -> dict[str, object]:
        """Return the members of its JSON; what is not known is left out."""
        found = {
            "type": f"/problems/{self.type}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "hint": self.hint,
            "line": self.line,
            "entry": self.entry,
            "keyRef": self.key_ref,
            "pointer": self.pointer,
            "requestId": request_id,
        }
        return {name: member for name, member in found.items() if member}

    def encoded(self, request_id: str) -> bytes:
        return json.dumps(self.members(request_id)).encode()


def pointer_to(*members: str | int) -> str:
    """Return the JSON Pointer to a member of the body, as a URI's fragment but for its escapes (RFC 6901)."""
    return "#" + "".join(f"/{str(member).replace('~', '~0').replace('/', '~1')}" for member in members)


def problem_of(error: Exception) -> Problem:
    """Return how an exception is answered; one that is not ours tells nothing."""
    if isinstance(error, RefusedError):
        kind = error.kind
        return Problem(
            kind.name, kind.status, kind.title, error.detail, error.hint, pointer=error.pointer, headers=error.headers
        )
    if isinstance(error, errors.KsecretError):
        name, status = _told(type(error))
        headers = {"retry-after": "5"} if status == 503 else {}
        detail, hint = error.told, error.hint
        if isinstance(error, errors.BackendError | errors.NoKeyError):
            detail, hint = _PATH.sub("…", detail), _PATH.sub("…", hint)
        return Problem(
            name,
            status,
            TITLES[status],
            detail,
            hint,
            line=error.line,
            entry=error.entry,
            key_ref=error.key_ref,
            pointer=error.pointer,
            headers=headers,
        )
    return Problem(INTERNAL.name, INTERNAL.status, INTERNAL.title, "a mistake in the service; its log has the place")


def status_of(kind: type[errors.KsecretError]) -> int:
    """Return the HTTP status that errors of that class are answered with."""
    return _told(kind)[1]


def _told(kind: type[errors.KsecretError]) -> tuple[str, int]:
    return next((_TOLD[known] for known in kind.__mro__ if known in _TOLD), (INTERNAL.name, INTERNAL.status))


def names() -> set[str]:
    """Return every name that a `type` may end in."""
    return {name for name, _ in _TOLD.values()} | {kind.name for kind in REFUSAL_KINDS}
