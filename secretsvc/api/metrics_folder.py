"""Folder in which the workers of one service share their metrics, and the end of those that killed ones left behind.

Whoever uses one holds a lock on a file in it, which the system takes away with the process, however that ends. So a
folder whose lock is free is nobody's, in whatever container its owner was.
"""

from __future__ import annotations

import fcntl
import os
import stat
from contextlib import suppress
from shutil import rmtree
from tempfile import gettempdir, mkdtemp

from prometheus_client.multiprocess import mark_process_dead

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""Where prometheus_client looks for it, in workers too."""
_PREFIX = "ksecret-metrics-"
_LOCK = "lock"
_MEMORY = "/dev/shm"  # noqa: S108 - a private folder is made in it
_PLAIN = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def make(parent: str = "") -> str:
    """Make one for this process and its workers, in memory where there is such a place, and name it in the environment.

    What killed services left there is removed before.
    """
    parent = parent or (_MEMORY if os.access(_MEMORY, os.W_OK) else gettempdir())
    _sweep(parent)
    folder = mkdtemp(prefix=_PREFIX, dir=parent)
    os.environ[VARIABLE] = folder
    hold()
    return folder


def hold() -> None:
    """Hold the folder that the environment names until this process ends."""
    lock = os.open(os.path.join(os.environ[VARIABLE], _LOCK), os.O_RDWR | os.O_CREAT | _PLAIN, 0o600)
    fcntl.flock(lock, fcntl.LOCK_SH)


def remove() -> None:
    """Remove the folder that the environment names, if it names one."""
    if folder := os.environ.get(VARIABLE):
        rmtree(folder, ignore_errors=True)


def forget(worker: int) -> None:
    """Let what a worker had under way no longer count, as it has ended. What it did counts on."""
    with suppress(OSError):
        mark_process_dead(worker)  # type: ignore[no-untyped-call]


def _sweep(parent: str) -> None:
    """Remove the folders of this user's that nobody holds; one without a lock is left alone: it may be new."""
    with suppress(OSError), os.scandir(parent) as entries:
        for entry in entries:
            if entry.name.startswith(_PREFIX):
                with suppress(OSError):
                    _remove_if_left(entry.path)


def _remove_if_left(folder: str) -> None:
    """Raises OSError where it is no folder, or somebody's."""
    place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | _PLAIN)
    try:
        lock = os.open(_LOCK, os.O_RDWR | _PLAIN, dir_fd=place)
        try:
            whose = {os.fstat(opened).st_uid for opened in (place, lock)}
            if whose == {os.getuid()} and stat.S_ISREG(os.fstat(lock).st_mode):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                rmtree(folder)
        finally:
            os.close(lock)
    finally:
        os.close(place)
