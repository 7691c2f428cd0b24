"""What /readyz knows of homes of keys: from requests first, and by few tries of its own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from secretsvc.api import health, homes
from secretsvc.api.health import PAUSE, TRUSTED, Health
from secretsvc.api.homes import Homes
from secretsvc.api.problems import TIMEOUT, RefusedError
from secretsvc.api.transport.draining import Draining
from secretsvc.keyref import KeyRef

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

KEY = "aws:arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
HOME = "aws:eu-west-1"
DAY = 86400


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


class Audit:
    """One that takes lines."""

    async def takes_lines(self) -> bool:
        return True


class World:
    """A home that is up or not, and how often it was tried."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = Clock()
        monkeypatch.setattr(health, "time", self.clock)
        monkeypatch.setattr(homes, "time", self.clock)
        self.homes = Homes([KEY])
        self.up = True
        self.hangs: asyncio.Event | None = None
        self.tries = 0
        audit: Any = Audit()
        ref = KeyRef("aws", KEY.partition(":")[2])
        self.health = Health(self, self.homes, audit, Draining(), [ref])  # type: ignore[arg-type]

    async def run(self, uris: list[str], _work: object, _permitted: object, *, spare: bool) -> None:
        """As Pools.run."""
        assert spare, "a try has a place of its own"
        self.tries += 1
        if self.hangs:
            await self.hangs.wait()
        if not self.up:
            self.homes.failed(uris)
            raise RefusedError(TIMEOUT, "late")
        self.homes.worked(uris)

    async def told(self) -> str:
        """What is said of the home."""
        ready, state = await self.health.state()
        backends: Any = state["backends"]
        assert ready == (backends == {HOME: "ok"})
        return str(backends[HOME])


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def done() -> None:
        await work()

    asyncio.run(done())


def test_an_idle_day_costs_few_calls(world: World) -> None:
    async def day() -> None:
        for _ in range(DAY // 10):
            world.clock.now += 10
            assert await world.told() == "ok"

    run(day)
    assert 250 < world.tries < 300, "docs/service.md tells what that costs"


def test_what_requests_found_working_is_not_tried(world: World) -> None:
    async def busy() -> None:
        for _ in range(100):
            world.homes.worked([KEY])
            world.clock.now += TRUSTED / 2
            assert await world.told() == "ok"

    run(busy)
    assert world.tries == 0


def test_what_failed_a_request_is_tried_at_once_and_then_after_a_pause(world: World) -> None:
    async def down() -> None:
        assert await world.told() == "ok"
        world.clock.now += PAUSE + 1
        world.homes.failed([KEY])
        assert await world.told() == "ok", "a try that it passes clears it"
        assert world.tries == 2
        world.up = False
        world.homes.failed([KEY])
        world.clock.now += PAUSE + 1
        for _ in range(5):
            assert await world.told() == "failing"
        assert world.tries == 3
        world.clock.now += 1
        world.homes.worked([KEY])
        assert await world.told() == "ok", "a request got through"
        assert world.tries == 3

    run(down)


def test_a_try_that_hangs_keeps_no_probe_waiting_where_the_last_answer_is_known(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "PATIENCE", 0.05)

    async def hanging() -> None:
        assert await world.told() == "ok"
        world.hangs = asyncio.Event()
        world.homes.failed([KEY])
        world.clock.now += PAUSE + 1
        told = await asyncio.wait_for(asyncio.gather(*(world.told() for _ in range(5))), 2)
        assert told == ["ok"] * 5
        assert world.tries == 2
        world.up = False
        world.hangs.set()
        assert await world.told() == "failing"

    run(hanging)


def test_a_call_for_keys_of_several_homes_says_of_none_that_it_works() -> None:
    several = Homes([KEY, "age:age1x"])
    several.worked([KEY, "age:age1x"])
    assert not several.told[HOME].works(TRUSTED)
    several.worked([KEY, KEY])
    assert several.told[HOME].works(TRUSTED)
    several.worked(["gcp:projects/p/locations/l/keyRings/r/cryptoKeys/k"])
    assert set(several.told) == {HOME, "age"}, "homes that files name are not remembered"
