"""Tries and pauses of backends behind a network: how often and how long a call is tried, and who is known to be dead.

A thousand files ask the same few homes of keys. What can't get better within a run (no library, no credentials), and
which homes nobody answered for, is remembered, so that it costs its time once and not once per file.
"""

from __future__ import annotations

from _thread import allocate_lock
from enum import Enum
from time import monotonic, sleep

from secretsvc import patience
from secretsvc.errors import BackendUnavailableError, KsecretError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")

PATIENCE = 10.0
"""Seconds in which a home has to answer, all tries together. A call at which it failed is tried again for as long."""

THROTTLED = 3.0
"""In patiences: for how long a throttled call is tried again. Quotas are counted by the second or the minute."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0
"""Seconds: between two tries it waits for a random time up to the first, twice that, and so on up to the longest."""


class Kind(Enum):
    """The kinds of failures, by what they are a sign of, and so for how long it is worth another try."""

    FINAL = 0  # the service has answered, and will say the same again
    BROKEN = 1  # nothing of the service's came, and nothing will: TLS, credentials, something else at its address
    SILENCE = 2  # nobody answered
    PASSING = 3  # the service itself failed
    THROTTLED = 4


class Tries:
    """The tries of one run, made from several threads. Holds no request and no answer."""

    def __init__(self, seconds: float = PATIENCE, *, silent_tries: int = 0, silent_seconds: float = 0.0) -> None:
        """`seconds`: the patience, after which a home that does not answer is given up for the rest of the run.

        `silent_tries`: the most for a home that has answered nobody since the first of them; 0: as many as fit.
        `silent_seconds`: how long a try may wait for an answer, as no try is begun that could not wait so long.
        """
        self._patience = seconds
        self._silent_tries = silent_tries
        self._silent_seconds = silent_seconds
        self._lock = allocate_lock()
        self._unusable: KsecretError | None = None
        self._dead: dict[str, KsecretError] = {}
        self._answered: dict[str, float] = {}

    def ready(self, make: Callable[[], T]) -> T:
        """Return what `make` gives: a client that has credentials. One thread at a time, so nobody signs in twice.

        Raises what it raises, and the same again to whoever comes later.
        """
        with self._lock:
            if self._unusable:
                raise _again(self._unusable)
            try:
                return make()
            except KsecretError as error:
                self._unusable = error
                raise

    def check(self, home: str) -> None:
        """Raise what was raised when the home was found dead."""
        if home in self._dead:
            raise _again(self._dead[home])

    def call(
        self,
        home: str,
        attempt: Callable[[], T],
        kind: Callable[[Exception], Kind],
        failed: Callable[[Exception], Exception],
        asked: Callable[[Exception], float] = lambda _: 0.0,
    ) -> T:
        """Return what `attempt` gives, after as many tries as patience allows.

        `kind` says what its exceptions are a sign of, `failed` which error the last one becomes, `asked` for how many
        seconds the service wants one to wait (Retry-After), which is done as far as patience has them. Where the last
        one becomes a BackendUnavailableError, and the home has answered nobody since the call began, the home is dead.
        Raises what `patience.check` raises where nobody waits any more.
        """
        from random import random

        began, tries = monotonic(), 1
        while True:
            try:
                answer = attempt()
            except Exception as error:  # SDKs raise anything for an odd answer
                pause = self._within(asked(error), began)
                if not self._worth_another(home, kind(error), began, tries):
                    raise self._given_up(home, failed(error), began) from None
            else:
                self._answered[home] = monotonic()
                return answer
            jitter = random() * min(_FIRST_PAUSE * 2 ** (tries - 1), _LONGEST_PAUSE)  # noqa: S311 - no secret
            sleep(pause + jitter)
            patience.check()
            tries += 1

    def _within(self, seconds: float, began: float) -> float:
        """Return of these seconds as many as there is patience for throttled calls left."""
        return max(0.0, min(seconds, THROTTLED * self._patience - (monotonic() - began)))

    def _worth_another(self, home: str, kind: Kind, began: float, tries: int) -> bool:
        past = monotonic() - began
        if kind is Kind.SILENCE:
            alive = self._answered.get(home, 0.0) >= began
            hopeful = home not in self._dead and (not self._silent_tries or tries < self._silent_tries)
            return (alive or hopeful) and past + self._silent_seconds <= self._patience
        if kind is Kind.BROKEN:
            return False
        self._answered[home] = monotonic()
        if kind is Kind.THROTTLED:
            return past < THROTTLED * self._patience
        return kind is Kind.PASSING and past < self._patience

    def _given_up(self, home: str, error: Exception, began: float) -> Exception:
        if isinstance(error, BackendUnavailableError) and self._answered.get(home, 0.0) < began:
            self._dead.setdefault(home, error)
        return error


def class_names(error: Exception) -> list[str]:
    """Return the names of an error's class and of those that it derives from, nearest first.

    SDKs' classes are known by them, so that none has to exist in every version.
    """
    return [cls.__name__ for cls in type(error).__mro__]


def _again(error: KsecretError) -> KsecretError:
    """Return the same as a new exception: who raises one adds the file and key that it is about."""
    return type(error)(f"{error.message} (as earlier in this run)", hint=error.hint)
