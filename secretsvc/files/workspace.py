"""Files: finding them, reading them with a memory of what was read, and writing them all or not at all."""

from __future__ import annotations

import os
import stat
import sys

from secretsvc.errors import FileError, ManifestError, UsageError
from secretsvc.manifest.reader import MAX_BYTES
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from io import FileIO
    from mmap import mmap
    from typing import TypeVar

    from secretsvc.files.walk import Walk

    R = TypeVar("R")

_WHOLE = 1 << 20
"""Files up to this many bytes are read at once; larger ones are looked through first."""

SUFFIXES = (".yaml", ".yml", ".json")
"""Endings of the names of files that a walk through folders looks at, in capitals or not."""

POLICIES = (".ksecret.yaml", ".ksecret.yml")
"""Names that a policy has, and that it is given by mistake."""


STANDARD_INPUT = "standard input"
"""What `-` on the command line is called in messages."""


class Item(Record):
    """A file to work on. `named`: by the user, not found in a folder; `root`: that folder."""

    path: str
    named: bool
    root: str = ""

    @property
    def path_in_root(self) -> str:
        """Its path relative to the folder that was named, the same wherever that lies; else its own path."""
        return self.path[len(os.path.join(_shown(self.root), "")) :] if self.root else self.path


class Snapshot(Record):
    """A file's bytes, and what tells whether it is still the same file."""

    path: str
    data: bytes
    mark: tuple[int, int, int, int]
    """Device, inode, size in bytes, modification time in nanoseconds."""

    def __repr__(self) -> str:
        return f"Snapshot({self.path!r}, masked)"


class Above:
    """Files of some names: whether one stands above another file, in its folder or higher. Remembers where none is."""

    def __init__(self, *names: str) -> None:
        self._names = names
        self._without: set[str] = set()

    def has(self, file: str) -> bool:
        """Tell whether one stands above that file."""
        named = os.path.dirname(file)
        if named in self._without:
            return False
        folder = os.path.realpath(named or os.curdir)
        while not any(os.path.exists(os.path.join(folder, name)) for name in self._names):
            above = os.path.dirname(folder)
            if above == folder:
                self._without.add(named)
                return False
            folder = above
        return True


def is_manifest(name: str, suffixes: tuple[str, ...] = SUFFIXES) -> bool:
    """Tell whether a file's name ends as a manifest's does: `DB.YAML` too."""
    return name.lower().endswith(suffixes)


def _raise(error: FileError) -> None:
    raise error


def discover(
    paths: Iterable[str],
    *,
    recursive: bool | None,
    failed: Callable[[FileError], None] = _raise,
    warn: Callable[[str], None] = lambda _: None,
    ignoring: bool = True,
    suffixes: tuple[str, ...] = SUFFIXES,
    others: Callable[[str], bool] | None = None,
    passed_over: Callable[[str], None] = lambda _: None,
) -> Iterator[Item]:
    """The files that the arguments mean, each folder's in the order of their names, as far as their names end so.

    `others`: tells of the path of a file whose name ends otherwise whether it is taken all the same.
    A folder needs `recursive`, which is None where no option asks for it; in it `.git`, what Git ignores (only what it
    does not track) and links that lead out of it are passed over. A folder that can't be listed is told to `failed`,
    a manifest's link that leads to no file in the folder to `passed_over`.
    Where Git can't say what it tracks, `warn` is told why, and `ignoring` is whether `.gitignore` counts even then.
    Raises UsageError, and FileError where nobody takes it.
    """
    for path in paths:
        if path != "-" and os.path.isdir(path):
            if not recursive:
                hint = "name a manifest" if recursive is None else "add -r for all manifests in it"
                raise UsageError("it is a folder", hint=hint, file=path)
            from secretsvc.files.walk import Walk  # only a walk needs it

            yield from _walk(path, Walk(failed, warn, ignoring), suffixes, others, passed_over)
        else:
            yield Item(_plain(path), True)


def named(paths: Iterable[str]) -> tuple[str, ...]:
    """Return the arguments that are no folders, as `discover` calls them."""
    return tuple(_plain(path) for path in paths if path == "-" or not os.path.isdir(path))


def _plain(path: str) -> str:
    """Return it without a `./` before it, unless a name begins with a dash behind that."""
    bare = path[2:].lstrip("/") if path.startswith("./") else ""
    return path if bare[:1] in ("", "-") else bare


def _walk(
    root: str,
    walk: Walk,
    suffixes: tuple[str, ...],
    others: Callable[[str], bool] | None,
    passed_over: Callable[[str], None],
) -> Iterator[Item]:
    from secretsvc.files.walk import names_in

    real_root, before = os.path.realpath(root), os.path.join(_shown(root), "")
    for name in names_in(root, walk):
        path = before + name
        by_name = is_manifest(name, suffixes)
        if (by_name or others) and _is_file(path, real_root) and (by_name or (others and others(path))):
            yield Item(path, False, root)
        elif by_name and os.path.islink(path) and not os.path.isdir(path):
            passed_over(path)


