"""`ksecret render`."""

from __future__ import annotations

from secretsvc.cli import options
from secretsvc.cli.batch import put_out
from secretsvc.cli.in_memory import handed_on
from secretsvc.cli.session import opener
from secretsvc.errors import UsageError
from secretsvc.operations.open import refuse_other_namespaces
from secretsvc.patterns import pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secretsvc.cli.arguments import Arguments
    from secretsvc.cli.parser import Parser
    from secretsvc.cli.session import Opener
    from secretsvc.operations import Result

EXAMPLES = """\
  ksecret render -r deploy/ | kubectl apply --server-side --dry-run=server -f -   every manifest, sealed or not
  kubectl kustomize overlays/prod | ksecret render - | kubectl apply --server-side -f -
  helm upgrade app ./chart --post-renderer ksecret --post-renderer-args render --post-renderer-args -
  ksecret render -r --only-namespace prod deploy/    strangers' manifests: nothing of others' opens"""


_NAMESPACE = pattern("[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
"""What Kubernetes takes for one: a label of DNS (RFC 1123)."""


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


class OneNamespace:
    """Opens what was sealed for one namespace, and refuses all else before a key is asked: strangers' manifests."""

    def __init__(self, opener: Opener, namespace: str) -> None:
        """Raises UsageError for a name that no namespace has."""
        if not _NAMESPACE.fullmatch(namespace):
            raise UsageError("--only-namespace takes the name of one namespace: letters, digits and dashes")
        self._opener = opener
        self._namespace = namespace

    @property
    def jobs(self) -> int:
        """As the opener's own."""
        return self._opener.jobs

    @property
    def forks(self) -> bool:
        """As the opener's own."""
        return self._opener.forks

    def open(self, data: bytes, name: str) -> Result:
        """Open the manifest in the file of that name. Raises InputError for one sealed for another namespace."""
        refuse_other_namespaces(data, self._namespace, name)
        return self._opener.open(data, name)
