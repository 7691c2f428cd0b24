"""How long refused tokens wait."""

from __future__ import annotations

from secretsvc.api.transport.pauses import FIRST, MOST, Pauses


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_the_first_of_a_connection_is_told_soon_whatever_others_do() -> None:
    pauses = Pauses(Clock())
    for _ in range(5000):
        pauses.seconds(1)
    assert pauses.seconds(0) == FIRST <= 0.25


def test_a_wrong_token_now_and_then_never_waits_longer() -> None:
    clock = Clock()
    pauses = Pauses(clock)
    for _ in range(500):
        assert abs(pauses.seconds(3) - FIRST) < 1e-6
        clock.now += 0.01


def test_who_keeps_many_connections_open_tries_two_hundred_a_second_in_all() -> None:
    """Each of a thousand connections tries the next as soon as it may."""
    clock = Clock()
    pauses = Pauses(clock)
    due = sorted(clock.now + pauses.seconds(0) for _ in range(1000))
    tried = 0
    while (now := due.pop(0)) < 1010.0:
        clock.now, tried = now, tried + 1
        due.append(now + pauses.seconds(1))
        due.sort()
    assert 1000 + 1700 < tried < 1000 + 2100


def test_nobody_waits_longer_than_said() -> None:
    pauses = Pauses(Clock())
    assert max(pauses.seconds(1) for _ in range(100_000)) <= MOST
