"""Middleware that every request passes: its id, its caller and their rate, headers, metrics, the last catch."""

from __future__ import annotations

import asyncio
import os
import random
import time
from copy import copy
from itertools import count
from typing import TYPE_CHECKING, Any

from secretsvc.api.auth.browsers import refuse_other_sites
from secretsvc.api.auth.caller import Caller, UnauthenticatedError
from secretsvc.api.presence import Presence
from secretsvc.api.problems import BUSY, LATEST, NOT_FOUND, RefusedError
from secretsvc.api.refusals import filled, log_failure, own_headers, refusal_of, stencil_of
from secretsvc.api.service import Asked

if TYPE_CHECKING:
    from collections.abc import Collection

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from secretsvc.api.parts import Parts
    from secretsvc.api.refusals import Refusal

HEALTH = ("/livez", "/readyz", "/healthz")
_GONE = 499
"""Status in metrics, as in nginx's log, of a client that left before its answer."""


class Middleware:
    """Middleware (ASGI) around the application."""

    def __init__(
        self,
        app: ASGIApp,
        parts: Parts,
        paths: Collection[str],
        open_paths: Collection[str],
    ) -> None:
        """Stand around `app`. `paths`: those that metrics know by name; `open_paths`: those that need no caller."""
        self._app = app
        self._parts = parts
        self._process = os.urandom(12).hex()  # random once: asking the system for each request costs more than the rest
        self._numbers = count()
        self._paths = frozenset(paths)
        self._open = frozenset(open_paths)
        self._sheds = [stencil_of(parts.places.refusal(seconds)) for seconds in range(1, LATEST + 1)]
        self._served: frozenset[str] | None = None
        """Paths that are there, where these are not all."""

    def only(self, paths: Collection[str]) -> Middleware:
        """Return the same for those paths alone."""
        made = copy(self)
        made._served = frozenset(paths)
        return made

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        answer = _Answer(send, scope, closing=self._parts.draining.on)
        refusal = None if "request_id" in scope.get("state", ()) else self.look(scope)
        if refusal:
            await answer.refuse(refusal)
            return
        request_id = scope["state"]["request_id"]
        try:
            await self._identify(scope["state"])
            await self._pass(scope, receive, answer)
        except RefusedError as error:
            await answer.refuse(self._refusal(error, request_id))
        except Exception as error:
            log_failure(error, request_id)
            if not answer.status:
                await answer.refuse(self._refusal(error, request_id))
        finally:
            self._count_scope(scope, answer.status)
            scope.clear()  # FastAPI keeps objects in it that refer to it: a body would stay until garbage is collected

    def full(self) -> bool:
        """Tell whether nothing that brings a body finds a place, and all of it is answered alike."""
        return self._served is None and self._parts.places.full() and not self._parts.draining.on

    def shed(self, path: str) -> bytes:
        """Count a POST that finds no place, whoever sent it; return its answer but for the status line."""
        if path in self._open:
            return b""
        self._count(path, "POST", BUSY.status, time.perf_counter())
        return filled(self._sheds[int(random.random() * LATEST)], self._next_id())  # noqa: S311 - no secret

    def look(self, scope: Scope) -> Refusal | None:
        """Return what a request is refused for before anything is begun for it; the application need not be asked.

        So what is more than the service can do, or nobody's, costs the least there is.
        """
        request_id = self._next_id()
        scope.setdefault("state", {}).update(request_id=request_id, began=time.perf_counter())
        try:
            self._enter(scope)
        except Exception as error:
            if not isinstance(error, RefusedError):
                log_failure(error, request_id)
            refusal = self._refusal(error, request_id)
            self._count_scope(scope, refusal.status)
            return refusal
        return None

    def _enter(self, scope: Scope) -> None:
        """Keep who asks, or claims to. Raises RefusedError: 503 before anything costs, 401, 403, 429.

        What brings no body is no work: so `/metrics` is there when it is needed most.
        """
        if self._served is not None and scope["path"] not in self._served:
            raise RefusedError(NOT_FOUND, NOT_FOUND.title)
        if scope["path"] in self._open:
            return
        if scope["method"] != "GET":
            self._parts.places.look()
            refuse_other_sites(scope["headers"])
        header = b""
        for name, text in scope["headers"]:
            if name == b"authorization":
                header = text if not header else b"two of them"
        try:
            found = self._parts.authenticator.look(header.decode("latin-1"))
        except UnauthenticatedError as refusal:
            self._parts.metrics.unauthenticated(refusal.reason)
            raise
        if isinstance(found, Caller):
            self._found(scope["state"], found)
            if scope["method"] != "GET":
                self._parts.places.expect(scope["state"])
        else:
            scope["state"]["claimed"] = found

    async def _identify(self, state: dict[str, Any]) -> None:
        """Find who asks, of whom only a claim is known. Raises RefusedError: 401, 429, 503."""
        if "claimed" in state:
            try:
                caller = await self._parts.authenticator.verified(state.pop("claimed"))
            except UnauthenticatedError as refusal:
                self._parts.metrics.unauthenticated(refusal.reason)
                raise
            self._found(state, caller)

    def _found(self, state: dict[str, Any], caller: Caller) -> None:
        self._parts.rates.take(caller.id)
        state["asked"] = Asked(caller, state["request_id"])

    def _next_id(self) -> str:
        return f"{self._process}{next(self._numbers) & 0xFFFFFFFF:08x}"

    def _count_scope(self, scope: Scope, status: int) -> None:
        self._count(scope["path"], scope["method"], status, scope["state"]["began"])

    def _count(self, path: str, method: str, status: int, began: float) -> None:
        path = path if path in self._paths else "other"
        method = method if method in ("GET", "POST") else "other"
        self._parts.metrics.answered(path, method, status, time.perf_counter() - began)

    def _refusal(self, error: Exception, request_id: str) -> Refusal:
        return refusal_of(error, request_id, closing=self._parts.draining.on)

    async def _pass(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        """Have the application answer, for as long as somebody waits for it. Raises what it raises."""
        task = asyncio.current_task()
        presence = Presence(receive, task)
        try:
            await self._app(scope, presence.receive, answer.send)
        except asyncio.CancelledError:
            if not (presence.gone and task):
                raise
            task.uncancel()
            answer.status = answer.status or _GONE
        finally:
            presence.end()
            self._parts.room.give_back(scope["state"])
            self._parts.places.give_back(scope["state"])


class _Answer:
    """Way of one answer out, with the headers that every answer has."""

    def __init__(self, send: Send, scope: Scope, *, closing: bool) -> None:
        self._send = send
        self._scope = scope
        self._closing = closing
        self.status = 0
        """HTTP status; 0 until it is told."""

    async def send(self, message: Message) -> None:
        """Send a message, as ASGI has it."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            state = self._scope["state"]
            policy = {"policy": state["policy"]} if "policy" in state else {}
            own = own_headers(state["request_id"], closing=self._closing, **policy)
            message = {**message, "headers": [*message["headers"], *own]}
        await self._send(message)

    async def refuse(self, refusal: Refusal) -> None:
        """Answer with it."""
        self.status = refusal.status
        held = self._scope["state"].get("held") if refusal.slowly else None
        ending = [(b"connection", b"close")] if held and await held() and not refusal.closing else []
        headers = [*refusal.headers, *ending]
        await self._send({"type": "http.response.start", "status": refusal.status, "headers": headers})
        await self._send({"type": "http.response.body", "body": refusal.body})
