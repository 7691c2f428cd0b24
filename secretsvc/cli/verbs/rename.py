"""`ksecret rename`."""

from __future__ import annotations

from secretsvc.cli import options, sealing
from secretsvc.cli.batch import Batch
from secretsvc.cli.options import Targets
from secretsvc.cli.sealing import Requests, SealingOptions, place_of
from secretsvc.errors import InputError
from secretsvc.operations.open import sops_tree
from secretsvc.operations.patch import rename_manifest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secretsvc.cli.arguments import Arguments
    from secretsvc.cli.parser import Parser
    from secretsvc.operations import Result

EXAMPLES = """\
  ksecret rename secret.yaml --name db2 --namespace test
  ksecret rename secret.yaml                     its name was changed in an editor: seal it for the new one
  ksecret rename secret.yaml --type kubernetes.io/basic-auth   another type; also where an editor wrote it already"""


def add_arguments(parser: Parser) -> None:
    """The options."""
    parser.add_argument("files", nargs="*", metavar="FILE", help="a sealed manifest; - is standard input")
    sealing.add_output(parser)
    parser.add_argument("--name", default="", help="the new metadata.name")
    parser.add_argument("-n", "--namespace", default="", help="the new metadata.namespace")
    parser.add_argument("--type", default="", help="the new type, such as kubernetes.io/basic-auth")
    options.add_secret(parser)
    sealing.add_keys(parser)
    sealing.add_scope(parser)
    options.add_backends(parser)


def run(args: Arguments) -> int:
    """Seals for another name, namespace or type; the exit code."""
    targets = Targets(tuple(args.files), None, args.in_place, args.output, args.debug).in_place_by_default()
    identity = {"name": args.name, "namespace": args.namespace, "type": args.type}
    changed = {member: text for member, text in identity.items() if text}
    wanted = SealingOptions(tuple(args.key), place_of(args.path, targets), scope=args.scope)
    requests = Requests(wanted, options.backends(options.unlocking(args)))

    def operation(data: bytes, name: str) -> Result:
        if sops_tree(data, name):
            what = (
                "SOPS's format binds a file to no name and no namespace, so nothing needs to be sealed for another one"
            )
            raise InputError(what, hint="ksecret set FILE metadata.name=NAME, or ksecret edit FILE, changes it")
        return rename_manifest(data, changed, requests.of(name), requests.keyring(name), args.secret)

    return Batch(targets, "renamed", private=False).run(operation)
