"""`ksecret git resolve`: what a merge left to a person, settled in many files at once."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

from secretsvc.cli import sealing
from secretsvc.cli.files import Job, each_file, may_be_sealed
from secretsvc.errors import AlreadySealedError, UsageError
from secretsvc.operations.settle import Choice, may_be_settled, settle

if TYPE_CHECKING:
    from argparse import Namespace
    from mmap import mmap

    from secretsvc.backends.registry import Backends
    from secretsvc.operations.keys import Keyring
    from secretsvc.operations.request import Request, Unproven
    from secretsvc.operations.result import Result


def resolve(args: Namespace, keyring: Backends) -> int:
    """Settles files in place; the exit code."""
    if (args.ours and args.theirs) or not (args.ours or args.theirs or args.both_keys):
        raise UsageError("git resolve takes --ours or --theirs, --both-keys, or one of the two and --both-keys")
    choice = Choice("ours" if args.ours else "theirs" if args.theirs else None, args.both_keys)
    args.files, args.in_place, args.output = args.words, True, ""
    args.key, args.recompute_mac = [], True
    requests = sealing.Requests(args, keyring)

    def operation(data: bytes, name: str) -> Result | bytes:
        if not may_be_settled(data):
            return data
        settled = settle(data, choice)
        request, keys = requests.of(name), requests.keyring(name)
        if settled.others:
            from secretsvc.operations.keysets import join_keysets

            return join_keysets(settled, request, keys)
        return _proven(settled.data, name, request, keys) if settled.unproven else settled.data

    job = Job(operation, "settled", private=False, may_hold=_may_be_ours, jobs=lambda: keyring.jobs)
    return each_file(job, args)


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

    asked = request.trust
    return vouched_for(data, sides_of(name), keyring) or bool(asked and asked(unproven))


def sides_of(path: str) -> list[bytes]:
    """Ours and theirs, as Git's index has them while a merge of that file waits; nothing where none does."""
    from secretsvc.programs.git import git

    folder, name = os.path.split(os.path.abspath(path))
    found = [git("-C", folder, "cat-file", "blob", f":{stage}:./{name}") for stage in (2, 3)]
    return [done.stdout for done in found] if not any(done.returncode for done in found) else []
