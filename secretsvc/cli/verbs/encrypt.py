"""`ksecret encrypt`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from secretsvc.cli import options, sealing
from secretsvc.cli.files import Job, content, each_file, name_of
from secretsvc.cli.report import warn
from secretsvc.errors import AlreadySealedError, KsecretError
from secretsvc.manifest.spelling import may_be_hidden
from secretsvc.operations.open import open_parents
from secretsvc.operations.seal import seal_manifest

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable
    from mmap import mmap

    from secretsvc.backends.registry import Backends
    from secretsvc.cli.parser import Parser
    from secretsvc.cli.remote import Service
    from secretsvc.operations.open import Parents
    from secretsvc.operations.result import Result

EXAMPLES = """\
  ksecret encrypt secret.yaml                       print it sealed, to what .ksecret.yaml says, or to yourself
  ksecret encrypt -i -k age:age1… secret.yaml       seal the file itself
  ksecret encrypt -i -r deploy/                     every manifest under deploy/
  ksecret encrypt -i -k +pgp:6206… secret.yaml      one more key may open it
  ksecret encrypt -x -o sealed.yaml clear.yaml      values under data are clear text, not base64
  ksecret encrypt --path prod/db.yaml - < new.yaml > prod/db.yaml         to the keys of the file that it becomes
  kubectl get secret db -o yaml | ksecret encrypt --from-cluster -o db.yaml -
  ksecret encrypt --parent old.yaml new.yaml        keep old.yaml's keys and unchanged tokens
  ksecret encrypt --format kubesec secret.yaml      in kubesec's format, to your own PGP key"""


def may_hold_secret(content: bytes | mmap) -> bool:
    """Whether a file found in a folder may have a Secret in it: what is hidden is refused or sealed, and not missed."""
    return content.find(b"Secret") >= 0 or may_be_hidden(content)


def add_arguments(parser: Parser) -> None:
    """The options."""
    options.add_files(parser)
    sealing.add_output(parser)
    sealing.add_keys(parser)
    parser.add_argument("-x", "--cleartext", action="store_true", help="values under data are clear text")
    parser.add_argument(
        "-p", "--parent", metavar="FILE", default="", help="take keyset, DEK and unchanged tokens from it"
    )
    sealing.add_format(parser)
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


def run(args: Namespace) -> int:
    """Seals; the exit code."""
    known, seal = _sealer(args)

    def operation(data: bytes, name: str) -> Result | bytes:
        if args.if_needed:
            from secretsvc.operations.check import needs_sealing

            if not needs_sealing(data, name):
                return data
        if args.cleartext or args.from_cluster:
            return _prepared(data, name, seal, args)
        sealed = seal(data, name)
        _warn_of_cluster(data, name)
        return sealed

    job = Job(operation, "sealed", private=False, may_hold=may_hold_secret, jobs=options.jobs(args, known))
    return each_file(job, args)


def _prepared(data: bytes, name: str, seal: Callable[[bytes, str], Result], args: Namespace) -> Result | bytes:
    """Sealed after a change of the clear text; copies of the data are taken out of what is sealed already, too."""
    from secretsvc.operations.from_cluster import without_cluster
    from secretsvc.operations.prepare import encode_cleartext
    from secretsvc.operations.repeats import lines_of

    stripped = without_cluster(data) if args.from_cluster else data
    clear = encode_cleartext(stripped) if args.cleartext else stripped
    try:
        with lines_of(data, clear):
            sealed = seal(clear, name)
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


def _sealer(args: Namespace) -> tuple[Backends | Service, Callable[[bytes, str], Result]]:
    service = options.service(args)
    if service:
        return service, service.seal_manifest
    keyring = options.backends(args)
    requests = sealing.Requests(args, keyring)
    parents = _parents(args.parent, requests)
    return keyring, lambda data, name: seal_manifest(
        data, requests.of(name, args.parent), requests.keyring(name), parents
    )


def _parents(path: str, requests: sealing.Requests) -> Parents:
    if not path:
        return {}
    try:
        return open_parents(content(path), requests.keyring(path))
    except KsecretError as error:
        error.file = path
        raise
