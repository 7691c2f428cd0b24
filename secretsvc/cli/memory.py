"""Files that never touch a disk: a private folder in a file system that is kept in memory."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from secretsvc.errors import FileError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_IN_MEMORY = ("tmpfs", "ramfs")


@contextmanager
def private_folder(files: Mapping[str, bytes]) -> Iterator[str]:
    """A folder (0700) with those files (0600) in memory, removed with all that is in it when the block ends.

    Raises FileError where no file system in memory is there to be used.
    """
    from shutil import rmtree
    from tempfile import mkdtemp

    home = _home()
    try:
        folder = mkdtemp(prefix="ksecret-", dir=home)
    except OSError as error:
        raise FileError(f"no folder can be made: {error.strerror}", file=home) from error
    try:
        for name, data in files.items():
            _write(os.path.join(folder, name), data)
        yield folder
    finally:
        rmtree(folder, ignore_errors=True)
        if os.path.exists(folder):
            raise FileError("can't be removed, and holds values in the clear", hint="remove it yourself", file=folder)


def _write(path: str, data: bytes) -> None:
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as stream:
            stream.write(data)
    except OSError as error:
        raise FileError(f"can't be written: {error.strerror}", file=path) from error


def _home() -> str:
    """`$XDG_RUNTIME_DIR` (the user's own, XDG Base Directory Specification), else /dev/shm; whichever is in memory."""
    for path in (os.environ.get("XDG_RUNTIME_DIR", ""), "/dev/shm"):  # noqa: S108 - what is made in it is private
        if os.path.isdir(path) and os.access(path, os.W_OK | os.X_OK) and _file_system(path) in _IN_MEMORY:
            return path
    raise FileError(
        "there is no folder in memory (tmpfs) to put files in, and on a disk they would leave traces",
        hint="run without --files, or mount a tmpfs and name it in XDG_RUNTIME_DIR",
    )


def _file_system(path: str) -> str:
    """The type of the file system that a folder is in (proc_pid_mountinfo(5)); "" where that can't be told."""
    device = os.stat(path).st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as mounts:
            rows = [line.split() for line in mounts]
    except OSError:
        return ""
    return next((row[row.index("-") + 1] for row in rows if row[2] == wanted), "")
