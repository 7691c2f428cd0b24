"""`ksecret rotate`."""

from __future__ import annotations

import os
import time

from secretsvc import formats
from secretsvc.cli import options, sealing
from secretsvc.cli.batch import Batch, PrintedLine
from secretsvc.cli.journal import Journal
from secretsvc.cli.report import printable
from secretsvc.cli.sealing import SealingOptions, place_of
from secretsvc.cli.session import begin
from secretsvc.errors import AlreadySealedError, UsageError
from secretsvc.operations.request import ANY_TIME, stated
from secretsvc.operations.rotate import overdue
from secretsvc.policy.reader import seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from secretsvc.cli.arguments import Arguments
    from secretsvc.cli.options import Targets
    from secretsvc.cli.parser import Parser
    from secretsvc.files.workspace import Item
    from secretsvc.operations import Result

EXAMPLES = """\
  ksecret rotate secret.yaml                        a new data key, and every value sealed anew
  ksecret rotate -r --older-than 90d deploy/        where the data key is older than that
  ksecret rotate -r --older-than 90d --dry-run deploy/
  ksecret rotate -r --rewrap deploy/                the same data keys, wrapped by each KEK's current version
  ksecret rotate -r --report run.jsonl deploy/      a run that was interrupted goes on when said again
  ksecret rotate -r --shard "$JOB_COMPLETION_INDEX/8" deploy/      one of 8 pods of an Indexed Job"""


def add_arguments(parser: Parser) -> None:
    """The options."""
    options.add_files(parser)
    sealing.add_output(parser)
    parser.add_argument("--rewrap", action="store_true", help="keep the data key; wrap it anew under each KEK")
    parser.add_argument("--older-than", metavar="AGE", default="", help="only data keys older than 12h, 90d, 8w")
    parser.add_argument("-n", "--dry-run", action="store_true", help="print what would be rotated; needs no key")
    parser.add_argument("--shard", metavar="I/N", default="", help="part I (from 0) of N of the files in the folders")
    parser.add_argument("--report", metavar="FILE", default="", help="JSON lines; one without an end is gone on with")
    parser.add_argument(
        "--format", choices=formats.names(), default="", help="the format to write; others are converted"
    )
    sealing.add_scope(parser)
    sealing.add_trust(parser)
    options.add_jobs(parser)
    options.add_server(parser)
    options.add_backends(parser)


def run(args: Arguments) -> int:
    """Rotates the files themselves, unless `-o` says where to; the exit code."""
    if args.rewrap and (args.older_than or args.scope or args.format):
        raise UsageError("--rewrap changes no data key: it goes with neither --older-than, --scope nor --format")
    targets = options.targets(args)._replace(jobs=args.jobs).in_place_by_default()
    before = _before(args.older_than)
    mine = shard(args.shard)
    if args.dry_run:
        return _dry_run(targets._replace(in_place=False, output=""), before, mine)
    wanted = SealingOptions(
        place=place_of(args.path, targets),
        format=args.format,
        scope=args.scope,
        recompute_mac=args.recompute_mac,
        yes=args.yes,
    )
    session = begin(options.server(args), options.unlocking(args), wanted)
    journal = Journal(args.report, "rewrap" if args.rewrap else "rotate", args.shard)

    def operation(data: bytes, name: str) -> Result | bytes:
        try:
            if args.rewrap:
                return session.rewrap(data, name)
            return session.rotate(data, name, min(before, journal.resumed_from or before))
        except AlreadySealedError:  # young enough
            return data

    with journal:
        batch = Batch(targets, "rewrapped" if args.rewrap else "rotated", private=False, any_name=True)
        items = batch.items(lambda item: mine(item) and not journal.has(item.path))
        for path, outcome, error in batch.each(items, operation, session):
            journal.record(path, outcome, error)
        return batch.end()


def _before(age: str) -> str:
    """The time that a data key must have been made before, as envelopes state it. Raises UsageError."""
    if not age:
        return ANY_TIME
    try:
        return stated(time.time() - seconds(age))
    except ValueError:
        raise UsageError("--older-than takes hours, days or weeks", hint="such as 12h, 90d or 8w") from None


def shard(text: str) -> Callable[[Item], bool]:
    """Return which files are this shard's: by a hash of the path under the named folder, the same on every machine."""
    if not text:
        return lambda _: True
    part, _, parts = text.partition("/")
    if not (part.isdecimal() and parts.isdecimal() and int(part) < int(parts)):
        raise UsageError("--shard takes I/N, with I from 0 to N - 1", hint="such as 0/8")
    from hashlib import sha256

    number, count = int(part), int(parts)

    def mine(item: Item) -> bool:
        return int.from_bytes(sha256(os.fsencode(item.path_in_root)).digest()[:8], "big") % count == number

    return mine


def _dry_run(targets: Targets, before: str, mine: Callable[[Item], bool]) -> int:
    def operation(data: bytes, name: str) -> PrintedLine | None:
        found = overdue(data, before, name)
        lines = [f"{name}: {label}: data key made {created or 'at an unknown time'}" for label, created in found]
        return PrintedLine("\n".join(map(printable, lines))) if lines else None

    batch = Batch(targets, "to rotate", private=True, any_name=True)
    for _ in batch.each(batch.items(mine), operation):
        pass
    return batch.end()
