"""Paths by which machines and people ask about the service itself."""

from __future__ import annotations

from html import escape
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool

from secretsvc.api.metrics import MEDIA_TYPE
from secretsvc.api.openapi import answers
from secretsvc.api.requests import only, parts_of

router = APIRouter(tags=["service"])

_TEXT: dict[str, Any] = {"schema": {"type": "string"}}
_STATE = {"application/json": {"schema": {"type": "object", "required": ["status"]}}}


@router.head("/livez", include_in_schema=False)  # as some load balancers ask
@router.head("/healthz", include_in_schema=False)
@router.get("/livez", operation_id="livez")
@router.get("/healthz", operation_id="healthz")
async def livez() -> dict[str, str]:
    """The process answers."""
    return {"status": "alive"}


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz", responses={503: {"description": "Not ready", "content": _STATE}}, operation_id="readyz")
async def readyz(request: Request, response: Response) -> dict[str, Any]:
    """Tell whether requests should be sent here."""
    ready, state = await parts_of(request).health.state()
    response.status_code = 200 if ready else 503
    return state


@router.get(
    "/metrics",
    response_class=Response,
    responses=answers([401, 429, 503], {"description": "Prometheus' text format", "content": {"text/plain": _TEXT}}),
)
async def metrics(request: Request) -> Response:
    """Counters and times; no label names a Secret, a namespace, a key or a caller."""
    return Response(await run_in_threadpool(parts_of(request).metrics.text), headers={"content-type": MEDIA_TYPE})


@router.get("/v1/keys", responses=answers([400, 401, 429, 503]))
async def keys(request: Request) -> dict[str, list[str]]:
    """The KeyRefs that the caller may seal to."""
    only(request)
    return {"keys": parts_of(request).planner.keys(request.state.asked.caller)}


@router.get("/v1/whoami", responses=answers([400, 401, 429, 503]))
async def whoami(request: Request) -> dict[str, Any]:
    """Who the caller is taken for, and what the rules that are about them allow."""
    only(request)
    caller = request.state.asked.caller
    return {"caller": caller.as_json(), "rights": parts_of(request).planner.rights(caller)}


@router.get("/openapi.json", responses=answers([401, 429, 503]))
async def openapi(request: Request) -> dict[str, Any]:
    """This document."""
    app: FastAPI = request.app
    return app.openapi()


@router.get(
    "/docs",
    response_class=Response,
    responses=answers([401, 429, 503], {"description": "For people", "content": {"text/html": _TEXT}}),
)
async def docs(request: Request) -> Response:
    """The paths, for people: one page without scripts, that loads nothing from anywhere."""
    return Response(_page(request.app.openapi()), media_type="text/html")


def _page(document: dict[str, Any]) -> str:
    rows = [
        f"<h2><code>{method.upper()} {escape(path)}</code></h2><p>{escape(operation.get('description', ''))}</p>"
        f"<ul>{''.join(_parameter(one) for one in operation.get('parameters', []))}</ul>"
        f"<p>Answers: {', '.join(sorted(operation['responses']))}</p>"
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    style = "body{font:16px sans-serif;max-width:50em;margin:2em auto;padding:0 1em}"
    head = f"<!doctype html><html lang=en><meta charset=utf-8><title>ksecret</title><style>{style}</style>"
    return f"{head}<h1>ksecret {escape(document['info']['version'])}</h1>{''.join(rows)}"


def _parameter(one: dict[str, Any]) -> str:
    needed = "" if one.get("required") else " (optional)"
    return f"<li><code>{escape(one['name'])}</code> in {escape(one['in'])}{needed}</li>"
