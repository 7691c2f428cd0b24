"""`ksecret init`."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

from secretsvc import policy, policy_search, workspace
from secretsvc.backends.age import Age
from secretsvc.backends.age_identities import default_identity_path
from secretsvc.backends.base import Settings
from secretsvc.cli import options
from secretsvc.cli.report import printable
from secretsvc.errors import FileError, InputError

if TYPE_CHECKING:
    from argparse import Namespace

    from secretsvc.cli.parser import Parser
    from secretsvc.keyref import KeyRef

EXAMPLES = """\
  ksecret init          once per person and repository: makes what is missing, your identity and .ksecret.yaml"""


def add_arguments(parser: Parser) -> None:
    """The options: none."""


def run(_args: Namespace) -> int:
    """Makes the identity where there is none, and tells the recipient and the next step; the exit code."""
    where, ref, made = own_identity()
    print(printable(f"{'made' if made else 'found'} your age identity: {where}"))
    print(f"your key, for others to seal to:  {ref}")
    print("next: ksecret encrypt -i secret.yaml")
    _offer_policy(str(ref))
    return 0


def own_identity() -> tuple[str, KeyRef, bool]:
    """Where the user's own age identity is, its recipient, and whether it was made just now, as none was at hand.

    Raises BackendError and InputError where there are sources of identities that give none, and FileError.
    """
    path = default_identity_path(os.environ)
    age = _age()
    ref = age.own_ref()
    if ref:
        return next(place.name for place in age.places() if place.usable), ref, False
    if os.path.lexists(path):
        hint = "move it away, and run this again"
        raise InputError("it holds no age identity that one could seal to", hint=hint, file=path)
    make_identity(path)
    ref = _age().own_ref()
    if ref is None:
        raise InputError("it can't be read again", file=path)
    return path, ref, True


def _age() -> Age:
    return Age(Settings(os.environ, options.Passphrases().ask))


def _offer_policy(ref: str) -> None:
    """A policy with that key in the current folder, where none counts there yet and it is not everybody's folder."""
    if policy.Policies().find(policy.NAME) or policy_search.is_for_all(os.curdir):
        return
    workspace.create(policy.NAME, policy.starter([ref]).encode(), private=False)
    print(f"ksecret: wrote {policy.NAME}: what is sealed in this folder and below goes to that key", file=sys.stderr)


def make_identity(path: str) -> None:
    """A new identity as age-keygen writes one: 0600, in a folder that is its owner's alone."""
    import pyrage

    identity = pyrage.x25519.Identity.generate()
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    text = f"# created: {created}\n# public key: {identity.to_public()}\n{identity}\n"
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
            stream.write(text)
    except OSError as error:
        raise FileError(f"can't be written: {error.strerror}", file=path) from error
