"""`ksecret report`."""

from __future__ import annotations

import os

from secretsvc.cli import options
from secretsvc.cli.batch import put_out
from secretsvc.cli.report import report
from secretsvc.cli.reports.gather import gather
from secretsvc.cli.verbs.check import walked
from secretsvc.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secretsvc.cli.arguments import Arguments
    from secretsvc.cli.parser import Parser
    from secretsvc.errors import KsecretError

EXAMPLES = """\
  ksecret report                           who opens what, in this folder and below; needs no key
  ksecret report --html who.html deploy/   one page to read, filter and print
  ksecret report --json deploy/ | jq '.holders[] | {name, alone}'
  ksecret report --leaver bob              what Bob could open, and the lines that change it
  ksecret report --leaver bob --since-git  what he could in any commit, too
exit code: 0, whatever the report says; 3 and above: something could not be looked at"""


def add_arguments(parser: Parser) -> None:
    """The options."""
    parser.add_argument("files", nargs="*", metavar="PATH", help="a file or a folder (default: .)")
    parser.add_argument(
        "-r", "--recursive", action="store_true", help="as other commands have it: folders are walked anyway"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--html", metavar="FILE", default="", help="write one self-contained page of HTML; - prints it")
    parser.add_argument(
        "--leaver", metavar="NAME|KEYREF", default="", help="what somebody, or a KeyRef, could open: a script"
    )
    parser.add_argument("--since-git", action="store_true", help="with --leaver: in any commit of any ref, too")
    options.add_jobs(parser)


def run(args: Arguments) -> int:
    """Tells; the exit code."""
    if args.json and args.html:
        raise UsageError("--json and --html are two forms of one report: choose one")
    if args.leaver or args.since_git:
        from secretsvc.cli.reports import leaver

        leaver.refuse(since_git=args.since_git, name=args.leaver, html=args.html)
    unread: list[KsecretError] = []

    def failed(error: KsecretError) -> None:
        report(error, debug=args.debug)
        unread.append(error)

    # What is gone from the work tree may be in history all the same.
    there = [path for path in args.files if os.path.lexists(path)] if args.since_git else args.files
    items, source_of = walked(there if args.files else ["."], failed)
    targets = options.Targets(tuple(args.files), True, debug=args.debug, jobs=args.jobs)
    access, code = gather(items, source_of, targets, unread)
    if args.leaver:
        paths = tuple(args.files or ["."])
        one = leaver.leaver(args.leaver, access, paths, since_git=args.since_git)
        print(leaver.as_json(one) if args.json else leaver.as_script(one))
        return max(code, leaver.tell_unread(one.versions))
    if args.html:
        from secretsvc.cli.reports.page import as_html

        put_out(as_html(access, args.files or ["."]).encode(), args.html, private=False)
    else:
        from secretsvc.cli.reports import text

        print(text.as_json(access) if args.json else text.as_text(access))
    return code
