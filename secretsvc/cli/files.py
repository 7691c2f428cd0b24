"""One operation over the files of a command line: each on its own, the rest go on when one fails."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

from secretsvc import workspace
from secretsvc.cli.report import report, summary
from secretsvc.errors import (
    AlreadySealedError,
    FileError,
    KeyRefError,
    KsecretError,
    NothingToSealError,
    NotSealedError,
    UsageError,
)
from secretsvc.manifest.reader import MAX_BYTES

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    Operation = Callable[[bytes, str], bytes | None]
    """File's bytes and name → its new bytes, or None where there are none to write."""

_NOTHING_TO_DO = (AlreadySealedError, NothingToSealError, NotSealedError)


def _standard_input() -> bytes:
    try:
        return sys.stdin.buffer.read(MAX_BYTES + 1)
    except OSError as error:
        raise FileError(f"can't be read: {error.strerror}") from error


class Job(NamedTuple):
    """What a command does to each file."""

    operation: Operation
    done: str
    """The word in the summary: `sealed`, `opened`, `verified`."""
    private: bool
    """Whether a new output file is for its owner's eyes only."""
    marker: bytes
    """What the bytes of a file found in a folder must hold to be looked at."""


class _Run:
    """Results so far."""

    def __init__(self, job: Job, args: Namespace) -> None:
        self.job = job
        self.args = args
        self.outputs: list[bytes] = []
        self.counts = {job.done: 0, "unchanged": 0, "failed": 0}
        self.worst = 0

    def one(self, item: workspace.Item) -> None:
        """Works on one file; a failure is told and counted."""
        try:
            self._work(item)
        except _NOTHING_TO_DO as error:
            if item.named:
                self._fail(error, item)
            else:
                self.counts["unchanged"] += 1
        except KsecretError as error:
            if isinstance(error, UsageError) and not isinstance(error, KeyRefError):
                raise  # would be said of every file
            self._fail(error, item)

    def _work(self, item: workspace.Item) -> None:
        if item.path == "-":
            data, snapshot = _standard_input(), None
        else:
            snapshot = workspace.read(item.path)
            data = snapshot.data
        if not item.named and self.job.marker not in data:
            self.counts["unchanged"] += 1
            return
        result = self.job.operation(data, item.path)
        if result is not None and snapshot and self.args.in_place:
            workspace.replace(snapshot, result)
        elif result is not None:
            self.outputs.append(result)
        self.counts[self.job.done] += 1

    def _fail(self, error: KsecretError, item: workspace.Item) -> None:
        error.file = error.file or ("standard input" if item.path == "-" else item.path)
        self.failed(error)

    def failed(self, error: KsecretError) -> None:
        """Tells of a failure and counts it."""
        report(error, debug=self.args.debug)
        self.counts["failed"] += 1
        self.worst = max(self.worst, error.exit_code)


def each_file(job: Job, args: Namespace) -> int:
    """Works on every file that the arguments mean and gives the exit code of the worst. Raises UsageError."""
    if not args.files:
        raise UsageError("no file named", hint="name a manifest, - for standard input, or a folder with -r")
    if args.in_place and (args.output or "-" in args.files):
        raise UsageError("-i changes files in place; it goes neither with -o nor with standard input")
    if args.in_place:
        _end_tidily_on_sigterm()
    state = _Run(job, args)
    items = list(workspace.discover(args.files, recursive=args.recursive, failed=state.failed))
    for item in items:
        state.one(item)
    if state.outputs:
        _put_out(job, args.output, state)
    if args.recursive or len(items) > 1:
        summary(state.counts)
    return state.worst


def _put_out(job: Job, output: str, state: _Run) -> None:
    data = stream(state.outputs)
    if output and output != "-":
        if not state.worst:  # a failing command leaves no output file
            workspace.create(output, data, private=job.private)
        return
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


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


def _end_tidily_on_sigterm() -> None:
    """So that the temporary file beside a file in work is removed, as Ctrl-C does anyway."""
    import signal

    def interrupt(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, interrupt)
