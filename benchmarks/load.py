"""Load for an HTTP service: requests prepared as bytes, over connections that stay open, so that it costs little."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Sequence


class Reply(NamedTuple):
    """One answer: which of the prepared requests it is to, its status, seconds that it took, its body."""

    request: int
    status: int
    seconds: float
    body: bytes


def prepared(method: str, path: str, token: str, body: bytes, kind: str = "application/yaml") -> bytes:
    """A request as it goes over the wire."""
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
    return f"{head}Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


async def _connection(
    port: int,
    requests: Sequence[bytes],
    take: Callable[[], int | None],
    replies: list[Reply],
    *,
    keep: bool,
    tls: ssl.SSLContext | None,
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20, ssl=tls)
    while (number := take()) is not None:
        which = number % len(requests)
        began = time.perf_counter()
        writer.write(requests[which])
        head = await reader.readuntil(b"\r\n\r\n")
        lowered = head.lower()
        length = int(lowered.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        body = await reader.readexactly(length)
        replies.append(Reply(which, int(head[9:12]), time.perf_counter() - began, body if keep else b""))
        if b"\r\nconnection: close" in lowered:
            writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20, ssl=tls)
    writer.close()


def load(
    port: int,
    requests: Sequence[bytes],
    count: int,
    concurrency: int,
    *,
    keep: bool = False,
    tls: ssl.SSLContext | None = None,
) -> list[Reply]:
    """`count` answers, the requests in turn, so many at a time. `keep`: the bodies too."""
    numbers = iter(range(count))
    replies: list[Reply] = []

    def take() -> int | None:
        return next(numbers, None)

    async def all_of_them() -> None:
        callers = (_connection(port, requests, take, replies, keep=keep, tls=tls) for _ in range(concurrency))
        await asyncio.gather(*callers)

    asyncio.run(all_of_them())
    return replies


def percentile(replies: Sequence[Reply], part: float) -> float:
    """Seconds within which that part (0.5, 0.99) of the answers came."""
    times = sorted(reply.seconds for reply in replies)
    return times[min(len(times) - 1, int(len(times) * part))]
