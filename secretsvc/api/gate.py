"""What every request passes: its id, its caller and their rate, the answer's headers, metrics, the last catch."""

from __future__ import annotations

import asyncio
import logging
import os
import time
import traceback
from functools import lru_cache
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from secretsvc.api.auth import Caller, UnauthenticatedError
from secretsvc.api.presence import Presence
from secretsvc.api.problems import MEDIA_TYPE, RefusedError, problem_of
from secretsvc.api.service import Asked

if TYPE_CHECKING:
    from collections.abc import Collection

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from secretsvc.api.parts import Parts
    from secretsvc.api.problems import Problem

HEALTH = ("/livez", "/readyz", "/healthz")
_LOG = logging.getLogger("ksecret")
_GONE = 499
"""What metrics have, as nginx's log does, for a client that left before its answer."""

_HEADERS = [
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
]


class Refusal(NamedTuple):
    """A whole answer, with every header."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    lines: bytes
    """The headers as they go over the wire."""
    body: bytes
    closing: bool
    """No more is to come on the connection."""
    slowly: bool
    """To be held back for a while, lest who is refused so try thousands of times a second."""


def own_headers(request_id: str, *, closing: bool) -> list[tuple[bytes, bytes]]:
    """The headers that every answer has. `closing`: no more is to come on this connection."""
    return [*_HEADERS, (b"x-request-id", request_id.encode()), *([(b"connection", b"close")] if closing else [])]


class Gate:
    """ASGI middleware around the application."""

    def __init__(
        self,
        app: ASGIApp,
        parts: Parts,
        paths: Collection[str],
        open_paths: Collection[str],
    ) -> None:
        """`paths`: those that metrics know by name; `open_paths`: those that need no caller."""
        self._app = app
        self._parts = parts
        self._process = os.urandom(12).hex()  # random once: asking the system for each request costs more than the rest
        self._numbers = count()
        self._paths = frozenset(paths)
        self._open = frozenset(open_paths)

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
            self._count(scope, answer.status)

    def look(self, scope: Scope) -> Refusal | None:
        """What a request is refused for before anything is begun for it; it may be told without asking the application.

        So what is more than the service can do, or nobody's, costs the least there is.
        """
        request_id = f"{self._process}{next(self._numbers) & 0xFFFFFFFF:08x}"
        scope.setdefault("state", {}).update(request_id=request_id, began=time.perf_counter())
        try:
            self._enter(scope)
        except Exception as error:
            if not isinstance(error, RefusedError):
                log_failure(error, request_id)
            refusal = self._refusal(error, request_id)
            self._count(scope, refusal.status)
            return refusal
        return None

    def _enter(self, scope: Scope) -> None:
        """Puts where it is found who asks, or claims to. Raises RefusedError: 503 before anything costs, 401, 429.

        What brings no body is no work: so `/metrics` is there when it is needed most.
        """
        if scope["path"] in self._open:
            return
        if scope["method"] != "GET":
            self._parts.places.look()
        header = b""
        for name, text in scope["headers"]:
            if name == b"authorization":
                header = text if not header else b"two of them"
        try:
            found = self._parts.authenticator.look(header.decode("latin-1"))
        except UnauthenticatedError as refusal:
            self._parts.metrics.auth_failures.labels(refusal.reason).inc()
            raise
        if isinstance(found, Caller):
            self._found(scope["state"], found)
        else:
            scope["state"]["claimed"] = found

    async def _identify(self, state: dict[str, Any]) -> None:
        """Who asks, of whom only a claim is known. Raises RefusedError: 401, 429, 503."""
        if "claimed" in state:
            try:
                caller = await self._parts.authenticator.verified(state.pop("claimed"))
            except UnauthenticatedError as refusal:
                self._parts.metrics.auth_failures.labels(refusal.reason).inc()
                raise
            self._found(state, caller)

    def _found(self, state: dict[str, Any], caller: Caller) -> None:
        self._parts.rates.take(caller.id)
        state["asked"] = Asked(caller, state["request_id"])

    def _count(self, scope: Scope, status: int) -> None:
        path = scope["path"] if scope["path"] in self._paths else "other"
        method = scope["method"] if scope["method"] in ("GET", "POST") else "other"
        self._parts.metrics.answered(path, method, status, time.perf_counter() - scope["state"]["began"])

    def _refusal(self, error: Exception, request_id: str) -> Refusal:
        problem = problem_of(error)
        hashable = problem._replace(headers=cast("Any", tuple(problem.headers.items())))
        found = _refusal(hashable, closing=self._parts.draining.on, slowly=getattr(error, "slowly", False))
        own = request_id.encode()
        headers = (*found.headers, (b"x-request-id", own))
        return found._replace(headers=headers, lines=found.lines.replace(_ID, own), body=found.body.replace(_ID, own))

    async def _pass(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        """Has the application answer, for as long as somebody waits for it. Raises what it raises."""
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
    """The way of one answer out, with the headers that every answer has."""

    def __init__(self, send: Send, scope: Scope, *, closing: bool) -> None:
        self._send = send
        self._scope = scope
        self._closing = closing
        self.status = 0
        """0 until it is told."""

    async def send(self, message: Message) -> None:
        """As ASGI's."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            own = own_headers(self._scope["state"]["request_id"], closing=self._closing)
            message = {**message, "headers": [*message["headers"], *own]}
        await self._send(message)

    async def refuse(self, refusal: Refusal) -> None:
        """Answers with it."""
        self.status = refusal.status
        held = self._scope["state"].get("held") if refusal.slowly else None
        ending = [(b"connection", b"close")] if held and await held() and not refusal.closing else []
        headers = [*refusal.headers, *ending]
        await self._send({"type": "http.response.start", "status": refusal.status, "headers": headers})
        await self._send({"type": "http.response.body", "body": refusal.body})


_ID = b"0" * 32
"""Where a request's id is to stand."""


@lru_cache(256)
def _refusal(problem: Problem, *, closing: bool, slowly: bool) -> Refusal:
    """The answer but for its id, and the header of it; one for all that are refused for the same."""
    body = problem.encoded(_ID.decode())
    stated = {"content-type": MEDIA_TYPE, "content-length": str(len(body)), **dict(problem.headers)}
    headers = [(name.encode(), text.encode()) for name, text in stated.items()]
    headers += own_headers(_ID.decode(), closing=closing)
    closes = (b"connection", b"close") in headers
    lines = b"".join(b"%s: %s\r\n" % header for header in headers)
    told = tuple(header for header in headers if header[0] != b"x-request-id")
    return Refusal(problem.status, told, lines, body, closes, slowly)


def log_failure(error: BaseException, request_id: str) -> None:
    """The kind of a mistake of ours and its places in the code, never its message: that may hold a value."""
    places = " < ".join(
        f"{frame.name} ({frame.filename}:{frame.lineno})"
        for frame in reversed(traceback.extract_tb(error.__traceback__)[-8:])
    )
    _LOG.error("request %s failed: %s at %s", request_id, type(error).__name__, places)
