"""`ksecret import`."""

from __future__ import annotations

import os
import sys
from itertools import chain

from secretsvc.cli import kubectl, options, sealing, sops
from secretsvc.cli.batch import put_out, stream
from secretsvc.cli.options import Targets
from secretsvc.cli.report import printable, progress, report, summary, warn
from secretsvc.cli.sealing import SealingOptions, place_of
from secretsvc.cli.session import LocalSession, remote_session
from secretsvc.errors import FileError, KsecretError, ManifestError, NothingToSealError, UsageError
from secretsvc.files import workspace
from secretsvc.files.workspace import STANDARD_INPUT, Item, standard_input
from secretsvc.manifest.foreign import some
from secretsvc.operations.live_secrets import live_secrets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from secretsvc.backends.registry import Backends
    from secretsvc.cli.arguments import Arguments
    from secretsvc.cli.batch import Runs
    from secretsvc.cli.parser import Parser
    from secretsvc.cli.session import Session
    from secretsvc.operations.live_secrets import Live

    Seal = Callable[[bytes, str], bytes]
    """A manifest in the clear, and the path that it is to have."""

EXAMPLES = """\
  ksecret import secret/db -n prod -o db.yaml                   one Secret of the cluster, sealed at once
  ksecret import -r -n prod -o deploy/prod                      each of a namespace, in a file NAME.yaml
  ksecret import secret/db secret/app -n prod --context blue    print both, sealed
  ksecret import -r -n prod -o deploy/prod -- -l app=web        what comes after -- is for kubectl get
  kubectl get secret db -n prod -o yaml | ksecret import -o db.yaml -"""


def add_arguments(parser: Parser) -> None:
    """The options."""
    parser.add_argument("secrets", nargs="*", metavar="secret/NAME", help="which; - is standard input")
    parser.add_command("KUBECTL ARGS")
    parser.add_argument("-r", "--recursive", action="store_true", help="each in a file of its own in the folder -o")
    parser.add_argument("-n", "--namespace", metavar="NS", default="", help="where they are (default: kubectl's own)")
    parser.add_argument("--context", metavar="NAME", default="", help="the cluster, as kubectl's --context")
    parser.add_argument("-o", "--output", metavar="FILE", default="", help="write here; with -r a folder")
    parser.add_argument("-f", "--force", action="store_true", help="overwrite files that are there")
    sealing.add_path(parser)
    sealing.add_keys(parser)
    sealing.add_format(parser, sops.NAME)
    sealing.add_repeated(parser)
    options.add_jobs(parser)
    options.add_server(parser)
    options.add_backends(parser)


def run(args: Arguments) -> int:
    """Reads the cluster's Secrets into memory, and writes them sealed; the exit code."""
    _check(args)
    found = _found(args)
    taken = [live for live in found if not live.left]
    if not (taken or args.recursive):
        raise NothingToSealError(f"{found[0].label} is {found[0].left}: nothing for a manifest")
    seal, runs = _sealer(args)
    _tell_left([live for live in found if live.left])
    for live in taken:
        if live.warning:
            warn(f"{live.label}: {live.warning}")
        if not live.holds_values:
            warn(f"{live.label}: it holds no value, so there was nothing to seal")
    if args.recursive:
        return _into_folder(args, taken, len(found), seal, runs)
    put_out(stream([_sealed(live, "", seal) for live in taken]), args.output, private=False)
    return 0


def _check(args: Arguments) -> None:
    """Raises UsageError, FileError."""
    words = args.secrets
    if "-" in words and (len(words) > 1 or args.namespace or args.context or args.command):
        raise UsageError("- is what kubectl get printed: it goes with no names, and with no words for kubectl")
    if args.recursive and (not args.output or args.output == "-" or args.path):
        raise UsageError("-r writes a file for each Secret", hint="name the folder: -o FOLDER")
    if not words and not args.recursive:
        raise UsageError("no Secret named", hint="ksecret import secret/NAME -n NAMESPACE, or -r for all of them")
    if args.output not in ("", "-") and not args.recursive:
        _refuse_there(args.output, force=args.force)


def _refuse_there(path: str, *, force: bool) -> None:
    """Raises FileError for a file that is there already."""
    special = os.path.exists(path) and not os.path.isfile(path)
    if os.path.lexists(path) and not (special or force):
        raise FileError("there is such a file already", hint="-f overwrites it", file=path)


