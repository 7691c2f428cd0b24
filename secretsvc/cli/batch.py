"""One operation over the files of a command line: each on its own, the rest go on when one fails."""

from __future__ import annotations

import sys

from secretsvc import formats
from secretsvc.errors import (
    AlreadySealedError,
    AlteredError,
    KsecretError,
    NothingToSealError,
    NotSealedError,
    UsageError,
)
from secretsvc.files import workspace
from secretsvc.files.workspace import name_of, standard_input
from secretsvc.operations import Result
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from mmap import mmap
    from typing import Any, Protocol, TypeVar

    from secretsvc.cli.options import Targets
    from secretsvc.cli.workers import Travels
    from secretsvc.files.workspace import Item, Snapshot

    Operation = Callable[[bytes, str], "Result | bytes | PrintedLine | None"]
    """A file's bytes and name → its new bytes, a line to print, or nothing."""

    class Runs(Protocol):
        """A session, or the backends: how an operation opens and seals."""

        @property
        def jobs(self) -> int:
            """Number of files at a time that it bears, as far as is known by now."""

        @property
        def forks(self) -> bool:
            """Tell whether, as far as is known by now, it goes on in copies of this process."""

    T = TypeVar("T", bound=Travels)

FEW = 200
"""Files up to which worker processes are not worth their start."""


def may_be_sealed(content: bytes | mmap) -> bool:
    """Tell whether something in it may be sealed, or look as if it were."""
    if formats.may_be_sealed(content):
        return True
    from secretsvc.formats import lost

    return lost.may_stand_in(content)


_NOTHING_TO_DO = (AlreadySealedError, NothingToSealError, NotSealedError)


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


class PrintedLine(Record):
    """A line to print about a file, in place of new bytes."""

    text: str
    bound: bool = True
    """False where the file was opened and its format does not bind it to its identity."""


class _Outcome(Record):
    """The end of one file: an error, or else its output (None where there was nothing to do, or it is written)."""

    done: bool = False
    output: bytes | PrintedLine | None = None
    error: KsecretError | None = None
    bound: bool = True
    """False where a file was opened whose format does not bind it to its identity."""
    notes: tuple[tuple[int, str], ...] = ()
    """A line's number, and what to warn of there."""
    skipped: bool = False
    """Whether it was found in a folder and nothing in it concerns the command."""

    @property
    def on_disk(self) -> bool:
        """Whether the file was changed in place."""
        return self.done and self.output is None

    def packed(self) -> tuple[Any, ...]:
        """Return it as plain values, to get from a worker process to its parent."""
        from secretsvc.cli.workers import packed

        output = tuple(self.output) if isinstance(self.output, PrintedLine) else self.output
        return self.done, output, self.error and packed(self.error), self.bound, self.notes, self.skipped

    @classmethod
    def unpacked(cls, done: bool, output: Any, error: Any, *rest: Any) -> _Outcome:
        """The same again."""
        from secretsvc.cli.workers import unpacked

        printed = PrintedLine(*output) if isinstance(output, tuple) else output
        return cls(done, printed, error and unpacked(*error), *rest)

    @classmethod
    def lost(cls, path: str, error: KsecretError) -> _Outcome:
        """The end of a file whose worker process has ended."""
        error.file = name_of(path)
        return cls(error=error)


