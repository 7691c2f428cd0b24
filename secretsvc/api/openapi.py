"""The OpenAPI document: bodies, answers and problems as FastAPI can't tell them by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi.openapi.utils import get_openapi

from secretsvc import __version__
from secretsvc.api.problems import MEDIA_TYPE, REFUSAL_KINDS, TITLES, names

if TYPE_CHECKING:
    from fastapi import FastAPI
    from pydantic import BaseModel

    from secretsvc.api.operations import Operation

CLEAR = """\
apiVersion: v1
kind: Secret
metadata:
  name: db
  namespace: prod
stringData:
  password: correct horse battery staple
"""
SEALED = """\
apiVersion: v1
kind: Secret
metadata:
  name: db
  namespace: prod
stringData:
  password: ksecret.v1.6yW1YWfI4xYJm0o9…
ksecret:
  version: 1
  sealedFor: prod/db
  created: "2026-11-23T08:00:00Z"
  keys:
    age:age1huqfk8az7qjvqg2nlfzjetlgpuefxjahpwecm8sgqd6ruth7u93q3dh5l9: YWdlLWVuY3J5cHRpb24…
  seal: 3q2-7w…
"""
_TEXT = {"schema": {"type": "string"}}
_BYTES = {"schema": {"type": "string", "format": "binary"}}

MANIFEST_ANSWER = {
    "description": "The manifest, in the media type of the request, byte for byte but for what was asked",
    "content": {
        "application/yaml": {**_TEXT, "example": SEALED},
        "application/json": {"schema": {}},
        "application/octet-stream": _BYTES,
    },
    "headers": {
        "Ksecret-Secrets": {"description": "How many Secrets it was about", "schema": {"type": "integer"}},
        "Ksecret-Unbound": {
            "description": "`true`: in kubesec's format or SOPS's, which bind nothing to a name",
            "schema": {"type": "string", "const": "true"},
        },
    },
}

PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "RFC 9457",
    "required": ["type", "title", "status", "detail", "requestId"],
    "additionalProperties": False,
    "properties": {
        "type": {"type": "string", "enum": sorted(f"/problems/{name}" for name in names())},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "hint": {"type": "string", "description": "What to do about it"},
        "line": {"type": "integer", "description": "Of the manifest, from 1"},
        "entry": {"type": "string"},
        "keyRef": {"type": "string"},
        "pointer": {"type": "string", "description": "To the member of a JSON body at fault, as in RFC 6901"},
        "requestId": {"type": "string"},
    },
}

_SAID = {
    **{kind.status: kind.title for kind in REFUSAL_KINDS},
    **TITLES,
    503: "A backend can't be reached, too much waits for it, or the audit line could not be written",
}


def answers(statuses: list[int], good: dict[str, Any] | None = None) -> dict[int | str, dict[str, Any]]:
    """Return the answers of a path: problems for these statuses, and the good one where FastAPI can't tell it."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    problems: dict[int | str, dict[str, Any]] = {
        status: {"description": _SAID[status], "content": content} for status in statuses
    }
    return {200: good, **problems} if good else problems


def described(operation: Operation, statuses: list[int], body: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return what FastAPI is told of an operation's route. `body`: what is sent, where that is no mere manifest."""
    good = MANIFEST_ANSWER if operation.gives_manifest else None
    return {"responses": answers(statuses, good), "openapi_extra": body or _manifest_body(operation)}


def _manifest_body(operation: Operation) -> dict[str, Any]:
    """Return the body of a manifest as it is."""
    what, example = ("sealed", SEALED) if operation.needs_sealed else ("clear", CLEAR)
    content = {
        "application/yaml": {**_TEXT, "example": example},
        "application/json": {"schema": {"type": "object"}},
        "application/octet-stream": _BYTES,
    }
    return {"requestBody": {"required": True, "description": f"A {what} manifest, or document", "content": content}}


def model_body(model: type[BaseModel], *, form: bool = False) -> dict[str, Any]:
    """Return a body of that model, as JSON; as a form too, with `member.KEY` parts for members that are mappings."""
    schema = model.model_json_schema(by_alias=True)
    content: dict[str, Any] = {"application/json": {"schema": schema}}
    if form:
        mappings = [name for name, one in schema["properties"].items() if one.get("type") == "object"]
        members: dict[str, Any] = {name: {"type": "string"} for name in schema["properties"] if name not in mappings}
        content["multipart/form-data"] = {
            "schema": {
                "type": "object",
                "required": schema.get("required", []),
                "properties": members,
                "patternProperties": {rf"^({'|'.join(mappings)})\.": {"type": "string", "format": "binary"}},
                "additionalProperties": False,
            }
        }
    return {"requestBody": {"required": True, "content": content}}


def document(app: FastAPI) -> dict[str, Any]:
    """Make the OpenAPI 3.1 document."""
    found = get_openapi(
        title="ksecret",
        version=__version__,
        description="Seals only the values of Kubernetes Secret manifests. Errors are RFC 9457 problems.",
        routes=app.routes,
    )
    schemas = found.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["Problem"] = PROBLEM
    for path, methods in found["paths"].items():
        for operation in methods.values():
            shown = operation["responses"].get("422", {}).get("content", {}).get("application/json")
            if shown:  # FastAPI's own, which we answer with 400
                del operation["responses"]["422"]
            if path.startswith("/v1/") or path in ("/metrics", "/openapi.json", "/docs"):
                operation["security"] = [{"bearer": []}]
    found["components"]["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "description": "A static token, or a JWT of a known issuer"}
    }
    return found
