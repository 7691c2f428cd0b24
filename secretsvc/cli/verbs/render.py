"""`ksecret render`."""

from __future__ import annotations

from secretsvc.cli import options
from secretsvc.cli.batch import put_out
from secretsvc.cli.in_memory import handed_on
from secretsvc.cli.session import OneNamespace, opener

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secretsvc.cli.arguments import Arguments
    from secretsvc.cli.parser import Parser

EXAMPLES = """\
  ksecret render -r deploy/ | kubectl apply --server-side --dry-run=server -f -   every manifest, sealed or not
  kubectl kustomize overlays/prod | ksecret render - | kubectl apply --server-side -f -
  helm upgrade app ./chart --post-renderer ksecret --post-renderer-args render --post-renderer-args -
  ksecret render -r --only-namespace prod deploy/    strangers' manifests: nothing of others' opens"""


def add_arguments(parser: Parser) -> None:
    """The options."""
    options.add_files(parser)
    parser.add_argument("-o", "--output", metavar="FILE", default="", help="write here; - is standard output")
    parser.add_argument(
        "--only-namespace", metavar="NAME", help="open what was sealed for that namespace, and refuse all else"
    )
    options.add_jobs(parser)
    options.add_server(parser)
    options.add_backends(parser)


def run(args: Arguments) -> int:
    """Prints the stream that `ksecret apply` would hand on, or nothing where a file does not open; the exit code."""
    targets = options.Targets(tuple(args.files), args.recursive, debug=args.debug, jobs=args.jobs)
    run = opener(options.server(args), options.unlocking(args))
    data, failed = handed_on(targets, run if args.only_namespace is None else OneNamespace(run, args.only_namespace))
    if not failed:
        put_out(data, args.output, private=True)
    return failed
