"""Pauses after tokens that are refused, as sshd and PAM make them: guessing is slow, and costs the service little."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST = 0.1
"""Seconds that the first refusal of a connection waits, and every other at least."""
BETWEEN = 0.005
"""Seconds between further refusals, of all connections together: in this process there are 200 a second."""
MOST = 10.0
"""Seconds that one waits at most."""


class Pauses:
    """Pauses of connections whose tokens were refused, before the answer; nothing is read from them meanwhile.

    The first token of a connection is answered soon, whatever others do: its sender may have taken a wrong one. Further
    ones, of whichever connection, have their turn one after the other, so that who keeps thousands of connections open
    can't try thousands a second.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last = float("-inf")
        """Time of the last turn that was given out."""
        self.strangers = 0
        """Connections whose first token was refused."""

    def seconds(self, refused: int) -> float:
        """Return the pause of a connection of which so many tokens in a row were refused before."""
        if not refused:
            self.strangers += 1
            return FIRST
        now = self._clock()
        self._last = min(max(self._last + BETWEEN, now + FIRST), now + MOST)
        return self._last - now
