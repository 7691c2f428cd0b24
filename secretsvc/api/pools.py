"""Bulkheads: a pool of threads for each home of keys, so that one which hangs takes down no request of another.

A request works in the pool of the homes that its keys have together. Nobody waits inside a pool: a request first gets
one of its slots, on the event loop, and a slot comes back when its *thread* is done, not when its request gives up. A
thread that nobody waits for any more ends at its next step (`patience.check`). So threads that hang are never more than
a pool has slots, and they come back when the backend's own time limit ends them.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from secretsvc import patience
from secretsvc.api.attempts import Attempt
from secretsvc.api.homes import Homes
from secretsvc.api.keyring import CallerKeyring
from secretsvc.api.metrics import schemes
from secretsvc.api.problems import TIMEOUT, RefusedError, busy
from secretsvc.backends import home
from secretsvc.backends.registry import Backends
from secretsvc.errors import BackendError, KsecretError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from secretsvc.api.keyring import Permitted
    from secretsvc.api.metrics import Metrics
    from secretsvc.api.settings import Limits
    from secretsvc.backends.base import Settings

T = TypeVar("T")

MOST_POOLS = 32
"""Pools at a time, lest file contents decide how many threads there are. For a new one the pool that nobody used for
longest goes; while none is idle, further homes share one."""
LEAST_THREADS = 4
LONG = 0.1
"""Seconds after which a call of a backend is one that waits for somebody else, and takes nothing from this process."""
RENEWED_AFTER = 5.0
"""Seconds after which a keyring that failed is replaced: backends remember for good who did not answer."""


def name_of(uris: Iterable[str]) -> str:
    """Return the name of the pool for requests that need these KeyRefs."""
    return "+".join(sorted({home(uri) for uri in uris})) or "none"


class Pools:
    """Every pool of this process; on one event loop."""

    def __init__(self, settings: Settings, limits: Limits, metrics: Metrics, homes: Homes | None = None) -> None:
        """Make no pool yet. `homes` is told how calls went."""
        self._settings = settings
        self._limits = limits
        self._metrics = metrics
        self._homes = homes or Homes()
        self._pools: dict[str, _Pool] = {}

    async def run(
        self, uris: Collection[str], work: Callable[[CallerKeyring], T], permitted: Permitted, *, spare: bool = False
    ) -> T:
        """Run `work` in a thread of the pool for these KeyRefs. `spare`: however many requests are there already.

        Raises what it raises, and RefusedError: 503 where too many wait already, 504 where a call of a backend, or the
        whole, takes longer than its limit.
        """
        pool = self._pool(name_of(uris))
        running = self._metrics.running.labels(schemes(uris) or "none")
        if pool.present >= self._limits.operations and not spare:
            raise busy(f"more than {self._limits.operations} at a time")
        pool.present += 1
        running.inc()
        try:
            return await pool.run(work, self._metrics, frozenset(uris), permitted)
        finally:
            pool.present -= 1
            running.dec()

    def elsewhere(self) -> int:
        """Count the requests that only wait for a backend, and keep nobody from being served who needs another."""
        return sum(pool.elsewhere() for pool in self._pools.values())

    def _pool(self, name: str) -> _Pool:
        """Return the pool of that name, which becomes the last to go."""
        if name not in self._pools and len(self._pools) >= MOST_POOLS:
            idle = next((other for other, pool in self._pools.items() if pool.idle), None)
            if idle:
                self._pools.pop(idle).close()
            else:
                name = "other"
        pool = self._pools.pop(name, None) or _Pool(name, self._settings, self._limits, self._homes)
        self._pools[name] = pool
        return pool


class _Pool:
    """Threads and a keyring for one set of homes."""

    def __init__(self, name: str, settings: Settings, limits: Limits, homes: Homes) -> None:
        self._settings = settings
        self._homes = homes
        self._limits = limits
        self._backends = Backends(settings)
        self._made = time.monotonic()
        self._failed = False
        self._threads = limits.threads or max([LEAST_THREADS, *(self._jobs(part) for part in name.split("+"))])
        self._executor = ThreadPoolExecutor(self._threads, thread_name_prefix=name)
        self._slots = asyncio.Semaphore(self._threads)
        self._working: set[Attempt] = set()
        """Threads at work, also those that requests have left behind."""
        self.present = 0
        """Requests that run here or wait to."""

    @property
    def idle(self) -> bool:
        """Tell whether no request is here, nor a thread that one has left behind."""
        return not (self.present or self._working)

    def elsewhere(self) -> int:
        """Count the requests that wait for the backend: those in a long call; all, where every thread is in one."""
        long = [attempt for attempt in self._working if attempt.called_for(LONG)]
        return self.present if len(long) >= self._threads else sum(not attempt.abandoned for attempt in long)

    def close(self) -> None:
        """End its threads, which have nothing to do."""
        self._executor.shutdown(wait=False)

    def _jobs(self, part: str) -> int:
        try:
            return self._backends.backend(part.partition(":")[0]).jobs
        except KsecretError:
            return LEAST_THREADS

    async def run(
        self, work: Callable[[CallerKeyring], T], metrics: Metrics, uris: frozenset[str], permitted: Permitted
    ) -> T:
        try:
            async with asyncio.timeout(self._limits.backend_seconds):
                await self._slots.acquire()
        except TimeoutError:
            raise _late("those before this one still wait for it") from None
        loop = asyncio.get_running_loop()
        attempt = Attempt(self._homes)
        keyring = CallerKeyring(self._keyring(), attempt, metrics, uris, permitted)
        try:
            running = self._executor.submit(_attempted, attempt, work, keyring)
        except BaseException:
            self._slots.release()
            raise
        self._working.add(attempt)
        result: asyncio.Future[T] = asyncio.wrap_future(running)
        running.add_done_callback(lambda _: self._returned(loop, attempt))
        deadline = _Deadline(loop, attempt, result, self._limits)
        try:
            return await result
        except asyncio.CancelledError:
            if not deadline.rang:  # the request itself was given up
                attempt.abandoned = True
                raise
            self._failed = True
            raise _late("it was given up") from None
        except BackendError:
            self._failed = True
            raise
        finally:
            deadline.stop()

    def _returned(self, loop: asyncio.AbstractEventLoop, attempt: Attempt) -> None:
        with suppress(RuntimeError):  # the loop is closed: the process ends
            loop.call_soon_threadsafe(self._left, attempt)

    def _left(self, attempt: Attempt) -> None:
        self._working.discard(attempt)
        self._slots.release()

    def _keyring(self) -> Backends:
        """Return the keyring; a new one once it has failed, so that the next to come asks anew; but not too often."""
        if self._failed and time.monotonic() - self._made >= RENEWED_AFTER:
            self._backends, self._made, self._failed = Backends(self._settings), time.monotonic(), False
        return self._backends


def _attempted(attempt: Attempt, work: Callable[[CallerKeyring], T], keyring: CallerKeyring) -> T:
    """Run `work`, and end it between two of its steps once nobody waits for it."""
    with patience.Asking(attempt.check):
        return work(keyring)


class _Deadline:
    """A deadline that gives up a thread whose backend call, or whose whole work, takes too long."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, attempt: Attempt, result: asyncio.Future[T], limits: Limits
    ) -> None:
        self._loop = loop
        self._attempt = attempt
        self._result = result
        self._limits = limits
        self._began = time.monotonic()
        self._handle = loop.call_later(limits.backend_seconds, self._look)
        self.rang = False

    def stop(self) -> None:
        self._handle.cancel()

    def _look(self) -> None:
        left = self._began + self._limits.operation_seconds - time.monotonic()
        if self._attempt.began:
            left = min(left, self._attempt.began + self._limits.backend_seconds - time.monotonic())
        if left > 0:
            self._handle = self._loop.call_later(min(left, self._limits.backend_seconds), self._look)
        elif not self._result.done():
            self.rang = True
            self._attempt.abandon()
            self._result.cancel()


def _late(why: str) -> RefusedError:
    return RefusedError(TIMEOUT, why, hint="try again later", headers={"retry-after": "5"})
