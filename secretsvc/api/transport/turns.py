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
        """`most`: in a turn."""
        self._most = self._left = most
        self._counts = False
        """Some were taken in this turn, so the next one begins anew."""
        self._waiting: deque[Callable[[], object]] = deque()

    def take(self, step: Callable[[], object]) -> bool:
        """Tell whether the step, which the caller may do now, has its turn; else it is done when it has."""
        if not self._counts:
            self._counts = True
            asyncio.get_running_loop().call_soon(self._next)
        if self._left:
            self._left -= 1
            return True
        self._waiting.append(step)
        return False

    def _next(self) -> None:
        loop = asyncio.get_running_loop()
        due = [self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))]
        self._left, self._counts = self._most - len(due), bool(due)
        if due:
            loop.call_soon(self._next)
        for step in due:
            loop.call_soon(step)  # one that fails keeps none of the others from its turn
