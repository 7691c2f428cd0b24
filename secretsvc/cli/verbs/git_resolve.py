"""`ksecret git resolve`: what a merge left to a person, settled in many files at once."""

from __future__ import annotations

from functools import partial

from secretsvc.cli.batch import Batch, may_be_sealed
from secretsvc.cli.sealing import Requests, SealingOptions
from secretsvc.errors import AlreadySealedError, UsageError
from secretsvc.operations.settle import Choice, may_be_settled, settle
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mmap import mmap

    from secretsvc.backends.registry import Backends
    from secretsvc.cli.options import Targets
    from secretsvc.formats.base import Unproven
    from secretsvc.operations import Result
    from secretsvc.operations.keyring import Keyring
    from secretsvc.operations.request import Request


class Resolving(Record):
    """Choices of `git resolve`."""

    choice: Choice
    yes: bool
    """Whether somebody vouches for what the sides do not prove."""


def resolving(*, ours: bool, theirs: bool, both_keys: bool, yes: bool) -> Resolving:
    """Raises UsageError for options that do not go together."""
    if (ours and theirs) or not (ours or theirs or both_keys):
        raise UsageError("git resolve takes --ours or --theirs, --both-keys, or one of the two and --both-keys")
    return Resolving(Choice("ours" if ours else "theirs" if theirs else None, both_keys), yes)


def resolve(targets: Targets, resolving: Resolving, backends: Backends) -> int:
    """Settles files in place; the exit code."""
    requests = Requests(SealingOptions(recompute_mac=True, yes=resolving.yes), backends)

    def operation(data: bytes, name: str) -> Result | bytes:
        if not may_be_settled(data):
            return data
        if b"sops" in data:
            from secretsvc.cli.mending import is_in_conflict, mended

            if is_in_conflict(data, name):
                return mended(data, name, requests, resolving.choice.side)
        settled = settle(data, resolving.choice)
        request, keys = requests.of(name), requests.keyring(name)
        if settled.others:
            from secretsvc.operations.keysets import join_keysets

            return join_keysets(settled, request, keys)
        return _proven(settled.data, name, request, keys) if settled.unproven else settled.data

    return Batch(targets, "settled", private=False, any_name=True).run(operation, backends, _may_be_ours, forks=False)


def _may_be_ours(content: bytes | mmap) -> bool:
    return may_be_settled(content) and may_be_sealed(content)


def _proven(data: bytes, name: str, request: Request, keyring: Keyring) -> Result | bytes:
    """The file with a MAC that fits."""
    from secretsvc.operations.seal import seal_manifest

    try:
        return seal_manifest(data, trusting_sides(request, data, name, keyring), keyring)
    except AlreadySealedError:  # it is one side's after all
        return data


def trusting_sides(request: Request, data: bytes, name: str, keyring: Keyring) -> Request:
    """The request, trusting what Git's index proves to be made of two sides that both open; else as it was."""
    return request._replace(trust=partial(_trusts, request, data, name, keyring))


def _trusts(request: Request, data: bytes, name: str, keyring: Keyring, unproven: Unproven) -> bool:
    from secretsvc.operations.sides import vouched_for
    from secretsvc.programs.git import sides_of

    asked = request.trust
    return vouched_for(data, sides_of(name), keyring) or bool(asked and asked(unproven))
