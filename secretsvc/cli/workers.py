"""Worker processes: forked copies of this one, each with a share of a run's files; results come in the files' order.

Each writes what becomes of its files into a pipe of its own, as frames: a length, and so many bytes of `marshal`, plain
values only. The parent reads the pipes in turn, a chunk of files each: so order comes by itself, and a worker that is
ahead waits for room in its pipe. The end of a pipe before a frame is the end of its worker.

Forked, and not by `multiprocessing`, which would start Pythons that import everything anew. A fork copies one thread
only, so it comes before any pool of threads.
"""

from __future__ import annotations

import gc
import marshal
import os
import sys
from fcntl import fcntl
from time import monotonic

from secretsvc import errors
from secretsvc.cli.report import Kept
from secretsvc.errors import KsecretError
from secretsvc.files import workspace
from secretsvc.files.signals import Undisturbed, ask_to_end, end_once, hold, let_through

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from io import BufferedReader, BufferedWriter
    from typing import Any, NoReturn, Protocol, Self, TypeVar

    from secretsvc.files.workspace import Item

    class Travels(Protocol):
        """The end of a file's work, which can get from a worker to its parent."""

        @property
        def on_disk(self) -> bool:
            """Whether the file was changed by it."""

        def packed(self) -> tuple[Any, ...]:
            """Return it as plain values: None, numbers, text, bytes, and tuples of these."""

        @classmethod
        def unpacked(cls, *plain: Any) -> Self:
            """The same again."""

        @classmethod
        def lost(cls, path: str, error: KsecretError) -> Self:
            """Return what becomes of a file whose worker has ended."""

    R = TypeVar("R", bound=Travels)

FILES = 100
"""The fewest for which a process is worth its start."""

_MOST = 16
"""Processes at most: one parent has no use for more."""

_CHUNK = 12
"""Files in a row that one worker takes. One by one, of files that come in twos, threes or fours, as a Deployment and
its Secret do, one worker might have all the Secrets."""

_MAX_FRAME = 32 << 20
"""Bytes. What becomes of a file is larger only by a template, and then the parent works on that file itself."""

_PIPE = 1 << 20
"""Bytes that a worker may be ahead, where the system grants that (fcntl(2), F_SETPIPE_SZ)."""

_F_SETPIPE_SZ = 1031
"""`linux/fcntl.h`."""

_LATE = 0.01
"""Seconds for which a worker may keep what it has to say, since each time wakes its parent. Not of a file that it has
changed: were the worker to die, that would be told as lost."""

_CPU_QUOTA = "/sys/fs/cgroup/cpu.max"
"""A container's microseconds of CPU, and of the wall time that they are for (Linux, Control Group v2)."""

_FIELDS = ("reasons", "hint", "file", "line", "entry", "key_ref")
"""Of an error, beside its message."""

_RESULT, _LEFT, _FATAL = range(3)
"""Kinds of frames: a file's result; a file that is left to the parent; an error that ends the run."""


class LeftToParentError(BaseException):
    """A worker can't do what one process alone may do: ask a person, or read what can be read once."""


def in_order(
    items: Sequence[Item],
    work: Callable[[Item], R],
    jobs: Callable[[], int],
    forks: Callable[[], bool],
    *,
    kind: type[R],
    most: int = 0,
) -> Iterator[R]:
    """Do as `workspace.in_order` does, by several processes which have `jobs()` together, where that is worth it.

    `forks`: whether all that the run uses by now goes on in copies of this process. That is asked after the first
    item, which is worked on here: by then it shows which keys are needed, and somebody was asked for a passphrase.
    `most`: of items at a time that the user wants; 0 where nobody said.
    """
    first, rest = items[:1], items[1:]
    yield from map(work, first)
    team = _Team(rest, work, jobs, kind)
    try:
        if forks() and team.start(_count(len(rest), most)):
            yield from team.results()
            return
    finally:  # whatever comes while they start, too
        team.end()
    yield from workspace.in_order(rest, work, jobs)


