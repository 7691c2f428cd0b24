"""A folder for clear text: its owner's only, in memory where there is a place for that, gone at the end."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import sys
import tempfile
from contextlib import contextmanager, suppress

from secretsvc.errors import FileError, printable
from secretsvc.files.signals import Undisturbed
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX = "ksecret-"
IN_USE = ".in-use"
"""Ending of a folder's name once it is locked: what ends so and is not locked was left behind by a `kill -9`."""


class Folder(Record):
    """`lock`: a descriptor that every process that still needs the folder holds open."""

    path: str
    lock: int


@contextmanager
def private_folder(*, on_disk: bool) -> Iterator[Folder]:
    """A new folder, mode 0700, removed with all that is in it on every way out. Raises FileError.

    Where no memory file system is found it stands on disk, and standard error says so; without `on_disk`, nowhere.
    """
    made: list[Folder] = []
    try:
        with Undisturbed():
            made.append(_make(on_disk=on_disk))
        yield made[0]
    finally:
        with Undisturbed():
            for folder in made:
                _remove(folder)


def keep(name: str, data: bytes) -> str:
    """Keeps a file for its owner, mode 0600, in a new folder on disk, or in memory; its path. Raises FileError."""
    error: OSError | None = None
    for place in (tempfile.gettempdir(), *_in_memory()):
        try:
            folder = tempfile.mkdtemp(prefix=f"{PREFIX}kept-", dir=place)
            path = os.path.join(folder, name)
            try:
                write_private(path, data)
            except OSError:
                shutil.rmtree(folder)
                raise
        except OSError as failure:
            error = failure
        else:
            return path
    raise FileError(f"what you typed could not be kept: {error.strerror if error else 'no place for it'}") from error


def write_private(path: str, data: bytes) -> None:
    """A file's content; a new one gets mode 0600. Raises OSError."""
    with open(path, "wb", opener=lambda path, flags: os.open(path, flags | os.O_CLOEXEC, 0o600)) as stream:
        stream.write(data)


def _make(*, on_disk: bool) -> Folder:
    for place in _in_memory():
        with suppress(OSError):
            return _made_in(place)
    if not on_disk:
        raise FileError(
            "there is no folder in memory (tmpfs) to put files in, and on a disk they would leave traces",
            hint="run without --files, or mount a tmpfs and name it in XDG_RUNTIME_DIR"
            if sys.platform == "linux"
            else "run without --files: only Linux has such folders",
        )
    try:
        folder = _made_in(tempfile.gettempdir())
    except OSError as error:
        raise FileError(f"no folder for the clear text can be made: {error.strerror}") from error
    print(
        printable(f"ksecret: no file system in memory was found: the clear text is on disk, in {folder.path}"),
        file=sys.stderr,
    )
    return folder


def _made_in(place: str) -> Folder:
    _sweep(place)
    path = tempfile.mkdtemp(prefix=PREFIX, dir=place)
    lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    with suppress(OSError):  # a file system without locks: then nobody sweeps there either
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.rename(path, path + IN_USE)
    return Folder(path + IN_USE, lock)


def _in_memory() -> list[str]:
    """Folders on a memory file system in which nobody else can replace one's own."""
    found: list[str] = []
    if sys.platform != "linux":
        return found
    for place in (os.environ.get("XDG_RUNTIME_DIR", ""), "/dev/shm", tempfile.gettempdir()):  # noqa: S108 (looked at)
        with suppress(OSError):
            status = os.stat(place)
            own = status.st_uid == os.geteuid() or status.st_mode & stat.S_ISVTX
            if own and _file_system(status.st_dev) in ("tmpfs", "ramfs"):
                found.append(os.path.realpath(place))
    return found


def _file_system(device: int) -> str:
    """The type of the file system with that device number, by `/proc/self/mountinfo` (proc(5)). Raises OSError."""
    wanted = f"{os.major(device)}:{os.minor(device)}".encode()
    with open("/proc/self/mountinfo", "rb") as stream:
        for line in stream:
            fields = line.split()
            if fields[2] == wanted:
                return fields[fields.index(b"-") + 1].decode()
    return ""


def _sweep(place: str) -> None:
    """Removes one's own folders that nobody holds any more."""
    for name in os.listdir(place):
        if name.startswith(PREFIX) and name.endswith(IN_USE):
            path = os.path.join(place, name)
            with suppress(OSError):
                lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
                try:
                    if os.fstat(lock).st_uid == os.geteuid():
                        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        shutil.rmtree(path)
                finally:
                    os.close(lock)


def _remove(folder: Folder) -> None:
    shutil.rmtree(folder.path, ignore_errors=True)  # as much of it as can be
    if os.path.lexists(folder.path):
        print(
            printable(f"ksecret: {folder.path}: can't be removed; remove it yourself: there may be clear text in it"),
            file=sys.stderr,
        )
    os.close(folder.lock)
