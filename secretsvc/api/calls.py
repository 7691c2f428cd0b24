"""What is asked of the service, and what it is about: an operation's words, and the Secrets in its manifest."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, NamedTuple

from secretsvc.errors import AlreadySealedError, RepeatedError
from secretsvc.keyref import KeysetChange
from secretsvc.operations.open import open_manifest
from secretsvc.operations.patch import Changes, patch_manifest
from secretsvc.operations.request import ANY_TIME, GIVEN_VALUES, NO_VALUE, Request
from secretsvc.operations.rotate import rewrap_manifest, rotate_manifest
from secretsvc.operations.seal import seal_manifest

if TYPE_CHECKING:
    from collections.abc import Callable

    from secretsvc.api.guard import Guard, Permitted
    from secretsvc.keyref import Keyset
    from secretsvc.manifest.model import Secret
    from secretsvc.operations.result import Result

TIME = "%Y-%m-%dT%H:%M:%SZ"
"""How envelopes state a time: UTC, RFC 3339, seconds."""

ROTATE = "POST /v1/rotate changes keysets, by add= and remove="
"""What to do about a Secret that is sealed already."""


REPEATED = "take it out; where it is no secret, say allowRepeated"
"""What to do about a value that stands in the clear elsewhere in the manifest."""


class Call(NamedTuple):
    """One operation as a caller asks for it."""

    operation: str
    """One of settings.OPERATIONS: what rules allow."""
    data: bytes
    """The manifest."""
    keys: tuple[str, ...] = ()
    """encrypt, generate: KeyRefs as written, in place of those of the key rules."""
    scope: str = ""
    format: str = ""
    mode: str = "rotate"
    """rotate: `rotate` or `rewrap`."""
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    changes: Changes = Changes()
    secret: str = ""
    """set: which Secret, of several."""
    allow_repeated: bool = False
    """encrypt, generate, set: pass values that the manifest repeats in the clear."""

    def __repr__(self) -> str:
        return f"Call({self.operation}, masked)"


class Plan(NamedTuple):
    """An operation that was found to be allowed."""

    uris: frozenset[str]
    """The KeyRefs that it needs."""
    work: Callable[[Guard], Result]
    permitted: Permitted
    """Keyset → those of its KeyRefs that may open it."""


def request_for(change: KeysetChange, keyset_of: Callable[[str, str], Keyset], call: Call) -> Request:
    """The operation's request. `keyset_of`: namespace and name → the keyset of the key rules."""

    def default_keys(secret: Secret, _format: str) -> Keyset:
        return keyset_of(secret.namespace or "", secret.name or "")

    rotating = ANY_TIME if call.operation == "rotate" else ""
    unrepeated = NO_VALUE if call.allow_repeated else GIVEN_VALUES
    return Request(
        *(change, default_keys, call.scope, time.strftime(TIME, time.gmtime()), call.format, rotating),
        unrepeated=unrepeated,
    )


def work_of(call: Call, request: Request) -> Callable[[Guard], Result]:
    """The operation, to be run with a keyring."""
    if call.operation in ("decrypt", "verify"):
        return lambda guard: open_manifest(call.data, guard)
    if call.operation == "rotate":
        return lambda guard: (
            rewrap_manifest(call.data, guard) if call.mode == "rewrap" else rotate_manifest(call.data, request, guard)
        )
    sealed = _with_values if call.operation == "set" else _sealed
    return lambda guard: _hinted(sealed, call, request, guard)


def _hinted(sealed: Callable[[Call, Request, Guard], Result], call: Call, request: Request, guard: Guard) -> Result:
    """With hints in place of those that name the command line's options."""
    try:
        return sealed(call, request, guard)
    except AlreadySealedError as error:
        error.hint = ROTATE
        raise
    except RepeatedError as error:
        error.hint = REPEATED
        raise


def _sealed(call: Call, request: Request, guard: Guard) -> Result:
    return seal_manifest(call.data, request, guard)


def _with_values(call: Call, request: Request, guard: Guard) -> Result:
    """By way of values that nobody knows, so that no token stays as it was.

    A value that is there already would keep its token, and callers who may only seal could try out what it is.
    """
    blank = {
        key: None if value is None else secrets.token_hex(16).encode() for key, value in call.changes.values.items()
    }
    data = call.data
    if any(value is not None for value in blank.values()):
        kept = {key: value for key, value in blank.items() if value is not None}
        data = patch_manifest(data, call.changes._replace(values=kept), request, guard, call.secret).data
    return patch_manifest(data, call.changes, request, guard, call.secret)


def no_change() -> KeysetChange:
    """What leaves a keyset as it is."""
    return KeysetChange((), (), ())
