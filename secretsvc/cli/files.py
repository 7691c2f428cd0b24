"""One operation over the files of a command line: each on its own, the rest go on when one fails."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from secretsvc import formats
from secretsvc.cli.report import progress, report, summary, tell_unbound, tell_withheld, warn, warn_of_walk
from secretsvc.errors import (
    AlreadySealedError,
    FileError,
    KeyRefError,
    KsecretError,
    NothingToSealError,
    NotSealedError,
    UsageError,
)
from secretsvc.files import workspace
from secretsvc.manifest import lost
from secretsvc.manifest.reader import MAX_BYTES
from secretsvc.operations.result import Result

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable
    from mmap import mmap

    Operation = Callable[[bytes, str], Result | bytes | str | None]
    """File's bytes and name → its new bytes, a line to print, or nothing."""

STANDARD_INPUT = "standard input"
"""What messages call it."""


def may_be_sealed(content: bytes | mmap) -> bool:
    """Whether something in it may be sealed, or look as if it were."""
    return formats.may_be_sealed(content) or lost.may_stand_in(content)


_NOTHING_TO_DO = (AlreadySealedError, NothingToSealError, NotSealedError)


def standard_input() -> bytes:
    """All of it, up to more than a manifest may have. Raises FileError."""
    try:
        return sys.stdin.buffer.read(MAX_BYTES + 1)
    except OSError as error:
        raise FileError(f"can't be read: {error.strerror}", file=STANDARD_INPUT) from error


def name_of(path: str) -> str:
    """What messages call a file that was named on the command line."""
    return STANDARD_INPUT if path == "-" else path


def content(path: str) -> bytes:
    """A manifest's bytes, of a file or of standard input. Raises FileError, ManifestError for too large a file."""
    return standard_input() if path == "-" else workspace.read(path).data


def stream(texts: list[bytes]) -> bytes:
    """One text as it is; several as one YAML stream, with `---` between them where they do not bring it."""
    pieces = texts[:1]
    for text in (text.removeprefix(b"\xef\xbb\xbf") for text in texts[1:]):
        if not pieces[-1].endswith((b"\n", b"\r")):
            pieces.append(b"\n")
        if text.startswith(b"%"):
            pieces.append(b"...\n")
        elif not text.startswith(b"---"):
            pieces.append(b"---\n")
        pieces.append(text)
    return b"".join(pieces)


class Job(NamedTuple):
    """What a command does to each file, from several threads at a time."""

    operation: Operation
    done: str
    """The word in the summary: `sealed`, `opened`, `verified`."""
    private: bool
    """Whether what comes out is for its owner's eyes only: in a file it is 0600 then."""
    may_hold: Callable[[bytes | mmap], bool] = may_be_sealed
    """Whether a file found in a folder is looked at, by its bytes."""
    jobs: Callable[[], int] = lambda: 1
    """How many files to work on at a time, as far as is known by now."""
    shown: Callable[[Result, str], bytes | str] = lambda result, _: result.data
    """What to put out of a result, by the file's name: bytes, or a line to print."""
    chosen: Callable[[workspace.Item], bool] = lambda _: True
    """Which of the files that were found to work on."""
    join: Callable[[list[bytes]], bytes] = stream
    """How the files' outputs become one."""
    record: Callable[[str, str, KsecretError | None], None] = lambda *_: None
    """Told of each file's path, what became of it (`done`'s word, `unchanged`, `skipped`, `failed`), and why."""


class _Outcome(NamedTuple):
    """What became of one file: an error, or else a result (None where there was nothing to do, or it is written)."""

    done: bool = False
    result: bytes | str | None = None
    error: KsecretError | None = None
    bound: bool = True
    """False where a file was opened whose format does not bind it to its identity."""
    notes: tuple[tuple[int, str], ...] = ()
    """A line's number, and what to warn of there."""
    skipped: bool = False
    """Whether it was found in a folder and nothing in it concerns the command."""


