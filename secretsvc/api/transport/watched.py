"""Files that others replace while the service runs: kubelet, cert-manager, certbot, configuration management."""

from __future__ import annotations

import os
import time

_LOOKS = 2.0
"""Least seconds between two looks at the files."""


class Watched:
    """Files that may come to hold something else. Nothing runs by itself: whoever uses them asks."""

    def __init__(self, *paths: str) -> None:
        """Begin before the files are read: what changes meanwhile is seen the next time. Empty paths are none."""
        self._paths = [path for path in paths if path]
        self._marks = self._look()

    def changed(self) -> bool:
        """Tell whether they have changed since it last said so; False without a look where the last is not long ago."""
        if time.monotonic() < self._looked + _LOOKS:
            return False
        before, self._marks = self._marks, self._look()
        return self._marks != before

    def _look(self) -> list[tuple[int, int, int] | None]:
        self._looked = time.monotonic()
        return [_mark(path) for path in self._paths]


def _mark(path: str) -> tuple[int, int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
