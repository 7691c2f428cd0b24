"""What gives out access tokens at Google, as far as google.auth asks it: the security token service of workload
identity federation, service-account impersonation, and the metadata server. Plain HTTP on a port of its own.
"""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import inf
from threading import Thread
from typing import Any
from urllib.parse import parse_qs

ACCOUNT = "robot@p.iam.gserviceaccount.com"


class TokenService:
    """`refuse_after` so many answers it says invalid_grant. `asked` has the paths that were asked for.

    Tokens say how they came about: `federated`, `impersonated`, `metadata`.
    """

    def __init__(self) -> None:
        self.refuse_after: float = inf
        self.lifetime = 3600
        """Seconds."""
        self.asked: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.host = f"127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> TokenService:
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def federation_file(self, subject_token_file: str, *, impersonate: bool = False) -> str:
        """A credential configuration as `gcloud iam workload-identity-pools create-cred-config` writes it."""
        audience = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/git"
        content = {
            "type": "external_account",
            "audience": audience,
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": f"http://{self.host}/v1/token",
            "credential_source": {"file": subject_token_file},
        }
        if impersonate:
            path = f"v1/projects/-/serviceAccounts/{ACCOUNT}:generateAccessToken"
            content["service_account_impersonation_url"] = f"http://{self.host}/{path}"
        return json.dumps(content)

    def answer(self, path: str, body: bytes) -> tuple[int, Any]:
        self.asked.append(path)
        if len(self.asked) > self.refuse_after:
            return 400, {"error": "invalid_grant", "error_description": "SDK-TEXT: the token was revoked"}
        if path == "/v1/token":
            subject = parse_qs(body.decode())["subject_token"][0]
            token = {"access_token": f"federated-{subject}", "expires_in": self.lifetime, "token_type": "Bearer"}
            return 200, {**token, "issued_token_type": "urn:ietf:params:oauth:token-type:access_token"}
        if path.endswith(":generateAccessToken"):
            return 200, {"accessToken": f"impersonated-{ACCOUNT}", "expireTime": "2099-01-01T00:00:00Z"}
        if path.endswith("/token") or "/token?" in path:
            return 200, {"access_token": "metadata", "expires_in": self.lifetime, "token_type": "Bearer"}
        if "/service-accounts/" in path:
            return 200, {"email": ACCOUNT, "scopes": ["https://www.googleapis.com/auth/cloud-platform"]}
        if path.endswith("/project-id"):
            return 200, "p"
        if path.endswith("/universe-domain") or "universe" in path:
            return 200, "googleapis.com"
        return 200, "metadata"


def _handler(service: TokenService) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(b"")

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers["Content-Length"])))

        def log_message(self, format: str, *args: object) -> None:
            pass

        def _answer(self, body: bytes) -> None:
            status, content = service.answer(self.path, body)
            text = content if isinstance(content, str) else json.dumps(content)
            self.send_response(status)
            self.send_header("Metadata-Flavor", "Google")
            self.send_header("Content-Type", "text/plain" if isinstance(content, str) else "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

    return Handler