def _count(files: int, most: int) -> int:
    """Return how many processes so many files are worth; 0 for one."""
    processes = min(_cores(), _MOST, files // FILES, most or _MOST)
    return processes if processes > 1 else 0


def _cores() -> int:
    """Cores that this process, and its container, may use; one where the system's own libraries may not bear forks."""
    if sys.platform != "linux":
        return 1
    cores = len(os.sched_getaffinity(0))
    try:
        with open(_CPU_QUOTA, encoding="ascii") as stream:
            quota, period = map(int, stream.read().split())
    except (OSError, ValueError):  # no container, or `max`
        return cores
    return min(cores, -(-quota // period))


class _Team:
    """The workers of a run, and how they share its items."""

    def __init__(
        self, items: Sequence[Item], work: Callable[[Item], Any], jobs: Callable[[], int], kind: type[Travels]
    ) -> None:
        self._items = items
        self._work = work
        self._jobs = jobs
        self._kind = kind
        self._workers: list[_Worker] = []
        self._told: set[str] = set()

    def start(self, count: int) -> bool:
        """Fork so many; False where none is wanted, or the system grants no more processes."""
        gc.freeze()  # what is there by now stays shared: nobody looks through it for garbage
        try:
            for number in range(count):
                self._fork(number, count)
        except OSError:
            self.end()
        return bool(self._workers)

    def results(self) -> Iterator[Any]:
        """Each item's result. Raises what ends the run."""
        for number, item in enumerate(self._items):
            yield self._result(self._workers[self._whose(number, len(self._workers))], item)

    def _result(self, worker: _Worker, item: Item) -> Any:
        frame = worker.frame()
        if not frame:
            if not worker.has_ended:
                self._clear_after(worker)
            return self._kind.lost(item.path, worker.end_told())
        kind, content, text, once = frame
        self._tell(text, once)
        if kind == _FATAL:
            raise unpacked(*content)
        return self._work(item) if kind == _LEFT else self._kind.unpacked(*content)

    def _clear_after(self, worker: _Worker) -> None:
        """Remove what a worker that was killed has left beside a file of its own."""
        worker.end()
        share = self._share(self._workers.index(worker), len(self._workers))
        workspace.clear_after(worker.pid, (item.path for item in share))

    def _share(self, number: int, count: int) -> Iterator[Item]:
        """One worker's items."""
        return (item for place, item in enumerate(self._items) if self._whose(place, count) == number)

    def _whose(self, place: int, count: int) -> int:
        """Tell which of so many workers works on the item there: chunk by chunk in turn, the rest one by one."""
        left = len(self._items) % (_CHUNK * count)
        return place // (_CHUNK if place < len(self._items) - left else 1) % count

    def _tell(self, text: str, once: Iterable[tuple[str, str]]) -> None:
        """Tell what a worker had to tell; of two who tell of the same, the first."""
        if text:
            sys.stderr.write(text)
        for about, line in once:
            if about not in self._told:
                self._told.add(about)
                print(line, file=sys.stderr)

    def end(self) -> None:
        """End those that are still at work, and wait for all: they clear away what they were at."""
        for worker in self._workers:
            worker.stop()
        while self._workers:
            self._workers.pop().end()

    def _fork(self, number: int, count: int) -> None:
        """Start one worker. Signals wait until this process knows it, and it has made ready for them itself."""
        with Undisturbed() as mask:
            reading, writing = os.pipe()
            try:
                pid = os.fork()
            except OSError:
                os.close(reading)
                os.close(writing)
                raise
            if not pid:
                self._live(number, count, writing, mask, [reading, *(worker.descriptor for worker in self._workers)])
            os.close(writing)
            self._workers.append(_Worker(pid, reading))

    def _live(self, number: int, count: int, writing: int, mask: Iterable[int], not_mine: Iterable[int]) -> NoReturn:
        """A worker's whole life, which never gets back into what its parent was at."""
        code, told = 1, Kept()
        try:
            try:
                end_once()
                let_through(mask)
                for descriptor in not_mine:
                    os.close(descriptor)  # else who writes into them never learns that the parent has gone
                _widen(writing)
                sys.stderr = told
                with open(writing, "wb") as pipe:
                    self._serve(number, count, pipe, told)
                code = 0
            finally:  # the parent ends who is done, too: no signal may come between here and the end
                hold()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        except BrokenPipeError:  # the parent has gone
            pass
        except BaseException:
            sys.stderr = sys.__stderr__
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(code)

    def _serve(self, number: int, count: int, pipe: BufferedWriter, told: Kept) -> None:
        """Work on one's share, and write what becomes of it."""
        work, due = self._work, 0.0

        def frame_of(item: Item) -> tuple[int, Any]:
            try:
                return _RESULT, work(item)
            except LeftToParentError:
                return _LEFT, None

        try:
            for kind, result in workspace.in_order(
                self._share(number, count), frame_of, lambda: max(1, self._jobs() // count)
            ):
                _write(pipe, kind, result and result.packed(), told)
                if (now := monotonic()) > due or (result and result.on_disk):
                    pipe.flush()
                    due = now + _LATE
        except KsecretError as error:
            _write(pipe, _FATAL, packed(error), told)


class _Worker:
    """A worker, as its parent sees it."""

    def __init__(self, pid: int, descriptor: int) -> None:
        self.descriptor = descriptor
        self.pid = pid
        self._pipe: BufferedReader = open(descriptor, "rb")  # noqa: SIM115 - as long as the worker
        self._code: int | None = None

    @property
    def has_ended(self) -> bool:
        """Tell whether its end has been seen."""
        return self._code is not None

    def frame(self) -> tuple[int, Any, str, tuple[tuple[str, str], ...]] | None:
        """The next thing that it says; None where it has ended."""
        if self._pipe.closed:
            return None
        size = int.from_bytes(self._pipe.read(4), "big")
        body = self._pipe.read(size) if size <= _MAX_FRAME else b""
        return marshal.loads(body) if body and len(body) == size else None  # noqa: S302 - by a copy of this process

    def stop(self) -> None:
        """Have it end, if it has not."""
        if self._code is None:
            ask_to_end(self.pid)

    def end(self) -> None:
        """Wait for its end."""
        if self._code is None:
            self._pipe.close()
            try:
                self._code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
            except ChildProcessError:  # who started us has its children's ends ignored
                self._code = 0

    def end_told(self) -> KsecretError:
        """Tell of its end, in the words for a file that is without a result."""
        what = f"the process that was to work on it was ended{_by(self._code or 0)}"
        return KsecretError(what, hint="it is whole, whether changed or not: run again")


def _by(code: int) -> str:
    """Which signal that exit code tells of, as Python has it, or as one of ours does."""
    from signal import Signals

    try:
        return f" by {Signals(-code if code < 0 else code - 128).name}"
    except ValueError:  # none, or one without a name
        return ""


def _write(pipe: BufferedWriter, kind: int, content: Any, told: Kept) -> None:
    body = marshal.dumps((kind, content, *told.take()))
    if len(body) > _MAX_FRAME:
        body = marshal.dumps((_LEFT, None, "", ()))
    pipe.write(len(body).to_bytes(4, "big") + body)


def _widen(pipe: int) -> None:
    """Let it hold as much as a worker may be ahead, where the system grants that."""
    try:  # noqa: SIM105 - a run imports contextlib for nothing else
        fcntl(pipe, _F_SETPIPE_SZ, _PIPE)
    except OSError:
        pass


def packed(error: KsecretError) -> tuple[Any, ...]:
    """An error as plain values: the class by which it is known, and its fields."""
    kind = next(one.__name__ for one in type(error).__mro__ if one.__module__ == errors.__name__)
    return kind, error.ends_run, error.message, tuple(getattr(error, name) for name in _FIELDS)


def unpacked(kind: str, ends_run: bool, message: str, fields: tuple[Any, ...]) -> KsecretError:
    """The same error again."""
    error: KsecretError = getattr(errors, kind)(message, **dict(zip(_FIELDS, fields, strict=True)))
    error.ends_run = ends_run
    return error
