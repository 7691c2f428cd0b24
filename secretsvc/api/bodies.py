"""Reading the bodies of requests within their bounds; none of them ever touches the disk."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel
from python_multipart.multipart import parse_options_header
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from secretsvc import patience
from secretsvc.api.models import made, members_of, parsed
from secretsvc.api.problems import MEDIA, REQUEST, SLOW_BODY, TOO_LARGE, RefusedError
from secretsvc.errors import ManifestError
from secretsvc.manifest.json_reader import refuse_many

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection, Coroutine

    from starlette.requests import Request

    from secretsvc.api.limits import BodyRoom, RequestRoom
    from secretsvc.api.readers import Readers
    from secretsvc.api.settings import Limits

YAML = "application/yaml"
JSON = "application/json"
BYTES = "application/octet-stream"
"""A document of any kind."""
FORM = "multipart/form-data"
LINES = ("application/jsonl", "application/x-ndjson")
_YAMLS = (YAML, "application/x-yaml", "text/yaml", "text/x-yaml")
_KINDS = {JSON: "json", **dict.fromkeys(_YAMLS, "yaml")}
"""Media type → the kind of document."""

_FORM_PIECE = 64 * 1024
_LONGEST_TYPE = 300
"""Characters of a Content-Type header: its parser counts quotes anew for each semicolon. A boundary has up to 70."""

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)


def media_type(request: Request, accepted: Collection[str]) -> str:
    """Return the body's media type, one of those accepted. Raises RefusedError (415)."""
    stated = request.headers.get("content-type", "")
    media, parameters = parse_options_header(stated if len(stated) <= _LONGEST_TYPE else "")
    kind = media.decode("latin-1").lower()  # RFC 9110, 8.3.1
    if kind not in accepted:
        raise RefusedError(
            MEDIA,
            f"send {', or '.join(accepted)}",
            hint="set the Content-Type header",
            headers={"accept": ", ".join(accepted)},
        )
    if (parameters.get(b"charset") or b"utf-8").lower() not in (b"utf-8", b"utf8", b"us-ascii"):
        raise RefusedError(MEDIA, "a charset that is not taken", hint="send UTF-8")
    return kind


class Bodies:
    """Reads the bodies of requests, within this process's memory and time for them."""

    def __init__(self, room: BodyRoom, places: RequestRoom, readers: Readers, limits: Limits) -> None:
        self._room = room
        self._places = places
        self._readers = readers
        self._limits = limits

    async def manifest(self, request: Request, kind: str) -> tuple[bytes, str, str]:
        """Return a manifest or a document sent as it is, its media type, and the kind of document that this means.

        `kind`: as the request says; its media type may do so too. Raises RefusedError as `whole` does, and
        ManifestError for JSON that is none.
        """
        media = media_type(request, (YAML, JSON, BYTES, *_YAMLS[1:]))
        meant = _KINDS.get(media, kind)
        if kind not in ("", meant):
            raise RefusedError(MEDIA, f"{media} is no document of the kind {kind}", hint=f"send it as {BYTES}")
        data = await self.whole(request, self._limits.body_bytes)
        if media == JSON:
            await self._readers.run(len(data), lambda: _check_json(data, self._limits.nodes))
        return data, media, meant

    async def members(self, request: Request, model: type[M]) -> M:
        """Return the members of that model that a body brings, as JSON or as a form. Raises RefusedError."""
        kind = media_type(request, (JSON, FORM))
        most = self._limits.body_bytes
        data = await self.whole(request, most)

        def from_form() -> M:
            return made(model, members_of(_at_once(_form(request, data, most)), model))

        return await self._readers.run(len(data), (lambda: parsed(model, data)) if kind == JSON else from_form)

    async def whole(self, request: Request, most: int) -> bytes:
        """Return the whole body, of that many bytes at most, and take a place for its request.

        Raises RefusedError: 413, 415 (compressed), 408 (not there in time) and 503 (no room, or no place).

        What is left of a body that is refused is not kept; connections.Protocol bounds how long it may go on.
        """
        seconds, state = self._limits.body_seconds, request.scope["state"]
        most = min(most, self._room.most)  # a larger one would be told to come again for ever
        if request.headers.get("content-encoding", "").lower() not in ("", "identity"):
            raise RefusedError(MEDIA, "a compressed body is not taken", hint="send it as it is")
        stated = request.headers.get("content-length", "0")
        if stated.isdecimal() and len(stated) < 20 and int(stated) > most:
            raise _too_large(most)
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(seconds):
                async for chunk in request.stream():
                    self._room.take(state, len(chunk))
                    size += len(chunk)
                    if size > most:
                        raise _too_large(most)
                    chunks.append(chunk)
        except TimeoutError:
            detail = f"it takes longer than {seconds:g} seconds"
            raise RefusedError(SLOW_BODY, detail, headers={"connection": "close"}) from None
        except ClientDisconnect:
            raise RefusedError(REQUEST, "the body ended too early") from None  # nobody is there to read that
        self._places.take(state)
        return b"".join(chunks)


def _too_large(most: int) -> RefusedError:
    return RefusedError(TOO_LARGE, f"the body is larger than {most} bytes")


def _check_json(data: bytes, most: int) -> None:
    """Refuse what is no JSON, or has more than so many members and values. Raises ManifestError."""
    try:
        text = data.decode()
        refuse_many(text, most)
        with suppress(RecursionError):  # the reader has a limit of its own, and says so
            json.loads(text, parse_int=bool, parse_float=bool)  # a number may be longer than Python's are
    except ValueError:
        raise ManifestError("not JSON, as its media type says", hint=f"send YAML as {YAML}") from None


class _InMemory(MultiPartParser):
    """Starlette's parser, which would put parts over a megabyte into files; the body's limit bounds these."""

    spool_max_size = 1 << 62


async def _form(request: Request, data: bytes, most: int) -> list[tuple[str, bytes]]:
    """Return the parts of a form, in order. Waits for nothing, since all of it is in memory. Raises RefusedError."""

    async def stream() -> AsyncGenerator[bytes, None]:
        for at in range(0, len(data), _FORM_PIECE):
            patience.check()
            yield data[at : at + _FORM_PIECE]

    parser = _InMemory(request.headers, stream(), max_files=1000, max_fields=1000, max_part_size=most)
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError, ValueError):
        raise RefusedError(REQUEST, "not a form (multipart/form-data) that can be read") from None
    found = []
    for name, part in form.multi_items():
        found.append((name, await part.read() if isinstance(part, UploadFile) else part.encode()))
    return found


def _at_once(work: Coroutine[object, None, T]) -> T:
    """Return what a coroutine gives that waits for nothing, in a thread without an event loop."""
    try:
        work.send(None)
    except StopIteration as end:
        found: T = end.value
        return found
    raise RuntimeError("it waits")
