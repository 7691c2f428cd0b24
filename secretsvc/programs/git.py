"""The `git` program, called for what only it should do: its configuration, and merging lines."""

from __future__ import annotations

import os

from secretsvc import programs
from secretsvc.errors import BackendUnavailableError, InputError
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from subprocess import CompletedProcess


_CAREFUL = (
    "--no-pager",
    "-c",
    "core.fsmonitor=false",
    "-c",
    f"core.hooksPath={os.devnull}",
)
"""A repository that came with a configuration (an archive, a bare one committed as a folder) runs nothing by it."""

_OFFLINE = {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": ""}
"""Nobody is asked, nothing is refreshed by the way, and no remote is called for what a partial clone lacks."""


def command(*words: str, bare: bool = False) -> list[str]:
    """The words that run it. What a file or a user gives goes behind a `--` in them.

    `bare`: whether the current folder may be a bare repository, as on a server; elsewhere one is a folder that somebody
    committed. Raises BackendUnavailableError.
    """
    path = programs.find("git", os.environ)
    if not path:
        raise BackendUnavailableError("git is not installed", hint="install git, or add it to PATH")
    return [path, *_CAREFUL, *(() if bare else ("-c", "safe.bareRepository=explicit")), *words]


def environment() -> dict[str, str]:
    """The environment for it: no variables of ksecret's, as no driver of ours runs in these calls, and no way out."""
    return programs.environment(os.environ) | _OFFLINE


def git(*words: str, stdin: bytes = b"") -> CompletedProcess[bytes]:
    """Runs it in the current folder, whatever its exit code. Raises BackendUnavailableError where it can't be run."""
    from subprocess import run

    try:
        return run(command(*words), env=environment(), input=stdin, capture_output=True, check=False)  # noqa: S603
    except OSError as error:
        raise BackendUnavailableError(f"git can't be run: {error.strerror}") from error


def top_above(folder: str) -> str:
    """The nearest folder from that one upwards with a `.git`; empty where there is none."""
    while not os.path.lexists(os.path.join(folder, ".git")):
        above = os.path.dirname(folder)
        if above == folder:
            return ""
        folder = above
    return folder


def work_tree() -> str:
    """The top folder of the work tree that the current folder is in. Raises InputError."""
    done = git("rev-parse", "--show-toplevel")
    if done.returncode:
        raise InputError("this folder is in no Git work tree", hint="change into one, or say --global")
    return os.fsdecode(done.stdout.removesuffix(b"\n"))


def sides_of(path: str) -> list[bytes]:
    """Ours and theirs, as Git's index has them while a merge of that file waits; nothing where none does."""
    folder, name = os.path.split(os.path.abspath(path))
    found = [git("-C", folder, "cat-file", "blob", f":{stage}:./{name}") for stage in (2, 3)]
    return [done.stdout for done in found] if not any(done.returncode for done in found) else []


class Merged(Record):
    """A text merged line by line."""

    data: bytes
    conflicts: int
    """Number of places marked in it with `<<<<<<<`; -1: nothing could be merged and `data` is ours."""


def merge_lines(base: bytes, ours: bytes, theirs: bytes) -> Merged:
    """Merge three texts as Git itself would (`git merge-file`, so the user's merge.conflictStyle holds).

    It wants files: they live in a private folder for the time of the call, and hold what Git keeps anyway. And it takes
    80 bytes of memory and more a line: it is asked only where both sides changed something.
    """
    if ours in (base, theirs) or base == theirs:
        return Merged(theirs if ours == base else ours, 0)
    done = _merge_file(base, ours, theirs)
    if done.returncode > 127:  # not text
        return Merged(ours, -1)
    return Merged(done.stdout, done.returncode)


class Hunk(Record):
    """A place that both sides changed, each in its way: whole lines of either version, and of what they come from."""

    ours: bytes
    base: bytes
    theirs: bytes

    def __repr__(self) -> str:
        return "Hunk(masked)"


def merge_hunks(base: bytes, ours: bytes, theirs: bytes) -> list[bytes | Hunk] | None:
    """The same as text that is merged, and hunks between it; None for what Git takes for no text."""
    sign = _MARKER_SIZE * b"="
    if any(sign in text for text in (base, ours, theirs)):
        return None
    done = _merge_file(base, ours, theirs, "--diff3", f"--marker-size={_MARKER_SIZE}")
    if done.returncode > 127:
        return None
    from re import split  # of all that Git is asked for, only this needs it

    size = str(_MARKER_SIZE).encode()
    marker = rb"(?m)^(?:<{%b} ours|\|{%b} base|={%b}|>{%b} theirs)\r?\n" % (size, size, size, size)
    parts = split(marker, done.stdout)
    found: list[bytes | Hunk] = [parts[0]]
    for at in range(1, len(parts), 4):
        found += (Hunk(*parts[at : at + 3]), parts[at + 3])
    return found


_MARKER_SIZE = 60


def _merge_file(base: bytes, ours: bytes, theirs: bytes, *options: str) -> CompletedProcess[bytes]:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(prefix="ksecret-") as folder:
        paths = {name: os.path.join(folder, name) for name in ("ours", "base", "theirs")}
        for name, data in (("ours", ours), ("base", base), ("theirs", theirs)):
            with open(paths[name], "wb") as stream:
                stream.write(data)
        labels = [word for name in paths for word in ("-L", name)]
        return git("merge-file", "-q", "-p", *options, *labels, "--", *paths.values())
