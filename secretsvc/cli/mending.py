"""`verify --mend`, and what `git resolve` does with files that SOPS's format seals."""

from __future__ import annotations

from secretsvc.cli import options
from secretsvc.cli.batch import Batch
from secretsvc.cli.options import Targets
from secretsvc.cli.sealing import Requests, SealingOptions
from secretsvc.operations.documents.mend import Mending, is_in_conflict, mend
from secretsvc.programs.git import sides_of

__all__ = ["is_in_conflict", "mend_files", "mended"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mmap import mmap

    from secretsvc.cli.arguments import Arguments
    from secretsvc.formats.merge import Side
    from secretsvc.operations import Result


def mend_files(args: Arguments) -> int:
    """Give each file a MAC that fits, in place; the exit code. What needs none stays as it is."""
    targets = Targets(tuple(args.files), args.recursive, in_place=True, debug=args.debug, jobs=args.jobs)
    backends = options.backends(options.unlocking(args))
    requests = Requests(SealingOptions(recompute_mac=True, yes=args.yes), backends)

    def operation(data: bytes, name: str) -> Result:
        return mended(data, name, requests)

    return Batch(targets, "mended", private=False, any_name=True).run(operation, backends, _may_be_one, forks=False)


def _may_be_one(content: bytes | mmap) -> bool:
    return content.find(b"sops") >= 0 and content.find(b"ENC[AES256_GCM,") >= 0


def mended(data: bytes, name: str, requests: Requests, side: Side | None = None) -> Result:
    """Return one file mended; `side`: whose lines are taken where values are in conflict. Raises as `mend`."""
    request = requests.of(name)
    mending = Mending(request.created, request.trust, sides_of(name), side)
    return mend(data, name, mending, requests.keyring(name, data=data))
