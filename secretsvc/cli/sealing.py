"""What the commands that seal share: their options, and the request that follows from them."""

from __future__ import annotations

import os
import sys
import time
from _thread import allocate_lock
from functools import cache, partial
from typing import TYPE_CHECKING

from secretsvc.cli.policies import FilePolicies
from secretsvc.cli.recipients import add_recipients
from secretsvc.cli.report import printable
from secretsvc.errors import KeyRefError, UsageError
from secretsvc.keyref import Keyset, keyset, parse_change
from secretsvc.operations.request import ANY_TIME, FORMATS, Request, Unproven

if TYPE_CHECKING:
    from argparse import Namespace

    from secretsvc.backends.registry import Backends
    from secretsvc.cli.parser import Parser
    from secretsvc.manifest.model import Secret
    from secretsvc.operations.keys import Keyring


TIME = "%Y-%m-%dT%H:%M:%SZ"
"""How envelopes state a time: UTC, RFC 3339, seconds."""


def add_keys(parser: Parser) -> None:
    """`-k` and `-R`."""
    parser.add_argument(
        "-k", "--key", action="append", default=[], metavar="KEYREF", help="seal to it (repeat); +REF adds, -REF takes"
    )
    add_recipients(parser)


def add_format(parser: Parser) -> None:
    """`--format` and `--scope`."""
    parser.add_argument(
        "--format", choices=FORMATS, default="", help="for what is not sealed yet (default: KSECRET_FORMAT, or ksecret)"
    )
    add_scope(parser)


def add_scope(parser: Parser) -> None:
    """`--scope`."""
    parser.add_argument("--scope", choices=("strict", "namespace", "any"), default="", help="what it is bound to")


def add_trust(parser: Parser) -> None:
    """`--recompute-mac` and `--yes`."""
    parser.add_argument(
        "--recompute-mac", action="store_true", help="kubesec's format: give a file without a fitting MAC a new one"
    )
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")


def add_repeated(parser: Parser) -> None:
    """`--allow-repeated`."""
    parser.add_argument(
        "--allow-repeated", action="store_true", help="pass values that the file repeats in the clear elsewhere"
    )


class Requests:
    """The request of this run for each of its files."""

    def __init__(self, args: Namespace, keyring: Backends) -> None:
        """Raises UsageError."""
        self._asks = getattr(args, "recompute_mac", False)
        self._yes = getattr(args, "yes", False)
        self._syncs = getattr(args, "action", "") == "sync"
        self._keyring = keyring
        output = getattr(args, "output", "")
        self._output = output if isinstance(output, str) and output != "-" else ""
        self._lock = allocate_lock()
        self._request = Request(
            parse_change(args.key, keyring.parse),
            partial(self._default_keys, ""),
            getattr(args, "scope", ""),
            time.strftime(TIME, time.gmtime()),
            format_of(getattr(args, "format", "")),
            ANY_TIME if getattr(args, "rotate", False) else "",
            allow_repeated=getattr(args, "allow_repeated", False),
        )
        self._own_keys = cache(partial(own_keys, keyring))
        self._policies = FilePolicies(keyring)

    def of(self, name: str, source: str = "") -> Request:
        """The request for the file of that name, whose DEK may come from the file `source`."""
        return self._request._replace(
            renews=partial(self._policies.renews, [file for file in (name, source, self._output) if file]),
            default_keys=partial(self._default_keys, name),
            keyset_of=partial(self._policies.demanded, name) if self._syncs else None,
            trust=partial(self._trusts, name) if self._asks else None,
        )

    def keyring(self, name: str) -> Keyring:
        """The backends, as the policy of the file of that name wants them. Raises InputError, FileError."""
        return self._policies.keyring(name)

    def _default_keys(self, name: str, secret: Secret, format_: str) -> Keyset:
        keys = self._policies.keys(name, secret)
        try:
            return keys or self._own_keys(format_)
        except UsageError as error:
            if not self._policies.find(name):
                raise
            raise KeyRefError(error.message, hint=error.hint) from error  # its rules may have keys for other files

    def _trusts(self, name: str, unproven: Unproven) -> bool:
        """Shows what somebody would vouch for, and asks. Raises UsageError where nobody can be asked."""
        with self._lock:
            lines = [
                f"{name}: {unproven.label}: {unproven.why}; with a new one you vouch for what it holds now:",
                *(f"  key    {ref}  {self._keyring.describe(ref)}".rstrip() for ref in unproven.keys),
                *(f"  entry  {entry}" for entry in unproven.entries),
            ]
            print("\n".join(map(printable, lines)), file=sys.stderr)
            if self._yes:
                return True
            if not (sys.stdin.isatty() and sys.stderr.isatty()):
                raise UsageError("nobody is here to be asked", hint="if that is as it should be, say --yes")
            print("Make it a new MAC? [y/N] ", end="", file=sys.stderr, flush=True)
            return sys.stdin.readline().strip().lower() in ("y", "yes")


def format_of(given: str) -> str:
    """The format asked for, by the option or KSECRET_FORMAT; may be empty. Raises UsageError."""
    wanted = given or os.environ.get("KSECRET_FORMAT", "")
    if wanted not in ("", *FORMATS):
        raise UsageError("KSECRET_FORMAT is not a format", hint=f"choose from {', '.join(FORMATS)}")
    return wanted


def own_keys(known: Backends, format_: str) -> Keyset:
    """`KSECRET_KEYS` (separated by commas or line breaks), else the user's own age identity, or PGP key for kubesec.

    Raises UsageError.
    """
    listed = os.environ.get("KSECRET_KEYS", "").replace("\n", ",").split(",")
    try:
        refs = [known.parse(text) for text in listed if text.strip()]
    except KeyRefError as error:
        raise KeyRefError(f"KSECRET_KEYS: {error.message}", hint=error.hint) from error
    if refs:
        return keyset(refs)
    if format_ == "kubesec":
        return (known.parse("pgp:default"),)
    from secretsvc.backends.age import Age

    age = known.backend("age")
    own = age.own_ref() if isinstance(age, Age) else None
    if own is None:
        raise UsageError(
            "no key to seal to", hint="run `ksecret init` for one of your own, or say --key KEYREF or KSECRET_KEYS"
        )
    return (own,)
