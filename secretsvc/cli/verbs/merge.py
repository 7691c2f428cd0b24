"""`ksecret merge`, as kubesec has it."""

from __future__ import annotations

from secretsvc.cli import options, sealing
from secretsvc.cli.batch import Batch, content
from secretsvc.cli.options import Targets
from secretsvc.cli.sealing import Requests, SealingOptions, place_of
from secretsvc.errors import UsageError
from secretsvc.operations.convert import superimpose
from secretsvc.operations.open import sops_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secretsvc.cli.arguments import Arguments
    from secretsvc.cli.parser import Parser
    from secretsvc.operations import Result

EXAMPLES = """\
  ksecret merge old.sealed.yaml new.yaml            new.yaml sealed, with old's values for the keys that both have
  ksecret merge -i old.sealed.yaml new.yaml
  (branches of a Git repository are merged by `ksecret git merge`)"""


def add_arguments(parser: Parser) -> None:
    """The options."""
    parser.add_argument("files", nargs="*", metavar="FILE", help="SOURCE, which is sealed, and TARGET, which is not")
    sealing.add_output(parser)
    sealing.add_keys(parser)
    parser.add_argument("-x", "--cleartext", action="store_true", help="the target's values under data are clear text")
    sealing.add_repeated(parser)
    options.add_backends(parser)


def run(args: Arguments) -> int:
    """Seals the target with the source's values; the exit code."""
    if len(args.files) != 2:
        raise UsageError("merge takes a source and a target", hint="ksecret merge --help shows how")
    source, target = args.files
    targets = Targets((target,), None, args.in_place, args.output, args.debug)
    wanted = SealingOptions(tuple(args.key), place_of(args.path, targets), allow_repeated=args.allow_repeated)
    requests = Requests(wanted, options.backends(options.unlocking(args)))
    sealed = content(source)

    def operation(data: bytes, name: str) -> Result:
        request, keyring = requests.of(name, source), requests.keyring(name, source, data=sealed)
        tree = sops_tree(sealed, source)
        if tree:
            from secretsvc.operations.documents.superimpose import superimpose_document

            if args.cleartext:
                raise UsageError("-x does not go with a file in SOPS's format")
            return superimpose_document(tree, data, request, keyring)
        if not args.cleartext:
            return superimpose(sealed, data, request, keyring)
        from secretsvc.operations.prepare import encode_cleartext
        from secretsvc.operations.repeats import lines_of

        encoded = encode_cleartext(data)
        with lines_of(data, encoded):
            return superimpose(sealed, encoded, request, keyring)

    return Batch(targets, "sealed", private=False).run(operation)