class Batch:
    """One operation over the files of a command line, in these steps: `items`, `each`, `end`; `run` is all of them.

    A file that fails is told of and counted, and the rest go on.
    """

    def __init__(
        self,
        targets: Targets,
        done: str,
        *,
        private: bool,
        altered: int = AlteredError.exit_code,
        any_name: bool = False,
        ruled: Callable[[str], bool] | None = None,
    ) -> None:
        """`done`: the word in the summary, such as `sealed`. `private`: what comes out is for its owner's eyes only.

        `altered`: the exit code for a file that was altered. `any_name`: take, from folders, what SOPS sealed under
        names that are no manifest's, too. `ruled`: tells of the path of a file in a folder whether it is to be worked
        on, whatever its name and what is in it. Raises UsageError for targets that do not go together.
        """
        if not targets.files:
            raise UsageError("no file named", hint="name a manifest, - for standard input, or a folder with -r")
        if targets.in_place and (targets.output or "-" in targets.files):
            raise UsageError("-i changes files in place; it goes neither with -o nor with standard input")
        if targets.in_place:
            from secretsvc.files.signals import end_tidily

            end_tidily()
        self._targets = targets
        self._done = done
        self._private = private
        self._altered = altered
        self._outputs: list[bytes] = []
        self._worst = 0
        self._unbound = 0
        self._told: set[tuple[str, str]] = set()
        self._counts = {done: 0, "unchanged": 0, "skipped": 0, "failed": 0}
        self._many = bool(targets.recursive)
        self._any_name = any_name
        self._ruled = ruled

    def run(
        self,
        operation: Operation,
        runs: Runs | None = None,
        may_hold: Callable[[bytes | mmap], bool] = may_be_sealed,
        *,
        forks: bool = True,
    ) -> int:
        """Work on every file and put out what comes of it; the exit code. As `each` and `end`."""
        for _ in self.each(self.items(), operation, runs, may_hold, forks=forks):
            pass
        return self.end()

    def items(self, wanted: Callable[[Item], bool] | None = None) -> list[Item]:
        """Find the files, of which only those that are `wanted` are kept in memory. Raises UsageError.

        A folder that can't be listed is told of, and counts as failed.
        """
        targets = self._targets
        others = _is_sealed_file if self._any_name else self._ruled
        found = workspace.discover(
            targets.files, recursive=targets.recursive, failed=self._failed, warn=_warn_of_walk, others=others
        )
        return list(filter(wanted, found) if wanted else found)

    def each(
        self,
        items: list[Item],
        operation: Operation,
        runs: Runs | None = None,
        may_hold: Callable[[bytes | mmap], bool] = may_be_sealed,
        *,
        forks: bool = True,
    ) -> Iterator[tuple[str, str, KsecretError | None]]:
        """Work on each file, and write it where it is changed in place; `operation` is called in several threads.

        Gives its path, what became of it (the batch's own word, `unchanged`, `skipped` or `failed`), and the error.

        `runs`: says how many at a time; None: one. `may_hold`: whether a file that was found in a folder is worked on,
        by its bytes. `forks`: whether `operation` may be called in several processes, too, and so remembers nothing
        that a later file needs. Raises UsageError, which would be said of every file.
        """
        self._many = self._many or len(items) > 1
        outcomes = spread(
            items, lambda item: self._work(operation, may_hold, item), self._targets, runs, _Outcome, forks=forks
        )
        if self._many:
            from secretsvc.cli.report import progress

            outcomes = progress(outcomes, len(items))
        for item, outcome in zip(items, outcomes, strict=True):
            yield item.path, self._count(outcome, item.path), outcome.error

    def end(self, join: Callable[[list[bytes]], bytes] = stream) -> int:
        """Put out what there is, joined to one, and tell the counts. Gives the exit code of the worst failure."""
        keep_going = self._targets.keep_going
        if self._outputs and (keep_going or not self._worst):  # a part of the files would pass for the whole
            put_out(join(self._outputs), self._targets.output, private=self._private)
        if self._many or self._worst or self._unbound:
            self._tell()
        return self._worst

    def _tell(self) -> None:
        from secretsvc.cli import report  # nothing is told of the one file that fails in nothing

        keep_going = self._targets.keep_going
        if self._many:
            report.summary(self._counts)
        if self._outputs and self._worst and not keep_going:
            report.tell_withheld(may_keep_going=keep_going is not None)
        report.tell_unbound(self._unbound)

    def _work(self, operation: Operation, may_hold: Callable[[bytes | mmap], bool], item: Item) -> _Outcome:
        try:
            snapshot = self._snapshot(item, may_hold)
            if not snapshot and item.path != "-":
                return _Outcome(skipped=True)
            data = snapshot.data if snapshot else standard_input()
            return self._written(snapshot, data, operation(data, item.path))
        except _NOTHING_TO_DO as error:
            if not item.named:
                return _Outcome(skipped=not isinstance(error, AlreadySealedError))
            failure: KsecretError = error
        except KsecretError as error:
            if error.ends_run:
                raise
            failure = error
        failure.file = failure.file or name_of(item.path)
        return _Outcome(error=failure)

    def _snapshot(self, item: Item, may_hold: Callable[[bytes | mmap], bool]) -> Snapshot | None:
        """Read a file; None for standard input, and for what was found in a folder and is not to be worked on."""
        if item.path == "-":
            return None
        if item.named or (self._ruled and self._ruled(item.path)):
            return workspace.read(item.path)
        return workspace.read_if(item.path, may_hold)

    def _written(self, snapshot: Snapshot | None, before: bytes, made: Result | bytes | PrintedLine | None) -> _Outcome:
        """Write what the operation made into the file, where that is changed in place; else keep it to be put out."""
        bound = made.bound if isinstance(made, Result | PrintedLine) else True
        notes = made.notes if isinstance(made, Result) else ()
        made = made.data if isinstance(made, Result) else made
        changed = made is not None and made != before
        if snapshot and self._targets.in_place and isinstance(made, bytes):
            if changed:
                workspace.replace(snapshot, made, private=self._private)
            made = None
        return _Outcome(changed, made, None, bound, notes)

    def _count(self, outcome: _Outcome, path: str) -> str:
        """Tell of one file under the word that it gives, and keep its bytes for the end."""
        for line, what in outcome.notes:
            from secretsvc.cli.report import warn

            warn(f"{name_of(path)}:{line}: {what}")
        if outcome.error:
            self._failed(outcome.error)
            return "failed"
        self._unbound += not outcome.bound
        word = "skipped" if outcome.skipped else self._done if outcome.done else "unchanged"
        self._counts[word] += 1
        if isinstance(outcome.output, PrintedLine):
            print(outcome.output.text)
        elif outcome.output is not None:
            self._outputs.append(outcome.output)
        return word

    def _failed(self, error: KsecretError) -> None:
        """Tell of it, and of a policy's mistake once, however many files it is for."""
        from secretsvc.cli.report import report

        told = error.where, error.message
        if told not in self._told:
            report(error, debug=self._targets.debug)
        self._told.add(told)
        self._counts["failed"] += 1
        self._worst = max(self._worst, self._altered if isinstance(error, AlteredError) else error.exit_code)


