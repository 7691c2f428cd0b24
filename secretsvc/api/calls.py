"""What is asked of the service, and what it is about: an operation's words, and the Secrets in its manifest."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from secretsvc.errors import AlreadySealedError, RepeatedError
from secretsvc.keyref import KeysetChange
from secretsvc.operations.open import open_manifest
from secretsvc.operations.patch import Changes, patch_manifest
from secretsvc.operations.request import ANY_TIME, Request
from secretsvc.operations.rotate import rewrap_manifest, rotate_manifest
from secretsvc.operations.seal import seal_manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from secretsvc.api.guard import Guard, Permitted
    from secretsvc.keyref import Keyset
    from secretsvc.manifest.model import Secret
    from secretsvc.operations.inspect import Description
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


def request_for(
    change: KeysetChange, keyset_of: Callable[[str, str], Keyset], call: Call, seen: Sequence[Description]
) -> Request:
    """The operation's request. `keyset_of`: namespace and name → the keyset of the key rules."""

    def default_keys(secret: Secret, _format: str) -> Keyset:
        return keyset_of(secret.namespace or "", secret.name or "")

    rotating = ANY_TIME if call.operation == "rotate" or _proves_values(call, seen) else ""
    return Request(
        change,
        default_keys,
        call.scope,
        time.strftime(TIME, time.gmtime()),
        call.format,
        rotating,
        blind=True,
        allow_repeated=call.allow_repeated,
    )


def _proves_values(call: Call, seen: Sequence[Description]) -> bool:
    """Whether what comes of it could be used to try out a value: a MAC may be over values.

    An older file's MAC fits again where values are what they were, as long as the DEK is the same; so it is not.
    """
    changing = call.operation == "set" or (call.operation == "encrypt" and any(one.in_the_clear for one in seen))
    return changing and any(one.sealed and one.proves_values for one in seen)


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
    return patch_manifest(call.data, call.changes, request, guard, call.secret)


def no_change() -> KeysetChange:
    """What leaves a keyset as it is."""
    return KeysetChange((), (), ())
