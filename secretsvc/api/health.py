"""Whether the service is ready: its audit log takes lines, and the keys of its key rules can be used."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING

from secretsvc.api.pools import home
from secretsvc.api.problems import RefusedError
from secretsvc.errors import KsecretError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from secretsvc.api.audit import AuditLog
    from secretsvc.api.draining import Draining
    from secretsvc.api.guard import Guard
    from secretsvc.api.pools import Pools
    from secretsvc.keyref import KeyRef

FRESH = 10.0
"""Seconds for which an answer about backends is given again: probes come often, and each wrap costs."""

_CONTEXT = {"ksecret-name": "readyz"}


class Health:
    """Looked at by probes."""

    def __init__(self, pools: Pools, audit: AuditLog, draining: Draining, refs: Sequence[KeyRef]) -> None:
        """`refs`: keys to try, each with the wrapping of a throw-away DEK; one for each home is enough."""
        self._pools = pools
        self._audit = audit
        self._draining = draining
        self._refs = list({home(str(ref)): ref for ref in refs}.values())
        self._lock = asyncio.Lock()
        self._looked = float("-inf")
        self._backends: dict[str, str] = {}

    async def state(self) -> tuple[bool, dict[str, object]]:
        """Whether requests should be sent here, and why.

        One home of keys that fails makes nobody else's requests fail, so it takes all of them to be unready.
        """
        async with self._lock:
            if time.monotonic() - self._looked > FRESH:
                self._backends = dict(await asyncio.gather(*map(self._tried, self._refs)))
                self._looked = time.monotonic()
        written = await self._audit.takes_lines()
        usable = not self._backends or "ok" in self._backends.values()
        ready = usable and written and not self._draining.on
        said = "stopping" if self._draining.on else "ready" if ready else "not ready"
        audit = "ok" if written else "failing"
        return ready, {"status": said, "audit": audit, "backends": self._backends}

    async def _tried(self, ref: KeyRef) -> tuple[str, str]:
        def work(guard: Guard) -> bytes:
            return guard.wrap(ref, os.urandom(32), _CONTEXT)

        try:
            await self._pools.run([str(ref)], work, {})
        except (RefusedError, KsecretError):
            return home(str(ref)), "failing"
        return home(str(ref)), "ok"
