"""Requests that come when they are due, whatever became of those before: an open loop, as the world is.

A process of its own, lest it and who watches the service keep each other waiting: `offered` starts it. It costs about a
thirtieth of a millisecond a request, and tells how late it was itself, so that one sees whether it was the bottleneck.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
import sys
import time
from base64 import b64decode, b64encode
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parent.parent
_TICK = 0.002
WARM = 1.0
"""Seconds at the start that do not count: hundreds of connections are opened in them, which callers keep open."""
_LEFT = 15.0
"""Seconds that answers may take after the last request was sent."""


class Offered(NamedTuple):
    """What became of the requests; seconds are from when each was due, so that waiting for a connection counts."""

    rate: float
    """Requests a second that were to be sent."""
    seconds: float
    """For which they were."""
    taken: dict[str, list[float]]
    """Status → seconds of each answer; "none": without an answer, or cut off."""
    late: float
    """The most seconds that the generator itself was late."""
    connections: int
    """The most that were needed at a time."""
    first: float
    """The most seconds of an answer in the first second, in which most connections are opened."""
    unsent: int
    """Requests that found no free connection until the end."""

    def per_second(self, status: str) -> float:
        """Answers with that status."""
        return len(self.taken.get(status, ())) / self.seconds

    def within(self, status: str, part: float) -> float:
        """Seconds within which that part (0.5, 0.99) of the answers with that status came; 0 where there is none."""
        times = sorted(self.taken.get(status, ()))
        return times[min(len(times) - 1, int(len(times) * part))] if times else 0.0


class Generator:
    """One run; on one event loop."""

    def __init__(
        self, port: int, requests: Sequence[bytes], rate: float, seconds: float, most: int, *, anew: bool, tls: bool
    ) -> None:
        self._port = port
        self._requests = requests
        self._rate = rate
        self._seconds = seconds
        self._most = most
        """Connections at a time; what finds none free waits for one."""
        self.anew = anew
        """Each request has a connection of its own."""
        self._tls = _trusting_anybody() if tls else None
        self._free: list[_Connection] = []
        self._open = 0
        self._counts_from = 0.0
        self._answered = 0
        self._opening: set[asyncio.Task[None]] = set()
        self.taken: dict[str, list[float]] = {}
        self.late = self.first = 0.0
        self.connections = self.unsent = 0

    async def run(self) -> None:
        """Sends all, and waits for the answers, but not for ever."""
        began = last = time.perf_counter()
        self._counts_from, ends = began + WARM, began + self._seconds + WARM
        sent = 0
        while last < ends or (self._answered < sent and last < ends + _LEFT):
            await asyncio.sleep(_TICK)
            now = time.perf_counter()
            self.late = max(self.late, now - last - _TICK)
            due = int((min(now, ends) - began) * self._rate) if last < ends else 0
            last = now
            while sent < due and self._free:
                self._free.pop().send(self._requests[sent % len(self._requests)], began + sent / self._rate)
                sent += 1
            for _ in range(min(due - sent - len(self._opening), self._most - self._open)):
                self._connect()
        self.unsent = int((ends - began) * self._rate) - sent
        if sent > self._answered:
            self.taken.setdefault("none", []).extend([_LEFT] * (sent - self._answered))

    def _connect(self) -> None:
        """Opens a connection; nothing waits for it that finds another free meanwhile."""
        self._open += 1
        self.connections = max(self.connections, self._open)
        task = asyncio.create_task(self._connected())
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _connected(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, made = await loop.create_connection(lambda: _Connection(self), "127.0.0.1", self._port, ssl=self._tls)
        except OSError:
            self._open -= 1
        else:
            self._free.append(made)

    def done(self, connection: _Connection, status: str, due: float, *, closed: bool) -> None:
        """An answer has come, or none will."""
        self._answered += 1
        took = time.perf_counter() - due
        if due >= self._counts_from:
            self.taken.setdefault(status, []).append(took)
        else:
            self.first = max(self.first, took)
        if not closed:
            self._free.append(connection)

    def lost(self, connection: _Connection) -> None:
        """A connection is gone."""
        self._open -= 1
        if connection in self._free:
            self._free.remove(connection)


def _trusting_anybody() -> ssl.SSLContext:
    made = ssl.create_default_context()
    made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    return made


class _Connection(asyncio.Protocol):
    def __init__(self, generator: Generator) -> None:
        self._generator = generator
        self._due = 0.0
        self._got = b""
        self._needed = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def send(self, request: bytes, due: float) -> None:
        self._due, self._got, self._needed = due, b"", 0
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._got += data
        if not self._needed and b"\r\n\r\n" in self._got:
            head = self._got.partition(b"\r\n\r\n")[0].lower()
            length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
            self._needed = len(head) + 4 + length
        if self._needed and len(self._got) >= self._needed:
            self._end(self._got[9:12].decode(), b"\r\nconnection: close" in self._got[:500].lower())

    def _end(self, status: str, closed: bool) -> None:
        due, self._due = self._due, 0.0
        closed = closed or self._generator.anew
        self._generator.done(self, status, due, closed=closed)
        if closed:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        if self._due:
            self._end("none", True)
        self._generator.lost(self)


def offered(port: int, requests: Sequence[bytes], rate: float, seconds: float, most: int = 2000) -> Offered:
    """Offers the requests in turn, `rate` a second, over at most so many connections at a time."""
    return Offering(port, requests, rate, seconds, most).end()


class Offering:
    """A generator at work, in a process of its own."""

    def __init__(
        self,
        port: int,
        requests: Sequence[bytes],
        rate: float,
        seconds: float,
        most: int = 2000,
        *,
        anew: bool = False,
        tls: bool = False,
    ) -> None:
        """Starts it. `anew`: each request has a connection of its own."""
        self._rate, self._seconds = rate, seconds
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.open_loop", *map(str, (port, rate, seconds, most, int(anew), int(tls)))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        assert self._process.stdin
        self._process.stdin.write(json.dumps([b64encode(one).decode() for one in requests]).encode())
        self._process.stdin.close()

    def end(self) -> Offered:
        """Waits for it."""
        assert self._process.stdout
        with self._process:
            told = json.loads(self._process.stdout.read())
        return Offered(self._rate, self._seconds, **told)


def main(words: Sequence[str]) -> None:
    """The process: requests from standard input, what became of them to standard output."""
    import uvloop

    requests = [b64decode(one) for one in json.loads(sys.stdin.buffer.read())]
    port, rate, seconds, most = int(words[0]), float(words[1]), float(words[2]), int(words[3])
    generator = Generator(port, requests, rate, seconds, most, anew=words[4] == "1", tls=words[5] == "1")
    uvloop.run(generator.run())
    told = {name: getattr(generator, name) for name in ("taken", "late", "connections", "first", "unsent")}
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1:])
