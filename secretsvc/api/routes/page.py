"""The page for people without a command line (`page: true`): its files, which hold nothing and need no caller."""

from __future__ import annotations

from pathlib import PurePath

from fastapi import APIRouter, HTTPException, Request, Response

from secretsvc.api.page import FOLDER, HEADERS, HOME, POLICY, TYPES, files

router = APIRouter(include_in_schema=False)

_MARK = b'<html lang="en">'
_KNOWN = b'<html lang="en" data-caller="known">'


@router.head("/")
@router.get("/")
async def home(request: Request) -> Response:
    """The page itself. It asks nobody for a token whom a proxy knows, and has added theirs to this request, too."""
    data = files()[HOME]
    return _answer(request, HOME, data.replace(_MARK, _KNOWN, 1) if "authorization" in request.headers else data)


@router.head(f"{FOLDER}{{name}}")
@router.get(f"{FOLDER}{{name}}")
async def file(request: Request, name: str) -> Response:
    """A file that the page loads."""
    found = files().get(name)
    if found is None:
        raise HTTPException(404)
    return _answer(request, name, found)


def _answer(request: Request, name: str, data: bytes) -> Response:
    request.state.policy = POLICY
    return Response(data, media_type=TYPES[PurePath(name).suffix], headers=HEADERS)
