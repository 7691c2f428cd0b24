"""Work in a thread, and whether somebody still waits for it."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from secretsvc.api.homes import Homes
from secretsvc.api.problems import TIMEOUT, RefusedError
from secretsvc.errors import BackendUnavailableError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator


class Attempt:
    """One piece of work in a thread: the event loop sees what it does, and the thread whether it is given up."""

    def __init__(self, homes: Homes | None = None) -> None:
        self._homes = homes or Homes()
        self._uris: Collection[str] = ()
        self.began = 0.0
        """When the call of a backend began that runs now (time.monotonic); 0 where none does."""
        self.abandoned = False
        """True once nobody waits for the result any more."""

    def check(self) -> None:
        """End the work where nobody waits for it. Raises RefusedError."""
        if self.abandoned:
            raise RefusedError(TIMEOUT, "given up")

    def called_for(self, seconds: float) -> bool:
        """Tell whether a call of a backend has been under way for longer than that."""
        began = self.began
        return bool(began) and time.monotonic() - began > seconds

    @contextmanager
    def call(self, uris: Collection[str]) -> Iterator[None]:
        """Stand around one call of a backend, with these keys. Raises as `check`: what hangs makes no second call."""
        self.check()
        self._uris, self.began = uris, time.monotonic()
        try:
            yield
        except BackendUnavailableError:
            self._homes.failed(uris)
            raise
        else:
            self._homes.worked(uris)
        finally:
            self.began = 0.0

    def abandon(self) -> None:
        """Give it up, for it takes too long."""
        self.abandoned = True
        if self.began:
            self._homes.failed(self._uris)
