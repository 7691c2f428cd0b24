"""`ksecret convert`."""

from __future__ import annotations

from secretsvc import core_dumps, formats
from secretsvc.cli import options, sealing
from secretsvc.cli.batch import Batch, content
from secretsvc.cli.sealing import Requests, SealingOptions, place_of
from secretsvc.errors import AlreadySealedError, UsageError
from secretsvc.files.workspace import name_of
from secretsvc.operations.convert import convert_manifest
from secretsvc.operations.open import sops_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secretsvc.backends.registry import Backends
    from secretsvc.cli.arguments import Arguments
    from secretsvc.cli.options import Targets
    from secretsvc.cli.parser import Parser
    from secretsvc.operations import Result

SOPS = "sops"

EXAMPLES = """\
  ksecret convert --to ksecret -r deploy/           every file of kubesec's or SOPS's under deploy/ becomes ksecret's
  ksecret convert --to kubesec secret.yaml          the other way, to share it with people who run kubesec
  ksecret convert --to sops secret.yaml             or sops; keys and rule by .sops.yaml where there is one
  ksecret convert --to kubesec -k pgp:6206… secret.yaml
  ksecret convert --to kubesec -o - secret.yaml     print it
  ksecret convert --sealed-secrets-key keys.yaml -r deploy/     SealedSecrets, with the controller's backed-up keys
  ksecret convert --policy .sops.yaml               the .ksecret.yaml for it, or the other way"""


def add_arguments(parser: Parser) -> None:
    """The options."""
    options.add_files(parser)
    parser.add_argument("--to", choices=(*formats.names(), SOPS), default="", dest="format", help="the format to write")
    parser.add_argument("--policy", action="store_true", help="FILE is a .sops.yaml or .ksecret.yaml: print the other")
    parser.add_argument(
        "--sealed-secrets-key",
        action="append",
        default=[],
        metavar="FILE",
        help="open SealedSecrets by their controller's keys, PEM or kubectl's YAML (repeat; - is standard input)",
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
    _refuse_words(args)
    targets = options.targets(args)._replace(jobs=args.jobs).in_place_by_default()
    place = place_of(args.path, targets)
    wanted = SealingOptions(
        tuple(args.key),
        place,
        args.format if args.format != SOPS else "",
        args.scope,
        recompute_mac=args.recompute_mac,
        yes=args.yes,
        allow_repeated=args.allow_repeated,
    )
    backends = options.backends(options.unlocking(args))
    requests = Requests(wanted, backends)
    if args.sealed_secrets_key:
        return _of_sealed_secrets(args, targets, requests, backends)

    def operation(data: bytes, name: str) -> Result:
        tree = sops_tree(data, name)
        if args.format == SOPS:
            if tree:
                raise AlreadySealedError("it is in SOPS's format already")
            from secretsvc.cli.sops import converted

            return converted(data, place or name, requests, backends)
        if tree:
            from secretsvc.operations.document_convert import from_sops

            return from_sops(tree, requests.of(name), requests.keyring(name, data=data), requests.by_policy(name))
        return convert_manifest(data, requests.of(name), requests.keyring(name))

    return Batch(targets, "converted", private=False).run(operation, backends, forks=not args.recompute_mac)


def _refuse_words(args: Arguments) -> None:
    """Raises UsageError for options that do not go together, or say too little."""
    if args.sealed_secrets_key and args.format == SOPS:
        raise UsageError("SealedSecrets become ksecret's format first", hint="then convert --to sops")
    if not (args.format or args.sealed_secrets_key):
        known = " or ".join(f"--to {name}" for name in (*formats.names(), SOPS))
        raise UsageError("convert to what?", hint=f"{known}; SealedSecrets: --sealed-secrets-key FILE")
    if args.format == SOPS and args.scope:
        raise UsageError("--scope does not go with --to sops", hint="SOPS's format binds no Secret to its name")


def _of_sealed_secrets(args: Arguments, targets: Targets, requests: Requests, backends: Backends) -> int:
    """Converts SealedSecrets; what else is found in folders is passed over."""
    from secretsvc.operations.sealed_secret_keys import read_keys
    from secretsvc.operations.sealed_secrets import KIND, from_sealed_secrets

    if [*args.sealed_secrets_key, *targets.files].count("-") > 1:
        raise UsageError("standard input can be read once only")
    core_dumps.keep_memory_private()
    keys = read_keys((name_of(path), content(path)) for path in args.sealed_secrets_key)

    def operation(data: bytes, name: str) -> Result:
        return from_sealed_secrets(data, keys, requests.of(name), requests.keyring(name))

    batch = Batch(targets, "converted", private=False)
    return batch.run(operation, backends, lambda text: text.find(KIND.encode()) >= 0)
