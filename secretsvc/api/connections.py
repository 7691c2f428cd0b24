"""Connections that clients can't hold for ever, nor fill the memory by.

uvicorn leaves both to a proxy: it has no limit on how slowly headers come or how long they are, none on a body that
goes on after its answer, and none on a client that does not take its answer.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from starlette.types import Scope

    from secretsvc.api.gate import Refusal
    from secretsvc.api.settings import Limits

    Look = Callable[[Scope], Refusal | None]

MOST_HEADERS = 64 * 1024
"""Bytes of a request's line and headers, about: what comes in one read is looked at together."""

LOG = "ksecret.connections"

KEEP_ALIVE = 30.0
"""Seconds that an idle connection stays open. Load balancers should close theirs sooner."""


_AT_ONCE = 16 * 1024
"""Bytes that are looked at before others have their turn: of them may be thousands of chunks, headers or requests."""


class _Flow(FlowControl):
    """uvicorn's, which reads nothing on while what was read still waits to be looked at."""

    waiting = False

    def resume_reading(self) -> None:
        if self.waiting:
            self.read_paused = False
        else:
            super().resume_reading()


class Protocol(HttpToolsProtocol):
    """uvicorn's, with one timer for all that a client owes, and one for what it does not take."""

    flow: _Flow

    def __init__(self, *, limits: Limits, look: Look, **words: Any) -> None:
        """`look`: what a request is refused for at once."""
        super().__init__(**words)
        self._look_at = look
        self._first = False
        """A request is begun that waits for no other on its connection."""
        self.logger = logging.getLogger(LOG)
        self._limits = limits
        self._owed: asyncio.TimerHandle | None = None
        self._untaken: asyncio.TimerHandle | None = None
        self._arriving = False
        """A request has begun, and its body has not ended."""
        self._in_headers = True
        self._unseen = b""
        """Received, and not looked at yet."""
        self._bytes = 0
        """Looked at since the last byte of a body, or the last end of headers or of a request."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.flow = _Flow(transport)
        self._wait(self._limits.header_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        self._unseen = b""
        self._settled()
        if self._untaken:
            self._untaken.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._unseen += data
        if not self.flow.waiting:
            self._look()

    def _look(self) -> None:
        """At a part of what was received; at the rest when others have had their turn."""
        data, self._unseen = self._unseen[:_AT_ONCE], self._unseen[_AT_ONCE:]
        self.flow.waiting = bool(self._unseen)
        if not data:
            return
        self._bytes += len(data)
        super().data_received(data)
        if self._bytes > MOST_HEADERS and not self.transport.is_closing():
            self.transport.abort()  # an answer could come in the middle of another
        if self.transport.is_closing():
            self._unseen = b""
        elif self.flow.waiting:
            self.transport.pause_reading()
            self.loop.call_soon(self._look)
        elif not self.flow.read_paused:
            self.transport.resume_reading()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._arriving = self._in_headers = True
        self._wait(self._limits.header_seconds)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_headers:  # else a trailer (RFC 9112, section 7.1.2), which nobody here reads
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_headers, self._bytes = False, 0
        self._settled()
        self._first = True
        super().on_headers_complete()
        self._first = False

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """As uvicorn's; what is refused at once needs no task, and is answered by one write.

        Not what waited for another's answer: of these may be hundreds, each begun by the end of the one before.
        """
        refusal = self._look_at(cast("Scope", cycle.scope)) if self._first and not self.flow.write_paused else None
        if refusal is None:
            super()._start_asgi_task(cycle, app)
            return
        ending = [] if cycle.keep_alive else [(b"connection", b"close")]
        headers = [*self.server_state.default_headers, *refusal.headers, *ending]
        lines = b"".join(b"%s: %s\r\n" % header for header in headers)
        body = b"" if cycle.scope["method"] == "HEAD" else refusal.body
        self.transport.write(STATUS_LINE[refusal.status] + lines + b"\r\n" + body)
        cycle.response_started = cycle.response_complete = True
        if (b"connection", b"close") in headers:
            self.transport.close()
        self.on_response_complete()

    def on_body(self, body: bytes) -> None:
        self._bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._arriving, self._bytes = False, 0
        super().on_message_complete()
        if self.cycle.response_complete:
            self._wait(KEEP_ALIVE)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._wait(self._limits.header_seconds if self._arriving else KEEP_ALIVE)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._untaken = self.loop.call_later(self._limits.body_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._untaken:
            self._untaken.cancel()

    def _wait(self, seconds: float) -> None:
        self._settled()
        self._owed = self.loop.call_later(seconds, self._late, seconds)

    def _settled(self) -> None:
        if self._owed:
            self._owed.cancel()

    def _late(self, seconds: float) -> None:
        if self.cycle and not self.cycle.response_complete:  # then it is the service that owes
            self._wait(seconds)
        elif self.transport.get_write_buffer_size():  # closing would wait for it to be taken
            self.transport.abort()
        else:
            self.transport.close()
