"""Server: uvicorn with sockets, TLS, workers, logs, and an end that loses no request."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import logging.config
import signal
import socket
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, cast

import uvicorn

from secretsvc import core_dumps
from secretsvc.api import metrics_folder
from secretsvc.api.app import application, parts
from secretsvc.api.middleware import HEALTH, Middleware
from secretsvc.api.transport import tls
from secretsvc.api.transport.accepting import Accepting
from secretsvc.api.transport.connections import LOG as CONNECTIONS
from secretsvc.api.transport.connections import Port, Protocol
from secretsvc.api.transport.draining import Draining, waiting
from secretsvc.api.transport.workers import Workers
from secretsvc.errors import UsageError

if TYPE_CHECKING:
    from types import FrameType

    from secretsvc.api.settings import Config
    from secretsvc.api.transport.pauses import Pauses

_BACKLOG = 2048
_ACCEPTED_WITHIN = 2.0
_MOMENT = 0.001
"""Seconds: how long callers who come without end may put off the end of listening, and how often it is tried."""
_LOOKED_THROUGH = 10_000
"""New objects after which garbage is looked for among them: a millisecond in which nothing else goes on."""
_TURN = 0.001
"""Seconds after which a thread that reads a body lets the event loop go on, which asks several times for a request."""
_SETTLES = 0.2
"""Seconds for the requests of those who were accepted last to arrive."""


def check(config: Config) -> None:
    """Refuse a configuration. Raises UsageError and FileError for a transport that is not safe, or not there."""
    listen = config.listen
    if bool(listen.tls_cert) != bool(listen.tls_key) or (listen.tls_client_ca and not listen.tls_cert):
        raise UsageError("TLS needs a certificate and a key", hint="say both --tls-cert and --tls-key")
    if listen.tls_client_crl and not listen.tls_client_ca:
        raise UsageError("a list of revoked certificates, and no authority whose they are", hint="say --tls-client-ca")
    if listen.tls_cert and listen.behind_tls_proxy:
        raise UsageError(
            "either TLS here or TLS in a proxy", hint="leave one of --tls-cert and --behind-tls-proxy away"
        )
    if not (listen.tls_cert or listen.behind_tls_proxy or is_loopback(listen.host)):
        hint = "give --tls-cert and --tls-key, or say --behind-tls-proxy if one stands in front"
        raise UsageError(f"without TLS the service does not listen at {listen.host}", hint=hint)
    if listen.tls_cert:
        tls.context(listen)


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches it."""
    return host in ("localhost", "::1") or (host.startswith("127.") and host.replace(".", "").isdigit())


def serve(config: Config) -> None:
    """Serve until SIGTERM or SIGINT. Raises KsecretError for what can't be used."""
    core_dumps.keep_memory_private()
    check(config)
    parts(config)  # every mistake comes to light here, in one process, and once
    listen = config.listen
    listeners = [_listener(listen.host, listen.port, "--port")]
    if listen.health_port is not None:
        listeners.append(_listener(listen.host, listen.health_port, "listen.healthPort"))
        print(f"ksecret: health at http://{_address(listeners[1])}", file=sys.stderr)
    scheme = "https" if listen.tls_cert else "http"
    print(f"ksecret: listening at {scheme}://{_address(listeners[0])}", file=sys.stderr, flush=True)
    logging.config.dictConfig(_LOGS)
    if listen.workers == 1:
        _work(config, listeners)
        return
    metrics_folder.make()
    try:
        Workers(partial(_work, config), listeners, listen.workers).run()
    finally:
        metrics_folder.remove()


