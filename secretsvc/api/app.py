"""Composition of the service: its parts, its paths, and how errors become answers. Nothing is made at import."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from secretsvc import __version__
from secretsvc.api import openapi, page
from secretsvc.api.audit.log import open_log
from secretsvc.api.auth.authenticator import Authenticator
from secretsvc.api.auth.jwt import Issuers
from secretsvc.api.authorisation import AccessRules
from secretsvc.api.bodies import Bodies
from secretsvc.api.generate import SECRET_KINDS
from secretsvc.api.health import Health
from secretsvc.api.homes import Homes
from secretsvc.api.limits import BodyRoom, Rates, RequestRoom
from secretsvc.api.metrics import Metrics
from secretsvc.api.middleware import HEALTH, Middleware
from secretsvc.api.parts import Parts
from secretsvc.api.plans import Planner
from secretsvc.api.pools import Pools
from secretsvc.api.problems import MEDIA_TYPE, METHOD, NOT_FOUND, REQUEST, RefusedError, problem_of
from secretsvc.api.readers import Readers
from secretsvc.api.routes import batch, generate, manifest, status
from secretsvc.api.routes import page as routes_page
from secretsvc.api.service import Service
from secretsvc.api.transport.draining import Draining
from secretsvc.backends import find
from secretsvc.backends.base import Settings
from secretsvc.backends.registry import Backends
from secretsvc.errors import FileError, InputError, KsecretError
from secretsvc.policy import reader as policy_reader

if TYPE_CHECKING:
    from starlette.requests import Request

    from secretsvc.api.settings import Config

_OPEN = {"metrics": "/metrics", "docs": "/docs"}


def parts(config: Config) -> Parts:
    """Make everything; nothing is started, no network touched.

    Raises KsecretError for files that it names and that can't be used.
    """
    key_rules = _key_rules(config.key_rules)
    signed = bool(key_rules and key_rules.require_signature)
    settings = Settings(os.environ, _passphrase, require_signature=signed, named_only=True)  # rules name keys
    metrics, draining = Metrics(), Draining()
    audit = open_log(config.audit, metrics.audit_failures.inc)
    planner = Planner(
        AccessRules(config.rules), key_rules.rules if key_rules else (), Backends(settings), config.limits.documents
    )
    homes = Homes(map(str, planner.ruled()))
    pools = Pools(settings, config.limits, metrics, homes)
    readers = Readers(config.limits.operation_seconds)
    room, places = BodyRoom(config.limits.bodies_bytes), RequestRoom(config.limits.requests, pools.elsewhere)
    return Parts(
        limits=config.limits,
        planner=planner,
        service=Service(planner, pools, readers, audit, metrics, nodes=config.limits.nodes),
        health=Health(pools, homes, audit, draining, planner.ruled()),
        metrics=metrics,
        rates=Rates(config.limits.requests_per_second, config.limits.burst),
        room=room,
        places=places,
        readers=readers,
        bodies=Bodies(room, places, readers, config.limits),
        authenticator=Authenticator(config.tokens, Issuers(config.issuers)),
        draining=draining,
        audit=audit,
    )


def application(config: Config, made: Parts) -> Middleware:
    """Make the ASGI application of these parts."""
    app = FastAPI(title="ksecret", version=__version__, openapi_url=None, docs_url=None, redoc_url=None)
    app.router.redirect_slashes = False  # behind a proxy that would send a body on to http://
    app.state.parts = made
    shown = [routes_page.router] if config.page else []
    for router in (manifest.router, generate.router, batch.router, status.router, *shown):
        app.include_router(router)
    document: dict[str, Any] = {}
    app.openapi = lambda: document or (document.update(openapi.document(app)) or document)  # type: ignore[method-assign]
    for kind in (KsecretError, RefusedError, HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, _answered)
    paths = {path for path in app.openapi()["paths"] if "{" not in path} | {
        f"/v1/generate/{kind}" for kind in SECRET_KINDS
    }
    needless = {*HEALTH, *(_OPEN[name] for name in config.without_caller)}
    if "docs" in config.without_caller:
        needless.add("/openapi.json")
    if config.page:
        paths |= page.paths()
        needless |= page.paths()
    return Middleware(app, made, paths, needless)


async def _answered(request: Request, error: Exception) -> Response:
    """Answer an error: the one place where errors become answers."""
    problem = problem_of(_refusal(error))
    body = problem.encoded(request.state.request_id)
    return Response(body, problem.status, dict(problem.headers), MEDIA_TYPE)


def _refusal(error: Exception) -> Exception:
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        name = str(first["loc"][1]) if len(first["loc"]) > 1 and first["loc"][0] in ("query", "path") else ""
        if first["loc"][:2] == ("path", "kind"):
            return RefusedError(NOT_FOUND, "no such kind of Secret", hint=f"there are {', '.join(SECRET_KINDS)}")
        return RefusedError(REQUEST, f"{name}: {first['msg']}", hint="GET /openapi.json has the schema")
    if isinstance(error, HTTPException):
        kind = {404: NOT_FOUND, 405: METHOD}.get(error.status_code, REQUEST)
        return RefusedError(kind, kind.title, headers=error.headers or {})
    return error


def _passphrase(what: str) -> bytes | None:
    """Out of the environment: nobody is there to be asked. None leaves PGP keys to gpg's agent."""
    scheme = find(what.partition(" ")[0])
    text = os.environ.get(scheme.passphrase) if scheme else None
    return os.fsencode(text) if text else None


def _key_rules(path: str) -> policy_reader.Content | None:
    """Raises FileError and InputError."""
    if not path:
        return None
    try:
        with open(path, "rb") as stream:
            content = policy_reader.read(stream.read(policy_reader.MAX_BYTES + 1), path)
    except OSError as error:
        raise FileError(f"can't be read: {error.strerror}", file=path) from error
    if content.principals:
        raise InputError(
            "a key with a profile or a role, and the service knows none",
            hint="give the service's own role the right to use it",
            file=path,
            key_ref=next(iter(content.principals)),
        )
    for rule in content.rules:
        if rule.path:
            hint = "say namespace: and name:"
            raise InputError("a rule with a path, and the service knows none", hint=hint, file=path, line=rule.line)
    return content
