"""Bounds on callers and bodies."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from math import ceil
from typing import TYPE_CHECKING, Any

from starlette.requests import ClientDisconnect

from secretsvc.api.problems import BUSY, MEDIA, RATE, REQUEST, SLOW_BODY, TOO_LARGE, RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from starlette.requests import Request

MOST_CALLERS = 10_000
"""Callers whose buckets are remembered; the one that was seen longest ago is forgotten first."""


class Rates:
    """A token bucket for each caller, in this process."""

    def __init__(self, per_second: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = per_second
        self._burst = float(burst)
        self._clock = clock
        self._buckets: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def take(self, caller: Hashable) -> None:
        """Counts a request. Raises RefusedError (429, with Retry-After) where the caller has none left."""
        now = self._clock()
        left, then = self._buckets.pop(caller, (self._burst, now))
        left = min(self._burst, left + (now - then) * self._rate)
        allowed = left >= 1
        self._buckets[caller] = (left - 1 if allowed else left, now)
        if len(self._buckets) > MOST_CALLERS:
            self._buckets.popitem(last=False)
        if not allowed:
            seconds = str(max(1, ceil((1 - left) / self._rate)))
            raise RefusedError(RATE, f"at most {self._rate:g} a second", headers={"retry-after": seconds})


class Room:
    """The memory that bodies may take together, in this process."""

    def __init__(self, most: int) -> None:
        self.most = self._left = most

    def take(self, state: dict[str, Any], size: int) -> None:
        """For the request with that state, until `give_back`. Raises RefusedError (503)."""
        if size > self._left:
            raise RefusedError(BUSY, "too many large bodies at a time", headers={"retry-after": "1"})
        self._left -= size
        state["room"] = state.get("room", 0) + size

    def give_back(self, state: dict[str, Any]) -> None:
        """What the request took, if it took any."""
        self._left += state.pop("room", 0)


async def body_of(request: Request, room: Room, most: int, seconds: float) -> bytes:
    """The whole body. Raises RefusedError: 413, 415 (compressed), 408 (not there in time) and 503 (no room).

    What is left of a body that is refused is not kept; connections.Protocol bounds how long it may go on.
    """
    most = min(most, room.most)  # a larger one would be told to come again for ever
    if request.headers.get("content-encoding", "").lower() not in ("", "identity"):
        raise RefusedError(MEDIA, "a compressed body is not taken", hint="send it as it is")
    stated = request.headers.get("content-length", "0")
    if stated.isdecimal() and len(stated) < 20 and int(stated) > most:
        raise _too_large(most)
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                room.take(request.scope["state"], len(chunk))
                size += len(chunk)
                if size > most:
                    raise _too_large(most)
                chunks.append(chunk)
    except TimeoutError:
        raise RefusedError(
            SLOW_BODY, f"it takes longer than {seconds:g} seconds", headers={"connection": "close"}
        ) from None
    except ClientDisconnect:
        raise RefusedError(REQUEST, "the body ended too early") from None  # nobody is there to read that
    return b"".join(chunks)


def _too_large(most: int) -> RefusedError:
    return RefusedError(TOO_LARGE, f"the body is larger than {most} bytes")
