"""Token buckets, and places for requests, and how much of a body is taken."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.requests import Request

from secretsvc.api.bodies import Bodies
from secretsvc.api.limits import MOST_CALLERS, SOON, BodyRoom, Rates, RequestRoom
from secretsvc.api.problems import RefusedError
from secretsvc.api.readers import Readers
from secretsvc.api.settings import Limits


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


@pytest.mark.parametrize(("later", "wait"), [(0.0, "4"), (0.5, "3"), (3.0, "1")])
def test_retry_after_is_when_there_is_one_again_in_whole_seconds(later: float, wait: str) -> None:
    """At 0.3 a second one comes after 3.33 seconds."""
    clock = Clock()
    rates = Rates(0.3, 1, clock)
    rates.take("a")
    clock.now += later
    with pytest.raises(RefusedError, match=r"at most 0\.3 a second") as caught:
        rates.take("a")
    assert caught.value.headers == {"retry-after": wait}
    clock.now += int(wait)
    rates.take("a")


DISCONNECT = {"type": "http.disconnect"}


def taken(*chunks: bytes, room: BodyRoom | None = None, stated: str = "", ends: bool = True) -> bytes:
    """What is taken of these chunks where 8 bytes are the most; without an end the caller is gone after them."""
    messages: list[dict[str, Any]] = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages.append({"type": "http.request", "body": b""} if ends else DISCONNECT)

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    headers = [(b"content-length", stated.encode())] if stated else []
    request = Request({"type": "http", "headers": headers, "state": {}}, receive)
    bodies = Bodies(room or BodyRoom(100), RequestRoom(1, lambda: 0), Readers(5.0), Limits(bodySeconds=5.0))
    return asyncio.run(bodies.whole(request, 8))


def test_a_body_of_exactly_the_limit_is_taken_and_no_byte_more() -> None:
    assert taken(b"1234", b"5678") == taken(b"12345678", stated="8") == b"12345678"
    with pytest.raises(RefusedError, match="larger than 8 bytes"):
        taken(b"1234", b"56789")
    with pytest.raises(RefusedError, match="larger than 8 bytes"):
        taken(b"", stated="9", ends=False)


def test_bodies_may_fill_the_room_exactly() -> None:
    room = BodyRoom(8)
    assert taken(b"1234", room=room) == b"1234"
    assert taken(b"5678", room=room) == b"5678"
    with pytest.raises(RefusedError, match="too many large bodies") as caught:
        taken(b"9", room=room)
    assert 1 <= int(caught.value.headers["retry-after"]) <= 5


def test_a_body_that_ends_early_is_no_body() -> None:
    with pytest.raises(RefusedError, match="the body ended too early"):
        taken(b"1234", stated="8", ends=False)


def test_places_are_refused_when_all_are_taken_and_come_back() -> None:
    places = RequestRoom(2, lambda: 0)
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
    places = RequestRoom(2, lambda: waiting)
    for _ in range(2):
        places.take({})
    waiting = 1
    places.take({})
    with pytest.raises(RefusedError, match="more than 2 requests at a time"):
        places.look()


def test_a_batch_that_finds_a_place_takes_one_for_each_line_at_work() -> None:
    places, state = RequestRoom(10, lambda: 0), dict[str, Any]()
    places.take(state)
    places.take(state, 12)
    with pytest.raises(RefusedError, match="more than 10 requests at a time"):
        places.look()
    places.give_back(state)
    places.look()


def test_those_who_are_refused_together_are_told_to_come_again_at_different_times() -> None:
    places = RequestRoom(1, lambda: 0)
    places.take({})
    told = set()
    for _ in range(200):
        with pytest.raises(RefusedError, match="more than 1 requests at a time") as caught:
            places.look()
        told.add(int(caught.value.headers["retry-after"]))
    assert len(told) > 1
    assert told <= set(range(1, 6))


def test_of_hundreds_that_come_at_once_so_many_are_let_in_as_there_are_places() -> None:
    """Before the body of any of them has come."""
    now = 0.0
    places = RequestRoom(2, lambda: 0, lambda: now)
    first, second = {"request_id": "1"}, {"request_id": "2"}
    for state in (first, second):
        places.look()
        places.expect(state)
    with pytest.raises(RefusedError, match="more than 2 requests at a time"):
        places.look()
    places.take(first)
    places.take(second)
    places.give_back(first)
    places.look()


def test_whose_body_does_not_come_soon_holds_no_place() -> None:
    now = 0.0
    places = RequestRoom(1, lambda: 0, lambda: now)
    slow: dict[str, Any] = {"request_id": "1"}
    places.expect(slow)
    with pytest.raises(RefusedError, match="more than 1 requests at a time"):
        places.look()
    now = SOON + 0.01
    places.look()
    other: dict[str, Any] = {"request_id": "2"}
    places.expect(other)
    places.take(other)
    with pytest.raises(RefusedError, match="more than 1 requests at a time"):
        places.take(slow)
