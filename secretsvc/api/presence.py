"""Presence of the client: the work for one that has gone is ended."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Message, Receive


class Presence:
    """Looks out, once a request has come whole, for its client's leaving, and cancels the request's task then."""

    def __init__(self, receive: Receive, task: asyncio.Task[None] | None) -> None:
        self._receive = receive
        self._task = task
        self._watching: asyncio.Task[None] | None = None
        self.gone = False

    async def receive(self) -> Message:
        """Receive the next message, as ASGI has it."""
        message = await self._receive()
        if message["type"] == "http.request" and not message.get("more_body") and not self._watching:
            self._watching = asyncio.create_task(self._watch())
        return message

    def end(self) -> None:
        """Look out no more."""
        if self._watching:
            self._watching.cancel()
            self._watching = None  # its end refers to this object

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        if self._task:
            self.gone = True
            self._task.cancel()
