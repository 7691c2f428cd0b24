"""Patience with a service that has too much to do: one of a run's threads waits and asks again, for all of them."""

from __future__ import annotations

import random
import time
from threading import Lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from secretsvc.client.problems import HttpAnswer

WAITS = 2
"""Times in a row that a `429 Too Many Requests`, or a 503 that says when to come back, is waited for."""

LONGEST_WAIT = 30
"""Seconds, however long the service says."""

_SPREAD = 0.25
"""Share of a wait that is added at random, so that many runs that were sent away together do not come back together."""


class Line:
    """Queue of a run's threads while the service takes no more."""

    def __init__(self) -> None:
        self._first = Lock()
        """Held by whoever waits for all."""
        self._waits = 0
        self._gave_up = False

    def ask(self, send: Callable[[], HttpAnswer]) -> HttpAnswer:
        """The answer to `send`, which is called again where the service says so (RFC 9110, section 10.2.3)."""
        while True:
            with self._first:  # nobody sends anything while one waits
                before = self._waits
            answer = send()
            if not _is_busy(answer):
                return answer
            with self._first:
                if self._waits == before:
                    return self._wait(answer, send)
                if self._gave_up:  # who waited, waited for this one as well
                    return answer

    def _wait(self, answer: HttpAnswer, send: Callable[[], HttpAnswer]) -> HttpAnswer:
        self._waits += 1
        self._gave_up = True
        for _ in range(WAITS):
            time.sleep(min(answer.wait or 1, LONGEST_WAIT) * (1 + random.random() * _SPREAD))  # noqa: S311
            answer = send()
            if not _is_busy(answer):
                self._gave_up = False
                break
        return answer


def _is_busy(answer: HttpAnswer) -> bool:
    return answer.status == 429 or (answer.status == 503 and answer.wait > 0)
