"""What comes all at once is begun in parts, and who asks after the service's health meanwhile is answered."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import pytest
import uvloop
from uvicorn.server import ServerState

from benchmarks.load import prepared
from secretsvc.api.app import application, parts
from secretsvc.api.server import _uvicorn
from secretsvc.api.settings import Config
from secretsvc.api.transport.connections import Port
from secretsvc.api.transport.turns import Turns
from tests.e2e.cli import MANIFEST
from tests.service import EVERY, entry, rule, token

if TYPE_CHECKING:
    from pathlib import Path

CROWD = 200
LIVE = prepared("GET", "/livez", "", b"")


def test_each_step_is_done_once_and_in_order_so_many_in_a_turn() -> None:
    async def done() -> list[list[int]]:
        turns, found = Turns(3), [[]]
        for number in range(10):
            if turns.take(lambda number=number: found[-1].append(number)):
                found[-1].append(number)
        while sum(map(len, found)) < 10:
            found.append([])
            await asyncio.sleep(0)
        return [part for part in found if part]

    assert uvloop.run(done()) == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9]]


@pytest.mark.parametrize("caller", ["nobody", "root"])
def test_a_probe_is_answered_while_some_of_what_came_with_it_waits(tmp_path: Path, caller: str) -> None:
    tree = {"version": 1, "tokens": [entry("root")], "rules": [rule("root", *EVERY)], "limits": {"requests": CROWD}}
    config = Config.model_validate({**tree, "audit": {"file": str(tmp_path / "audit.jsonl")}})
    made, state = parts(config), ServerState()
    settings = _uvicorn(config, application(config, made), Port())
    settings.load()
    served, begun = settings.loaded_app, []

    async def watched(scope: Any, receive: Any, send: Any) -> None:
        """Notes how many others have begun when a probe is answered."""
        if scope["path"] == "/livez":
            refused = re.findall(rb"^ksecret_auth_failures_total{.*} (\d+)", made.metrics.text(), re.MULTILINE)
            begun.append(len(state.tasks) + sum(map(int, refused)))
        await served(scope, receive, send)

    settings.loaded_app = watched

    async def all_at_once() -> None:
        listening = await asyncio.get_running_loop().create_server(
            lambda: settings.http_protocol_class(config=settings, server_state=state, app_state={}), "127.0.0.1"
        )
        address = listening.sockets[0].getsockname()
        (reader, probe), *others = [await asyncio.open_connection(*address) for _ in range(CROWD + 1)]
        probe.write(LIVE)  # from now on it is known
        await reader.readuntil(b"}")
        probe.write(LIVE)
        for _, writer in others:
            writer.write(prepared("POST", "/v1/decrypt", token(caller), MANIFEST))
        assert b" 200 " in await reader.readuntil(b"}")
        for other, writer in others:
            assert (b" 401 " if caller == "nobody" else b" 400 ") in await other.readuntil(b"\r\n")
            writer.close()
        probe.close()
        listening.close()
        while state.connections or state.tasks:
            await asyncio.sleep(0.01)

    uvloop.run(all_at_once())
    assert begun[1] < CROWD / 2