def in_order(items: Iterable[Item], work: Callable[[Item], R], jobs: Callable[[], int]) -> Iterator[R]:
    """Each item's result, in the items' order; at `jobs()` at a time in threads, as soon as that is more than one.

    `jobs` is asked again after every item, because what a run needs shows only on the way. Where the consumer stops,
    what has not begun is not begun.
    """
    left = iter(items)
    for done, item in enumerate(left):
        if done and jobs() > 1:
            from itertools import chain

            yield from _in_threads(chain((item,), left), work, jobs)
            return
        yield work(item)


def _in_threads(items: Iterable[Item], work: Callable[[Item], R], jobs: Callable[[], int]) -> Iterator[R]:
    from collections import deque
    from concurrent.futures import Future, ThreadPoolExecutor  # takes as long as gpg takes to open a DEK

    from secretsvc.files.signals import Undisturbed

    pool = ThreadPoolExecutor(jobs())
    queue: deque[Future[R]] = deque()
    try:
        for item in items:
            with Undisturbed():  # a thread that has started and that the pool does not know yet is not waited for
                queue.append(pool.submit(work, item))
            if len(queue) >= 4 * jobs():
                yield queue.popleft().result()
        while queue:
            yield queue.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _shown(root: str) -> str:
    """Return a folder as it begins its files' paths; empty for the one we are in."""
    return "" if os.path.normpath(root) == os.curdir else _plain(root)


def _is_file(path: str, real_root: str) -> bool:
    """Tell whether it is a file, or a link to one that does not lead out of that folder."""
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return False
    if stat.S_ISLNK(mode):
        return os.path.realpath(path).startswith(os.path.join(real_root, "")) and os.path.isfile(path)
    return stat.S_ISREG(mode)


def name_of(path: str) -> str:
    """Name, in messages, a file of the command line."""
    return STANDARD_INPUT if path == "-" else path


def standard_input() -> bytes:
    """All of it, up to more than a manifest may have. Raises FileError."""
    try:
        return sys.stdin.buffer.read(MAX_BYTES + 1)
    except OSError as error:
        raise FileError(f"can't be read: {error.strerror}", file=STANDARD_INPUT) from error


def read(path: str) -> Snapshot:
    """A file's content. Raises FileError; ManifestError for one that is too large to be a manifest."""
    try:
        with open(path, "rb", buffering=0) as stream:
            return _snapshot(path, stream, os.fstat(stream.fileno()))
    except OSError as error:
        raise FileError(f"can't be read: {error.strerror}", file=path) from error


def read_if(path: str, test: Callable[[bytes | mmap], bool]) -> Snapshot | None:
    """Read a file as `read` does; None for one whose bytes do not pass the test, however large it is."""
    try:
        with open(path, "rb", buffering=0) as stream:
            status = os.fstat(stream.fileno())
            if status.st_size > _WHOLE and stat.S_ISREG(status.st_mode) and not _passes(stream, test):
                return None
            snapshot = _snapshot(path, stream, status)
    except OSError as error:
        raise FileError(f"can't be read: {error.strerror}", file=path) from error
    return snapshot if test(snapshot.data) else None


def _passes(stream: FileIO, test: Callable[[bytes | mmap], bool]) -> bool:
    """Test a file's bytes without reading it whole; False for one that was emptied meanwhile."""
    from mmap import ACCESS_READ, mmap

    try:
        content = mmap(stream.fileno(), 0, access=ACCESS_READ)
    except ValueError:
        return False
    with content:
        return test(content)


def _snapshot(path: str, stream: FileIO, status: os.stat_result) -> Snapshot:
    if status.st_size > MAX_BYTES and stat.S_ISREG(status.st_mode):
        raise ManifestError(f"larger than {MAX_BYTES // 1024 // 1024} MiB", file=path)
    data = stream.read(status.st_size + 1)
    if len(data) != status.st_size:  # a device or a pipe, which may have no end, or a file that is being written
        from io import BufferedReader  # which reads on until there is no more

        with BufferedReader(stream) as rest:
            data += rest.read(MAX_BYTES + 1 - len(data))
    return Snapshot(path, data, _mark(status))


def content(path: str) -> bytes:
    """All bytes of a file that need not be a manifest, however many. Raises FileError."""
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except OSError as error:
        raise FileError(f"can't be read: {error.strerror}", file=path) from error


def replace(snapshot: Snapshot, data: bytes, *, private: bool = False) -> None:
    """New content for a file that was read: a temporary file beside it, fsync, rename.

    Owner and mode are kept; with `private`, which clear text is, it becomes the caller's own and nobody else's, 0600.
    A link stays a link. Raises FileError, and leaves the file as it was, where it changed since it was read; of two who
    replace it at once, one is told so.
    """
    from secretsvc.files.file_lock import alone_with

    path = destination(snapshot.path)

    def check_unchanged() -> None:
        if _mark(os.stat(path)) != snapshot.mark:
            raise FileError(
                "changed while ksecret worked on it; it was left as it is", hint="run again", file=snapshot.path
            )

    try:
        with alone_with(path):
            before = os.stat(path)
            if private:
                _check_own(snapshot.path)
            _put(path, data, mode=0o600, like=None if private else before, check=check_unchanged)
    except OSError as error:
        raise _unwritten(error, snapshot.path) from error


