"""A relay in front of a server, whose connections can be cut: gRPC's own server can't drop one."""

from __future__ import annotations

import socket
import struct
from contextlib import suppress
from threading import Lock, Thread


class Relay:
    """Passes bytes between clients and 127.0.0.1:`port`. `cut` resets every connection that is open now.

    `is_proxy`: for clients that take it for their HTTPS_PROXY, and connect through it to whatever host.
    """

    def __init__(self, port: int, *, is_proxy: bool = False) -> None:
        self._to = port
        self._is_proxy = is_proxy
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._lock = Lock()
        self.port = self._listener.getsockname()[1]
        self.accepted = 0

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Relay:
        Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """Resets the connections, as a crashing load balancer does."""
        with self._lock:
            connections, self._open = self._open, []
        for one in connections:
            with suppress(OSError):
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self._is_proxy:
                    _connect(client)
                server = socket.create_connection(("127.0.0.1", self._to))
                with self._lock:
                    self.accepted += 1
                    self._open += [client, server]
                for source, sink in ((client, server), (server, client)):
                    Thread(target=_pump, args=(source, sink), daemon=True).start()


def _connect(client: socket.socket) -> None:
    """Answer the request to connect (RFC 9110, section 9.3.6), wherever to."""
    asked = b""
    while not asked.endswith(b"\r\n\r\n") and (byte := client.recv(1)):
        asked += byte
    client.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    for one in (source, sink):
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
