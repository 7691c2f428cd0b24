"""`ksecret get`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from secretsvc.cli import options
from secretsvc.cli.files import Job, each_file
from secretsvc.cli.policies import FilePolicies
from secretsvc.cli.report import printable
from secretsvc.errors import UsageError
from secretsvc.operations.patch import entry_names, get_value

if TYPE_CHECKING:
    from argparse import Namespace

    from secretsvc.cli.parser import Parser
    from secretsvc.operations.result import Result

EXAMPLES = """\
  ksecret get secret.yaml                     the names of its entries, for which no key is needed
  ksecret get secret.yaml password            its bytes and nothing else, decoded; on a terminal, a line of its own
  ksecret get secret.yaml tls.crt -o tls.crt
  ksecret get --secret prod/db all.yaml password"""


def add_arguments(parser: Parser) -> None:
    """The options."""
    parser.add_argument("files", nargs="*", metavar="FILE [KEY]", help="a sealed manifest, and the key to print")
    parser.add_argument("-o", "--output", metavar="FILE", default="", help="write here; - is standard output")
    options.add_secret(parser)
    options.add_backends(parser)


def run(args: Namespace) -> int:
    """Prints one value, or the names of all; the exit code."""
    if len(args.files) not in (1, 2):
        raise UsageError("get takes a file and a key, or a file", hint="ksecret get --help shows how")
    keys, args.files = args.files[1:], args.files[:1]
    args.in_place, args.recursive = False, None
    if not keys:
        names = Job(lambda data, _name: _listed(entry_names(data, args.secret)), "printed", private=False)
        return each_file(names, args)
    policies = FilePolicies(options.backends(args))

    def operation(data: bytes, name: str) -> Result:
        return get_value(data, keys[0], policies.keyring_for_opening(name), args.secret)

    shown = _ended if args.output in ("", "-") and sys.stdout.isatty() else _exact
    return each_file(Job(operation, "printed", private=True, shown=shown), args)


def _listed(found: list[tuple[str, list[str]]]) -> bytes:
    """A name a line; below the Secret's own where there are several."""
    if len(found) == 1:
        lines = found[0][1]
    else:
        lines = [line for label, names in found for line in (f"{label}:", *(f"  {name}" for name in names))]
    return "".join(f"{printable(line)}\n" for line in lines).encode()


def _exact(value: Result, _name: str) -> bytes:
    return value.data


def _ended(value: Result, _name: str) -> bytes:
    """With a line break, so that the shell's prompt does not stand behind it."""
    return value.data if value.data.endswith(b"\n") else value.data + b"\n"