def spread(
    items: list[Item],
    work: Callable[[Item], T],
    targets: Targets,
    runs: Runs | None,
    kind: type[T],
    *,
    forks: bool = True,
) -> Iterator[T]:
    """Each file's result, in their order: one after the other, in threads, or in processes, as the run bears it."""
    if not runs:
        return map(work, items)

    def jobs() -> int:
        return targets.jobs or runs.jobs

    if len(items) <= FEW or not forks or targets.jobs == 1 or targets.debug:  # a traceback does not leave its process
        return workspace.in_order(items, work, jobs)
    from secretsvc.cli import workers

    return workers.in_order(items, work, jobs, lambda: runs.forks, kind=kind, most=targets.jobs)


def _warn_of_walk(why: str) -> None:
    from secretsvc.cli.report import warn_of_walk

    warn_of_walk(why)


def _is_sealed_file(path: str) -> bool:
    """Tell it of a file of any name, by its bytes."""
    from secretsvc.formats.sops.search import is_sealed_file  # where there are other files than manifests

    return is_sealed_file(path)


def put_out(data: bytes, output: str, *, private: bool) -> None:
    """Writes an output file, or prints where that is `-` or empty. Raises FileError, and OSError from printing."""
    if output in ("", "-"):
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    else:
        workspace.create(output, data, private=private)
