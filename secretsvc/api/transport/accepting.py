"""Accepting: several new connections in a turn of the event loop, and one while strangers crowd.

An event loop takes one connection from each listening object in a turn. With one object alone, hundreds that come at
once wait for as many turns; with several, whoever comes anew for each token keeps out who is known.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncio import Server
    from collections.abc import Awaitable, Callable

    from secretsvc.api.transport.pauses import Pauses

MOST = 8
"""New connections in a turn."""
CROWD = 10
"""First tokens of connections that were refused since it was last asked, a tenth of a second ago: more are a crowd."""


class Accepting:
    """The further objects for a listening socket, beside one that is always there."""

    def __init__(
        self, listener: socket.socket, serve: Callable[[socket.socket], Awaitable[Server]], pauses: Pauses
    ) -> None:
        """`serve` has an object served; `pauses`: those of its connections."""
        self._listener = listener
        self._serve = serve
        self._pauses = pauses
        self._strangers = 0
        self._more: list[Server] = []
        self._ended = False

    async def adapt(self) -> None:
        """Take as many in a turn as befits who came since this was last asked."""
        before, self._strangers = self._strangers, self._pauses.strangers
        if self._strangers - before > CROWD:
            self._take_one()
        elif not (self._more or self._ended):
            self._more = [await self._serve(same(self._listener)) for _ in range(MOST - 1)]

    def end(self) -> None:
        """Leave all to the one that is always there, for good."""
        self._ended = True
        self._take_one()

    def _take_one(self) -> None:
        for server in self._more:
            server.close()
        self._more = []


def same(listener: socket.socket) -> socket.socket:
    """Return another object for a socket that other processes may be accepting from.

    Not `dup`, which sets the time limit anew, and with it for a moment whether accepting waits: in all processes, as it
    is one open file (fcntl(2), O_NONBLOCK). An event loop that woke up just then would wait for the next caller.
    """
    return socket.socket(fileno=os.dup(listener.fileno()))
