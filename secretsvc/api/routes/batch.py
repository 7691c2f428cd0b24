"""Batches: many operations in one request, JSON lines in, JSON lines out, in order, each with a fate of its own."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from starlette.responses import StreamingResponse

from secretsvc.api.bodies import LINES, media_type
from secretsvc.api.models import BatchLine, parsed
from secretsvc.api.openapi import answers
from secretsvc.api.problems import REQUEST, TOO_LARGE, RefusedError, problem_of
from secretsvc.api.refusals import log_failure
from secretsvc.api.requests import only, parts_of, verdict

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from secretsvc.api.operations import Call
    from secretsvc.api.parts import Parts
    from secretsvc.api.service import Asked

router = APIRouter(tags=["batch"])

_AT_A_TIME = 8
_STATUSES = [400, 401, 403, 408, 413, 415, 429, 503]
_LINES = {"schema": {"type": "string"}}
_BODY = {
    "requestBody": {
        "required": True,
        "description": "A JSON object a line: op, manifest, and the operation's own members (BatchLine)",
        "content": {
            "application/jsonl": {
                **_LINES,
                "example": '{"op": "verify", "id": "a.yaml", "manifest": "apiVersion: v1…"}\n',
            },
            "application/x-ndjson": _LINES,
        },
    }
}
_ANSWER = {
    "description": "A JSON object a line, in the order of the request: index, id, status, and manifest, secrets, "
    "sealed and bound, or problem",
    "content": {"application/jsonl": _LINES},
}


@router.post("/v1/batch", responses=answers(_STATUSES, _ANSWER), openapi_extra=_BODY)
async def batch(request: Request) -> StreamingResponse:
    """Each line is an operation with rights, rate and audit lines of its own; one that fails fails alone."""
    only(request)
    parts = parts_of(request)
    media_type(request, LINES)
    data = await parts.bodies.whole(request, parts.limits.batch_bytes)
    lines = await parts.readers.run(len(data), lambda: _split(data, parts.limits.batch_lines))
    parts.places.take(request.scope["state"], max(0, min(len(lines), _AT_A_TIME) - 1))
    return StreamingResponse(_results(parts, request.state.asked, lines), media_type="application/jsonl")


def _split(data: bytes, most: int) -> list[bytes]:
    """Return the lines that are not blank. Raises RefusedError."""
    lines = data.split(b"\n", most)  # not more: a list of millions of line breaks takes more memory than the body
    if len(lines) > most and lines.pop().strip():
        raise RefusedError(TOO_LARGE, f"more than {most} lines")
    return [line for line in lines if line.strip()]


async def _results(parts: Parts, asked: Asked, lines: list[bytes]) -> AsyncIterator[bytes]:
    running: deque[asyncio.Task[bytes]] = deque()
    left = iter(enumerate(lines))
    try:
        while True:
            for index, line in left:
                one = asked._replace(request_id=f"{asked.request_id}.{index}")
                running.append(asyncio.create_task(_result(parts, one, index, line)))
                if len(running) >= _AT_A_TIME:
                    break
            if not running:
                return
            yield await running[0]
            running.popleft()
    finally:
        for task in running:  # nobody reads on
            task.cancel()


async def _result(parts: Parts, asked: Asked, index: int, line: bytes) -> bytes:
    answer: dict[str, Any] = {"index": index}
    try:
        if len(line) > parts.limits.body_bytes:
            raise RefusedError(TOO_LARGE, f"the line is larger than {parts.limits.body_bytes} bytes")
        if index:  # the request itself counts as its first line
            parts.rates.take(asked.caller.id)
        body = await parts.readers.run(len(line), lambda: parsed(BatchLine, line))
        if body.id:
            answer["id"] = body.id
        answer |= {"status": 200, **await _performed(parts, asked, body.call())}
    except Exception as error:  # whatever it is, it is this line's alone
        problem = problem_of(error)
        if problem.status == 500:
            log_failure(error, asked.request_id)
        answer |= {"status": problem.status, "problem": problem.members(asked.request_id)}
    return await parts.readers.run(len(line), lambda: json.dumps(answer).encode() + b"\n")


async def _performed(parts: Parts, asked: Asked, call: Call) -> dict[str, Any]:
    """Return the members of a line's answer that tell what came of it."""
    if not call.operation.uses_keys:
        return {"secrets": [one.as_json() for one in await parts.service.describe(asked, call)]}
    result = await parts.service.perform(asked, call)
    if not call.operation.gives_manifest:
        return verdict(result)
    try:
        return {"manifest": result.data.decode()}
    except UnicodeDecodeError:
        what = "what comes of it is no text"
        raise RefusedError(REQUEST, what, hint=f"send it by itself: POST /v1/{call.operation.name}") from None
