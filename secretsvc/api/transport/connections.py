"""Connections that clients can't hold for ever, nor fill the memory by.

uvicorn leaves both to a proxy: it has no limit on how slowly headers come or how long they are, none on a body that
goes on after its answer, and none on a client that does not take its answer.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from secretsvc.api.transport.pauses import Pauses
from secretsvc.api.transport.turns import Turns
from secretsvc.api.transport.whole import WholePosts, path_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Scope
    from uvicorn._types import ASGI3Application

    from secretsvc.api.refusals import Gate, Refusal
    from secretsvc.api.settings import Limits
    from secretsvc.api.transport.tls import Renewed

MOST_HEADERS = 64 * 1024
"""Bytes of a request's line and headers, about: what comes in one read is looked at together."""

LOG = "ksecret.connections"
_LOG = logging.getLogger(LOG)

KEEP_ALIVE = 30.0
"""Seconds that an idle connection stays open. Load balancers should close theirs sooner."""

_AT_ONCE = 16 * 1024
"""Bytes that are looked at before others have their turn: of them may be thousands of chunks, headers or requests."""


_LOOKS, _BEGINNINGS = 20, 8
"""In a turn of the event loop: a millisecond of the one, and three of the other."""


class _Flow(FlowControl):
    """Flow control that reads nothing on while what was read waits to be looked at, or an answer is held back."""

    waiting = False
    held = False

    def resume_reading(self) -> None:
        if self.waiting or self.held:
            self.read_paused = False
        else:
            super().resume_reading()


def _nobody(_seconds: float) -> None:
    """Tell nobody."""


class _Timer:
    """Timer that costs next to nothing to set anew, as every request does more than once."""

    def __init__(self, loop: asyncio.AbstractEventLoop, ring: Callable[[float], None]) -> None:
        """Wait for nothing yet. `ring` is told how many seconds were over."""
        self._loop = loop
        self._ring = ring
        self._seconds = 0.0
        self._due = self._looks = inf
        self._handle: asyncio.TimerHandle | None = None

    def wait(self, seconds: float) -> None:
        """Wait from now on, in the place of what it waited for before."""
        self._seconds, self._due = seconds, self._loop.time() + seconds
        if self._looks > self._due:
            self._look_at(self._due)

    def rest(self) -> None:
        """Wait for nothing."""
        self._due = inf

    def end(self) -> None:
        """Wait for nothing any more, and keep nobody who was to be told."""
        self.rest()
        if self._handle:
            self._handle.cancel()
        self._handle, self._ring = None, _nobody

    def _look_at(self, when: float) -> None:
        if self._handle:
            self._handle.cancel()
        self._looks, self._handle = when, self._loop.call_at(when, self._look)

    def _look(self) -> None:
        self._looks, self._handle = inf, None
        if self._due <= self._loop.time():
            self._due = inf
            self._ring(self._seconds)
        elif self._due < inf:
            self._look_at(self._due)


class _Answered:
    """Stand-in for the last request of a connection, where that was refused before anything was made of it."""

    response_complete = True
    keep_alive = True
    message_event = asyncio.Event()
    """Nobody waits for it."""


_ANSWERED = cast("RequestResponseCycle", _Answered())


class Port:
    """What all connections of a port share."""

    def __init__(self) -> None:
        self.posts = WholePosts()
        self.pauses = Pauses()
        self.strangers = Turns(_LOOKS)
        """Looks at what callers send who were let in to nothing yet, or not the last time."""
        self.work = Turns(_BEGINNINGS)
        """Beginnings of work on requests."""


