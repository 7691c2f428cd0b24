"""The `git` program, called for what only it should do: its configuration, and merging lines."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from secretsvc.errors import BackendUnavailableError, InputError

if TYPE_CHECKING:
    from subprocess import CompletedProcess


def git(*words: str, stdin: bytes = b"") -> CompletedProcess[bytes]:
    """Runs it in the current folder, whatever its exit code. Raises BackendUnavailableError where there is none."""
    from subprocess import run

    try:
        return run(["git", *words], input=stdin, capture_output=True, check=False)  # noqa: S603, S607
    except FileNotFoundError:
        raise BackendUnavailableError("git is not installed", hint="install git, or add it to PATH") from None


def work_tree() -> str:
    """The top folder of the work tree that the current folder is in. Raises InputError."""
    done = git("rev-parse", "--show-toplevel")
    if done.returncode:
        raise InputError("this folder is in no Git work tree", hint="change into one, or say --global")
    return os.fsdecode(done.stdout.removesuffix(b"\n"))


class Merged(NamedTuple):
    """A text merged line by line."""

    data: bytes
    conflicts: int
    """How many places are marked in it with `<<<<<<<`; -1: nothing could be merged and `data` is ours."""


def merge_lines(base: bytes, ours: bytes, theirs: bytes) -> Merged:
    """What Git itself would make of three texts (`git merge-file`, so the user's merge.conflictStyle holds).

    It wants files: they live in a private folder for the time of the call, and hold what Git keeps anyway.
    """
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(prefix="ksecret-") as folder:
        paths = {name: os.path.join(folder, name) for name in ("ours", "base", "theirs")}
        for name, data in (("ours", ours), ("base", base), ("theirs", theirs)):
            with open(paths[name], "wb") as stream:
                stream.write(data)
        labels = [word for name in paths for word in ("-L", name)]
        done = git("merge-file", "-q", "-p", *labels, *paths.values())
    if done.returncode > 127:  # not text
        return Merged(ours, -1)
    return Merged(done.stdout, done.returncode)