def create(path: str, data: bytes, *, private: bool) -> None:
    """An output file, made or replaced whole. `private`: it is the caller's own and nobody else's then, 0600.

    Otherwise a file that is there keeps its owner and mode, and a new one gets what the umask leaves.
    Raises FileError; for a private output also where the file that is there is another user's.
    """
    try:
        if path == "/dev/stdout":  # as a file it would be replaced, with all that others wrote there
            with open(os.dup(1), "wb") as stream:
                stream.write(data)
        elif os.path.exists(path) and not os.path.isfile(path):  # a device or a pipe has nothing to be replaced
            if private and stat.S_ISFIFO(os.stat(path).st_mode):
                _check_own(path)
            with open(path, "wb") as stream:  # by this name: that of a pipe behind /dev/stdout leads nowhere
                stream.write(data)
        else:
            _create(path, data, private=private)
    except OSError as error:
        raise _unwritten(error, path) from error


def _create(path: str, data: bytes, *, private: bool) -> None:
    real = destination(path)
    if private:
        _check_own(path)
        _put(real, data, mode=0o600)
    elif os.path.exists(real):
        _put(real, data, mode=0o600, like=os.stat(real))
    else:
        _put(real, data, mode=0o666)


def destination(path: str, top: str = "") -> str:
    """The path of the file that an output goes to, behind links. Raises FileError for a link out of a repository.

    Who commits a link chooses where it leads: into the folder beside the repository, or to a shell's start-up file.
    A repository is what has a `.git`, and the folder `top`, which is absolute.
    """
    named, real = os.path.abspath(path), os.path.realpath(path)
    if real == named:
        return real
    folder = os.path.dirname(named)
    while folder != os.path.dirname(folder):
        is_top = folder == top or os.path.lexists(os.path.join(folder, ".git"))
        if is_top and not _is_below(real, folder):
            raise _leads_out(path, named, folder)
        folder = os.path.dirname(folder)
    return real


def _is_below(real: str, folder: str) -> bool:
    return real.startswith(os.path.join(os.path.realpath(folder), ""))


def _leads_out(path: str, named: str, top: str) -> FileError:
    link = top
    for name in os.path.relpath(named, top).split(os.sep):
        link = os.path.join(link, name)
        if not _is_below(os.path.realpath(link), top):
            break
    return FileError(
        f"not written: the link {os.path.relpath(link)} leads out of the repository, to {os.path.realpath(link)}",
        hint="remove the link, or name the file that it leads to",
        file=path,
    )


def _check_own(path: str) -> None:
    """Raises FileError where a file, or a link to it, is another user's: who could open it, or chose where it leads."""
    strange = os.path.exists(path) and os.stat(path).st_uid != os.geteuid()
    if strange or (os.path.lexists(path) and os.lstat(path).st_uid not in (os.geteuid(), 0)):
        raise FileError(
            "not written: it belongs to another user, and what is to be written is for you alone",
            hint="name a file of your own, or remove this one",
            file=path,
        )


def _unwritten(error: OSError, path: str) -> FileError:
    needs = "a new file takes its place: that needs the right to write to its folder, and to keep its owner and group"
    hint = needs if isinstance(error, PermissionError) else ""
    return FileError(f"can't be written: {error.strerror}", hint=hint, file=path)


def _put(
    path: str,
    data: bytes,
    *,
    mode: int,
    like: os.stat_result | None = None,
    check: Callable[[], None] = lambda: None,
) -> None:
    """The content under that path, whole or not at all.

    `mode`: what it is made with, less the umask, which so the kernel takes off: to ask for it, a process would have to
    set it, and other threads make files meanwhile. `like`: the file whose owner and mode it gets in the end.
    """
    from secretsvc.files.signals import Undisturbed

    folder = os.path.dirname(path)
    temporary = os.path.join(folder, f"{_temporary(os.getpid())}{os.urandom(8).hex()}")
    with Undisturbed():
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            with os.fdopen(descriptor, "wb", buffering=0) as stream:
                _fill(stream, data, like)
            check()
            os.rename(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
        _sync_folder(folder)


def _temporary(process: int) -> str:
    """Return how the names of a process's temporary files begin."""
    return f".ksecret-{process}-"


def clear_after(process: int, paths: Iterable[str]) -> None:
    """Remove the temporary files that a process has left which was killed as it replaced one of these files."""
    for folder in {os.path.dirname(os.path.realpath(path)) for path in paths}:
        try:
            for name in os.listdir(folder):
                if name.startswith(_temporary(process)):
                    os.unlink(os.path.join(folder, name))
        except OSError:  # then it can't be, and the error about the file itself is told
            continue


def _fill(stream: FileIO, data: bytes, like: os.stat_result | None) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[stream.write(rest) :]
    descriptor = stream.fileno()
    if like:
        if (like.st_uid, like.st_gid) != (os.geteuid(), os.getegid()):
            os.fchown(descriptor, like.st_uid, like.st_gid)
        os.fchmod(descriptor, stat.S_IMODE(like.st_mode))
    os.fsync(descriptor)


def _sync_folder(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _mark(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
