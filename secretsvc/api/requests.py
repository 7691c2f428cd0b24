"""Helpers that routes share: the types of parameters, which of them may be there, and the answer of a manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import Query
from starlette.responses import Response

from secretsvc import formats
from secretsvc.api.problems import REQUEST, RefusedError
from secretsvc.document.kinds import KINDS
from secretsvc.keyref import MAX_LENGTH

if TYPE_CHECKING:
    from starlette.requests import Request

    from secretsvc.api.parts import Parts
    from secretsvc.operations import Result

KeyRefs = Annotated[list[Annotated[str, Query(max_length=MAX_LENGTH)]], Query(max_length=10)]
Scope = Literal["strict", "namespace", "any"]
if TYPE_CHECKING:
    Format = str
    Kind = str
else:
    Format = Literal[formats.names()]
    Kind = Literal[KINDS]
AllowRepeated = Annotated[
    bool, Query(alias="allowRepeated", description="Pass values that the manifest repeats in the clear")
]
_LISTS = {"key", "add", "remove"}
"""Parameters that may come more than once."""


def parts_of(request: Request) -> Parts:
    """Return what the application is made of."""
    parts: Parts = request.app.state.parts
    return parts


def only(request: Request, *known: str) -> None:
    """Refuse a parameter that is not known, or is there twice and no list. Raises RefusedError (400).

    A misspelt `key` must not seal to other keys, and a proxy that looks at `mode` must see the one that counts.
    """
    asked = request.query_params
    if not set(asked) <= set(known):
        raise RefusedError(REQUEST, "a parameter that is not known", hint=f"known: {', '.join(known) or 'none'}")
    for name in known:  # not those asked for, of which there may be thousands
        if name not in _LISTS and len(asked.getlist(name)) > 1:
            raise RefusedError(REQUEST, "a parameter that is there twice", hint="say it once")


def answer(result: Result, kind: str) -> Response:
    """Return an operation's manifest as it is, in that media type."""
    headers = {"ksecret-secrets": str(result.secrets)}
    if not result.bound:
        headers["ksecret-unbound"] = "true"
    return Response(result.data, media_type=kind, headers=headers)


def verdict(result: Result) -> dict[str, int | bool]:
    """Return what is told of a manifest that was opened and found sound."""
    return {"sealed": result.secrets, "bound": result.bound}
