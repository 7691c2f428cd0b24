"""A forge: a Git repository over https by git's http-backend, and GitLab's, GitHub's or Gitea's requests to merge.

As the real ones it wants the token for everything, and refuses a second open request of a branch. A test lays failures
ready: how often a step fails, and with what.

- GitLab: docs.gitlab.com/api/merge_requests ("List merge requests", "Create MR")
- GitHub: docs.github.com/rest/pulls/pulls ("List pull requests", "Create a pull request")
- Gitea: docs.gitea.com/api, repoCreatePullRequest
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from base64 import b64decode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from tests.emulators.serving import Serving

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

TOKEN = "pa55-forge-token"
REPOSITORY = "shop/deploy"
LOST = 0
"""In place of a status: the step is carried out, and the answer gets lost."""

_TAKEN = {"gitlab": 409, "github": 422, "gitea": 409}


class Seen(NamedTuple):
    """A request that came: what it asks for, and the credentials that came with it."""

    method: str
    path: str
    credentials: str


class Forge(Serving):
    """Serves the repositories under `folder` until it is closed. Without a kind it is Git alone."""

    def __init__(self, folder: Path, kind: str, context: ssl.SSLContext) -> None:
        self.folder = folder
        self.kind = kind
        self.seen: list[Seen] = []
        self.open: list[dict[str, str]] = []
        """The open requests to merge, as they were made."""
        self.fails: dict[str, list[int | None]] = {}
        """For `refs`, `clone`, `push`, `list` and `create`: the statuses of the next times; None: it works."""
        self.moved_to = ""
        """Where everything is redirected to."""
        self.hangs = threading.Event()
        self.heard = threading.Event()
        """Set `hangs` and the forge's API answers no more; `heard` tells that it was asked."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"forge": self}))
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]

    @property
    def url(self) -> str:
        return f"https://localhost:{self._server.server_port}"

    def __exit__(self, *_: object) -> None:
        self.hangs.clear()
        super().__exit__()

    def failure(self, step: str) -> int | None:
        laid = self.fails.get(step)
        return laid.pop(0) if laid else None

    def list(self, query: dict[str, list[str]]) -> list[dict[str, str]]:
        """The open requests of a branch, as GitLab's and GitHub's clients ask for them."""
        if self.kind == "gitlab":
            asked = {"head": query["source_branch"][0], "base": query["target_branch"][0]}
            assert query["state"] == ["opened"]
        else:
            owner, _, head = query["head"][0].partition(":")
            assert (owner, query["state"]) == (REPOSITORY.partition("/")[0], ["open"])
            asked = {"head": head, "base": query["base"][0]}
        return [one for one in self.open if asked.items() <= one.items()]

    def create(self, body: dict[str, str]) -> int:
        """The status that making one is answered with."""
        if self.kind == "gitlab":
            assert body.pop("remove_source_branch") is True
            body = {"head": body["source_branch"], "base": body["target_branch"], "title": body["title"]}
        assert set(body) == {"head", "base", "title"}
        if any(one["head"] == body["head"] for one in self.open):
            return _TAKEN[self.kind]
        self.open.append(body)
        return 201

    def api(self) -> str:
        """The path of the requests to merge."""
        name = REPOSITORY.replace("/", "%2F")
        return {
            "gitlab": f"/api/v4/projects/{name}/merge_requests",
            "github": f"/api/v3/repos/{REPOSITORY}/pulls",
            "gitea": f"/api/v1/repos/{REPOSITORY}/pulls",
        }.get(self.kind, "")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    forge: Forge

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = self._body()
        forge, parts = self.forge, urlsplit(self.path)
        forge.seen.append(Seen(self.command, self.path, self.headers.get("Authorization", "")))
        if forge.moved_to:
            self._send(302, headers={"Location": forge.moved_to + self.path})
        elif not self._known():
            self._send(401, headers={"WWW-Authenticate": 'Basic realm="forge"'})
        elif parts.path == forge.api():
            self._requests(parse_qs(parts.query), body)
        elif parts.path.startswith(f"/{REPOSITORY}.git/"):
            self._git(unquote(parts.path), parts.query, body)
        else:
            self._send(404)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        found = b""
        while size := int(self.rfile.readline(), 16):
            found += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return found

    def _known(self) -> bool:
        scheme, _, credentials = self.headers.get("Authorization", "").partition(" ")
        if scheme == "Basic":
            return b64decode(credentials).decode().partition(":")[2] == TOKEN
        return (scheme, credentials) == ("Bearer", TOKEN)

    def _requests(self, query: dict[str, list[str]], body: bytes) -> None:
        forge = self.forge
        forge.heard.set()
        while forge.hangs.is_set():
            time.sleep(0.02)
        step = "list" if self.command == "GET" else "create"
        status = forge.failure(step)
        if status:
            self._send(status, b'{"message": "no"}')
        elif step == "list":
            assert forge.kind in {"gitlab", "github"}
            self._send(200, json.dumps(forge.list(query), indent=2).encode())
        else:
            self._send(forge.create(json.loads(body)), b"{}", drop=status == LOST)

    def _git(self, path: str, query: str, body: bytes) -> None:
        step = {"git-upload-pack": "clone", "git-receive-pack": "push"}.get(path.rpartition("/")[2], "refs")
        status = self.forge.failure(step)
        if status:
            self._send(status)
            return
        environ = os.environ | {
            "GIT_PROJECT_ROOT": str(self.forge.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "REMOTE_USER": "oauth2",
        }
        done = subprocess.run(["git", "http-backend"], input=body, env=environ, capture_output=True, check=True)
        head, _, answer = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self._send(int(headers.pop("Status", "200").split()[0]), answer, headers, drop=status == LOST)

    def _send(
        self, status: int, body: bytes = b"", headers: dict[str, str] | None = None, *, drop: bool = False
    ) -> None:
        if drop:
            self.close_connection = True
            return
        self.send_response(status)
        for name, text in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: requests hold tokens."""
