"""The audit log: two lines for each operation, on the disk before a key is used and before an answer is sent."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from queue import SimpleQueue
from typing import TYPE_CHECKING, NamedTuple

from secretsvc import __version__
from secretsvc.api.audit_sinks import FileSink, Sink, StdoutSink
from secretsvc.api.problems import AUDIT, RefusedError
from secretsvc.errors import FileError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from secretsvc.api import settings

_LOG = logging.getLogger("ksecret")
_MOST = 256
"""Lines that are flushed to the disk together."""


class _Line(NamedTuple):
    event: Mapping[str, object]
    written: asyncio.Future[None]


class AuditLog:
    """One thread writes; requests that wait at the same time share one flush (group commit)."""

    def __init__(self, sink: Sink, seconds: float, failed: Callable[[], None]) -> None:
        """`seconds`: how long a line may take; `failed` is called for each that could not be written."""
        self._sink = sink
        self._seconds = seconds
        self._failed = failed
        self._queue: SimpleQueue[_Line] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="audit", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self.works = False
        """Whether the latest line could be written."""
        self._told = False

    async def write(self, event: Mapping[str, object]) -> None:
        """Returns when the line is where it belongs. Raises RefusedError (503) where it can't be, or not in time."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._thread.start()
        line = _Line({"time": _now(), **event}, self._loop.create_future())
        self._queue.put(line)
        timer = self._loop.call_later(self._seconds, _give_up, line.written)
        try:
            await asyncio.shield(line.written)  # a caller who leaves takes no line away
            self.works = True
        except OSError as error:
            if self.works or not self._told:  # once, not for every request
                _LOG.error("the audit log can't be written: %s", error.strerror or "not in time")
            self._told, self.works = True, False
            self._failed()
            hint = "the service's operator finds the reason in its log"
            raise RefusedError(AUDIT, "nothing is done without it", hint=hint, headers={"retry-after": "5"}) from error
        finally:
            timer.cancel()

    def _work(self) -> None:
        assert self._loop
        while True:
            lines = [self._queue.get()]
            while not self._queue.empty() and len(lines) < _MOST:
                lines.append(self._queue.get())
            lines = [line for line in lines if not line.written.done()]  # whoever gave up is not told of later
            if not lines:
                continue
            failure: OSError | None = None
            try:
                self._sink.write([line.event for line in lines])
            except OSError as error:
                failure = error
            try:
                self._loop.call_soon_threadsafe(_settle, lines, failure)
            except RuntimeError:  # the loop is closed: nobody waits
                return


def _settle(lines: list[_Line], failure: OSError | None) -> None:
    for line in lines:
        if line.written.done():
            continue
        if failure:
            line.written.set_exception(failure)
        else:
            line.written.set_result(None)


def _give_up(written: asyncio.Future[None]) -> None:
    if not written.done():
        written.set_exception(TimeoutError())


def _now() -> str:
    seconds = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds * 1e6) % 1_000_000:06}Z"


def open_log(wanted: settings.Audit, failed: Callable[[], None]) -> AuditLog:
    """The log that the configuration asks for; nothing is opened before the first line. Raises FileError."""
    start = {"time": _now(), "event": "start", "version": __version__, "process": os.getpid()}
    sink: Sink
    if wanted.file:
        _check(wanted.file)
        sink = FileSink(wanted.file, start, copy=1 if wanted.stdout else None)
    else:
        sink = StdoutSink(start)
    return AuditLog(sink, wanted.seconds, failed)


def _check(path: str) -> None:
    """Raises FileError for a file that can't be appended to, nor be made."""
    if os.path.exists(path) and not os.path.isfile(path):
        raise FileError("the audit log can't be written: no file", file=path)
    if not os.access(path if os.path.exists(path) else os.path.dirname(path) or ".", os.W_OK):
        raise FileError("the audit log can't be written", hint="make its folder, writable for the service", file=path)
