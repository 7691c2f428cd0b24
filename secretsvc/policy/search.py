"""Which folders a policy is looked for in: a repository's, up to its top; elsewhere one's own (docs/policy.md).

Whoever may put a file into a folder above a manifest could otherwise choose whom others seal to, or stop their work. As
Git's safe.directory has it, a folder is believed for its owner's sake.
"""

from __future__ import annotations

import os
import stat
from itertools import takewhile
from typing import TYPE_CHECKING, NamedTuple

from secretsvc.errors import BackendUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator


class Reach(NamedTuple):
    """The folders for a manifest, nearest first."""

    own: list[str]
    """Folders whose policies count."""
    foreign: list[str]
    """The rest of a repository that belongs to somebody else, up to its top."""


def reach(folder: str) -> Reach:
    """Find these folders for a manifest in that folder, which is absolute, without links, and need not be there yet."""
    while not os.path.isdir(folder) and os.path.dirname(folder) != folder:
        folder = os.path.dirname(folder)
    owners = {os.geteuid(), _invoker(), _owner(folder)}
    top = _top(folder)
    chain = list(upwards(folder, top))
    if top and _owner(top) in owners:
        return Reach(chain, [])
    own = [folder, *takewhile(lambda above: _is_kept(above, owners), chain[1:])]
    return Reach(own, chain[len(own) :] if top else [])


def is_planted(path: str) -> bool:
    """Whether a stranger put a file, or a link to one, into a folder that everybody can write to. Raises OSError."""
    folder = os.stat(os.path.dirname(path))
    known = {os.geteuid(), _invoker(), folder.st_uid, 0}
    return bool(folder.st_mode & stat.S_IWOTH) and os.lstat(path).st_uid not in known


def is_for_all(folder: str) -> bool:
    """Whether it is a place for everybody's files, such as /tmp. Raises OSError."""
    for_all = stat.S_IWOTH | stat.S_ISVTX
    return os.stat(folder).st_mode & for_all == for_all


def is_safe_to_git(top: str) -> bool:
    """Whether the user told Git to trust a repository of somebody else's (git-config(1), safe.directory)."""
    from secretsvc.programs.git import git

    try:
        return git("-C", top, "rev-parse", "--git-dir").returncode == 0
    except BackendUnavailableError:
        return False


def _invoker() -> int:
    """The user behind root: whoever called sudo, as for Git; else -1, which is nobody."""
    caller = os.environ.get("SUDO_UID", "")
    return int(caller) if os.geteuid() == 0 and caller.isascii() and caller.isdecimal() else -1


def _owner(path: str) -> int:
    """-2, which is nobody, for what can't be looked at."""
    try:
        return os.stat(path).st_uid
    except OSError:
        return -2


def _is_kept(folder: str, owners: set[int]) -> bool:
    """Whether it belongs to one of them, and is no place for everybody's files."""
    return _owner(folder) in owners and not is_for_all(folder)


def _top(folder: str) -> str:
    """The nearest folder upwards with a `.git` in it that no stranger put there; empty where there is none."""
    for above in upwards(folder, ""):
        mark = os.path.join(above, ".git")
        if os.path.lexists(mark) and not is_planted(mark):
            return above
    return ""


def upwards(folder: str, last: str) -> Iterator[str]:
    """The folder and those above it, up to `last` or the root."""
    yield folder
    while folder not in (last, os.path.dirname(folder)):
        folder = os.path.dirname(folder)
        yield folder
