"""What every request passes: its id, its caller and their rate, the answer's headers, metrics, the last catch."""

from __future__ import annotations

import asyncio
import logging
import os
import time
import traceback
from itertools import count
from typing import TYPE_CHECKING

from secretsvc.api.auth import UnauthenticatedError
from secretsvc.api.presence import Presence
from secretsvc.api.problems import MEDIA_TYPE, RefusedError, problem_of
from secretsvc.api.service import Asked

if TYPE_CHECKING:
    from collections.abc import Collection

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from secretsvc.api.app import Parts
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
        began = time.perf_counter()
        request_id = f"{self._process}{next(self._numbers):08x}"
        scope["state"] = {"request_id": request_id}
        answer = _Answer(send, request_id, closing=self._parts.draining.on)
        try:
            await self._enter(scope)
            await self._pass(scope, receive, answer)
        except RefusedError as refusal:
            await answer.refuse(problem_of(refusal))
        except Exception as error:
            log_failure(error, request_id)
            if not answer.status:
                await answer.refuse(problem_of(error))
        finally:
            path = scope["path"] if scope["path"] in self._paths else "other"
            method = scope["method"] if scope["method"] in ("GET", "POST") else "other"
            self._parts.metrics.requests.labels(path, method, str(answer.status)).inc()
            self._parts.metrics.seconds.labels(path).observe(time.perf_counter() - began)

    async def _enter(self, scope: Scope) -> None:
        """Puts who asks where routes find it. Raises RefusedError: 503 before anything costs, 401, 429.

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
            caller = await self._parts.authenticator.caller(header.decode("latin-1"))
        except UnauthenticatedError as refusal:
            self._parts.metrics.auth_failures.labels(refusal.reason).inc()
            raise
        self._parts.rates.take(caller.id)
        scope["state"]["asked"] = Asked(caller, scope["state"]["request_id"])

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

    def __init__(self, send: Send, request_id: str, *, closing: bool) -> None:
        self._send = send
        self._id = request_id
        self._closing = closing
        self.status = 0
        """0 until it is told."""

    async def send(self, message: Message) -> None:
        """As ASGI's."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            own = [*_HEADERS, (b"x-request-id", self._id.encode())]
            closing = [(b"connection", b"close")] if self._closing else []
            message = {**message, "headers": [*message["headers"], *own, *closing]}
        await self._send(message)

    async def refuse(self, problem: Problem) -> None:
        """Answers with it."""
        body = problem.encoded(self._id)
        headers = {"content-type": MEDIA_TYPE, "content-length": str(len(body)), **problem.headers}
        encoded = [(name.encode(), text.encode()) for name, text in headers.items()]
        await self.send({"type": "http.response.start", "status": problem.status, "headers": encoded})
        await self.send({"type": "http.response.body", "body": body})


def log_failure(error: BaseException, request_id: str) -> None:
    """The kind of a mistake of ours and its places in the code, never its message: that may hold a value."""
    places = " < ".join(
        f"{frame.name} ({frame.filename}:{frame.lineno})"
        for frame in reversed(traceback.extract_tb(error.__traceback__)[-8:])
    )
    _LOG.error("request %s failed: %s at %s", request_id, type(error).__name__, places)
