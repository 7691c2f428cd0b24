"""Problem documents (RFC 9457), which a service answers in place of a manifest, as errors of the tree."""

from __future__ import annotations

import json

from secretsvc import errors
from secretsvc.api.problems import status_of
from secretsvc.errors import BackendError, BackendUnavailableError, InputError, KsecretError
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


_LONGEST = 8000
"""Characters of what a service says of one thing: some keys' names have 2,000."""


class HttpAnswer(Record):
    """An HTTP answer: status, media type without parameters, seconds of Retry-After (0: it says none), body."""

    status: int
    media: str
    wait: int
    body: bytes

    def __repr__(self) -> str:
        return f"HttpAnswer({self.status}, {self.media}, masked)"


def problem(answer: HttpAnswer) -> KsecretError:
    """The error that an answer other than 200 stands for (RFC 9457, section 3; docs/api.md lists the types)."""
    told: dict[str, object] = {}
    if answer.media == "application/problem+json":
        try:
            found = json.loads(answer.body)
            told = found if isinstance(found, dict) else {}
        except (ValueError, RecursionError):
            pass
    message, hint = _OWN.get(answer.status, (f"the service answered with HTTP {answer.status}", ""))
    line = told.get("line")
    error = _kind(_text(told, "type"), answer.status)(
        _text(told, "detail") or _text(told, "title") or message,
        hint=_text(told, "hint") or hint,
        line=line if isinstance(line, int) else 0,
        entry=_text(told, "entry"),
        key_ref=_text(told, "key_ref") or _text(told, "keyRef"),
    )
    request = _text(told, "request_id") or _text(told, "requestId") or _text(told, "instance")
    if request and (answer.status >= 500 or answer.status in (401, 403, 429)):
        error.hint = f"{error.hint}{' ' if error.hint else ''}(the service's request {request})"
    return error


_OWN = {
    401: ("the service does not take this token", "has it expired, or is it for another service?"),
    403: ("the service does not allow this", "ask whoever runs it for the right"),
    404: ("there is no ksecret service at this address", ""),
    413: ("the service does not take a manifest of this size", ""),
    429: ("the service is asked too much", "try again later, or with fewer --jobs"),
} | dict.fromkeys(
    (301, 302, 303, 307, 308),
    ("the service's address redirects, which is not followed: the token would go along", "name the final address"),
)

_BY_STATUS: dict[int, type[KsecretError]] = {
    400: InputError,
    409: errors.AlteredError,
    413: errors.ManifestError,
    415: InputError,
    422: errors.NoKeyError,
    503: BackendUnavailableError,
    504: BackendUnavailableError,
}


def _kind(type_: str, status: int) -> type[KsecretError]:
    """The tree's class that a problem type names, if it is one that goes with the status; else by the status."""
    slug = "".join(filter(str.isalpha, type_.replace("#", "/").replace(":", "/").rpartition("/")[2])).lower()
    known = {name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and name != "KsecretError"}
    for name, kind in known.items():
        if name.removesuffix("Error").lower() == slug and issubclass(kind, KsecretError) and status_of(kind) == status:
            return kind
    return _BY_STATUS.get(status, BackendError)


def _text(told: Mapping[str, object], name: str) -> str:
    found = told.get(name)
    return found[:_LONGEST] if isinstance(found, str) else ""
