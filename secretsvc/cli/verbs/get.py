"""`ksecret get`."""

from __future__ import annotations

import sys

from secretsvc.cli import options
from secretsvc.cli.batch import Batch
from secretsvc.cli.options import Targets
from secretsvc.cli.policies import FilePolicies
from secretsvc.errors import UsageError, printable
from secretsvc.operations.get import entry_names, get_value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secretsvc.cli.arguments import Arguments
    from secretsvc.cli.parser import Parser
    from secretsvc.operations import Result

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


def run(args: Arguments) -> int:
    """Prints one value, or the names of all; the exit code."""
    if len(args.files) not in (1, 2):
        raise UsageError("get takes a file and a key, or a file", hint="ksecret get --help shows how")
    path, *keys = args.files
    targets = Targets((path,), output=args.output, debug=args.debug)
    if not keys:
        names = Batch(targets, "printed", private=False)
        return names.run(lambda data, _name: _listed(entry_names(data, args.secret)))
    policies = FilePolicies(options.backends(options.unlocking(args)))
    on_terminal = args.output in ("", "-") and sys.stdout.isatty()

    def operation(data: bytes, name: str) -> Result:
        value = get_value(data, keys[0], policies.keyring_for_opening(name, data), args.secret)
        # On a terminal with a line break, so that the shell's prompt does not stand behind it.
        return value._replace(data=value.data + b"\n") if on_terminal and not value.data.endswith(b"\n") else value

    return Batch(targets, "printed", private=True).run(operation)


def _listed(found: list[tuple[str, list[str]]]) -> bytes:
    """A name a line; below the Secret's own where there are several."""
    if len(found) == 1:
        lines = found[0][1]
    else:
        lines = [line for label, names in found for line in (f"{label}:", *(f"  {name}" for name in names))]
    return "".join(f"{printable(line)}\n" for line in lines).encode()
