"""Manifest in, manifest out: encrypt, decrypt, rotate, set; and what is told of one: inspect, verify."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from starlette.responses import JSONResponse

from secretsvc import formats
from secretsvc.api.bodies import (
    FORM,
    JSON,
    YAML,
    SetBody,
    decoded,
    form_of,
    manifest_of,
    media_type,
    model_of,
)
from secretsvc.api.calls import Call
from secretsvc.api.documents import MANIFEST_ANSWER, answers, manifest_body, model_body
from secretsvc.api.problems import REQUEST, RefusedError
from secretsvc.keyref import MAX_LENGTH
from secretsvc.operations.patch import Changes

if TYPE_CHECKING:
    from secretsvc.api.app import Parts
    from secretsvc.operations.result import Result

router = APIRouter(tags=["manifests"])

KeyRefs = Annotated[list[Annotated[str, Query(max_length=MAX_LENGTH)]], Query(max_length=10)]
Scope = Literal["strict", "namespace", "any"]
if TYPE_CHECKING:
    Format = str
else:
    Format = Literal[formats.names()]
AllowRepeated = Annotated[
    bool, Query(alias="allowRepeated", description="Pass values that the manifest repeats in the clear")
]
_OPERATION = [400, 401, 403, 408, 409, 413, 415, 422, 429, 502, 503, 504]


def parts_of(request: Request) -> Parts:
    """What the application is made of."""
    parts: Parts = request.app.state.parts
    return parts


_LISTS = {"key", "add", "remove"}


def only(request: Request, *known: str) -> None:
    """Raises RefusedError for a parameter that is not known, or there twice and no list.

    A misspelt `key` must not seal to other keys, and a proxy that looks at `mode` must see the one that counts.
    """
    asked = request.query_params
    if not set(asked) <= set(known):
        raise RefusedError(REQUEST, "a parameter that is not known", hint=f"known: {', '.join(known) or 'none'}")
    for name in known:  # not those asked for, of which there may be thousands
        if name not in _LISTS and len(asked.getlist(name)) > 1:
            raise RefusedError(REQUEST, "a parameter that is there twice", hint="say it once")


def answer(result: Result, kind: str) -> Response:
    """A manifest as it is."""
    headers = {"ksecret-secrets": str(result.secrets), **({} if result.bound else {"ksecret-unbound": "true"})}
    return Response(result.data, media_type=kind, headers=headers)


async def _perform(request: Request, operation: str, **words: Any) -> Response:
    parts = parts_of(request)
    data, kind = await manifest_of(request, parts)
    call = Call(operation, data, **words)
    result = await parts.service.perform(request.state.asked, call)
    # What a file is sealed to now counts here; a result tells what it was.
    return answer(result._replace(bound=result.bound and formats.named(call.format).binds), kind)


@router.post("/v1/encrypt", responses=answers(_OPERATION, MANIFEST_ANSWER), openapi_extra=manifest_body("clear"))
async def encrypt(
    request: Request,
    key: KeyRefs = [],  # noqa: B006
    scope: Scope | None = None,
    format: Format | None = None,
    allow_repeated: AllowRepeated = False,
) -> Response:
    """Seals every Secret of the manifest; without `key`, to the keys that the service's key rules name."""
    only(request, "key", "scope", "format", "allowRepeated")
    words = {"keys": tuple(key), "scope": scope or "", "format": format or "", "allow_repeated": allow_repeated}
    return await _perform(request, "encrypt", **words)


@router.post("/v1/decrypt", responses=answers(_OPERATION, MANIFEST_ANSWER), openapi_extra=manifest_body("sealed"))
async def decrypt(request: Request) -> Response:
    """Opens every sealed Secret of the manifest: the bytes that were sealed."""
    only(request)
    return await _perform(request, "decrypt")


@router.post("/v1/rotate", responses=answers(_OPERATION, MANIFEST_ANSWER), openapi_extra=manifest_body("sealed"))
async def rotate(
    request: Request,
    mode: Literal["rotate", "rewrap"] = "rotate",
    add: KeyRefs = [],  # noqa: B006
    remove: KeyRefs = [],  # noqa: B006
) -> Response:
    """New data keys and tokens, or (`rewrap`) the same data keys wrapped anew. The clear text stays inside."""
    only(request, "mode", "add", "remove")
    return await _perform(request, "rotate", mode=mode, add=tuple(add), remove=tuple(remove))


@router.post("/v1/set", responses=answers(_OPERATION, MANIFEST_ANSWER), openapi_extra=model_body(SetBody, form=True))
async def set_values(request: Request) -> Response:
    """The manifest with new values sealed in. The other values stay inside, and are sealed anew where need be."""
    only(request)
    parts = parts_of(request)
    if media_type(request, (JSON, FORM)) == JSON:
        body = await model_of(request, SetBody, parts)
    else:
        body = await form_of(request, SetBody, parts)
    data = body.manifest.encode()
    changes = changes_of(body.values, body.base64_values, body.string_data)
    call = Call("set", data, changes=changes, secret=body.secret, allow_repeated=body.allow_repeated)
    result = await parts.service.perform(request.state.asked, call)
    return answer(result, JSON if data.lstrip()[:1] == b"{" else YAML)


def changes_of(values: dict[str, str | None], base64_values: dict[str, str], string_data: bool) -> Changes:
    """Raises RefusedError."""
    if not (values or base64_values):
        raise RefusedError(REQUEST, "values: none", hint='send {"manifest": …, "values": {"KEY": "TEXT"}}')
    if set(values) & set(base64_values):
        raise RefusedError(REQUEST, "base64Values: an entry that values has too")
    texts = {key: None if text is None else text.encode() for key, text in values.items()}
    return Changes(texts | {key: decoded(text, "base64Values") for key, text in base64_values.items()}, string_data)


@router.post(
    "/v1/inspect",
    response_model=dict[str, list[dict[str, Any]]],
    responses=answers(_OPERATION),
    openapi_extra=manifest_body("sealed"),
)
async def inspect(request: Request) -> JSONResponse:
    """What can be told without a key, of every Secret."""
    only(request)
    parts = parts_of(request)
    data, _ = await manifest_of(request, parts)
    found = await parts.service.describe(request.state.asked, Call("inspect", data))
    return JSONResponse({"secrets": [one.as_json() for one in found]})  # FastAPI's own way takes ten times as long


@router.post("/v1/verify", responses=answers(_OPERATION), openapi_extra=manifest_body("sealed"))
async def verify(request: Request) -> dict[str, int | bool]:
    """Opens and checks everything, and gives nothing of it out. What is not sound is a 409."""
    only(request)
    parts = parts_of(request)
    data, _ = await manifest_of(request, parts)
    result = await parts.service.perform(request.state.asked, Call("verify", data))
    return {"sealed": result.secrets, "bound": result.bound}
