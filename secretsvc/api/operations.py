"""The table of operations, which settings, plans, batches and routes read; and a call of one.

An operation that takes members which are known already is a row here and a route in routes/manifest.py.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Literal, NamedTuple

from pydantic.alias_generators import to_camel

from secretsvc.errors import AlreadySealedError, InputError, KsecretError, RepeatedError
from secretsvc.formats.sops.selection import RULES
from secretsvc.generators.entries import complaints
from secretsvc.operations import Result
from secretsvc.operations.inspect import OF_DOCUMENTS
from secretsvc.operations.open import open_manifest, sops_tree
from secretsvc.operations.patch import patch_manifest
from secretsvc.operations.request import ANY_TIME, Changes
from secretsvc.operations.rotate import rewrap_manifest, rotate_manifest
from secretsvc.operations.seal import seal_manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from secretsvc.operations.keyring import Keyring
    from secretsvc.operations.request import Request

    Work = Callable[["Call", Request, Keyring], Result]

SEALED_HINT = "POST /v1/rotate changes keysets, by add= and remove="
"""Advice about a Secret that is sealed already."""
_OPTION = re.compile(r"--(scope|format)(?: (any|namespace|ksecret))?")
"""Options of the command line that are parameters of the API, and what is said of them."""

_REPEATED_HINT = "take it out; where it is no secret, say allowRepeated"
"""Advice about a value that stands in the clear elsewhere in the manifest."""


class Operation(NamedTuple):
    """A row of the table."""

    name: str
    """Name in rules, audit lines, metrics and batches."""
    work: Work
    members: tuple[str, ...] = ()
    """Members that a call may state beside the manifest, named as in BatchLine."""
    opens: bool = False
    """Whether one of the keys is used that a Secret is sealed to."""
    seals: bool = False
    """Whether keys wrap a DEK anew: rules must allow all of them."""
    needs_sealed: bool = True
    """Whether a manifest without a sealed Secret is refused; else Secrets in the clear become sealed."""
    gives_manifest: bool = True
    """Whether the answer is a manifest, and not what is told of one."""
    in_batches: bool = True

    @property
    def parameters(self) -> tuple[str, ...]:
        """Return the members as a query names them."""
        return _as_in_queries(self.members)

    @property
    def uses_keys(self) -> bool:
        """Tell whether a backend is called: else the answer is what a manifest tells without a key."""
        return self.opens or self.seals

    @property
    def seals_clear(self) -> bool:
        """Tell whether Secrets in the clear become sealed: to the keys that the call names, or else the key rules."""
        return self.seals and not self.needs_sealed


@cache
def _as_in_queries(members: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(map(to_camel, members))


class Call(NamedTuple):
    """One operation as a caller asks for it."""

    operation: Operation
    data: bytes
    """The manifest, or the document."""
    kind: str = ""
    """Of document that it is; empty: what it looks like."""
    keys: tuple[str, ...] = ()
    """KeyRefs as written, in place of those of the key rules."""
    groups: tuple[str, ...] = ()
    """Groups of them in their place, each one text, parted by commas."""
    threshold: int = 0
    """How many groups are needed; 0 for all."""
    scope: str = ""
    format: str = ""
    mode: str = "rotate"
    """`rotate` or `rewrap`."""
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    group: int = 0
    """The only group of keys that `add` and `remove` change, from 1."""
    selection: tuple[str, str] | None = None
    """Which of SOPS's rules says what of a document is sealed, and its text."""
    mac_only_encrypted: bool = False
    changes: Changes = Changes()
    secret: str = ""
    """The Secret that is changed, of several."""
    allow_repeated: bool = False
    """Pass values that the manifest repeats in the clear."""

    @property
    def seals_document(self) -> bool:
        """Tell whether any tree is to be sealed in SOPS's format."""
        return self.format == OF_DOCUMENTS

    def __repr__(self) -> str:
        return f"Call({self.operation.name}, masked)"


