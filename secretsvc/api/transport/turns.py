"""Turns of the event loop: of what comes all at once only so much is done in one, and health is asked in between."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Turns:
    """Steps of one kind, of all connections together: so many in a turn, the others in the next ones, in order.

    An event loop does all that has come before it looks for more. Of a thousand requests that come in the same instant
    it would do the first steps of all, and see a probe only then.
    """

    def __init__(self, most: int) -> None:
        """`most`: in a turn; a millisecond together."""
        self._most = self._left = most
        self._turn = 0.0
        self._waiting: deque[Callable[[], object]] = deque()

    def take(self, step: Callable[[], object]) -> bool:
        """Tell whether the step, which the caller may do now, has its turn; else it is done when it has."""
        loop = asyncio.get_running_loop()
        now = loop.time()  # uvloop's stands still within a turn
        if now != self._turn:
            self._turn, self._left = now, self._most
        if self._left and not self._waiting:
            self._left -= 1
            return True
        if not self._waiting:
            loop.call_soon(self._next, loop)
        self._waiting.append(step)
        return False

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        for _ in range(min(self._most, len(self._waiting))):
            self._waiting.popleft()()
        if self._waiting:
            loop.call_soon(self._next, loop)
