"""Helpers that routes share: the types of parameters, which of them may be there, and the answer of a manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import Depends, Query
from pydantic.alias_generators import to_camel
from starlette.responses import Response

from secretsvc import formats
from secretsvc.api.models import selection_of
from secretsvc.api.problems import REQUEST, RefusedError
from secretsvc.document.kinds import KINDS
from secretsvc.formats.sops.selection import RULES
from secretsvc.go_regexp import MOST_CHARACTERS
from secretsvc.keyref import LONGEST, MOST_GROUPS, MOST_IN_GROUP
from secretsvc.operations.inspect import OF_DOCUMENTS

if TYPE_CHECKING:
    from starlette.requests import Request

    from secretsvc.api.parts import Parts
    from secretsvc.operations import Result

KeyRefs = Annotated[list[Annotated[str, Query(max_length=LONGEST)]], Query(max_length=10)]
KeyGroupTexts = Annotated[
    list[Annotated[str, Query(max_length=MOST_IN_GROUP, description="A group of keys: KeyRefs, parted by commas")]],
    Query(max_length=MOST_GROUPS),
]
Threshold = Annotated[int, Query(ge=0, le=MOST_GROUPS, description="How many groups are needed; 0: all")]
GroupNumber = Annotated[int, Query(ge=0, le=MOST_GROUPS, description="Of the keys to add and to remove, from 1")]
Scope = Literal["strict", "namespace", "any"]
if TYPE_CHECKING:
    Format = str
    Kind = str
else:
    Format = Literal[*formats.names(), OF_DOCUMENTS]
    Kind = Literal[KINDS]
AllowRepeated = Annotated[
    bool, Query(alias="allowRepeated", description="Pass values that the manifest repeats in the clear")
]
MacOnlyEncrypted = Annotated[
    bool, Query(alias="macOnlyEncrypted", description="format=sops: a MAC over sealed values only")
]
_LISTS = {"key", "groups", "add", "remove"}
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


def _rule(name: str) -> Any:
    """Return what is told of a parameter that says what of a document is sealed, as SOPS's metadata name it."""
    return Query(alias=to_camel(name), max_length=MOST_CHARACTERS, description="format=sops: SOPS's rule of that name")


async def selection(
    *,
    encrypted_regex: Annotated[str, _rule("encrypted_regex")] = "",
    unencrypted_regex: Annotated[str, _rule("unencrypted_regex")] = "",
    encrypted_suffix: Annotated[str, _rule("encrypted_suffix")] = "",
    unencrypted_suffix: Annotated[str, _rule("unencrypted_suffix")] = "",
    encrypted_comment_regex: Annotated[str, _rule("encrypted_comment_regex")] = "",
    unencrypted_comment_regex: Annotated[str, _rule("unencrypted_comment_regex")] = "",
) -> tuple[str, str] | None:
    """Return the one of SOPS's rules that a query states, and its text. Raises RefusedError (400) for several."""
    return selection_of(
        dict(
            zip(
                RULES,
                (
                    unencrypted_suffix,
                    encrypted_suffix,
                    unencrypted_regex,
                    encrypted_regex,
                    unencrypted_comment_regex,
                    encrypted_comment_regex,
                ),
                strict=True,
            )
        )
    )


Selection = Annotated[tuple[str, str] | None, Depends(selection)]


def answer(result: Result, kind: str) -> Response:
    """Return an operation's manifest as it is, in that media type."""
    headers = {"ksecret-secrets": str(result.secrets)}
    if not result.bound:
        headers["ksecret-unbound"] = "true"
    return Response(result.data, media_type=kind, headers=headers)


def warn(response: Response, text: str) -> None:
    """Add a Warning header (RFC 7234, section 5.5), with the code for what is no matter of caching."""
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    response.headers.append("warning", f'299 - "{quoted}"')


def verdict(result: Result) -> dict[str, int | bool]:
    """Return what is told of a manifest that was opened and found sound."""
    return {"sealed": result.secrets, "bound": result.bound}
