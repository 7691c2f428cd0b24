"""A stand-in for ksecret's service: the API's paths over the real operations, and whatever answer a test lays ready.

It speaks what docs/api.md says of encrypt, decrypt, rotate and set, with problem+json errors, and checks one token. It
has neither policy nor audit nor limits: the real service is tested elsewhere.
"""

from __future__ import annotations

import json
import time
from base64 import b64decode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from pydantic.alias_generators import to_camel

from secretsvc.api.problems import status_of
from secretsvc.errors import KsecretError
from secretsvc.formats.sops.selection import RULES
from secretsvc.keyref import keyset, parse_change
from secretsvc.operations import document_changes, documents
from secretsvc.operations.document_keysets import SopsKeyset
from secretsvc.operations.document_sealing import SopsRule, seal_file
from secretsvc.operations.open import open_manifest, sops_tree
from secretsvc.operations.patch import Changes, patch_manifest
from secretsvc.operations.request import ANY_TIME, Request
from secretsvc.operations.rotate import rewrap_manifest, rotate_manifest
from secretsvc.operations.seal import seal_manifest
from tests.emulators.serving import Serving

if TYPE_CHECKING:
    import ssl

    from secretsvc.operations.documents import SealedTree
    from secretsvc.operations.keyring import Keyring
    from tests.support import Lock

TOKEN = "not-a-secret-test-token"
PROBLEM = "application/problem+json"
TYPES = {
    "UsageError": "usage",
    "KeyRefError": "key-ref",
    "ManifestError": "manifest",
    "NotSealedError": "not-sealed",
    "AlreadySealedError": "already-sealed",
    "NothingToSealError": "nothing-to-seal",
    "NoKeyError": "no-key",
    "AlteredError": "altered",
}


class Canned(NamedTuple):
    """An answer laid ready. `drop`: the connection is closed instead."""

    status: int = 200
    body: bytes = b""
    media: str = PROBLEM
    headers: tuple[tuple[str, str], ...] = ()
    drop: bool = False


class Seen(NamedTuple):
    """A request that came: path, query, media type, token, body, and on which connection (a number)."""

    path: str
    query: list[tuple[str, str]]
    media: str
    token: str
    body: bytes
    connection: int


class FakeService(Serving):
    """Serves on 127.0.0.1 until it is closed. `canned` answers go out first, one each."""

    def __init__(self, lock: Lock, context: ssl.SSLContext | None = None) -> None:
        self.lock = lock
        self.token = TOKEN
        self.canned: list[Canned] = []
        self.seen: list[Seen] = []
        self.now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self._server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"service": self}))
        self._scheme = "https" if context else "http"
        if context:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    @property
    def url(self) -> str:
        return f"{self._scheme}://localhost:{self._server.server_port}"

    def answer(self, seen: Seen) -> Canned:
        if seen.token != self.token:
            return _problem("unauthenticated", 401, "no such token", requestId="r-1")
        try:
            return Canned(body=self._operation(seen), media="application/yaml")
        except KsecretError as error:
            more = {"hint": error.hint, "line": error.line, "entry": error.entry, "keyRef": error.key_ref}
            return _problem(
                next(TYPES[one.__name__] for one in type(error).__mro__ if one.__name__ in TYPES),
                status_of(type(error)),
                error.message,
                **more,
            )

    def _operation(self, seen: Seen) -> bytes:
        query = dict(seen.query)
        keys = [text for name, text in seen.query if name == "key"]
        chosen = keyset(map(self.lock.keyring.parse, keys)) if keys else self.lock.keys
        request = Request(
            parse_change([], self.lock.keyring.parse), lambda *_: chosen, query.get("scope", ""), self.now
        )
        request = request._replace(format=query.get("format", ""))
        keyring = self.lock.keyring
        body = json.loads(seen.body) if seen.path == "/v1/set" else {}
        data = body["manifest"].encode() if body else seen.body
        tree = sops_tree(data, kind=query.get("kind", body.get("kind", "")))
        if tree:
            return _of_tree(tree, seen, request, keyring)
        if query.get("format") == "sops":
            keys_of_file = SopsKeyset((tuple((ref, {}) for ref in chosen),))
            said = [(name, query[to_camel(name)]) for name in RULES if to_camel(name) in query]
            rule = SopsRule(said[0] if said else None, "macOnlyEncrypted" in query)
            return seal_file(data, keys_of_file, rule, keyring, name="", now=self.now, kind=query["kind"]).data
        if seen.path == "/v1/encrypt":
            return seal_manifest(seen.body, request, keyring).data
        if seen.path == "/v1/decrypt":
            return open_manifest(seen.body, keyring).data
        if seen.path == "/v1/rotate" and query["mode"] == "rewrap":
            return rewrap_manifest(seen.body, keyring).data
        if seen.path == "/v1/rotate":
            return rotate_manifest(seen.body, request._replace(rotate_before=ANY_TIME), keyring).data
        changes = Changes(_values(body), body["stringData"])
        return patch_manifest(data, changes, request, keyring, body["secret"]).data


def _of_tree(tree: SealedTree, seen: Seen, request: Request, keyring: Keyring) -> bytes:
    if seen.path == "/v1/decrypt":
        return documents.open_file(tree, keyring).data
    if seen.path == "/v1/set":
        return document_changes.set_values(tree, Changes(_values(json.loads(seen.body))), request, keyring).data
    if ("mode", "rewrap") in seen.query:
        return document_changes.rewrap(tree, request.created, keyring).data
    return document_changes.rotate(tree, request._replace(rotate_before=ANY_TIME), keyring).data


def _values(body: dict[str, Any]) -> dict[str, bytes]:
    return {key: b64decode(text) for key, text in body["base64Values"].items()}


def _problem(name: str, status: int, detail: str, **more: object) -> Canned:
    told = {"type": f"/problems/{name}", "status": status, "detail": detail, **more}
    return Canned(status, json.dumps(told).encode())


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_: object) -> None:
        """Nothing: clients that refuse a certificate are what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    service: FakeService

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, body: bytes) -> None:
        parts = urlsplit(self.path)
        token = self.headers.get("Authorization", "").removeprefix("Bearer ").removeprefix("bearer ")
        query = parse_qsl(parts.query, keep_blank_values=True)
        seen = Seen(parts.path, query, self.headers.get("Content-Type", ""), token, body, self.client_address[1])
        self.service.seen.append(seen)
        canned = self.service.canned.pop(0) if self.service.canned else self.service.answer(seen)
        if canned.drop:
            self.close_connection = True
            return
        self.send_response(canned.status)
        for name, text in (("Content-Type", canned.media), ("Content-Length", str(len(canned.body))), *canned.headers):
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(canned.body)

    def log_message(self, *_: object) -> None:
        """Nothing: requests hold plaintext."""
