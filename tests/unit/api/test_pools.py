"""Pools of threads by homes of keys: bounded, and none that is needed goes to one that is not."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING

import pytest

from secretsvc import patience
from secretsvc.api.homes import Homes
from secretsvc.api.metrics import Metrics
from secretsvc.api.pools import LONG, MOST_POOLS, Pools, name_of
from secretsvc.api.problems import RefusedError
from secretsvc.api.settings import Limits
from secretsvc.backends.base import Settings

if TYPE_CHECKING:
    from secretsvc.api.keyring import CallerKeyring


def aws(number: int) -> str:
    return f"aws:arn:aws:kms:made-up-{number}:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"


def made(**limits: float) -> tuple[Pools, Metrics]:
    metrics = Metrics()
    return Pools(Settings({}, lambda _: None), Limits.model_validate({"threads": 1, **limits}), metrics), metrics


def thread(_keyring: CallerKeyring) -> str:
    return threading.current_thread().name


def test_a_home_is_what_fails_as_one() -> None:
    assert name_of([aws(1), aws(1), "age:age1x"]) == "age+aws:made-up-1"
    assert name_of(["gcp:projects/p/locations/europe/keyRings/r/cryptoKeys/k"]) == "gcp:europe"
    assert name_of([]) == "none"


async def _many() -> None:
    pools, metrics = made(operations=1)
    for number in range(3 * MOST_POOLS):
        assert (await pools.run([aws(number)], thread, {})).startswith(f"aws:made-up-{number}_"), "a pool of its own"
    until = time.monotonic() + 5  # threads take a moment to end
    while sum(one.name.startswith("aws:made-up") for one in threading.enumerate()) > MOST_POOLS + 1:
        assert time.monotonic() < until
        await asyncio.sleep(0.01)
    assert b"made-up" not in metrics.text()
    assert b'ksecret_operations_running{backend="aws"} 0.0' in metrics.text()


def test_homes_that_nobody_needs_any_more_make_room_and_label_no_metric() -> None:
    asyncio.run(_many())


async def _hung() -> None:
    pools, _ = made(operations=1)
    until = threading.Event()

    def hang(_keyring: CallerKeyring) -> str:
        until.wait(10)
        return threading.current_thread().name

    hung = [asyncio.create_task(pools.run([aws(number)], hang, {})) for number in range(MOST_POOLS + 1)]
    await asyncio.sleep(0.1)
    try:
        for number in range(MOST_POOLS):
            with pytest.raises(RefusedError, match="more than 1 at a time"):
                await pools.run([aws(number)], thread, {})
        with pytest.raises(RefusedError, match="more than 1 at a time"):
            await pools.run([aws(1000)], thread, {})
    finally:
        until.set()
    names = await asyncio.gather(*hung)
    assert [name.partition("_")[0] for name in names][-1] == "other"
    assert all(name.startswith("aws:made-up") for name in names[:-1])


def test_a_pool_at_work_never_goes() -> None:
    asyncio.run(_hung())


async def _given_up(how: str) -> None:
    pools, _ = made(operationSeconds=0.2 if how == "late" else 60, backendSeconds=0.1)
    steps = 0

    def work(_keyring: CallerKeyring) -> None:
        nonlocal steps
        while steps < 500:
            patience.check()
            steps += 1
            time.sleep(0.02)

    asked = asyncio.create_task(pools.run(["age:age1x"], work, {}))
    await asyncio.sleep(0.1)
    if how == "gone":
        asked.cancel()
    (outcome,) = await asyncio.gather(asked, return_exceptions=True)
    assert isinstance(outcome, RefusedError if how == "late" else asyncio.CancelledError)
    assert (await asyncio.wait_for(pools.run(["age:age1x"], thread, {}), 2)).startswith("age")
    assert 0 < steps < 50


@pytest.mark.parametrize("how", ["late", "gone"])
def test_a_thread_that_nobody_waits_for_ends_at_its_next_step(how: str) -> None:
    asyncio.run(_given_up(how))


async def _elsewhere(calls: int) -> list[int]:
    """What is told before a call is a long one, in it, and after it: of 3 requests on 2 threads, `calls` in a call."""
    homes = Homes([aws(1)])
    pools = Pools(Settings({}, lambda _: None), Limits.model_validate({"threads": 2}), Metrics(), homes)
    until = threading.Event()

    def work(keyring: CallerKeyring) -> None:
        with keyring._attempt.call([aws(1)]) if left.pop() else nullcontext():
            until.wait(10)

    left = [True] * calls + [False] * (3 - calls)
    left.reverse()
    asked = [asyncio.create_task(pools.run([aws(1)], work, {})) for _ in range(3)]
    await asyncio.sleep(0)
    told = [pools.elsewhere()]
    await asyncio.sleep(LONG + 0.2)
    told.append(pools.elsewhere())
    until.set()
    await asyncio.gather(*asked)
    return [*told, pools.elsewhere()]


@pytest.mark.parametrize(("calls", "elsewhere"), [(0, 0), (1, 1), (2, 3)])
def test_requests_in_long_calls_are_elsewhere_and_all_where_every_thread_is_in_one(calls: int, elsewhere: int) -> None:
    assert asyncio.run(_elsewhere(calls)) == [0, elsewhere, 0]


async def _spare() -> None:
    pools, _ = made(operations=1)
    until = threading.Event()
    running = asyncio.create_task(pools.run([aws(1)], lambda _: until.wait(10), {}))
    await asyncio.sleep(0.05)
    with pytest.raises(RefusedError, match="more than 1 at a time"):
        await pools.run([aws(1)], thread, {})
    spare = asyncio.create_task(pools.run([aws(1)], thread, {}, spare=True))
    await asyncio.sleep(0.05)
    until.set()
    await running
    assert (await spare).startswith("aws:made-up-1")


def test_a_try_of_readyz_is_not_refused_for_much_work() -> None:
    asyncio.run(_spare())