def _listener(host: str, port: int, setting: str) -> socket.socket:
    """Listen there. Raises UsageError, whose hint names the setting of the port."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise UsageError(
            f"can't listen at {host}:{port}: {error.strerror}", hint=f"choose another with {setting}"
        ) from error
    listener.set_inheritable(True)
    return listener


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _work(config: Config, listeners: list[socket.socket]) -> None:
    """Serve the first, and health alone at the second, if there is one: who crowds the first keeps no probe waiting."""
    made = parts(config)
    renewed = tls.Renewed(config.listen) if config.listen.tls_cert else None
    app = application(config, made)
    health = (_uvicorn(config, app.only(HEALTH), Port()), listeners[1]) if listeners[1:] else None
    port = Port()
    server = _Server(
        _uvicorn(config, app, port, renewed),
        pauses=port.pauses,
        draining=made.draining,
        delay=config.listen.stop_delay,
        renewed=renewed,
        health=health,
    )
    sys.setswitchinterval(_TURN)
    gc.set_threshold(_LOOKED_THROUGH)  # a command's is so large that it never comes to it
    gc.freeze()  # what was made for good is not looked through again whenever a manifest's tree is
    server.run(listeners[:1])


def _uvicorn(config: Config, app: Middleware, port: Port, renewed: tls.Renewed | None = None) -> uvicorn.Config:
    made = partial(Protocol, limits=config.limits, gate=app, port=port, renewed=renewed)
    return uvicorn.Config(
        app,
        log_config=_LOGS,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        ws="none",
        loop="uvloop",
        http=cast("type[asyncio.Protocol]", made),
        timeout_graceful_shutdown=max(1, round(config.listen.stop_grace)),
        ssl_context_factory=(lambda *_: renewed.first) if renewed else None,
    )


class _Server(uvicorn.Server):
    """Server of uvicorn's, with time for load balancers and kept-alive connections before it stops accepting."""

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        pauses: Pauses,
        draining: Draining,
        delay: float,
        renewed: tls.Renewed | None,
        health: tuple[uvicorn.Config, socket.socket] | None,
    ) -> None:
        """`health`: another application, and where it is served, too."""
        super().__init__(config)
        self._pauses = pauses
        self._accepting: Accepting | None = None
        self._renewed = renewed
        self._health = health
        self._draining = draining
        self._delay = delay
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listening: list[socket.socket] = []

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve as uvicorn does."""
        self._loop = asyncio.get_running_loop()
        self._listening = sockets or []
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup has it
            signal.signal(signal.SIGHUP, self.handle_exit)
        await super().serve(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Do what uvicorn does, for both applications."""
        await super().startup(sockets)
        if self._health:
            config, listener = self._health
            config.load()
            self.servers.append(await self._served(config, listener))
        self._accepting = Accepting(self._listening[0], partial(self._served, self.config), self._pauses)

    async def _served(self, config: uvicorn.Config, listener: socket.socket) -> asyncio.Server:
        """Serve there, too, as uvicorn's `startup` does it."""
        made = partial(
            cast("type[Protocol]", config.http_protocol_class),
            config=config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )
        return await asyncio.get_running_loop().create_server(
            made, sock=listener, ssl=config.ssl, backlog=config.backlog
        )

    async def on_tick(self, counter: int) -> bool:
        """Do what uvicorn does ten times a second; and end connections whose clients might not get in any more."""
        assert self._accepting
        await self._accepting.adapt()
        if self._renewed and self._renewed.withdrawn():
            for connection in list(self.server_state.connections):
                cast("Protocol", connection).end_if_withdrawn()
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Say so to whoever asks, then stop; a second signal stops at once.

        Not uvicorn's: that would end the process by the signal, and an orderly end is exit code 0.
        """
        assert self._loop
        if self._draining.on:
            self.should_exit = True
            self.force_exit = sig == signal.SIGINT
            return
        self._draining.on = True
        if self._accepting:  # else it only starts
            self._loop.call_soon_threadsafe(self._accepting.end)  # now, so that the end of listening is an instant
        self._loop.call_soon_threadsafe(self._loop.call_later, self._delay, self._close, 0.0)

    def _close(self, until: float) -> None:
        """End listening in an instant when nobody waits to be accepted; in the end (`until`) in any case."""
        assert self._loop
        until = until or self._loop.time() + _ACCEPTED_WITHIN
        if waiting(self._listening) and self._loop.time() < until:
            self._loop.call_later(_MOMENT, self._close, until)
            return
        assert self._accepting
        self._accepting.end()
        for server in self.servers:
            server.close()
        for listener in self._listening:
            listener.close()
        self._loop.call_later(_SETTLES, self._stop)

    def _stop(self) -> None:
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End as uvicorn does, also where a second signal came before listening ended."""
        assert self._accepting
        self._accepting.end()
        await super().shutdown(sockets)


class JsonLines(logging.Formatter):
    """Formatter of one JSON object a line. Tracebacks lose their messages: these may hold what nobody should read."""

    def format(self, record: logging.LogRecord) -> str:
        event: dict[str, object] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info and record.exc_info[0]:
            event["exception"] = record.exc_info[0].__name__
        return json.dumps(event)


_LOGS = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": JsonLines}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {
        "uvicorn": {"level": "INFO"},
        "uvicorn.error": {"level": "INFO"},
        "ksecret": {"level": "INFO"},
        "python_multipart": {"level": "CRITICAL"},  # it tells what a form holds where it should not
        CONNECTIONS: {"level": "ERROR"},  # its warnings are about requests, of which anybody can send any number
    },
}
