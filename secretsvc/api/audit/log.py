"""Audit log: two lines for each operation, on the disk before a key is used and before an answer is sent."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import threading
import time
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING

from secretsvc import __version__
from secretsvc.api.audit.sinks import FileSink, Sink, StdoutSink
from secretsvc.api.problems import AUDIT, RefusedError
from secretsvc.errors import FileError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from secretsvc.api import settings

_LOG = logging.getLogger("ksecret")
_MOST = 256
"""Lines that are flushed to the disk together."""
_ROOM = 2048
"""Lines that may wait, of all requests together."""
_MOMENT = 0.2
"""Seconds that whoever asks after the log's health waits at most."""


class AuditLog:
    """A thread that writes; requests that wait at the same time share one flush (group commit)."""

    def __init__(self, sink: Sink, seconds: float, failed: Callable[[], None]) -> None:
        """`seconds`: how long a line may take; `failed` is called for each that could not be written."""
        self._sink = sink
        self._seconds = seconds
        self._failed = failed
        self._waiting: dict[asyncio.Future[None], Mapping[str, object]] = {}
        """Lines that nobody has begun to write, in order; whoever gives up takes theirs away."""
        self._changed = threading.Condition()
        self._began: float | None = None
        """Time since which the sink is writing (time.monotonic)."""
        self._thread = threading.Thread(target=self._work, name="audit", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._probe: asyncio.Task[None] | None = None
        self.works = False
        """True while the latest line could be written."""
        self._told = False

    async def write(self, event: Mapping[str, object]) -> None:
        """Return when the line is where it belongs. Raises RefusedError (503) where it can't be, or not in time."""
        try:
            await asyncio.shield(self._handed_over(event))  # a caller who leaves takes no line away
            self.works = True
        except OSError as error:
            if self.works or not self._told:  # once, not for every request
                _LOG.error("the audit log can't be written: %s", error.strerror or "not in time")
            self._told, self.works = True, False
            self._failed()
            hint = "the service's operator finds the reason in its log"
            raise RefusedError(AUDIT, "nothing is done without it", hint=hint, headers={"retry-after": "5"}) from error

    async def takes_lines(self) -> bool:
        """Tell whether the latest line could be written; where it could not, a probe's line may tell otherwise.

        Whoever asks waits but a moment, since who waits too long for an answer restarts the service.
        """
        if not self.works and (self._probe is None or self._probe.done()):
            self._probe = asyncio.create_task(self._try())
        if self._probe:
            await asyncio.wait([self._probe], timeout=_MOMENT)
        return self.works and not self._stuck()

    async def _try(self) -> None:
        with suppress(RefusedError):
            await self.write({"event": "probe"})

    def _handed_over(self, event: Mapping[str, object]) -> asyncio.Future[None]:
        """Return a future that is done when the line is written. Raises OSError where it would wait in vain."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._thread.start()
        if self._stuck():
            raise TimeoutError
        if len(self._waiting) >= _ROOM:
            raise TimeoutError(errno.EAGAIN, "too many lines wait for it")
        written: asyncio.Future[None] = self._loop.create_future()
        timer = self._loop.call_later(self._seconds, self._give_up, written)
        written.add_done_callback(lambda _: timer.cancel())
        with self._changed:
            self._waiting[written] = {"time": _now(), **event}
            self._changed.notify()
        return written

    def _stuck(self) -> bool:
        """Tell whether the sink has been writing for longer than a line may take."""
        began = self._began
        return began is not None and time.monotonic() - began > self._seconds

    def _give_up(self, written: asyncio.Future[None]) -> None:
        with self._changed:
            self._waiting.pop(written, None)
        if not written.done():
            written.set_exception(TimeoutError())

    def _work(self) -> None:
        assert self._loop
        while True:
            lines = self._taken()
            failure: OSError | None = None
            try:
                self._sink.write(list(lines.values()))
            except OSError as error:
                failure = error
            self._began = None
            try:
                self._loop.call_soon_threadsafe(_settle, list(lines), failure)
            except RuntimeError:  # the loop is closed: nobody waits
                return

    def _taken(self) -> dict[asyncio.Future[None], Mapping[str, object]]:
        """Return the lines that are to be written next; wait until there are some."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting)
            taken = dict(islice(self._waiting.items(), _MOST))
            for written in taken:
                del self._waiting[written]
            self._began = time.monotonic()
            return taken


def _settle(lines: Iterable[asyncio.Future[None]], failure: OSError | None) -> None:
    for written in lines:
        if written.done():
            continue
        if failure:
            written.set_exception(failure)
        else:
            written.set_result(None)


def _now() -> str:
    seconds = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds * 1e6) % 1_000_000:06}Z"


def open_log(wanted: settings.Audit, failed: Callable[[], None]) -> AuditLog:
    """Make the log that the configuration asks for; nothing is opened before the first line. Raises FileError."""
    start = {"time": _now(), "event": "start", "version": __version__, "process": os.getpid()}
    sink: Sink
    if wanted.file:
        _check(wanted.file)
        sink = FileSink(wanted.file, start, copy=1 if wanted.stdout else None)
    else:
        sink = StdoutSink(start)
    return AuditLog(sink, wanted.seconds, failed)


def _check(path: str) -> None:
    """Refuse a file that can't be appended to, nor be made. Raises FileError."""
    if os.path.exists(path) and not os.path.isfile(path):
        raise FileError("the audit log can't be written: no file", file=path)
    if not os.access(path if os.path.exists(path) else os.path.dirname(path) or ".", os.W_OK):
        raise FileError("the audit log can't be written", hint="make its folder, writable for the service", file=path)
