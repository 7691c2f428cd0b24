"""`ksecret verify`."""

from __future__ import annotations

from secretsvc.cli import options
from secretsvc.cli.batch import Batch, PrintedLine
from secretsvc.cli.options import Targets
from secretsvc.cli.report import printable
from secretsvc.cli.session import LocalOpener
from secretsvc.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secretsvc.cli.arguments import Arguments
    from secretsvc.cli.parser import Parser

EXAMPLES = """\
  ksecret verify secret.yaml          exit 0: it opens and nothing was altered; 1: altered or moved
  ksecret verify -r deploy/           every sealed manifest under deploy/
  ksecret verify --mend values.yaml   after a merge without a key: SOPS's file gets a MAC that fits"""


def add_arguments(parser: Parser) -> None:
    """The options."""
    options.add_files(parser)
    about = "SOPS's files: make a new MAC, where Git merged two; shows first what you would vouch for, and asks"
    parser.add_argument("--mend", action="store_true", help=about)
    parser.add_argument("-y", "--yes", action="store_true", help="--mend: do not ask")
    options.add_jobs(parser)
    options.add_backends(parser)


def run(args: Arguments) -> int:
    """Opens and checks; the exit code: 1 where a file was altered, others where it could not be checked."""
    if args.mend:
        from secretsvc.cli.mending import mend_files

        return mend_files(args)
    if args.yes:
        raise UsageError("-y answers what --mend asks")
    targets = Targets(tuple(args.files), args.recursive, debug=args.debug, jobs=args.jobs)
    session = LocalOpener(options.backends(options.unlocking(args)))

    def operation(data: bytes, name: str) -> PrintedLine:
        opened = session.open(data, name)
        return PrintedLine(printable(f"{name}: {opened.secrets} sealed, all sound"), opened.bound)

    return Batch(targets, "verified", private=True, altered=1, any_name=True).run(operation, session)