class Protocol(HttpToolsProtocol):
    """Protocol of uvicorn's, with one timer for all that a client owes, and one for what it does not take.

    What is refused before its body is answered by one write, without a task. Where it is for its token, the answer is
    held back for a while, in which nothing more is read. Whoever sent more behind such a request, not waiting for the
    answer, gets that one only, and the connection is closed: it would go around the pause.
    """

    flow: _Flow

    def __init__(
        self,
        *,
        limits: Limits,
        gate: Gate,
        port: Port,
        renewed: Renewed | None,
        **words: Any,
    ) -> None:
        """Serve one connection. `gate` tells what a request is refused for at once."""
        super().__init__(**words)
        self._gate = gate
        self._full = gate.full
        self._port = port
        self._renewed = renewed
        self._refused = 0
        """Tokens in a row that were refused."""
        self._known = False
        """The latest request was let in, or is of those that need no caller."""
        self._answers: asyncio.TimerHandle | None = None
        self._told: Callable[[], None] = lambda: None
        """Tells a refusal that is held back."""
        self._ending = False
        """More came behind what is held back."""
        self.logger = _LOG
        self._limits = limits
        self._owed = _Timer(self.loop, self._late)
        self._untaken: asyncio.TimerHandle | None = None
        self._arriving = False
        """A request has begun, and its body has not ended."""
        self._in_headers = True
        self._unseen = b""
        """Received, and not looked at yet."""
        self._bytes = 0
        """Looked at since the last byte of a body, or the last end of headers or of a request."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Do what uvicorn's does, but for asking the system for both addresses, which nobody here looks at."""
        self.connections.add(self)
        self.transport = transport
        self.flow = _Flow(transport)
        self.scheme = "https" if transport.get_extra_info("sslcontext") else "http"
        self._owed.wait(self._limits.header_seconds)
        self.end_if_withdrawn()  # its client may have taken its time over the handshake

    def connection_lost(self, exc: Exception | None) -> None:
        self._unseen = b""
        self._owed.end()
        for timer in (self._untaken, self._answers):
            if timer:
                timer.cancel()
        super().connection_lost(exc)
        self._leave_no_cycle()

    def _leave_no_cycle(self) -> None:
        """Let go of all that refers to this connection, so that it and what was sent over it are freed at once.

        Else they stay until the garbage collector comes, which keeps all others waiting.
        """
        nothing = cast("Any", None)
        self.cycle = self.scope = self._untaken = self._answers = nothing
        self._told = lambda: None

    def data_received(self, data: bytes) -> None:
        if self._full() and self._shed(data):
            return
        self._unseen += data
        if self.flow.waiting:
            return
        if self._known or self._port.strangers.take(self._look):
            self._look()
        else:
            self.flow.waiting = True
            self.transport.pause_reading()

    def _shed(self, data: bytes) -> bool:
        """Answer a request that came whole and finds no place, which costs the least there is; tell whether it is one.

        Its connection owes and waits for nothing, and its parser never learns of it.
        """
        cycle, flow = self.cycle, self.flow
        if self._arriving or self._unseen or flow.held or flow.write_paused or (cycle and not cycle.response_complete):
            return False
        path = self._port.posts.path(data)
        told = self._gate.shed(path) if path else b""
        if told:
            self.transport.write(b"".join((STATUS_LINE[503], self._stated(), told)))
            self.server_state.total_requests += 1
            self._owed.wait(KEEP_ALIVE)
        return bool(told)

    def _stated(self) -> bytes:
        """Return the headers that uvicorn has for every answer, as lines."""
        return b"".join(b"%s: %s\r\n" % header for header in self.server_state.default_headers)

    def _look(self) -> None:
        """Look at a part of what was received; at the rest when others have had their turn."""
        data, self._unseen = self._unseen[:_AT_ONCE], self._unseen[_AT_ONCE:]
        self.flow.waiting = bool(self._unseen)
        if not data:
            return
        self._bytes += len(data)
        super().data_received(data)
        if self._bytes > MOST_HEADERS and not self.transport.is_closing():
            self.transport.abort()  # an answer could come in the middle of another
        if self.transport.is_closing() or self._ending:
            self._unseen = b""
            self.flow.waiting = False
        elif self.flow.waiting:
            self.transport.pause_reading()
            self.loop.call_soon(self._look)
        elif not (self.flow.read_paused or self.flow.held):
            self.transport.resume_reading()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._arriving = self._in_headers = True
        self._owed.wait(self._limits.header_seconds)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_headers:  # else a trailer (RFC 9112, section 7.1.2), which nobody here reads
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_headers, self._bytes = False, 0
        self._owed.rest()
        if self.flow.held:
            self._ending = True
            return
        scope = cast("Scope", self.scope)
        scope["state"]["held"] = self.held
        if (self.cycle is None or self.cycle.response_complete) and not self.flow.write_paused:
            scope["method"], scope["path"] = self.parser.get_method().decode("ascii"), path_of(self.url)
            if refusal := self._gate.look(scope):
                self._refuse(refusal, scope["method"])
                return
            if "asked" in scope["state"]:
                self._refused = 0
            self._known = True
        super().on_headers_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        """Begin what costs when it has its turn, and other requests at once, as those after the service's health."""
        begin = partial(super()._start_asgi_task, cycle, app)
        if cycle.scope["method"] in ("GET", "HEAD") or self._port.work.take(begin):
            begin()

    def _refuse(self, refusal: Refusal, method: str) -> None:
        """Answer what waits for no other answer on its connection."""
        self.cycle = _ANSWERED
        keeps = self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive()
        told = partial(self._tell, refusal, whole=method != "HEAD", keeps=keeps)
        if refusal.slowly:
            self._told = told
            self._answers = self.loop.call_later(self._hold(), self._release)
        else:
            told()

    def _tell(self, refusal: Refusal, *, whole: bool, keeps: bool) -> None:
        ending = self._ending or not keeps
        lines = self._stated()
        if ending and not refusal.closing:
            lines += b"connection: close\r\n"
        body = refusal.body if whole else b""
        self.transport.write(STATUS_LINE[refusal.status] + lines + refusal.lines + b"\r\n" + body)
        if ending or refusal.closing:
            self.transport.close()
        self.on_response_complete()

    def _hold(self) -> float:
        """Read nothing from now on until `_release`; return the seconds until then."""
        self.flow.held = True
        self.transport.pause_reading()
        self._refused += 1
        self._known = False
        return self._port.pauses.seconds(self._refused - 1)

    def _release(self) -> None:
        self.flow.held = False
        if self._answers:
            self._answers = None
            self._told()
        if not (self.flow.read_paused or self.flow.waiting or self.transport.is_closing()):
            self.transport.resume_reading()

    async def held(self) -> bool:
        """Wait until a refusal that was found late may be told, and say whether the connection has to end with it."""
        self._ending = bool(self.pipeline)
        self.pipeline.clear()
        await asyncio.sleep(self._hold())
        self._release()
        return self._ending

    def shutdown(self) -> None:
        """End as uvicorn's does; what is held back is told first."""
        if self._answers:
            self._ending = True
            self._answers.cancel()
            self._release()
        super().shutdown()

    def end_if_withdrawn(self) -> None:
        """Close it where its client was judged by another authority or list of revoked certificates than today's.

        Between two requests, and after the answer to one that is worked on.
        """
        secured = self.transport.get_extra_info("ssl_object")
        if self._renewed and secured and not self._renewed.judged(secured):
            self.shutdown()

    def on_body(self, body: bytes) -> None:
        self._bytes = 0
        if not self.flow.held:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._arriving, self._bytes = False, 0
        super().on_message_complete()
        if self.cycle.response_complete:
            self._owed.wait(KEEP_ALIVE)

    def on_response_complete(self) -> None:
        """Keep an idle connection, which uvicorn's would close after 5 s."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        self._owed.wait(self._limits.header_seconds if self._arriving else KEEP_ALIVE)
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())

    def pause_writing(self) -> None:
        super().pause_writing()
        self._untaken = self.loop.call_later(self._limits.body_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._untaken:
            self._untaken.cancel()

    def _late(self, seconds: float) -> None:
        if self.flow.held or (self.cycle and not self.cycle.response_complete):  # then it is the service that owes
            self._owed.wait(seconds)
        elif self.transport.get_write_buffer_size():  # closing would wait for it to be taken
            self.transport.abort()
        else:
            self.transport.close()
