"""Sinks of audit lines: a file that several workers share, or standard output."""

from __future__ import annotations

import fcntl
import os
import select
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from secretsvc.api.audit.chain import FIRST, MAX_LINE_BYTES, digest, render

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_BLOCK = 64 * 1024


class Sink(Protocol):
    """Taker of events, in order. All of them are written when it returns, or it raises OSError and none is."""

    def write(self, events: Sequence[Mapping[str, object]]) -> bytes:
        """Write them, and return the lines as written."""
        ...


class FileSink:
    """A file with one chain, over restarts and for all workers on this machine, who take turns by flock(2).

    A file that is renamed (logrotate) is left, and the chain goes on in the new one.
    """

    def __init__(self, path: str, start: Mapping[str, object], copy: int | None = None) -> None:
        """`start`: what is written before the first line of this process; `copy`: a file that gets the lines too."""
        self._path = path
        self._copy = copy
        self._start: Mapping[str, object] | None = start
        self._file = -1
        self._previous = FIRST
        self._end = -1

    def write(self, events: Sequence[Mapping[str, object]]) -> bytes:
        """Append, and flush to the disk once. Raises OSError; then the file is as it was, unless the copy failed."""
        self._open()
        try:
            end = os.fstat(self._file).st_size
            torn = end != self._end and self._catch_up(end)
            previous = self._previous
            lines = b""
            for event in (*self._opening(torn), *events):
                line = render(event, previous)
                previous = digest(line)
                lines += line + b"\n"
            self._append(b"\n" + lines if torn else lines, end)
            self._previous, self._start = previous, None
            self._end = end + len(lines) + int(torn)
            if self._copy is not None:  # before another worker's turn: in the chain's order, too
                write_all(self._copy, lines)
            return lines
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def _opening(self, torn: bool) -> list[Mapping[str, object]]:
        """Return what goes before the first line of this process, and after a line that a crash left torn."""
        if torn:
            return [{**(self._start or {"event": "start"}), "torn": True}]
        return [self._start] if self._start else []

    def _open(self) -> None:
        """Open and lock the file that the path names now."""
        while True:
            if self._file < 0:
                flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
                self._file = os.open(self._path, flags, 0o600)
                self._end = -1
            fcntl.flock(self._file, fcntl.LOCK_EX)
            held = os.fstat(self._file)
            try:
                named = os.stat(self._path)
            except FileNotFoundError:
                named = None
            if named and (named.st_ino, named.st_dev) == (held.st_ino, held.st_dev):
                return
            self._catch_up(held.st_size)
            os.close(self._file)
            self._file = -1

    def _catch_up(self, end: int) -> bool:
        """Learn the hash of the last line, of another worker or an earlier run, and tell whether that is torn."""
        start = max(0, end - MAX_LINE_BYTES)
        tail = b""
        at = end
        while at > start and tail.rstrip(b"\n").count(b"\n") == 0:
            size = min(_BLOCK, at - start)
            at -= size
            tail = os.pread(self._file, size, at) + tail
        if not tail:
            return False
        self._previous = digest(tail.rstrip(b"\n").rpartition(b"\n")[2])
        return not tail.endswith(b"\n")

    def _append(self, lines: bytes, end: int) -> None:
        try:
            write_all(self._file, lines)
            os.fsync(self._file)
        except OSError:
            if os.fstat(self._file).st_size > end:
                os.ftruncate(self._file, end)
            raise


class StdoutSink:
    """Standard output: one chain for each process, told apart by `chain`.

    Workers share it, and take turns, by a lock that is gone with the process that holds it (fcntl(2), F_SETLKW; that of
    flock(2) they would share as they share the descriptor). A line of up to 4096 bytes gets into a pipe whole or not at
    all (pipe(7), PIPE_BUF), also from a process that is killed.
    """

    def __init__(self, start: Mapping[str, object], file: int = 1) -> None:
        self._chain = os.urandom(8).hex()
        self._first = start
        self._started = False
        self._previous = FIRST
        self._torn = b""
        """Bytes that got out of the latest line, where that was a part of it."""
        self._file = file

    def write(self, events: Sequence[Mapping[str, object]]) -> bytes:
        """Write all. Raises OSError; then some lines may be written and one torn, and the next write says so."""
        with suppress(OSError):  # what knows no locks
            fcntl.lockf(self._file, fcntl.LOCK_EX)
        try:
            return b"".join(map(self._append, (*self._opening(), *events)))
        finally:
            with suppress(OSError):
                fcntl.lockf(self._file, fcntl.LOCK_UN)

    def _opening(self) -> list[Mapping[str, object]]:
        """Return what goes before the first line of this process, and after a line that was left torn."""
        return [{**self._first, "torn": True}] if self._torn else [] if self._started else [self._first]

    def _append(self, event: Mapping[str, object]) -> bytes:
        line = render({"chain": self._chain, **event}, digest(self._torn) if self._torn else self._previous)
        rest = whole = (b"\n" if self._torn else b"") + line + b"\n"
        try:
            while rest:
                rest = rest[_written(self._file, rest) :]
        except OSError:
            self._torn += whole[: len(whole) - len(rest)]
            raise
        self._previous, self._torn, self._started = digest(line), b"", True
        return whole


def write_all(file: int, data: bytes) -> None:
    """Write every byte. Raises OSError."""
    while data:
        data = data[_written(file, data) :]


def _written(file: int, data: bytes) -> int:
    """Write, and return how many bytes were written; wait also where others made the file one that does not."""
    try:
        return os.write(file, data)
    except BlockingIOError:
        select.select([], [file], [])
        return 0
