"""Token buckets, and places for requests."""

from __future__ import annotations

from typing import Any

import pytest

from secretsvc.api.limits import MOST_CALLERS, Places, Rates
from secretsvc.api.problems import RefusedError


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_empties_and_fills_again() -> None:
    clock = Clock()
    rates = Rates(2.0, 3, clock)
    for _ in range(3):
        rates.take("a")
    with pytest.raises(RefusedError, match="at most 2 a second") as caught:
        rates.take("a")
    assert caught.value.headers == {"retry-after": "1"}
    rates.take("b")
    clock.now += 0.5
    rates.take("a")
    with pytest.raises(RefusedError, match="at most"):
        rates.take("a")
    clock.now += 1000
    for _ in range(3):
        rates.take("a")
    with pytest.raises(RefusedError, match="at most"):
        rates.take("a")


def test_it_remembers_no_more_callers_than_its_bound() -> None:
    rates = Rates(1.0, 1, Clock())
    for number in range(MOST_CALLERS + 10):
        rates.take(number)
    assert len(rates._buckets) == MOST_CALLERS


def test_places_are_refused_when_all_are_taken_and_come_back() -> None:
    places = Places(2, lambda: 0)
    states: list[dict[str, Any]] = [{}, {}, {}]
    places.take(states[0])
    places.take(states[1])
    for refused in (places.look, lambda: places.take(states[2])):
        with pytest.raises(RefusedError, match="more than 2 requests at a time") as caught:
            refused()
        assert caught.value.kind.status == 503
    places.give_back(states[2])
    with pytest.raises(RefusedError, match="more than 2 requests at a time"):
        places.look()
    places.give_back(states[0])
    places.give_back(states[0])
    places.take(states[2])
    with pytest.raises(RefusedError, match="more than 2 requests at a time"):
        places.look()


def test_who_only_waits_for_somebody_else_takes_no_place_from_others() -> None:
    waiting = 0
    places = Places(2, lambda: waiting)
    for _ in range(2):
        places.take({})
    waiting = 1
    places.take({})
    with pytest.raises(RefusedError, match="more than 2 requests at a time"):
        places.look()


def test_a_batch_that_finds_a_place_takes_one_for_each_line_at_work() -> None:
    places, state = Places(10, lambda: 0), dict[str, Any]()
    places.take(state)
    places.take(state, 12)
    with pytest.raises(RefusedError, match="more than 10 requests at a time"):
        places.look()
    places.give_back(state)
    places.look()


def test_those_who_are_refused_together_are_told_to_come_again_at_different_times() -> None:
    places = Places(1, lambda: 0)
    places.take({})
    told = set()
    for _ in range(200):
        with pytest.raises(RefusedError, match="more than 1 requests at a time") as caught:
            places.look()
        told.add(int(caught.value.headers["retry-after"]))
    assert len(told) > 1
    assert told <= set(range(1, 6))
