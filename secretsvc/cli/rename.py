"""`ksecret rename`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsvc.cli import options, sealing
from secretsvc.cli.files import SEALED, Job, each_file
from secretsvc.cli.report import Unbound
from secretsvc.operations.patch import rename_manifest

if TYPE_CHECKING:
    from argparse import Namespace

    from secretsvc.cli.parser import Parser

EXAMPLES = """\
  ksecret rename secret.yaml --name db2 --namespace test
  ksecret rename secret.yaml                     its name was changed in an editor: seal it for the new one"""


def add_arguments(parser: Parser) -> None:
    """The options."""
    parser.add_argument("files", nargs="*", metavar="FILE", help="a sealed manifest; - is standard input")
    options.add_output(parser)
    parser.add_argument("--name", default="", help="the new metadata.name")
    parser.add_argument("-n", "--namespace", default="", help="the new metadata.namespace")
    options.add_secret(parser)
    sealing.add_keys(parser)
    sealing.add_scope(parser)
    options.add_backends(parser)


def run(args: Namespace) -> int:
    """Seals for another name, with a new DEK; the exit code."""
    args.recursive = False
    options.change_in_place(args)
    named = {field: text for field, text in (("name", args.name), ("namespace", args.namespace)) if text}
    keyring = options.backends(args)
    requests = sealing.Requests(args, keyring)
    unbound = Unbound()

    def operation(data: bytes, name: str) -> bytes:
        renamed = rename_manifest(data, named, requests.of(name), requests.keyring(name), args.secret)
        unbound.seen(bound=renamed.bound)
        return renamed.data

    code = each_file(Job(operation, "renamed", False, SEALED, lambda: 1), args)
    unbound.tell()
    return code
