"""`ksecret get`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsvc.cli import options
from secretsvc.cli.files import Job, each_file
from secretsvc.cli.policies import FilePolicies
from secretsvc.errors import UsageError
from secretsvc.operations.patch import get_value

if TYPE_CHECKING:
    from argparse import Namespace

    from secretsvc.cli.parser import Parser
    from secretsvc.operations.result import Result

EXAMPLES = """\
  ksecret get secret.yaml password            its bytes and nothing else, decoded
  ksecret get secret.yaml tls.crt -o tls.crt
  ksecret get --secret prod/db all.yaml password"""


def add_arguments(parser: Parser) -> None:
    """The options."""
    parser.add_argument("files", nargs="*", metavar="FILE KEY", help="a sealed manifest, and the key to print")
    parser.add_argument("-o", "--output", metavar="FILE", default="", help="write here; - is standard output")
    options.add_secret(parser)
    options.add_backends(parser)


def run(args: Namespace) -> int:
    """Prints one value; the exit code."""
    if len(args.files) != 2:
        raise UsageError("get takes a file and a key", hint="ksecret get --help shows how")
    *args.files, key = args.files
    args.in_place, args.recursive = False, None
    keyring = options.backends(args)
    policies = FilePolicies(keyring)

    def operation(data: bytes, name: str) -> Result:
        return get_value(data, key, policies.keyring_for_opening(name), args.secret)

    return each_file(Job(operation, "printed", private=True), args)
