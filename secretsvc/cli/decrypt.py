"""`ksecret decrypt`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsvc.cli import options
from secretsvc.cli.files import Job, each_file
from secretsvc.operations.open import open_manifest

if TYPE_CHECKING:
    from argparse import Namespace

    from secretsvc.cli.parser import Parser

EXAMPLES = """\
  ksecret decrypt secret.yaml                        print it in the clear
  ksecret decrypt secret.yaml | kubectl apply --server-side -f -
  ksecret decrypt -r deploy/                         every sealed manifest under deploy/, as one stream
  ksecret decrypt -x secret.yaml                     values under data decoded, for people to read"""


def add_arguments(parser: Parser) -> None:
    """The options."""
    options.add_files(parser)
    options.add_output(parser)
    parser.add_argument("-x", "--cleartext", action="store_true", help="show values under data decoded")
    options.add_jobs(parser)
    options.add_backends(parser)


def run(args: Namespace) -> int:
    """Opens; the exit code."""
    keyring = options.backends(args)

    def operation(data: bytes, _name: str) -> bytes:
        opened = open_manifest(data, keyring).data
        if args.cleartext:
            from secretsvc.operations.prepare import decode_data

            opened = decode_data(opened)
        return opened

    return each_file(Job(operation, "opened", private=True, markers=(b"ksecret",), jobs=options.jobs(args, keyring)), args)
