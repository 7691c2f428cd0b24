"""New Secrets, sealed before anybody sees them."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request, Response

from secretsvc.api.bodies import JSON, YAML
from secretsvc.api.generate import SecretKind, generated
from secretsvc.api.models import GenerateBody
from secretsvc.api.openapi import described, model_body
from secretsvc.api.operations import GENERATE, Call
from secretsvc.api.requests import AllowRepeated, KeyRefs, Scope, answer, only, parts_of, warn
from secretsvc.generators.manifest import to_json, to_yaml

router = APIRouter(tags=["manifests"])

_STATUSES = [400, 401, 403, 404, 408, 413, 415, 429, 502, 503, 504]


@router.post("/v1/generate/{kind}", **described(GENERATE, _STATUSES, model_body(GenerateBody, form=True)))
async def generate(
    request: Request,
    kind: SecretKind,
    *,
    key: KeyRefs = [],  # noqa: B006
    scope: Scope | None = None,
    output: Literal["yaml", "json"] = "yaml",
    allow_repeated: AllowRepeated = False,
) -> Response:
    """A new Secret of that kind, sealed; values that are `random` nobody ever sees.

    What Kubernetes will not like about it stands in `Warning` headers, as Kubernetes' own API has it.
    """
    only(request, *GENERATE.parameters)
    parts = parts_of(request)
    body = await parts.bodies.members(request, GenerateBody)
    warnings: list[str] = []

    def work() -> bytes:
        secret = generated(kind, body, warnings.append)
        return to_json(secret) if output == "json" else to_yaml(secret)

    data = await parts.readers.run(body.work, work)
    call = Call(GENERATE, data, keys=tuple(key), scope=scope or "", allow_repeated=allow_repeated)
    response = answer(await parts.service.perform(request.state.asked, call), JSON if output == "json" else YAML)
    for text in warnings:
        warn(response, text)
    return response
