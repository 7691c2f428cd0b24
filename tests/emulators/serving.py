"""A server in a thread of the tests' own process, which serves for as long as a `with` block lasts; and what emulators
over HTTP share: connections that are kept, answers in one write, silence.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Mapping


class Serving:
    """Starts and stops `_server`, which whoever inherits this makes; callers that still wait are not waited for."""

    _server: HTTPServer

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class Fault(NamedTuple):
    """What goes wrong with every Nth call: a kind that the emulator knows, or an error's code."""

    kind: str
    every: int = 1

    @classmethod
    def of(cls, text: str) -> Self:
        """By KIND:N, as a command line has it."""
        kind, _, every = text.partition(":")
        return cls(kind, int(every or "1"))


class Server(ThreadingHTTPServer):
    """A thread for each connection; many may come at once, and none is waited for at the end."""

    daemon_threads = True
    request_queue_size = 256
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """Silence: a client that went away is no news here."""


class Handler(BaseHTTPRequestHandler):
    """One connection, kept open between calls."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet for an answer's head and body
    disable_nagle_algorithm = True

    _came = 0.0

    def parse_request(self) -> bool:
        self._came = time.monotonic()
        return super().parse_request()

    def wait(self, latency: float) -> None:
        """Until the request came so many seconds ago: what was done about it since is part of them."""
        time.sleep(max(0.0, self._came + latency - time.monotonic()))

    def asked(self) -> bytes:
        """The body of a request."""
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def answer(
        self, status: int, said: object, headers: Mapping[str, str] | None = None, kind: str = "application/json"
    ) -> None:
        """Sends an answer: bytes as they are, all else as JSON."""
        data = said if isinstance(said, bytes) else json.dumps(said).encode()
        self.send_response_only(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        for name, text in (headers or {}).items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(data)

    def drip(self) -> None:
        """Sends a byte now and then, as if the answer were about to begin, for a minute."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            for byte in b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 1200:
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                time.sleep(0.05)

    def drop(self) -> None:
        """Cuts the connection."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_: object) -> None:
        """Nothing: requests hold plaintext."""
