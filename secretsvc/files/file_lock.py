"""One run of ksecret at a time between the last look at a file and its replacement."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager, suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_TRIES, _PAUSE = 100, 0.01
"""A second in all: who runs ksecret under `flock FILE` holds the lock for longer, and must not wait for ever."""


@contextmanager
def alone_with(path: str) -> Iterator[None]:
    """Holds a lock on the file that is there now: whoever replaces it gives its successor another inode.

    Where the file system has no locks, or another does not let go of it, it goes on without. Raises OSError.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        with suppress(OSError):
            _lock(descriptor)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    for _ in range(_TRIES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_PAUSE)
        else:
            return
