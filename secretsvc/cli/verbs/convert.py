"""`ksecret convert`."""

from __future__ import annotations

from secretsvc import formats
from secretsvc.cli import options, sealing
from secretsvc.cli.batch import Batch
from secretsvc.cli.sealing import Requests, SealingOptions, place_of
from secretsvc.errors import UsageError
from secretsvc.operations.convert import convert_manifest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secretsvc.cli.arguments import Arguments
    from secretsvc.cli.parser import Parser
    from secretsvc.operations import Result

EXAMPLES = """\
  ksecret convert --to ksecret -r deploy/           every file of kubesec's under deploy/ becomes ksecret's
  ksecret convert --to kubesec secret.yaml          the other way, to share it with people who run kubesec
  ksecret convert --to kubesec -k pgp:6206… secret.yaml
  ksecret convert --to kubesec -o - secret.yaml     print it"""


def add_arguments(parser: Parser) -> None:
    """The options."""
    options.add_files(parser)
    parser.add_argument("--to", choices=formats.names(), default="", dest="format", help="the format to write")
    parser.add_argument(
        "--policy", action="store_true", help="FILE is a .sops.yaml or a .ksecret.yaml: print the other"
    )
    sealing.add_output(parser)
    sealing.add_keys(parser)
    sealing.add_scope(parser)
    sealing.add_trust(parser)
    sealing.add_repeated(parser)
    options.add_jobs(parser)
    options.add_backends(parser)


def run(args: Arguments) -> int:
    """Converts the files themselves, unless `-o` says where to; the exit code."""
    if args.policy:
        from secretsvc.cli import policy_conversion

        return policy_conversion.convert(options.targets(args))
    if not args.format:
        raise UsageError("convert to what?", hint=" or ".join(f"--to {name}" for name in formats.names()))
    targets = options.targets(args)._replace(jobs=args.jobs).in_place_by_default()
    wanted = SealingOptions(
        tuple(args.key),
        place_of(args.path, targets),
        args.format,
        args.scope,
        recompute_mac=args.recompute_mac,
        yes=args.yes,
        allow_repeated=args.allow_repeated,
    )
    backends = options.backends(options.unlocking(args))
    requests = Requests(wanted, backends)

    def operation(data: bytes, name: str) -> Result:
        return convert_manifest(data, requests.of(name), requests.keyring(name))

    return Batch(targets, "converted", private=False).run(operation, backends, forks=not args.recompute_mac)
