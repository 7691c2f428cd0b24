"""How often calls over a network are tried, and what is remembered of homes that nobody answers for."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from secretsvc import patience
from secretsvc.backends.tries import THROTTLED, Kind, Tries
from secretsvc.errors import BackendError, BackendUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS = 0.4


class Call:
    """A call that fails in these ways, one after the other, and the last of them ever after; None is an answer."""

    def __init__(self, *failures: Kind | None) -> None:
        self._failures = list(failures)
        self.tries = 0

    def __call__(self) -> str:
        kind = self._failures[min(self.tries, len(self._failures) - 1)]
        self.tries += 1
        if kind:
            raise ValueError(kind)
        return "answer"


def kind(error: Exception) -> Kind:
    found: Kind = error.args[0]
    return found


def failed(error: Exception) -> BackendError:
    silent = kind(error) in (Kind.SILENCE, Kind.BROKEN)
    return (BackendUnavailableError if silent else BackendError)(kind(error).name, hint="a hint")


def made(tries: Tries, call: Callable[[], str], home: str = "here") -> str:
    return tries.call(home, call, kind, failed)


@pytest.mark.parametrize("passing", [Kind.SILENCE, Kind.PASSING, Kind.THROTTLED])
def test_what_may_get_better_is_tried_again(passing: Kind) -> None:
    call = Call(passing, passing, None)
    assert made(Tries(SECONDS * 10), call) == "answer"
    assert call.tries == 3


@pytest.mark.parametrize("final", [Kind.FINAL, Kind.BROKEN])
def test_what_will_not_get_better_is_tried_once(final: Kind) -> None:
    call = Call(final)
    with pytest.raises(BackendError, match=final.name):
        made(Tries(SECONDS), call)
    assert call.tries == 1


@pytest.mark.parametrize(("passing", "patiences"), [(Kind.PASSING, 1), (Kind.SILENCE, 1), (Kind.THROTTLED, THROTTLED)])
def test_patience_ends(passing: Kind, patiences: float) -> None:
    began = time.monotonic()
    with pytest.raises(BackendError, match=passing.name):
        made(Tries(SECONDS), Call(passing))
    assert time.monotonic() - began >= patiences * SECONDS


def test_a_home_that_answers_nobody_gets_so_many_tries_and_is_dead_for_the_run_and_no_other_is() -> None:
    tries, call = Tries(60, silent_tries=3), Call(Kind.SILENCE)
    tries.check("here")
    with pytest.raises(BackendUnavailableError, match=r"^SILENCE$"):
        made(tries, call)
    assert call.tries == 3
    for _ in range(2):
        with pytest.raises(BackendUnavailableError, match=r"^SILENCE \(as earlier in this run\)$") as caught:
            tries.check("here")
        assert caught.value.hint == "a hint"
    tries.check("elsewhere")
    assert made(tries, Call(None), "elsewhere") == "answer"


def test_a_home_that_refuses_or_throttles_is_not_dead() -> None:
    for passing in (Kind.FINAL, Kind.PASSING, Kind.THROTTLED):
        tries = Tries(SECONDS / 4)
        with pytest.raises(BackendError, match=passing.name):
            made(tries, Call(passing))
        tries.check("here")


def test_a_silent_call_beside_one_that_is_answered_makes_nothing_dead() -> None:
    tries = Tries(SECONDS, silent_tries=1)

    def call() -> str:
        made(tries, Call(None))
        raise ValueError(Kind.SILENCE)

    with pytest.raises(BackendUnavailableError, match="SILENCE"):
        made(tries, call)
    tries.check("here")


def test_no_try_is_begun_for_whose_answer_no_patience_is_left() -> None:
    call = Call(Kind.SILENCE)
    with pytest.raises(BackendUnavailableError, match="SILENCE"):
        made(Tries(SECONDS, silent_seconds=2 * SECONDS), call)
    assert call.tries == 1


def test_what_can_not_be_made_ready_is_tried_once_a_run() -> None:
    tries, calls = Tries(SECONDS), []

    def make() -> str:
        calls.append(1)
        raise BackendError("no credentials", hint="sign in")

    with pytest.raises(BackendError, match=r"^no credentials$"):
        tries.ready(make)
    for _ in range(2):
        with pytest.raises(BackendError, match=r"^no credentials \(as earlier in this run\)$"):
            tries.ready(lambda: "ready")
    assert len(calls) == 1
    assert Tries(SECONDS).ready(lambda: "ready") == "ready"


def test_no_further_try_is_made_once_nobody_waits() -> None:
    class GoneError(Exception):
        pass

    def gone() -> None:
        raise GoneError("gone")

    call = Call(Kind.THROTTLED)
    with patience.Asking(gone), pytest.raises(GoneError, match="gone"):
        made(Tries(60), call)
    assert call.tries == 1
