"""An API server that knows which kinds there are and nothing else: all that `kubectl create --dry-run=client` asks."""

from __future__ import annotations

import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Kinds = set[tuple[str, str]]
"""Pairs of apiVersion and kind."""


def resources(kinds: Iterable[str], group_version: str) -> dict[str, object]:
    """The discovery document of one group and version."""
    verbs = ["create", "get", "list", "patch"]
    rows = [
        {"name": f"{kind.lower()}s", "singularName": kind.lower(), "namespaced": True, "kind": kind, "verbs": verbs}
        for kind in sorted(kinds)
    ]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": rows}


def documents(kinds: Kinds) -> dict[str, object]:
    """What is answered under which path."""
    groups: dict[str, list[str]] = {}
    for version, _ in sorted(kinds):
        if "/" in version:
            group = groups.setdefault(version.partition("/")[0], [])
            group += [] if version in group else [version]
    rows = []
    for name, versions in groups.items():
        found = [{"groupVersion": version, "version": version.partition("/")[2]} for version in versions]
        rows.append({"name": name, "versions": found, "preferredVersion": found[0]})
    answers: dict[str, object] = {
        "/version": {"major": "1", "minor": "32", "gitVersion": "v1.32.0"},
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": rows},
    }
    for version in {version for version, _ in kinds} | {"v1"}:
        path = f"/apis/{version}" if "/" in version else f"/api/{version}"
        answers[path] = resources([kind for at, kind in kinds if at == version], version)
    return answers


@contextmanager
def serving(kinds: Kinds) -> Iterator[str]:
    """The URL of a server on this machine, for as long as the block runs."""
    answers = documents(kinds)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = answers.get(self.path.partition("?")[0])
            body = json.dumps(answer if answer is not None else {"kind": "Status", "code": 404}).encode()
            self.send_response(200 if answer is not None else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
