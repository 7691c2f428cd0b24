"""Ignored files: those that `.gitignore` files name (gitignore(5)), of the folders walked and of their parents."""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from secretsvc.files.globs import Glob

MAX_BYTES = 256 * 1024
MOST_PATTERNS = 2000
"""Limit for one folder. Beyond what is read of a `.gitignore`, nothing is ignored."""


class Ignored:
    """Tells whether a path is ignored. Folders must be entered from the top downwards, as os.walk does."""

    def __init__(self, root: str) -> None:
        """`root`: the absolute path where the walk starts."""
        self._globs: dict[str, list[Glob]] = {}
        folder = root
        parents = []
        while not os.path.exists(os.path.join(folder, ".git")) and os.path.dirname(folder) != folder:
            folder = os.path.dirname(folder)
            parents.append(folder)
        if os.path.exists(os.path.join(folder, ".git")):  # else nothing above the root says anything
            self._add(folder, os.path.realpath(os.path.join(folder, ".git", "info", "exclude")))
            for parent in parents:
                self.enter(parent)
        if any(self(os.path.join(one, "")) for one in (*parents[:-1], root)):
            self._globs.clear()  # the root was named, so what is said above it does not count

    def enter(self, folder: str) -> None:
        """Reads that folder's `.gitignore`, where there is one that can be read."""
        self._add(folder, os.path.join(folder, ".gitignore"))

    def _add(self, folder: str, path: str) -> None:
        try:  # Git follows no link to a .gitignore either (gitignore(5)); a device or a pipe may have no end
            with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as stream:
                if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                    return
                lines = stream.read(MAX_BYTES).decode("utf-8", "surrogateescape").split("\n")
        except OSError:
            return
        if any(line and not line.startswith("#") for line in lines):
            self._globs[folder] = [*self._globs.get(folder, ()), *_parsed(lines)][:MOST_PATTERNS]

    @property
    def says_nothing(self) -> bool:
        """Tell whether no pattern was met so far, so that no path is ignored."""
        return not self._globs

    def __call__(self, path: str) -> bool:
        """Tell whether that absolute path is ignored; a folder's ends in a slash. The nearest file decides."""
        folder = os.path.dirname(path.rstrip("/"))
        while True:
            relative = path[len(folder.rstrip("/")) + 1 :]
            for glob in reversed(self._globs.get(folder, ())):
                if glob.fits(relative, inside=False):
                    return glob.include
            if os.path.dirname(folder) == folder:
                return False
            folder = os.path.dirname(folder)


def _parsed(lines: list[str]) -> Iterator[Glob]:
    from secretsvc.files import globs  # and what compiles patterns, which most walks do without

    for line in lines:
        try:
            glob = globs.parse(line.removesuffix("\r"))
        except ValueError:
            continue
        if glob:
            yield glob
