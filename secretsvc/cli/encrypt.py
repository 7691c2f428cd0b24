"""`ksecret encrypt`."""

from __future__ import annotations

import time
from functools import cache, partial
from typing import TYPE_CHECKING

from secretsvc.cli import options
from secretsvc.cli.files import Job, each_file, standard_input
from secretsvc.errors import KsecretError
from secretsvc.keyref import parse_change
from secretsvc.operations.seal import Parents, Request, open_parents, seal_manifest

if TYPE_CHECKING:
    from argparse import Namespace

    from secretsvc.cli.parser import Parser
    from secretsvc.operations.keys import Keyring

EXAMPLES = """\
  ksecret encrypt secret.yaml                       print it sealed, to your own age identity
  ksecret encrypt -i -k age:age1… secret.yaml       seal the file itself
  ksecret encrypt -i -r deploy/                     every manifest under deploy/
  ksecret encrypt -i -k +pgp:6206… secret.yaml      one more key may open it
  ksecret encrypt -x -o sealed.yaml clear.yaml      values under data are clear text, not base64
  ksecret encrypt --parent old.yaml new.yaml        keep old.yaml's keys and unchanged tokens"""


MAYBE_SECRET = (b"Secret", b"\\x", b"\\u", b"\\U", b"S\0e\0")
"""What a file with a Secret in it holds: the word, or an escape, or UTF-16, which is then refused and not missed."""


def add_arguments(parser: Parser) -> None:
    """The options."""
    options.add_files(parser)
    options.add_output(parser)
    parser.add_argument(
        "-k", "--key", action="append", default=[], metavar="KEYREF", help="seal to it (repeat); +REF adds, -REF takes"
    )
    parser.add_argument("-x", "--cleartext", action="store_true", help="values under data are clear text")
    parser.add_argument("--parent", metavar="FILE", default="", help="take keyset, DEK and unchanged tokens from it")
    parser.add_argument("--scope", choices=("strict", "namespace", "any"), default="", help="what it is bound to")
    parser.add_argument("--format", choices=("ksecret",), default="ksecret", help="the envelope's format")
    parser.add_argument(
        "--strip-last-applied", action="store_true", help="remove a last-applied annotation that repeats the data"
    )
    options.add_jobs(parser)
    options.add_backends(parser)


def run(args: Namespace) -> int:
    """Seals; the exit code."""
    keyring = options.backends(args)
    request = Request(
        parse_change(args.key, keyring.parse),
        cache(partial(options.default_keys, keyring)),
        args.scope,
        time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    )
    parents = _parents(args.parent, keyring)

    def operation(data: bytes, _name: str) -> bytes:
        if args.cleartext or args.strip_last_applied:
            from secretsvc.operations.prepare import encode_cleartext, strip_last_applied

            data = encode_cleartext(data) if args.cleartext else data
            data = strip_last_applied(data) if args.strip_last_applied else data
        return seal_manifest(data, request, keyring, parents).data

    return each_file(Job(operation, "sealed", False, MAYBE_SECRET, options.jobs(args, keyring)), args)


def _parents(path: str, keyring: Keyring) -> Parents:
    if not path:
        return {}
    from secretsvc import workspace

    try:
        return open_parents(standard_input() if path == "-" else workspace.read(path).data, keyring)
    except KsecretError as error:
        error.file = path
        raise
