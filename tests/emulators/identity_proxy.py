"""A proxy that knows people by a cookie and adds their token to each request, as oauth2-proxy does with ID tokens."""

from __future__ import annotations

import http.client
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from tests.emulators.serving import Serving

if TYPE_CHECKING:
    from tests.service import Service

COOKIE = "session=maria"
OTHER_SITE = """<!doctype html><title>elsewhere</title><form method=post enctype=multipart/form-data action="{url}">
<input name=name value=stolen><input name=random.a value=32></form>"""


class IdentityProxy(Serving):
    """Stands before a service. `token`: whom it signs in; `over`: how it answers when nobody is (`login`, `bare`)."""

    def __init__(self, service: Service, token: str) -> None:
        self.service = service
        self.token = token
        self.over = ""
        self.answers: list[tuple[str, str, int]] = []
        """Method, path and status of each answer."""
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                proxy.pass_on(self)

            do_POST = do_GET

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port

    def pass_on(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("content-length", "0")))
        if request.path == "/elsewhere":
            url = f"http://127.0.0.1:{self.port}/v1/generate/generic"
            self._answer(request, 200, [("Content-Type", "text/html")], OTHER_SITE.format(url=url).encode())
            return
        if self.over == "login":
            self._answer(request, 302, [("Location", "http://127.0.0.1:9/login")], b"")
            return
        headers = {name: text for name, text in request.headers.items() if name.lower() != "connection"}
        if not self.over and COOKIE in headers.get("Cookie", ""):
            headers["Authorization"] = f"Bearer {self.token}"
        connection = http.client.HTTPConnection(self.service.host, self.service.port, timeout=30)
        connection.request(request.command, request.path, body or None, headers)
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        self.answers.append((request.command, request.path, answer.status))
        cookie = [("Set-Cookie", f"{COOKIE}; HttpOnly; Path=/")] if request.path.partition("?")[0] == "/" else []
        kept = [
            (name, text) for name, text in answer.getheaders() if name.lower() not in ("content-length", "connection")
        ]
        self._answer(request, answer.status, [*kept, *cookie], data)

    def _answer(
        self, request: BaseHTTPRequestHandler, status: int, headers: list[tuple[str, str]], data: bytes
    ) -> None:
        request.send_response(status)
        for name, text in [*headers, ("Content-Length", str(len(data)))]:
            request.send_header(name, text)
        request.end_headers()
        request.wfile.write(data)
