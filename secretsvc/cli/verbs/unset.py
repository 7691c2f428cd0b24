"""`ksecret unset`."""

from __future__ import annotations

from secretsvc.cli import options, sealing
from secretsvc.cli.options import Server
from secretsvc.cli.session import begin
from secretsvc.cli.verbs.patch import change_each
from secretsvc.cli.verbs.set import add_changing, changed_file
from secretsvc.errors import UsageError
from secretsvc.operations.request import Changes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secretsvc.cli.arguments import Arguments
    from secretsvc.cli.parser import Parser

EXAMPLES = """\
  ksecret unset secret.yaml old-password older-password"""


def add_arguments(parser: Parser) -> None:
    """The options."""
    parser.add_argument("files", nargs="*", metavar="FILE KEY", help="a sealed manifest, and the keys to take away")
    sealing.add_output(parser)
    add_changing(parser)


def run(args: Arguments) -> int:
    """Takes keys away; the exit code."""
    keys = args.files[1:]
    if not keys:
        raise UsageError("unset takes a file and keys", hint="ksecret unset --help shows how")
    targets, wanted = changed_file(args)
    session = begin(Server(), options.unlocking(args), wanted)
    return change_each(targets, session, Changes(values=dict.fromkeys(keys)), args.secret, "changed")
