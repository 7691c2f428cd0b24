"""`ksecret exec`."""

from __future__ import annotations

import os

from secretsvc import core_dumps
from secretsvc.cli import child, options
from secretsvc.cli.in_memory import open_all
from secretsvc.cli.session import opener
from secretsvc.errors import FileError, UsageError
from secretsvc.operations.values import by_name, only, values, variables

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secretsvc.cli.arguments import Arguments
    from secretsvc.cli.parser import Parser

EXAMPLES = """\
  ksecret exec db.yaml -- psql                         each value in the variable that is named like its key
  ksecret exec --upper --prefix DB_ db.yaml -- env     the key user-name becomes DB_USER_NAME
  ksecret exec --only password db.yaml -- ./migrate    no other value
  ksecret exec --files tls.yaml -- sh -c 'curl --cert "$KSECRET_FILES/tls.crt" --key "$KSECRET_FILES/tls.key" ...'"""


def add_arguments(parser: Parser) -> None:
    """The options."""
    parser.add_argument("files", nargs="*", metavar="FILE", help="a sealed manifest; - is standard input")
    parser.add_command("CMD [ARG...]")
    parser.add_argument("--only", action="append", default=[], metavar="KEY", help="this value only (repeat)")
    parser.add_argument("--upper", action="store_true", help="names in capitals, with _ for - and .")
    parser.add_argument("--prefix", default="", metavar="TEXT", help="put before each name")
    parser.add_argument(
        "--files",
        dest="as_files",
        action="store_true",
        help="in place of variables: a file for each value, in a private folder in memory that $KSECRET_FILES names",
    )
    options.add_jobs(parser)
    options.add_server(parser)
    options.add_backends(parser)


def run(args: Arguments) -> int:
    """Opens everything, then runs the command; its exit code."""
    if not args.command:
        raise UsageError("no command to run", hint="put it last: ksecret exec FILE -- CMD ARGS")
    if args.as_files and (args.upper or args.prefix):
        raise UsageError("--upper and --prefix are for variables; files are named like their keys")
    if args.as_files:
        core_dumps.keep_memory_private()  # this process stays
    targets = options.Targets(tuple(args.files), debug=args.debug, jobs=args.jobs)
    session = opener(options.server(args), options.unlocking(args))
    opened, failed = open_all(targets, session, pass_clear=False, warn=False)
    if failed:
        return failed
    found = only([value for one in opened for value in values(one.data, one.name)], args.only)
    named = by_name(found, prefix=args.prefix, upper=args.upper)
    if not args.as_files:
        more = {os.fsencode(name): data for name, data in variables(named).items()}
        with core_dumps.AsStarted():
            child.become(args.command, child.environment(more))
    from secretsvc.files.private_folder import private_folder

    with child.signals_held() as mask, private_folder(on_disk=False) as folder:
        for name, value in named.items():
            _write(os.path.join(folder.path, name), value.data)
        os.set_inheritable(folder.lock, True)  # so that nobody sweeps the folder away while the command is there
        return child.run(args.command, child.environment({b"KSECRET_FILES": os.fsencode(folder.path)}), mask)


def _write(path: str, data: bytes) -> None:
    from secretsvc.files.private_folder import write_private

    try:
        write_private(path, data)
    except OSError as error:
        raise FileError(f"can't be written: {error.strerror}", file=path) from error
