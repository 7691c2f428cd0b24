"""A walk through a folder, and the files that it takes: in a Git work tree what Git tracks or would add, else all.

Git ignores only what it does not track (gitignore(5)), so only Git itself can tell: `git ls-files`. Where it can't
(it is not installed, or refuses), `.gitignore` files are read here.
"""

from __future__ import annotations

import os
import stat
from itertools import chain

from secretsvc.errors import BackendUnavailableError, FileError
from secretsvc.programs import git
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_PLACES = ("DIR", "WORK_TREE", "INDEX_FILE", "COMMON_DIR", "PREFIX", "OBJECT_DIRECTORY", "NAMESPACE")
"""GIT_… variables that would have Git look at another repository than the folder's own, as in its hooks."""
_SECONDS = 120
"""Time that Git may take: a pipe for a `.gitignore` would keep it for ever."""
_TRUST = "git config --global --add safe.directory FOLDER has Git trust it"


class Walk(Record):
    """Settings of a walk, and who is told of what it meets."""

    failed: Callable[[FileError], None]
    """Told of folders that can't be listed."""
    warn: Callable[[str], None] = lambda _: None
    """Told why Git can't say what it tracks."""
    ignoring: bool = True
    """Whether what `.gitignore` names is passed over even then."""


class _CantTellError(Exception):
    """Git can't say what it tracks; the text says why."""


class _NoRepositoryError(Exception):
    """Git takes that `.git` for nothing of its own, so it tracks nothing."""


def names_in(root: str, walk: Walk) -> Iterator[str]:
    """Paths of files in that folder and below, relative to it: a folder's own before its subfolders', by name.

    `.git` is passed over; nested repositories and submodules are entered. What is no file any more may be among them.
    """
    real = os.path.realpath(root)
    if not git.top_above(real):
        yield from _by_hand(root, real, walk)
        return
    try:
        found = _by_git(root, real, walk)
    except _NoRepositoryError:
        yield from _by_hand(root, real, walk)
    except _CantTellError as why:
        walk.warn(str(why))
        yield from _by_hand(root, real, walk, ignoring=walk.ignoring)
    else:
        for folder in sorted(found, key=lambda path: path.split("/")):
            for name in sorted(set(found.pop(folder))):  # where a merge left it open, Git lists it thrice
                yield os.path.join(folder, name)


def _by_hand(root: str, real_root: str, walk: Walk, *, ignoring: bool = True) -> Iterator[str]:
    from secretsvc.files.ignored import Ignored  # only such a walk needs its library

    ignored = Ignored(real_root) if ignoring else None

    def fail(error: OSError) -> None:
        walk.failed(FileError(f"can't be listed: {error.strerror}", file=str(error.filename)))

    for folder, folders, files in os.walk(root, onerror=fail):
        inner = os.path.relpath(folder, root) if folder != root else ""
        real = os.path.join(real_root, inner) if inner else real_root
        if ignored:
            ignored.enter(real)
        kept = sorted(one for one in folders if one != ".git")
        names = sorted(files)
        if ignored and not ignored.says_nothing:
            kept = [one for one in kept if not ignored(os.path.join(real, one, ""))]
            names = [name for name in names if not ignored(os.path.join(real, name))]
        folders[:] = kept
        before = os.path.join(inner, "")
        for name in names:
            yield before + name


def _by_git(root: str, real_root: str, walk: Walk) -> dict[str, list[str]]:
    """Names of files by their folder, which so is in memory once. Raises _CantTellError, _NoRepositoryError."""
    found: dict[str, list[str]] = {}
    folders = [""]
    straight: dict[str, bool] = {}
    while folders:
        inner = folders.pop()
        for name in _listed(root, real_root, inner, walk):
            path = os.path.join(inner, name.rstrip("/"))
            folder, _, file = path.rpartition("/")
            if folder not in straight:  # Git lists what it tracks behind a link, too
                whole = os.path.join(real_root, folder) if folder else real_root
                straight[folder] = os.path.realpath(whole) == whole
            if not straight[folder]:
                continue
            if _is_folder(os.path.join(real_root, path)):  # a submodule, or another repository
                folders.append(path)
            else:
                found.setdefault(folder, []).append(file)
    return found


def _is_folder(path: str) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False


def _listed(root: str, real_root: str, inner: str, walk: Walk) -> Iterable[str]:
    """Paths relative to the folder `inner`, which is the root itself or the top of a repository in it."""
    folder = os.path.join(real_root, inner) if inner else real_root
    named = os.path.join(root, inner) if inner else root
    if inner and not os.path.lexists(os.path.join(folder, ".git")):  # a submodule that is not there
        return _by_hand(named, folder, walk)
    top = git.top_above(folder)
    try:
        said = _git(folder, "rev-parse", "--show-toplevel")
    except _NoRepositoryError:
        if not inner:
            raise
        walk.warn(f"{named}: git takes it for no repository, though it has a .git")
        return _by_hand(named, folder, walk, ignoring=walk.ignoring)
    if os.path.realpath(os.fsdecode(said.removesuffix(b"\n"))) != top:
        raise _CantTellError(f"{named}: git takes it for a part of another repository")
    if folder != top and _is_ignored(folder):  # it was named, so what is said above it does not count
        tracked = _git(folder, "ls-files", "-z", "--cached")
        return chain(_names(tracked), _by_hand(named, folder, walk))
    return _names(_git(folder, "ls-files", "-z", "--cached", "--others", "--exclude-standard", failed=walk.failed))


def _names(listed: bytes) -> Iterator[str]:
    """Take them one by one: of a million, a list would be larger than all that is kept of them."""
    start = 0
    while (end := listed.find(b"\0", start)) >= 0:
        yield os.fsdecode(listed[start:end])
        start = end + 1


def _is_ignored(folder: str) -> bool:
    try:
        _git(folder, "check-ignore", "-q", "--no-index", "--", ".")
    except _CantTellError:
        return False  # 1 is its word for no
    return True


def _git(folder: str, *words: str, failed: Callable[[FileError], None] | None = None) -> bytes:
    """Run Git in that folder; gives what it prints. `failed` is told of folders that it could not list."""
    from subprocess import TimeoutExpired, run

    places = {f"GIT_{what}" for what in _PLACES}
    environ = {name: text for name, text in git.environment().items() if name not in places} | {"LC_ALL": "C"}
    try:
        command = git.command("-c", "core.quotePath=false", *words)
        done = run(command, cwd=folder, env=environ, capture_output=True, check=False, timeout=_SECONDS)  # noqa: S603
    except OSError as error:
        raise _CantTellError(f"{folder}: git can't be started: {error.strerror}") from error
    except BackendUnavailableError:
        raise _CantTellError(f"{folder}: git is not on the PATH") from None
    except TimeoutExpired:
        raise _CantTellError(f"{folder}: git does not list its files within {_SECONDS} seconds") from None
    if done.returncode:
        if b"not a git repository" in done.stderr and b"filesystem boundary" not in done.stderr:
            raise _NoRepositoryError
        because = "" if b"safe.directory" not in done.stderr else f", for another user owns it: {_TRUST}"
        raise _CantTellError(f"{folder}: git can't list its files{because}")
    for line in done.stderr.splitlines():
        if failed and b"could not open directory" in line:
            said = os.fsdecode(line.removeprefix(b"warning: "))
            failed(FileError(f"can't be listed: git {said}", file=folder))
    return done.stdout
