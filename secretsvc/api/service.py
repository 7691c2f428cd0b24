"""An operation from its caller to its answer: looked at, allowed or not, written down, done, written down again."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, NamedTuple

from secretsvc.api.problems import FORBIDDEN, Problem, RefusedError, problem_of
from secretsvc.keyref import LONGEST
from secretsvc.operations.inspect import describe_any, describe_clear

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from secretsvc.api.audit.log import AuditLog
    from secretsvc.api.auth.caller import Caller
    from secretsvc.api.metrics import Metrics
    from secretsvc.api.operations import Call
    from secretsvc.api.plans import AllowedCall, Planner
    from secretsvc.api.pools import Pools
    from secretsvc.api.readers import Readers
    from secretsvc.operations import Result
    from secretsvc.operations.inspect import Description

_NODES_OF_A_LEAF = 2
"""A document's token is a hundred bytes long, and is read three times until it is proven."""
_MOST, _LONGEST = 100, 1000
"""Names in an audit line, and characters of each but keys': they are whatever a file says."""


class Asked(NamedTuple):
    """A caller who asks, and the request's id (with a batch's line)."""

    caller: Caller
    request_id: str


class Service:
    """Performer of operations. Keeps nothing of them."""

    def __init__(
        self, planner: Planner, pools: Pools, readers: Readers, audit: AuditLog, metrics: Metrics, *, nodes: int
    ) -> None:
        """`nodes`: how many keys, values and lists a manifest may have."""
        self._planner = planner
        self._pools = pools
        self._readers = readers
        self._audit = audit
        self._metrics = metrics
        self._nodes = nodes

    async def perform(self, asked: Asked, call: Call) -> Result:
        """Carry an operation out. Raises RefusedError and KsecretError; then nothing is released.

        The intent is written before a key is used, the outcome before anything is given back.
        """
        trail = _Trail(self._audit, self._metrics, asked, call)
        plan, _ = await self._planned(trail, asked, call)
        await trail.intent()
        try:
            result = await self._pools.run(plan.uris, plan.work, plan.permitted)
        except Exception as error:
            await trail.failed(error)
            raise
        except asyncio.CancelledError:
            await trail.given_up()
            raise
        await trail.outcome("done", None)
        return result

    async def describe(self, asked: Asked, call: Call) -> list[Description]:
        """Tell what a manifest says without a key: no backend is asked who holds one. Raises as `perform`."""
        trail = _Trail(self._audit, self._metrics, asked, call)
        _, seen = await self._planned(trail, asked, call)
        await trail.intent()
        await trail.outcome("done", None)
        return seen

    async def _planned(self, trail: _Trail, asked: Asked, call: Call) -> tuple[AllowedCall, list[Description]]:
        """Return the plan, and what the manifest holds. Raises, once both lines are written, why it can't be done."""
        try:
            self._planner.may(asked.caller, call.operation.name)
            seen = await self._readers.run(len(call.data), lambda: self._look(call))
            trail.about(seen)
            plan = self._planner.plan(asked.caller, call, seen)
        except Exception as error:
            await trail.intent()
            await trail.failed(error)
            raise
        trail.planned(plan)
        return plan, seen

    def _look(self, call: Call) -> list[Description]:
        """Tell without a key what a manifest, or a document, holds. Raises InputError and AlteredError."""
        if call.seals_document:
            return [describe_clear(call.data, call.kind, self._nodes // _NODES_OF_A_LEAF)]
        leaves = self._nodes // _NODES_OF_A_LEAF
        return describe_any(call.data, lambda _uri: "", kind=call.kind, most_nodes=self._nodes, most_leaves=leaves)


class _Trail:
    """Two audit lines of one operation, of which the first says what is intended."""

    def __init__(self, audit: AuditLog, metrics: Metrics, asked: Asked, call: Call) -> None:
        self._audit = audit
        self._metrics = metrics
        self._began = time.perf_counter()
        self._event: dict[str, object] = {
            "request": asked.request_id,
            "caller": asked.caller.as_json(),
            "operation": call.operation.name,
        }
        if "mode" in call.operation.members:
            self._event["mode"] = call.mode

    def about(self, seen: Sequence[Description]) -> None:
        """Note which Secrets it is about, and which keys they are sealed to now."""
        labels = ["/".join(filter(None, (one.namespace, one.name))) for one in seen]
        self._event["secrets"] = [label[:_LONGEST] for label in labels[:_MOST]]
        self._event["sealedTo"] = _listed({key["ref"] for one in seen for key in one.keys})

    def planned(self, plan: AllowedCall) -> None:
        """Note which keys it needs. Not as the caller wrote them: that may be a private key."""
        self._event["keys"] = _listed(plan.uris)

    async def intent(self) -> None:
        try:
            await self._audit.write({"event": "intent", **self._event})
        except asyncio.CancelledError:
            await self.given_up()
            raise

    async def given_up(self) -> None:
        """Write the outcome of an operation whose caller has gone."""
        await asyncio.shield(self.outcome("given up", None))

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
    return [uri[:LONGEST] for uri in sorted(uris)[:_MOST]]
