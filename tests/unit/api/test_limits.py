"""Token buckets."""

from __future__ import annotations

import pytest

from secretsvc.api.limits import MOST_CALLERS, Rates
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