def _work(job: Job, args: Namespace, item: workspace.Item) -> _Outcome:
    """Works on one file, and writes it where that is wanted. Raises UsageError, which would be said of every file."""
    try:
        snapshot = _snapshot(job, item)
        if not snapshot and item.path != "-":
            return _Outcome(skipped=True)
        data = snapshot.data if snapshot else standard_input()
        result = job.operation(data, item.path)
        bound, notes = True, Result(b"", 0).notes
        if isinstance(result, Result):
            bound, notes, result = result.bound, result.notes, job.shown(result, item.path)
        changed = result is not None and result != data
        if snapshot and args.in_place and isinstance(result, bytes):
            if changed:
                workspace.replace(snapshot, result, private=job.private)
            result = None
        return _Outcome(changed, result, bound=bound, notes=notes)
    except _NOTHING_TO_DO as error:
        if not item.named:
            return _Outcome(skipped=not isinstance(error, AlreadySealedError))
        failure: KsecretError = error
    except KsecretError as error:
        if isinstance(error, UsageError) and not isinstance(error, KeyRefError):
            raise
        failure = error
    failure.file = failure.file or name_of(item.path)
    return _Outcome(error=failure)


def _snapshot(job: Job, item: workspace.Item) -> workspace.Snapshot | None:
    """None for standard input, and for what was found in a folder and is not to be worked on."""
    if item.path == "-":
        return None
    if item.named:
        return workspace.read(item.path)
    return workspace.read_if(item.path, job.may_hold)


class _Tally:
    """Results so far."""

    def __init__(self, done: str, *, debug: bool) -> None:
        self.outputs: list[bytes] = []
        self.worst = 0
        self.unbound = 0
        self.counts = {done: 0, "unchanged": 0, "skipped": 0, "failed": 0}
        self._done = done
        self._debug = debug

    def add(self, outcome: _Outcome, path: str) -> str:
        """Counts one file under the word that it gives, prints a line of the file's, keeps its bytes for the end."""
        for line, what in outcome.notes:
            warn(f"{name_of(path)}:{line}: {what}")
        if outcome.error:
            self.failed(outcome.error)
            return "failed"
        self.unbound += not outcome.bound
        word = "skipped" if outcome.skipped else self._done if outcome.done else "unchanged"
        self.counts[word] += 1
        if isinstance(outcome.result, str):
            print(outcome.result)
        elif outcome.result is not None:
            self.outputs.append(outcome.result)
        return word

    def failed(self, error: KsecretError) -> None:
        """Tells of a failure and counts it."""
        report(error, debug=self._debug)
        self.counts["failed"] += 1
        self.worst = max(self.worst, error.exit_code)


def each_file(job: Job, args: Namespace) -> int:
    """Works on every file that the arguments mean and gives the exit code of the worst. Raises UsageError."""
    if not args.files:
        raise UsageError("no file named", hint="name a manifest, - for standard input, or a folder with -r")
    if args.in_place and (args.output or "-" in args.files):
        raise UsageError("-i changes files in place; it goes neither with -o nor with standard input")
    if args.in_place:
        from secretsvc.files.signals import end_tidily

        end_tidily()
    tally = _Tally(job.done, debug=args.debug)
    found = workspace.discover(args.files, recursive=args.recursive, failed=tally.failed, warn=warn_of_walk)
    items = [item for item in found if job.chosen(item)]
    outcomes = workspace.in_order(items, partial(_work, job, args), job.jobs)
    for item, outcome in zip(items, progress(outcomes, len(items)), strict=True):
        job.record(item.path, tally.add(outcome, item.path), outcome.error)
    keep_going = getattr(args, "keep_going", False)
    if tally.outputs and (keep_going or not tally.worst):  # a part of the files would pass for the whole
        put_out(job.join(tally.outputs), args.output, private=job.private)
    if args.recursive or len(items) > 1:
        summary(tally.counts)
    if tally.outputs and tally.worst and not keep_going:
        tell_withheld(may_keep_going=hasattr(args, "keep_going"))
    tell_unbound(tally.unbound)
    return tally.worst


def put_out(data: bytes, output: str, *, private: bool) -> None:
    """Writes an output file, or prints where that is `-` or empty. Raises FileError, and OSError from printing."""
    if output in ("", "-"):
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    else:
        workspace.create(output, data, private=private)
