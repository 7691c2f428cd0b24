"""Homes of keys (`backends.home`): what requests told of those that matter to all."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from secretsvc.backends import home

if TYPE_CHECKING:
    from collections.abc import Iterable


class Told:
    """Times (time.monotonic) when a home last did what it was asked, and when it last could not be reached."""

    def __init__(self) -> None:
        self.worked = self.failed = float("-inf")

    def works(self, seconds: float) -> bool:
        """Tell whether it did within the last so many seconds, and has not failed since."""
        return self.worked > max(self.failed, time.monotonic() - seconds)


class Homes:
    """Homes that key rules name, and what calls of backends told of them: files may name any number of others."""

    def __init__(self, uris: Iterable[str] = ()) -> None:
        self.told = {home(uri): Told() for uri in uris}

    def worked(self, uris: Iterable[str]) -> None:
        """Note that a call with these keys gave what was asked for. Of several homes nobody knows which it was."""
        for told in self._of(uris):
            told.worked = time.monotonic()

    def failed(self, uris: Iterable[str]) -> None:
        """Note that a call with these keys found nobody there, or took too long."""
        for told in self._of(uris):
            told.failed = time.monotonic()

    def _of(self, uris: Iterable[str]) -> list[Told]:
        names = {home(uri) for uri in uris}
        return [self.told[name] for name in names if name in self.told] if len(names) == 1 else []
