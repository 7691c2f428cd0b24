"""Readiness: the audit log takes lines, and the keys of the key rules can be used."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING

from secretsvc.api.problems import RefusedError
from secretsvc.backends import home
from secretsvc.errors import KsecretError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from secretsvc.api.audit.log import AuditLog
    from secretsvc.api.homes import Homes
    from secretsvc.api.keyring import CallerKeyring
    from secretsvc.api.pools import Pools
    from secretsvc.api.transport.draining import Draining
    from secretsvc.keyref import KeyRef

TRUSTED = 300.0
"""Seconds for which a home that did what it was asked is taken to work, if it has not failed since: a try of a KMS has
its price, and what requests told is worth as much as a try. So an idle process tries a home 288 times a day."""
PAUSE = 10.0
"""Least seconds between two tries of a home: probes come often. So one that fails is tried 8640 times a day at most."""
PATIENCE = 1.0
"""Seconds that an answer waits for a try where the last one's end is known."""

_CONTEXT = {"ksecret-name": "readyz"}


class Health:
    """State of the service, as probes ask for it."""

    def __init__(self, pools: Pools, homes: Homes, audit: AuditLog, draining: Draining, refs: Sequence[KeyRef]) -> None:
        """`refs`: keys to try, each with the wrapping of a throw-away DEK; one for each home is enough."""
        self._pools = pools
        self._homes = homes
        self._audit = audit
        self._draining = draining
        self._tries = {home(str(ref)): _Try(ref) for ref in refs}

    async def state(self) -> tuple[bool, dict[str, object]]:
        """Tell whether requests should be sent here, and why.

        One home of keys that fails makes nobody else's requests fail, so it takes all of them to be unready. Much work
        is no failure: a try has a place of its own, and what requests found working is not tried.
        """
        found = await asyncio.gather(*map(self._works, self._tries))
        backends = {name: "ok" if works else "failing" for name, works in zip(self._tries, found, strict=True)}
        written = await self._audit.takes_lines()
        usable = not found or any(found)
        ready = usable and written and not self._draining.on
        said = "stopping" if self._draining.on else "ready" if ready else "not ready"
        audit = "ok" if written else "failing"
        return ready, {"status": said, "audit": audit, "backends": backends}

    async def _works(self, name: str) -> bool:
        """Tell whether that home works; it is tried where too little is known."""
        told, last = self._homes.told[name], self._tries[name]
        if told.works(TRUSTED):
            return True
        if not last.running and time.monotonic() - last.began > PAUSE:
            last.began, last.running = time.monotonic(), asyncio.create_task(self._try(name))
        if last.running:
            await asyncio.wait([last.running], timeout=PATIENCE if last.known else None)
        return last.worked or told.works(TRUSTED)

    async def _try(self, name: str) -> None:
        last = self._tries[name]

        def work(keyring: CallerKeyring) -> bytes:
            return keyring.wrap(last.ref, os.urandom(32), _CONTEXT)

        worked = False
        try:
            await self._pools.run([str(last.ref)], work, {}, spare=True)
            worked = True
        except (RefusedError, KsecretError):
            return
        finally:
            last.known, last.worked, last.running = True, worked, None


class _Try:
    """The last try of a home."""

    def __init__(self, ref: KeyRef) -> None:
        self.ref = ref
        self.began = float("-inf")
        self.known = self.worked = False
        self.running: asyncio.Task[None] | None = None
