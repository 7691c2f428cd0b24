"""The hook `pre-merge-commit`, since `git merge` runs no `pre-commit` (githooks(5)); another's is left as it is."""

from __future__ import annotations

import os

from secretsvc.errors import FileError
from secretsvc.files import workspace
from secretsvc.git.drivers import PRE_MERGE_COMMIT
from secretsvc.programs.git import git
from secretsvc.record import Record

_NAME = "pre-merge-commit"
_CONTENT = PRE_MERGE_COMMIT.encode()
_RUNS_OURS = (b"ksecret", b"pre-commit.com")
"""Marks of a hook of somebody's that runs ours, or may: that of https://pre-commit.com does what its file says."""


class HookReport(Record):
    """Lines for people: what was done, and what to look after."""

    done: list[str]
    warnings: list[str]


def install() -> HookReport:
    """Writes the hook, where this clone has a folder of its own for hooks, and none of that name. Raises FileError."""
    path = _path()
    advice = f"let your hook {_NAME} run: ksecret check --staged"
    if not path:
        return HookReport(
            [], [f"this clone's hooks are elsewhere (core.hooksPath, or a link), so none was written; {advice}"]
        )
    if os.path.lexists(path):
        present = _content(path)
        ours = any(word in present for word in _RUNS_OURS)
        return HookReport([], [] if ours else [f"there is a hook {_NAME} already; {advice}"])
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        workspace.create(path, _CONTENT, private=False)
        mode = os.stat(path).st_mode
        os.chmod(path, mode | (mode & 0o444) >> 2)  # to be run by whoever may read it
    except OSError as error:
        raise FileError(f"can't be written: {error.strerror}", file=path) from error
    return HookReport([f"hook {_NAME}: ksecret check --staged"], [])


def remove() -> list[str]:
    """Takes the hook away where it is ours, byte for byte; what was done. Raises FileError."""
    path = _path()
    if not path or not os.path.isfile(path) or _content(path) != _CONTENT:
        return []
    try:
        os.unlink(path)
    except OSError as error:
        raise FileError(f"can't be removed: {error.strerror}", file=path) from error
    return [f"hook {_NAME}: removed"]


def _content(path: str) -> bytes:
    return workspace.content(path) if os.path.isfile(path) else b""


def _path() -> str:
    """Path of this clone's hook; empty where hooks are elsewhere: for all clones, or in files that are committed."""
    set_to = git("config", "-z", "--get-all", "core.hooksPath").stdout.split(b"\0")
    folder = os.path.join(os.fsdecode(git("rev-parse", "--git-common-dir").stdout.removesuffix(b"\n")), "hooks")
    elsewhere = any(value not in (b"", os.fsencode(os.devnull)) for value in set_to)  # ours (programs/git.py)
    return "" if elsewhere or os.path.islink(folder) else os.path.join(folder, _NAME)
