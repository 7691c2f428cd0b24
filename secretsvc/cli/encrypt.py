"""`ksecret encrypt`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsvc.cli import options, sealing
from secretsvc.cli.files import Job, each_file, standard_input
from secretsvc.cli.report import Unbound
from secretsvc.errors import KsecretError
from secretsvc.operations.open import open_parents
from secretsvc.operations.seal import seal_manifest

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    from secretsvc.backends.registry import Backends
    from secretsvc.cli.parser import Parser
    from secretsvc.cli.remote import Service
    from secretsvc.operations.keys import Keyring
    from secretsvc.operations.open import Parents, Result

EXAMPLES = """\
  ksecret encrypt secret.yaml                       print it sealed, to what .ksecret.yaml says, or to yourself
  ksecret encrypt -i -k age:age1… secret.yaml       seal the file itself
  ksecret encrypt -i -r deploy/                     every manifest under deploy/
  ksecret encrypt -i -k +pgp:6206… secret.yaml      one more key may open it
  ksecret encrypt -x -o sealed.yaml clear.yaml      values under data are clear text, not base64
  ksecret encrypt --parent old.yaml new.yaml        keep old.yaml's keys and unchanged tokens
  ksecret encrypt --format kubesec secret.yaml      in kubesec's format, to your own PGP key"""


MAYBE_SECRET = (b"Secret", b"\\x", b"\\u", b"\\U", b"S\0e\0")
"""What a file with a Secret in it holds: the word, or an escape, or UTF-16, which is then refused and not missed."""


def add_arguments(parser: Parser) -> None:
    """The options."""
    options.add_files(parser)
    options.add_output(parser)
    sealing.add_keys(parser)
    parser.add_argument("-x", "--cleartext", action="store_true", help="values under data are clear text")
    parser.add_argument(
        "-p", "--parent", metavar="FILE", default="", help="take keyset, DEK and unchanged tokens from it"
    )
    sealing.add_format(parser)
    sealing.add_trust(parser)
    parser.add_argument(
        "--strip-last-applied", action="store_true", help="remove a last-applied annotation that repeats the data"
    )
    parser.add_argument(
        "--if-needed", action="store_true", help="leave files alone in which `ksecret check` finds nothing to seal"
    )
    options.add_jobs(parser)
    options.add_server(parser)
    options.add_backends(parser)


def run(args: Namespace) -> int:
    """Seals; the exit code."""
    known, seal = _sealer(args)
    unbound = Unbound()

    def operation(data: bytes, name: str) -> bytes:
        if args.if_needed:
            from secretsvc.operations.check import needs_sealing

            if not needs_sealing(data, name):
                return data
        if args.cleartext or args.strip_last_applied:
            from secretsvc.operations.prepare import encode_cleartext, strip_last_applied

            data = encode_cleartext(data) if args.cleartext else data
            data = strip_last_applied(data) if args.strip_last_applied else data
        sealed = seal(data, name)
        unbound.seen(bound=sealed.bound)
        return sealed.data

    code = each_file(Job(operation, "sealed", False, MAYBE_SECRET, options.jobs(args, known)), args)
    unbound.tell()
    return code


def _sealer(args: Namespace) -> tuple[Backends | Service, Callable[[bytes, str], Result]]:
    service = options.service(args)
    if service:
        return service, service.seal_manifest
    keyring = options.backends(args)
    requests = sealing.Requests(args, keyring)
    parents = _parents(args.parent, keyring)
    return keyring, lambda data, name: seal_manifest(data, requests.of(name), requests.keyring(name), parents)


def _parents(path: str, keyring: Keyring) -> Parents:
    if not path:
        return {}
    from secretsvc import workspace

    try:
        return open_parents(standard_input() if path == "-" else workspace.read(path).data, keyring)
    except KsecretError as error:
        error.file = path
        raise