@contextmanager
def _hints() -> Iterator[None]:
    """Give errors the API's hints in place of those that name the command line's options."""
    try:
        yield
    except AlreadySealedError as error:
        error.hint = SEALED_HINT
        raise
    except RepeatedError as error:
        error.hint = _REPEATED_HINT
        raise
    except KsecretError as error:
        if "--secret" in error.hint:
            error.hint, error.pointer = "say which: NAMESPACE/NAME", "#/secret"
        error.hint = _OPTION.sub(lambda found: "=".join(filter(None, found.groups())), error.hint)
        raise


def _seal(call: Call, request: Request, keyring: Keyring) -> Result:
    if call.seals_document:
        return _unbound(_seal_document(call, request, keyring))
    with _hints():
        if sops_tree(call.data, kind=call.kind):
            raise AlreadySealedError("it is sealed already, in SOPS's format")
        return seal_manifest(call.data, request, keyring)


def _seal_document(call: Call, request: Request, keyring: Keyring) -> Result:
    from secretsvc.operations.documents.keysets import sops_keyset
    from secretsvc.operations.documents.seal import SopsRule, seal_file

    keys = sops_keyset(request.change.exact)
    rule = SopsRule(call.selection, call.mac_only_encrypted)
    return seal_file(call.data, keys, rule, keyring, name="", now=request.created, kind=call.kind)


def _set(call: Call, request: Request, keyring: Keyring) -> Result:
    tree = sops_tree(call.data, kind=call.kind)
    if tree:
        from secretsvc.operations.documents import changes as document_changes

        return _unbound(document_changes.set_values(tree, call.changes, request, keyring, call.secret))
    for name, value in call.changes.values.items():
        if value is not None and (found := complaints(name)):
            raise InputError(f"not a valid key name for a Secret: {'; '.join(found)}", entry=name)
    with _hints():
        return patch_manifest(call.data, call.changes, request, keyring, call.secret)


def _open(call: Call, _request: Request, keyring: Keyring) -> Result:
    tree = sops_tree(call.data, kind=call.kind)
    if tree:
        from secretsvc.operations import documents

        return _unbound(documents.open_file(tree, keyring))
    return open_manifest(call.data, keyring)


def _rotate(call: Call, request: Request, keyring: Keyring) -> Result:
    request = request._replace(rotate_before=ANY_TIME)
    tree = sops_tree(call.data, kind=call.kind)
    if tree:
        from secretsvc.operations.documents import changes as document_changes

        if call.mode == "rewrap":
            return _unbound(document_changes.rewrap(tree, request.created, keyring))
        return _unbound(document_changes.rotate(tree, request, keyring))
    if call.mode == "rewrap":
        return rewrap_manifest(call.data, keyring)
    return rotate_manifest(call.data, request, keyring)


def _unbound(result: Result) -> Result:
    """Say of a document that it is bound to no name."""
    return result._replace(bound=False)


def _leave(call: Call, _request: Request, _keyring: Keyring) -> Result:
    return Result(call.data, 0)


ENCRYPT = Operation(
    "encrypt",
    _seal,
    ("kind", "key", "groups", "threshold", "scope", "format", *RULES, "mac_only_encrypted", "allow_repeated"),
    seals=True,
    needs_sealed=False,
)
DECRYPT = Operation("decrypt", _open, ("kind",), opens=True)
ROTATE = Operation("rotate", _rotate, ("kind", "mode", "add", "remove", "group"), opens=True, seals=True)
SET = Operation(
    "set",
    _set,
    ("kind", "values", "base64_values", "random", "string_data", "secret", "allow_repeated"),
    opens=True,
    seals=True,
)
INSPECT = Operation("inspect", _leave, ("kind",), gives_manifest=False)
VERIFY = Operation("verify", _open, ("kind",), opens=True, gives_manifest=False)
GENERATE = Operation(
    "generate",
    _seal,
    ("key", "scope", "output", "allow_repeated"),
    seals=True,
    needs_sealed=False,
    in_batches=False,
)

OPERATIONS = {row.name: row for row in (ENCRYPT, DECRYPT, ROTATE, SET, INSPECT, VERIFY, GENERATE)}

if TYPE_CHECKING:
    OperationName = str
    BatchName = str
else:
    OperationName = Literal[tuple(OPERATIONS)]
    BatchName = Literal[tuple(name for name, row in OPERATIONS.items() if row.in_batches)]
