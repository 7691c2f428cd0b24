"""`ksecret init`."""

from __future__ import annotations

import os
import sys

from secretsvc.backends import canonical, find, unversioned
from secretsvc.backends.base import Settings
from secretsvc.backends.registry import Backends
from secretsvc.cli import options
from secretsvc.cli.choosing import chosen
from secretsvc.cli.report import printable
from secretsvc.errors import InputError
from secretsvc.files import workspace
from secretsvc.policy.policies import NAME, Policies, Policy, is_for_all, starter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secretsvc.cli.arguments import Arguments
    from secretsvc.cli.parser import Parser
    from secretsvc.keyref import KeyRef

EXAMPLES = """\
  ksecret init             once per person and repository: makes what is missing, your identity and .ksecret.yaml
  ksecret init --key pgp   the same with a PGP key of yours, which you choose, or make
  ksecret init --key aws   with a key of AWS KMS, of those that your credentials can list (AWS_REGION says where)"""


def add_arguments(parser: Parser) -> None:
    """The options."""
    parser.add_argument(
        "-k",
        "--key",
        metavar="KIND",
        default="",
        help="the kind of your key, age (default), pgp, aws, gcp …, of which you choose one; or a KEYREF",
    )


def run(args: Arguments) -> int:
    """Makes or finds the caller's key, and tells its KeyRef and the next step; the exit code."""
    known = own_backends()
    kind = find(args.key) if args.key else None
    if not args.key or (kind and kind.has_identities):
        where, ref, made = own_identity(known, args.key)
        print(printable(f"{'made' if made else 'found'} your {kind.title if kind else 'age'} identity: {where}"))
    else:
        ref = chosen(known, args.key)
    print(f"your key, for others to seal to:  {ref}")
    found = _policy(str(ref))
    if found and found.is_misnamed:
        print(printable(f"next: rename {found.source}, which is not read: a policy's name is {NAME}"))
    elif found and not _is_named(ref, found):
        _tell_line(str(ref), found)
    else:
        print("next: ksecret encrypt -i secret.yaml")
    return 0


def own_backends() -> Backends:
    """Make backends that are told of nothing but the environment, and ask for passphrases."""
    return Backends(Settings(os.environ, options.Passphrases().ask))


def own_identity(known: Backends, kind: str = "") -> tuple[str, KeyRef, bool]:
    """Find or make the user's own identity: where it is, its recipient, and whether it was made just now.

    `kind`: the scheme's name; empty for the first that keeps identities. Raises BackendError and InputError where there
    are sources of identities that give none, and FileError.
    """
    backend = next(backend for name, backend in known.with_identities() if name == kind or not kind)
    ref = backend.own_ref()
    if ref:
        return next(place.name for place in backend.places() if place.usable), ref, False
    path = backend.make_identity()
    ref = backend.own_ref()
    if ref is None:
        raise InputError("it can't be read again", file=path)
    return path, ref, True


def _policy(ref: str) -> Policy | None:
    """The policy for the current folder; where there is none, one is made that names that key, and None given.

    None is made in a folder for everybody's files. Raises InputError and FileError.
    """
    found = Policies().find(NAME)
    if not found and not is_for_all(os.curdir):
        workspace.create(NAME, starter([ref]).encode(), private=False)
        print(f"ksecret: wrote {NAME}: what is sealed in this folder and below goes to that key", file=sys.stderr)
    return found


def _is_named(ref: KeyRef, found: Policy) -> bool:
    """Tell whether a rule seals to that key, or none says anything: then one's own key is sealed to."""
    rules, names = found.content.rules, (str(ref), str(unversioned(ref)))
    return not rules or any(str(canonical(key)) in names for rule in rules for key in rule.keys)


def _tell_line(ref: str, found: Policy) -> None:
    """Tell which line to add to the policy, and who can seal again what is sealed already."""
    from secretsvc.manifest.scalars import canonical as quoted

    folder = os.path.dirname(found.source) or "."
    said = f"next: no rule of {found.source} names that key yet; add it to the keys of those that should:"
    print(printable(said))
    print(f"      - {quoted(ref, flow=False)}")
    print(printable(f"then somebody who can open the files already runs: ksecret keys sync -r {folder}"))
