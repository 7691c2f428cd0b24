"""What is left of requests: nothing that waits for the garbage collector, which would keep all others waiting."""

from __future__ import annotations

import asyncio
import gc
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pyrage
import pytest
from uvicorn.server import ServerState

from benchmarks.load import prepared
from secretsvc.api.app import application, parts
from secretsvc.api.server import _uvicorn
from secretsvc.api.settings import Config
from secretsvc.api.transport.connections import Port
from tests.e2e.cli import MANIFEST
from tests.service import EVERY, entry, rule, token

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = f"age:{pyrage.x25519.Identity.generate().to_public()}"
REQUESTS = {
    "health": (prepared("GET", "/livez", "", b""), 200),
    "a seal": (prepared("POST", f"/v1/encrypt?key={KEY}", token("root"), MANIFEST), 200),
    "a mistake": (prepared("POST", "/v1/decrypt", token("root"), MANIFEST), 400),
    "a batch": (
        prepared(
            "POST",
            "/v1/batch",
            token("root"),
            json.dumps({"op": "encrypt", "manifest": MANIFEST.decode(), "keys": [KEY]}).encode(),
            "application/jsonl",
        ),
        200,
    ),
    "an unknown token": (prepared("POST", "/v1/encrypt", token("nobody"), b""), 401),
}


@contextmanager
def garbage() -> Iterator[list[object]]:
    """What the collector finds from now on."""
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    yield gc.garbage
    gc.set_debug(0)
    gc.garbage.clear()
    gc.collect()


async def _left_by(request: bytes, status: int, config: Config) -> list[str]:
    """Types of what two such requests, on one connection that its client closes, left to be collected."""
    settings = _uvicorn(config, application(config, parts(config)), Port())
    settings.load()
    state = ServerState()
    listening = await asyncio.get_running_loop().create_server(
        lambda: settings.http_protocol_class(config=settings, server_state=state, app_state={}), "127.0.0.1"
    )
    with garbage() as found:
        reader, writer = await asyncio.open_connection(*listening.sockets[0].getsockname())
        for _ in range(2):
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            assert int(head[9:12]) == status
            if b"content-length: " in head:
                await reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
            else:
                await reader.readuntil(b"0\r\n\r\n")
        writer.close()
        while state.connections or state.tasks:
            await asyncio.sleep(0.01)
        gc.collect()
        packages = ("secretsvc", "uvicorn", "fastapi", "starlette")
        types = [type(one) for one in found if type(one).__module__.partition(".")[0] in packages]
    listening.close()
    return [one.__qualname__ for one in types]


@pytest.mark.parametrize("kind", REQUESTS)
def test_a_request_and_its_connection_leave_nothing_to_collect(tmp_path: Path, kind: str) -> None:
    config = Config.model_validate(
        {
            "version": 1,
            "tokens": [entry("root")],
            "rules": [rule("root", *EVERY)],
            "audit": {"file": str(tmp_path / "audit.jsonl")},
        }
    )
    assert asyncio.run(_left_by(*REQUESTS[kind], config)) == []