def _found(args: Arguments) -> list[Live]:
    """What the cluster has, or what standard input says that it has. Raises KsecretError."""
    named = not args.recursive
    if args.secrets == ["-"]:
        from secretsvc.manifest.kubernetes_objects import documents

        try:
            return live_secrets(documents(standard_input()), named=named)
        except KsecretError as error:
            error.file = error.file or STANDARD_INPUT
            raise
    names = [kubectl.secret_named(word) for word in args.secrets]
    words = [f"--{name}={getattr(args, name)}" for name in ("namespace", "context") if getattr(args, name)]
    return live_secrets([kubectl.get(["secrets", *names, *words, *args.command])], named=named)


def _sealer(args: Arguments) -> tuple[Seal, Runs]:
    """Seals each manifest as `ksecret encrypt` would seal the file that it becomes; how many at a time."""
    output = "" if args.recursive or args.output == "-" else args.output
    place = place_of(args.path, Targets((), output=output))
    wanted = SealingOptions(tuple(args.key), place, args.format, args.scope, allow_repeated=args.allow_repeated)
    server, unlocking = options.server(args), options.unlocking(args)
    backends = options.backends(unlocking)
    if args.format == sops.NAME:
        remote = remote_session(server, unlocking, wanted._replace(format="")) if server.url else None
        return (
            lambda data, path: sops.seal_new(data, wanted._replace(place=place or path), backends, remote).data,
            remote or backends,
        )
    session = remote_session(server, unlocking, wanted) if server.url else LocalSession(backends, wanted)

    def seal(data: bytes, path: str) -> bytes:
        before = path or output
        is_there = not server.url and os.path.isfile(before)
        return (_like(before, session, backends, wanted) if is_there else session).seal(data, path or "-").data

    return seal, session


def _like(path: str, otherwise: Session, backends: Backends, wanted: SealingOptions) -> Session:
    """Seals with the keys and unchanged tokens of the file that is to be overwritten, where it is sealed and opens."""
    try:
        return LocalSession(backends, wanted._replace(parent=path))
    except KsecretError:
        return otherwise


def _sealed(live: Live, path: str, seal: Seal) -> bytes:
    if not live.holds_values:
        return live.manifest()
    try:
        return seal(live.manifest(), path)
    except KsecretError as error:
        if not error.file:
            error.file, error.line = path or live.label, 0  # nobody sees the lines of what is sealed here
        raise


def _into_folder(args: Arguments, taken: list[Live], all_found: int, seal: Seal, runs: Runs) -> int:
    """Writes each into its own file; those of several namespaces into a folder for each. The worst exit code."""
    places, failed = _places(args.output, taken)
    codes: list[int] = []

    def work(item: Item) -> KsecretError | None:
        try:
            _refuse_there(item.path, force=args.force)
            _write(item.path, _sealed(places[item.path], item.path, seal))
        except KsecretError as error:
            if error.ends_run:
                raise
            error.file = error.file or item.path
            return error
        return None

    items = [Item(path, named=True) for path in places]
    done = workspace.in_order(items, work, lambda: args.jobs or runs.jobs)
    for error in chain(failed, progress(done, len(items))):
        if error:
            report(error, debug=args.debug)
            codes.append(error.exit_code)
    summary({"imported": len(taken) - len(codes), "skipped": all_found - len(taken), "failed": len(codes)})
    return max(codes, default=0)


def _places(folder: str, taken: list[Live]) -> tuple[dict[str, Live], list[KsecretError]]:
    """The path that each is written to, and errors for those that have the same."""
    several = len({live.secret.namespace for live in taken}) > 1
    places: dict[str, Live] = {}
    failed: list[KsecretError] = []
    for live in taken:
        path = os.path.join(folder, live.secret.namespace if several else "", f"{live.secret.name}.yaml")
        if path in places:
            failed.append(ManifestError(f"{live.label} comes twice: the first is taken", file=path))
        else:
            places[path] = live
    return places, failed


def _write(path: str, data: bytes) -> None:
    workspace.destination(path)  # which refuses a link out of the repository before a folder is made behind it
    try:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    except OSError as error:
        raise FileError(f"the folder can't be made: {error.strerror}", file=os.path.dirname(path)) from error
    workspace.create(path, data, private=False)


def _tell_left(left: list[Live]) -> None:
    """One line for each reason, with how many there are and the first names."""
    for why in dict.fromkeys(live.left for live in left):
        names = [live.label for live in left if live.left == why]
        print(printable(f"ksecret: skipped, as it is {why}: {some(names)}"), file=sys.stderr)
