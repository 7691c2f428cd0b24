"""`ksecret init`."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

from secretsvc.backends import canonical
from secretsvc.backends.age.backend import Age
from secretsvc.backends.age.identities import default_identity_path
from secretsvc.backends.base import Settings
from secretsvc.cli import options
from secretsvc.cli.report import printable
from secretsvc.errors import FileError, InputError
from secretsvc.files import workspace
from secretsvc.policy import search
from secretsvc.policy.policies import NAME, Policies, Policy, starter

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
    found = _policy(str(ref))
    if found and found.is_misnamed:
        print(printable(f"next: rename {found.source}, which is not read: a policy's name is {NAME}"))
    elif found and not _is_named(ref, found):
        _tell_line(str(ref), found)
    else:
        print("next: ksecret encrypt -i secret.yaml")
    return 0


def own_identity() -> tuple[str, KeyRef, bool]:
    """Find or make the user's own age identity: where it is, its recipient, and whether it was made just now.

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


def _policy(ref: str) -> Policy | None:
    """The policy for the current folder; where there is none, one is made that names that key, and None given.

    None is made in a folder for everybody's files. Raises InputError and FileError.
    """
    found = Policies().find(NAME)
    if not found and not search.is_for_all(os.curdir):
        workspace.create(NAME, starter([ref]).encode(), private=False)
        print(f"ksecret: wrote {NAME}: what is sealed in this folder and below goes to that key", file=sys.stderr)
    return found


def _is_named(ref: KeyRef, found: Policy) -> bool:
    """Whether a rule seals to that key, or none says anything: then one's own key is sealed to."""
    rules = found.content.rules
    return not rules or any(canonical(key) == ref for rule in rules for key in rule.keys)


def _tell_line(ref: str, found: Policy) -> None:
    """Tell which line to add to the policy, and who can seal again what is sealed already."""
    from secretsvc.manifest.scalars import canonical as quoted

    folder = os.path.dirname(found.source) or "."
    said = f"next: no rule of {found.source} names that key yet; add it to the keys of those that should:"
    print(printable(said))
    print(f"      - {quoted(ref, flow=False)}")
    print(printable(f"then somebody who can open the files already runs: ksecret keys sync -r {folder}"))


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
