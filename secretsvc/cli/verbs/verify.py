"""`ksecret verify`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsvc.cli import options
from secretsvc.cli.files import Job, each_file
from secretsvc.cli.policies import FilePolicies
from secretsvc.cli.report import printable
from secretsvc.errors import AlteredError
from secretsvc.operations.open import open_manifest

if TYPE_CHECKING:
    from argparse import Namespace

    from secretsvc.cli.parser import Parser
    from secretsvc.operations.result import Result

EXAMPLES = """\
  ksecret verify secret.yaml          exit 0: it opens and nothing was altered; 1: altered or moved
  ksecret verify -r deploy/           every sealed manifest under deploy/"""


def add_arguments(parser: Parser) -> None:
    """The options."""
    options.add_files(parser)
    options.add_jobs(parser)
    options.add_backends(parser)


def run(args: Namespace) -> int:
    """Opens and checks; the exit code: 1 where a file was altered, others where it could not be checked."""
    keyring = options.backends(args)
    args.in_place, args.output = False, ""
    policies = FilePolicies(keyring)

    def operation(data: bytes, name: str) -> Result:
        try:
            return open_manifest(data, policies.keyring_for_opening(name))
        except AlteredError as error:
            error.exit_code = 1
            raise

    def shown(opened: Result, name: str) -> str:
        return printable(f"{name}: {opened.secrets} sealed, all sound")

    return each_file(Job(operation, "verified", private=True, jobs=options.jobs(args, keyring), shown=shown), args)
