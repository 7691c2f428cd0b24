"""`ksecret rename`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsvc.cli import options, sealing
from secretsvc.cli.files import Job, each_file
from secretsvc.operations.patch import rename_manifest

if TYPE_CHECKING:
    from argparse import Namespace

    from secretsvc.cli.parser import Parser
    from secretsvc.operations.result import Result

EXAMPLES = """\
  ksecret rename secret.yaml --name db2 --namespace test
  ksecret rename secret.yaml                     its name was changed in an editor: seal it for the new one
  ksecret rename secret.yaml --type kubernetes.io/basic-auth   another type; also where an editor wrote it already"""


def add_arguments(parser: Parser) -> None:
    """The options."""
    parser.add_argument("files", nargs="*", metavar="FILE", help="a sealed manifest; - is standard input")
    sealing.add_output(parser)
    parser.add_argument("--name", default="", help="the new metadata.name")
    parser.add_argument("-n", "--namespace", default="", help="the new metadata.namespace")
    parser.add_argument("--type", default="", help="the new type, such as kubernetes.io/basic-auth")
    options.add_secret(parser)
    sealing.add_keys(parser)
    sealing.add_scope(parser)
    options.add_backends(parser)


def run(args: Namespace) -> int:
    """Seals for another name, namespace or type; the exit code."""
    args.recursive = None
    options.change_in_place(args)
    identity = {member: text for member in ("name", "namespace", "type") if (text := getattr(args, member))}
    keyring = options.backends(args)
    requests = sealing.Requests(args, keyring)

    def operation(data: bytes, name: str) -> Result:
        return rename_manifest(data, identity, requests.of(name), requests.keyring(name), args.secret)

    return each_file(Job(operation, "renamed", private=False), args)
