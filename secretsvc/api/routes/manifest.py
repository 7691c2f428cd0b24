"""Operations on a manifest: encrypt, decrypt, rotate, set give one back; inspect and verify tell of it."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from starlette.responses import JSONResponse

from secretsvc import formats
from secretsvc.api.bodies import BYTES, JSON, YAML
from secretsvc.api.models import SetBody, changes_of
from secretsvc.api.openapi import described, model_body
from secretsvc.api.operations import DECRYPT, ENCRYPT, INSPECT, ROTATE, SET, VERIFY, Call, Operation
from secretsvc.api.requests import (
    AllowRepeated,
    Format,
    GroupNumber,
    KeyGroupTexts,
    KeyRefs,
    Kind,
    MacOnlyEncrypted,
    Scope,
    Selection,
    Threshold,
    answer,
    only,
    parts_of,
    verdict,
    warn,
)
from secretsvc.document.kinds import TEXTS_ONLY

router = APIRouter(tags=["manifests"])

_MOST_LINES = 20
"""In one warning."""
_STATUSES = [400, 401, 403, 408, 409, 413, 415, 422, 429, 502, 503, 504]


async def _call(request: Request, operation: Operation, kind: Kind | None, **words: Any) -> tuple[Call, str]:
    """Return what the request asks for, and its media type."""
    only(request, *operation.parameters)
    data, media, meant = await parts_of(request).bodies.manifest(request, kind or "")
    return Call(operation, data, kind=meant, **words), media


async def _perform(request: Request, operation: Operation, kind: Kind | None, **words: Any) -> Response:
    call, media = await _call(request, operation, kind, **words)
    result = await parts_of(request).service.perform(request.state.asked, call)
    # What a file is sealed to now counts here; a result tells what it was.
    response = answer(result._replace(bound=result.bound and formats.named(call.format).binds), media)
    if result.notes and operation is ENCRYPT:  # told without names of values, which may hold anything
        lines = ", ".join(str(line) for line, _ in result.notes[:_MOST_LINES])
        warn(response, f"what is at line {lines} will come back spelled otherwise, with the same value")
    return response


@router.post("/v1/encrypt", **described(ENCRYPT, _STATUSES))
async def encrypt(
    request: Request,
    *,
    kind: Kind | None = None,
    key: KeyRefs = [],  # noqa: B006
    groups: KeyGroupTexts = [],  # noqa: B006
    threshold: Threshold = 0,
    scope: Scope | None = None,
    format: Format | None = None,
    selection: Selection,
    mac_only_encrypted: MacOnlyEncrypted = False,
    allow_repeated: AllowRepeated = False,
) -> Response:
    """Seals every Secret of the manifest, or with `format=sops` a document of any kind.

    Without `key` and `groups`, to the keys that the service's key rules name.
    """
    words = {
        "keys": tuple(key),
        "groups": tuple(groups),
        "threshold": threshold,
        "scope": scope or "",
        "format": format or "",
        "selection": selection,
        "mac_only_encrypted": mac_only_encrypted,
        "allow_repeated": allow_repeated,
    }
    return await _perform(request, ENCRYPT, kind, **words)


@router.post("/v1/decrypt", **described(DECRYPT, _STATUSES))
async def decrypt(request: Request, kind: Kind | None = None) -> Response:
    """Opens every sealed Secret of the manifest: the bytes that were sealed."""
    return await _perform(request, DECRYPT, kind)


@router.post("/v1/rotate", **described(ROTATE, _STATUSES))
async def rotate(
    request: Request,
    *,
    kind: Kind | None = None,
    mode: Literal["rotate", "rewrap"] = "rotate",
    add: KeyRefs = [],  # noqa: B006
    remove: KeyRefs = [],  # noqa: B006
    group: GroupNumber = 0,
) -> Response:
    """New data keys and tokens, or (`rewrap`) the same data keys wrapped anew. The clear text stays inside."""
    return await _perform(request, ROTATE, kind, mode=mode, add=tuple(add), remove=tuple(remove), group=group)


@router.post("/v1/set", **described(SET, _STATUSES, model_body(SetBody, form=True)))
async def set_values(request: Request) -> Response:
    """The manifest with new values sealed in. The other values stay inside, and are sealed anew where need be."""
    only(request)
    parts = parts_of(request)
    body = await parts.bodies.members(request, SetBody)
    data = body.manifest.encode()
    changes = changes_of(body)
    call = Call(SET, data, kind=body.kind, changes=changes, secret=body.secret, allow_repeated=body.allow_repeated)
    result = await parts.service.perform(request.state.asked, call)
    looks = JSON if data.lstrip()[:1] == b"{" else YAML
    return answer(result, BYTES if body.kind in TEXTS_ONLY else looks)


@router.post("/v1/inspect", response_model=dict[str, list[dict[str, Any]]], **described(INSPECT, _STATUSES))
async def inspect(request: Request, kind: Kind | None = None) -> JSONResponse:
    """Tell what can be told without a key, of every Secret."""
    call, _ = await _call(request, INSPECT, kind)
    found = await parts_of(request).service.describe(request.state.asked, call)
    return JSONResponse({"secrets": [one.as_json() for one in found]})  # FastAPI's own way takes ten times as long


@router.post("/v1/verify", **described(VERIFY, _STATUSES))
async def verify(request: Request, kind: Kind | None = None) -> dict[str, int | bool]:
    """Opens and checks everything, and gives nothing of it out. What is not sound is a 409."""
    call, _ = await _call(request, VERIFY, kind)
    return verdict(await parts_of(request).service.perform(request.state.asked, call))
