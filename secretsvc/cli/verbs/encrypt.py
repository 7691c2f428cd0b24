"""`ksecret encrypt`."""

from __future__ import annotations

from secretsvc.cli import options, sealing, sops
from secretsvc.cli.batch import Batch
from secretsvc.cli.report import warn
from secretsvc.cli.sealing import SealingOptions, may_hold_secret, place_of
from secretsvc.cli.session import begin, remote_session
from secretsvc.errors import AlreadySealedError
from secretsvc.files import workspace
from secretsvc.files.workspace import name_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secretsvc.cli.arguments import Arguments
    from secretsvc.cli.parser import Parser
    from secretsvc.cli.session import Session
    from secretsvc.operations import Result

EXAMPLES = """\
  ksecret encrypt secret.yaml                       print it sealed, to what .ksecret.yaml says, or to yourself
  ksecret encrypt -i -k age:age1… secret.yaml       seal the file itself
  ksecret encrypt -i -r deploy/                     every manifest under deploy/
  ksecret encrypt -i -k +pgp:6206… secret.yaml      one more key may open it
  ksecret encrypt -x -o sealed.yaml clear.yaml      values under data are clear text, not base64
  ksecret encrypt --path prod/db.yaml - < new.yaml > prod/db.yaml         to the keys of the file that it becomes
  kubectl get secret db -o yaml | ksecret encrypt --from-cluster -o db.yaml -
  ksecret encrypt --parent old.yaml new.yaml        keep old.yaml's keys and unchanged tokens
  ksecret encrypt --format kubesec secret.yaml      in kubesec's format, to your own PGP key
  ksecret encrypt -i --format sops values.yaml      any tree, in SOPS's format, as .sops.yaml says"""


def add_arguments(parser: Parser) -> None:
    """The options."""
    options.add_files(parser)
    sealing.add_output(parser)
    sealing.add_keys(parser)
    parser.add_argument("-x", "--cleartext", action="store_true", help="values under data are clear text")
    parser.add_argument(
        "-p", "--parent", metavar="FILE", default="", help="take keyset, DEK and unchanged tokens from it"
    )
    sealing.add_format(parser, sops.NAME)
    sops.add_rules(parser)
    sealing.add_trust(parser)
    sealing.add_repeated(parser)
    parser.add_argument(
        "--from-cluster",
        "--strip-last-applied",
        dest="from_cluster",
        action="store_true",
        help="remove what `kubectl get` brings along: uid, resourceVersion, …, and annotations that repeat the data",
    )
    parser.add_argument(
        "--if-needed", action="store_true", help="leave files alone in which `ksecret check` finds nothing to seal"
    )
    options.add_jobs(parser)
    options.add_server(parser)
    options.add_backends(parser)


def run(args: Arguments) -> int:
    """Seals; the exit code."""
    targets = options.targets(args)._replace(jobs=args.jobs)
    if args.format == sops.NAME:
        server = options.server(args)
        named = SealingOptions(tuple(args.key), place_of(args.path, targets))
        remote = remote_session(server, options.unlocking(args), named) if server.url else None
        return sops.encrypt(args, targets, remote)
    sops.refuse_rules(args)
    wanted = SealingOptions(
        tuple(args.key),
        place_of(args.path, targets),
        args.format,
        args.scope,
        parent=args.parent,
        recompute_mac=args.recompute_mac,
        yes=args.yes,
        allow_repeated=args.allow_repeated,
        files=workspace.named(targets.files),
    )
    session = begin(options.server(args), options.unlocking(args), wanted)

    def operation(data: bytes, name: str) -> Result | bytes:
        if args.if_needed:
            from secretsvc.operations.check import needs_sealing

            if not (needs_sealing(data, name) or _is_ruled(session, data, name)):
                return data
        if args.cleartext or args.from_cluster:
            return _prepared(session, data, name, cleartext=args.cleartext, from_cluster=args.from_cluster)
        sealed = session.seal(data, name)
        _warn_of_cluster(data, name)
        return sealed

    batch = Batch(targets, "sealed", private=False, ruled=session.wants_sealed)
    return batch.run(operation, session, may_hold_secret)


def _is_ruled(session: Session, data: bytes, name: str) -> bool:
    """Tell whether a rule of SOPS's wants the file sealed, and it is not."""
    if not session.wants_sealed(name):
        return False
    from secretsvc.operations.open import sops_tree
    from secretsvc.policy.sops_configs import may_be_ruled

    return may_be_ruled(data) and not sops_tree(data, name)


def _prepared(session: Session, data: bytes, name: str, *, cleartext: bool, from_cluster: bool) -> Result | bytes:
    """Sealed after a change of the clear text; copies of the data are taken out of what is sealed already, too."""
    from secretsvc.operations.from_cluster import without_cluster
    from secretsvc.operations.prepare import encode_cleartext
    from secretsvc.operations.repeats import lines_of

    stripped = without_cluster(data) if from_cluster else data
    clear = encode_cleartext(stripped) if cleartext else stripped
    try:
        with lines_of(data, clear):
            sealed = session.seal(clear, name)
        _warn_of_cluster(stripped, name)
        return sealed
    except AlreadySealedError:
        if stripped == data:
            raise
        return stripped


def _warn_of_cluster(data: bytes, name: str) -> None:
    """Tells of what would make the next apply fail, for good: nobody sees it in the file that is to be applied then."""
    from secretsvc.operations.from_cluster import MARKS, brought_along

    found = brought_along(data) if any(mark in data for mark in MARKS) else None
    if found:
        what = f"{', '.join(found.names)}: only a cluster sets that, and the next apply will fail over it"
        warn(f"{name_of(name)}:{found.line}: {what}; --from-cluster takes it away")
