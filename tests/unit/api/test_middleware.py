"""What a mistake of ours looks like: a problem with nothing in it, and a log with the place."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Any

from secretsvc.api.app import application, parts
from secretsvc.api.settings import Config
from tests.service import EVERY, entry, rule, token

if TYPE_CHECKING:
    import pytest

SECRET = "n0t-public"


def test_a_mistake_of_ours_is_a_problem_that_tells_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tree = {"version": 1, "tokens": [entry("root")], "rules": [rule("root", *EVERY)], "audit": {"stdout": True}}
    config = Config.model_validate(tree)
    made = parts(config)

    def broken(_caller: object) -> list[str]:
        raise ValueError(SECRET)

    monkeypatch.setattr(made.planner, "keys", broken)
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/v1/keys",
        "raw_path": b"/v1/keys",
        "query_string": b"",
        "headers": [(b"authorization", f"Bearer {token('root')}".encode())],
    }
    with caplog.at_level(logging.INFO):
        asyncio.run(application(config, made)(scope, receive, send))
    assert sent[0]["status"] == 500
    problem = json.loads(b"".join(message.get("body", b"") for message in sent))
    assert problem["type"] == "/problems/internal"
    assert problem["requestId"] in caplog.text
    assert "ValueError at broken (" in caplog.text
    assert SECRET not in caplog.text + json.dumps(problem)
    assert token("root") not in caplog.text
