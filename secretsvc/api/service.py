"""One operation from its caller to its answer: looked at, allowed or not, written down, done, written down again."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from secretsvc.api.problems import FORBIDDEN, TIMEOUT, Problem, RefusedError, problem_of
from secretsvc.operations.inspect import describe_manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from secretsvc.api.audit import AuditLog
    from secretsvc.api.auth import Caller
    from secretsvc.api.calls import Call, Plan
    from secretsvc.api.guard import Guard
    from secretsvc.api.metrics import Metrics
    from secretsvc.api.plans import Planner
    from secretsvc.api.pools import Pools
    from secretsvc.api.settings import Limits
    from secretsvc.operations.inspect import Description
    from secretsvc.operations.result import Result

T = TypeVar("T")

_SMALL = 32 * 1024
"""Bytes of a manifest that is looked at on the event loop; larger ones would keep others waiting there."""
_LARGE_AT_A_TIME = 2
"""Larger ones that are looked at together: their trees take up to a hundred times their bytes, and share one lock."""

_MOST, _LONGEST = 100, 1000
"""How many names an audit line has, and of how many characters: they are whatever a file says."""


class Asked(NamedTuple):
    """Who asks, under which request id (with a batch's line)."""

    caller: Caller
    request_id: str


class Service:
    """Carries operations out. Keeps nothing of them."""

    def __init__(self, planner: Planner, pools: Pools, audit: AuditLog, metrics: Metrics, limits: Limits) -> None:
        self._looking = ThreadPoolExecutor(_LARGE_AT_A_TIME, thread_name_prefix="look")
        self._limits = limits
        self._planner = planner
        self._pools = pools
        self._audit = audit
        self._metrics = metrics

    async def perform(self, asked: Asked, call: Call) -> Result:
        """The operation's result. Raises RefusedError and KsecretError; then nothing is released.

        The intent is written before a key is used, the outcome before anything is given back.
        """
        return await self._carried_out(asked, call, lambda plan: plan.work)

    async def describe(self, asked: Asked, call: Call) -> list[Description]:
        """What can be told without a key, with owners' names as far as this machine knows them. Raises as `perform`."""

        def work(guard: Guard) -> list[Description]:
            return describe_manifest(call.data, guard.describe)

        return await self._carried_out(asked, call, lambda _plan: work)

    async def _carried_out(self, asked: Asked, call: Call, work: Callable[[Plan], Callable[[Guard], T]]) -> T:
        trail = _Trail(self._audit, self._metrics, asked, call)
        plan = await self._planned(trail, asked, call)
        await trail.intent()
        try:
            result = await self._pools.run(plan.uris, work(plan), plan.permitted)
        except Exception as error:
            await trail.failed(error)
            raise
        except asyncio.CancelledError:  # whoever asked has gone
            await asyncio.shield(trail.outcome("given up", None))
            raise
        await trail.outcome("done", None)
        return result

    async def _planned(self, trail: _Trail, asked: Asked, call: Call) -> Plan:
        """Raises, once both lines are written, why it can't be done."""
        try:
            self._planner.may(asked.caller, call.operation)
            seen = self._look(call.data) if len(call.data) <= _SMALL else await self._looked(call.data)
            trail.about(seen)
            plan = self._planner.plan(asked.caller, call, seen)
        except Exception as error:
            await trail.intent()
            await trail.failed(error)
            raise
        trail.planned(plan)
        return plan

    async def _looked(self, data: bytes) -> list[Description]:
        """As `_look`, in a thread. Raises RefusedError (504) too."""
        try:
            async with asyncio.timeout(self._limits.operation_seconds):
                return await asyncio.get_running_loop().run_in_executor(self._looking, self._look, data)
        except TimeoutError:
            raise RefusedError(TIMEOUT, "there are too many large manifests, or it is too large") from None

    def _look(self, data: bytes) -> list[Description]:
        """What a manifest holds, told without a key. Raises InputError and AlteredError."""
        return describe_manifest(data, lambda _uri: "", self._limits.nodes)


class _Trail:
    """The two audit lines of one operation."""

    def __init__(self, audit: AuditLog, metrics: Metrics, asked: Asked, call: Call) -> None:
        self._audit = audit
        self._metrics = metrics
        self._began = time.perf_counter()
        self._event: dict[str, object] = {
            "request": asked.request_id,
            "caller": asked.caller.as_json(),
            "operation": call.operation,
        }
        if call.operation == "rotate":
            self._event["mode"] = call.mode

    def about(self, seen: Sequence[Description]) -> None:
        """Which Secrets, and which keys they are sealed to now."""
        labels = ["/".join(filter(None, (one.namespace, one.name))) for one in seen]
        self._event["secrets"] = [label[:_LONGEST] for label in labels[:_MOST]]
        self._event["sealedTo"] = _listed({key["ref"] for one in seen for key in one.keys})

    def planned(self, plan: Plan) -> None:
        """Which keys it needs. Not as the caller wrote them: that may be a private key."""
        self._event["keys"] = _listed(plan.uris)

    async def intent(self) -> None:
        await self._audit.write({"event": "intent", **self._event})

    async def failed(self, error: Exception) -> None:
        problem = problem_of(error)
        denied = isinstance(error, RefusedError) and error.kind is FORBIDDEN
        if denied:
            self._metrics.denials.labels(self._event["operation"]).inc()
        await self.outcome("denied" if denied else "failed", problem)

    async def outcome(self, said: str, problem: Problem | None) -> None:
        more = {"problem": problem.type, "status": problem.status} if problem else {}
        took = round((time.perf_counter() - self._began) * 1000, 3)
        await self._audit.write({"event": "outcome", **self._event, "outcome": said, **more, "milliseconds": took})


def _listed(uris: Iterable[str]) -> list[str]:
    return [uri[:_LONGEST] for uri in sorted(uris)[:_MOST]]
