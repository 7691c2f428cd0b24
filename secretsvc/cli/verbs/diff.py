"""`ksecret diff`."""

from __future__ import annotations

import sys

from secretsvc.cli import live, options
from secretsvc.cli.session import opener
from secretsvc.operations.live_diff import Fingerprints

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secretsvc.cli.arguments import Arguments
    from secretsvc.cli.parser import Parser

EXAMPLES = """\
  ksecret diff -r deploy/                             what ksecret apply would change; 1 where anything
  ksecret diff secret.yaml -- --context prod -n shop  what comes after -- is kubectl's
  ksecret diff --show secret.yaml                     the values themselves, in place of fingerprints"""


def add_arguments(parser: Parser) -> None:
    """The options."""
    options.add_files(parser)
    parser.add_command("KUBECTL ARGS")
    parser.add_argument("--show", action="store_true", help="print values; else fingerprints of this run stand there")
    options.add_jobs(parser)
    options.add_server(parser)
    options.add_backends(parser)


def run(args: Arguments) -> int:
    """Prints what differs: 0 for nothing, 1 for something, more for failures."""
    targets = options.Targets(tuple(args.files), args.recursive, debug=args.debug, jobs=args.jobs)
    answer = live.compare(targets, opener(options.server(args), options.unlocking(args)), args.command)
    if answer.failed:
        return answer.failed
    fingerprints = Fingerprints()
    form = fingerprints.or_value if args.show else fingerprints.of
    found = [one for one in live.with_values(answer, args.command, form) if one.differs]
    for one in found:
        sys.stdout.write(on_terminal(one.unified()))
    return 1 if found else 0


def on_terminal(text: str) -> str:
    """Lines that a terminal only shows: what a cluster keeps may hold control sequences."""
    return "".join(mark if mark.isprintable() or mark in "\n\t" else "?" for mark in text)
