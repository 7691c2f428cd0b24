"""An API server that takes `kubectl apply --server-side` of Secrets and ConfigMaps, and keeps what it was sent."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from tests.integration.fake_apiserver import ApiServer, Knowing, documents

if TYPE_CHECKING:
    from collections.abc import Iterator


class Patch(NamedTuple):
    """One PATCH: its path, query, content type and body."""

    path: str
    query: dict[str, list[str]]
    type: str
    body: bytes


class Server(NamedTuple):
    """Where it listens, and what came in: `METHOD path` of every request, and each PATCH."""

    url: str
    requests: list[str]
    patches: list[Patch]


_KIND = [{"group": "", "version": "v1", "kind": "Secret"}, {"group": "", "version": "v1", "kind": "ConfigMap"}]


def _openapi_v3() -> dict[str, Any]:
    """What tells kubectl 1.28 and later that the server itself refuses unknown fields (`fieldValidation`)."""
    parameter = {"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}
    patches = {
        f"/api/v1/namespaces/{{namespace}}/{kind['kind'].lower()}s/{{name}}": {
            "patch": {"parameters": [parameter], "x-kubernetes-group-version-kind": kind, "responses": {}}
        }
        for kind in _KIND
    }
    return {"openapi": "3.0.0", "info": {"title": "t", "version": "1"}, "paths": patches, "components": {"schemas": {}}}


@contextmanager
def serving() -> Iterator[Server]:
    """A server on this machine, for as long as the block runs."""
    answers: dict[str, Any] = documents({("v1", "Secret"), ("v1", "ConfigMap")})
    answers["/openapi/v3"] = {"paths": {"api/v1": {"serverRelativeURL": "/openapi/v3/api/v1"}}}
    answers["/openapi/v3/api/v1"] = _openapi_v3()
    requests: list[str] = []
    patches: list[Patch] = []

    class Taking(Knowing):
        def do_GET(self) -> None:
            requests.append(f"GET {self.path}")
            super().do_GET()

        def do_PATCH(self) -> None:
            requests.append(f"PATCH {self.path}")
            parts = urlsplit(self.path)
            body = self.asked()
            patches.append(Patch(parts.path, parse_qs(parts.query), self.headers["Content-Type"], body))
            applied = json.loads(body)
            applied["metadata"] |= {"uid": "1", "resourceVersion": "1"}
            self.answer(200, applied)

    with ApiServer(answers, Taking) as running:
        yield Server(running.url, requests, patches)
