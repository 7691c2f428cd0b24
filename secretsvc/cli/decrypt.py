"""`ksecret decrypt`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsvc.cli import options
from secretsvc.cli.files import SEALED, Job, each_file
from secretsvc.cli.report import Unbound
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

    unbound = Unbound()

    def operation(data: bytes, _name: str) -> bytes:
        opened = open_manifest(data, keyring)
        unbound.seen(bound=opened.bound)
        if args.cleartext:
            from secretsvc.operations.prepare import decode_data

            return decode_data(opened.data)
        return opened.data

    job = Job(operation, "opened", private=True, markers=SEALED, jobs=options.jobs(args, keyring))
    code = each_file(job, args)
    unbound.tell()
    return code
