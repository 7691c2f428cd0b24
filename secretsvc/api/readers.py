"""Threads in which bodies are read: the event loop reads none that could keep others waiting for more than a moment."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from secretsvc import patience
from secretsvc.api.attempts import Attempt
from secretsvc.api.problems import TIMEOUT, RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

TINY = 4 * 1024
"""Bytes of what is read on the event loop: the dearest text of that size takes some milliseconds."""
_SMALL = 32 * 1024
"""Bytes of what does not wait behind large ones."""
_AT_A_TIME = 2
"""Of a size: their trees take up to a hundred times their bytes, and share one lock."""


class Readers:
    """Two threads for small bodies, and two for large ones."""

    def __init__(self, seconds: float) -> None:
        """`seconds`: how long a body may wait and be read."""
        self._seconds = seconds
        self._small = ThreadPoolExecutor(_AT_A_TIME, thread_name_prefix="read-small")
        self._large = ThreadPoolExecutor(_AT_A_TIME, thread_name_prefix="read-large")

    async def run(self, size: int, work: Callable[[], T]) -> T:
        """Run `work` for a body of that many bytes. Raises what it raises, and RefusedError (504).

        What waits here when its request ends is not begun, and what is at work ends at its next `patience.check`.
        """
        if size <= TINY:
            return work()
        attempt = Attempt()

        def watched() -> T:
            with patience.Asking(attempt.check):
                return work()

        executor = self._small if size <= _SMALL else self._large
        try:
            async with asyncio.timeout(self._seconds):
                return await asyncio.get_running_loop().run_in_executor(executor, watched)
        except TimeoutError:
            raise RefusedError(TIMEOUT, "there are too many large bodies, or it is too large") from None
        finally:
            attempt.abandoned = True
