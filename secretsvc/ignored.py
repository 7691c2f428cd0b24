"""What `.gitignore` files name (gitignore(5)): those of the folders walked and of their parents."""

from __future__ import annotations

import os
import stat

from pathspec import GitIgnoreSpec


class Ignored:
    """Tells whether a path is ignored. Folders must be entered from the top downwards, as os.walk does."""

    def __init__(self, root: str) -> None:
        """`root`: the absolute path where the walk starts."""
        self._specs: dict[str, GitIgnoreSpec] = {}
        folder = root
        parents = []
        while not os.path.exists(os.path.join(folder, ".git")) and os.path.dirname(folder) != folder:
            folder = os.path.dirname(folder)
            parents.append(folder)
        if os.path.exists(os.path.join(folder, ".git")):  # else nothing above the root says anything
            self._add(folder, os.path.realpath(os.path.join(folder, ".git", "info", "exclude")))
            for parent in parents:
                self.enter(parent)
        if self(os.path.join(root, "")):  # it was named, so what is said above it does not count
            self._specs.clear()

    def enter(self, folder: str) -> None:
        """Reads that folder's `.gitignore`, where there is one that can be read."""
        self._add(folder, os.path.join(folder, ".gitignore"))

    def _add(self, folder: str, path: str) -> None:
        try:  # Git follows no link to a .gitignore either (gitignore(5)); a device or a pipe may have no end
            with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as stream:
                if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                    return
                lines = stream.read().decode("utf-8", "surrogateescape").splitlines()
        except OSError:
            return
        before = self._specs.get(folder)
        own = GitIgnoreSpec.from_lines(lines)
        self._specs[folder] = before + own if before else own

    def __call__(self, path: str) -> bool:
        """Whether that absolute path is ignored; a folder's ends in a slash. The nearest file with a say decides."""
        folder = os.path.dirname(path.rstrip("/"))
        while True:
            spec = self._specs.get(folder)
            said = spec.check_file(path[len(folder.rstrip("/")) + 1 :]).include if spec else None
            if said is not None:
                return said
            if os.path.dirname(folder) == folder:
                return False
            folder = os.path.dirname(folder)
