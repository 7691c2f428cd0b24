"""Bounds on callers, on requests at a time, and on the memory of their bodies."""

from __future__ import annotations

import time
from collections import OrderedDict
from math import ceil
from typing import TYPE_CHECKING, Any

from secretsvc.api.problems import RATE, RefusedError, busy

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

MOST_CALLERS = 10_000
"""Callers whose buckets are remembered; the one that was seen longest ago is forgotten first."""


SOON = 0.1
"""Seconds within which the body of a request usually is there."""


class Rates:
    """A token bucket for each caller, in this process."""

    def __init__(self, per_second: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = per_second
        self._burst = float(burst)
        self._clock = clock
        self._buckets: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def take(self, caller: Hashable) -> None:
        """Count a request. Raises RefusedError (429, with Retry-After) where the caller has none left."""
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


class RequestRoom:
    """Room for requests at work in this process: more at a time would make all of them wait, and none faster.

    A request is looked at before its body comes, and counts from when that is whole, so that slow ones hold no place.
    But for a moment it is expected: of hundreds that come at once only so many are let in, and the others cost little.
    """

    def __init__(self, most: int, elsewhere: Callable[[], int], clock: Callable[[], float] = time.monotonic) -> None:
        """`elsewhere`: how many of those that have a place only wait for somebody else, and do not count meanwhile."""
        self._most = most
        self._elsewhere = elsewhere
        self._clock = clock
        self._taken = 0
        self._expected: dict[str, float] = {}
        """Ids of requests whose bodies are not whole yet, in the order in which they came, and when they did."""

    def full(self) -> bool:
        """Tell whether there is no place."""
        if self._taken + len(self._expected) < self._most:
            return False
        since = self._clock() - SOON
        while self._expected and self._expected[first := next(iter(self._expected))] < since:
            del self._expected[first]
        return self._over(self._taken + len(self._expected))

    def look(self) -> None:
        """Look for a place. Raises RefusedError (503) where there is none."""
        if self.full():
            raise self.refusal()

    def refusal(self, seconds: int = 0) -> RefusedError:
        """Make what is raised where there is no place, for who may come again after `seconds`; 0: by chance."""
        return busy(f"more than {self._most} requests at a time", seconds)

    def expect(self, state: dict[str, Any]) -> None:
        """Count the request with that state until its body is whole, but not for longer than `SOON`."""
        self._expected[state["request_id"]] = self._clock()

    def take(self, state: dict[str, Any], count: int = 1) -> None:
        """Take for that request, until `give_back`. Raises as `look`; the last may take more than is left."""
        self._expected.pop(state.get("request_id", ""), None)
        if self._over(self._taken):
            raise self.refusal()
        self._taken += count
        state["places"] = state.get("places", 0) + count

    def give_back(self, state: dict[str, Any]) -> None:
        """Give back what the request took, if it took any."""
        self._expected.pop(state.get("request_id", ""), None)
        self._taken -= state.pop("places", 0)

    def _over(self, count: int) -> bool:
        return count >= self._most and count - self._elsewhere() >= self._most


class BodyRoom:
    """Memory that bodies may take together, in this process."""

    def __init__(self, most: int) -> None:
        self.most = self._left = most

    def take(self, state: dict[str, Any], size: int) -> None:
        """Take for the request of that state, until `give_back`. Raises RefusedError (503)."""
        if size > self._left:
            raise busy("too many large bodies at a time")
        self._left -= size
        state["room"] = state.get("room", 0) + size

    def give_back(self, state: dict[str, Any]) -> None:
        """Give back what the request took, if it took any."""
        self._left += state.pop("room", 0)
