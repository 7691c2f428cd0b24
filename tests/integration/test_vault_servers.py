"""What the Vault backend relies on of a server: asked of the emulator and, where one is on PATH, of a real one.

`vault` or `bao` is started as a development server, on loopback and in memory; both are set up by the same calls of
their API. KSECRET_TEST_TRANSIT is the address of a server that has no more than Transit, without tokens.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from secretsvc.errors import AlteredError, BackendError, KeyRefError
from secretsvc.keyref import KeyRef
from tests.emulators import vault
from tests.integration.vault_support import CONTEXT, DEK, failure, made, says
from tests.support import quiet_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from secretsvc.backends.vault.backend import Vault

REAL = [name for name in ("vault", "bao") if shutil.which(name)]
ALONE = os.environ.get("KSECRET_TEST_TRANSIT", "")


class Server:
    """A server, by its API and with its root token."""

    def __init__(self, url: str, token: str) -> None:
        self.url, self.token = url, token

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None, *, token: str = "") -> Any:
        data = json.dumps(body).encode() if body is not None else None
        headers = {"X-Vault-Token": token or self.token, "Content-Type": "application/json"}
        with urlopen(Request(f"{self.url}/v1/{path}", data, headers, method=method), timeout=10) as answer:
            return json.loads(answer.read() or b"{}")

    def backend(self, **environ: str) -> Vault:
        return made(self.url, patience=5.0, **(environ or {"VAULT_TOKEN": self.token}))

    def key(self, name: str, **options: Any) -> KeyRef:
        self.call("POST", f"transit/keys/{name}", options)
        return KeyRef("vault", f"{self.url}/v1/transit/keys/{name}")


def _development(program: str) -> Iterator[Server]:
    with quiet_port() as port:
        pass
    words = [program, "server", "-dev", "-dev-no-store-token", f"-dev-listen-address=127.0.0.1:{port}"]
    environ = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
    with subprocess.Popen([*words, "-dev-root-token-id=root"], env=environ, stdout=-3, stderr=-3) as process:
        try:
            server = Server(f"http://127.0.0.1:{port}", "root")
            end = time.monotonic() + 60
            while True:
                try:
                    server.call("GET", "sys/health")
                    break
                except OSError:
                    assert time.monotonic() < end
                    assert process.poll() is None
                    time.sleep(0.1)
            server.call("POST", "sys/mounts/transit", {"type": "transit"})
            yield server
        finally:
            process.terminate()


@pytest.fixture(scope="module", params=["emulator", *REAL, *(["transit alone"] if ALONE else [])])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    if request.param == "emulator":
        with vault.Emulator() as emulator:
            yield Server(emulator.url, vault.ROOT)
    elif request.param == "transit alone":
        yield Server(ALONE, "any")
    else:
        yield from _development(request.param)


@pytest.fixture
def whole(server: Server) -> Server:
    """One with tokens and logins."""
    if server.url == ALONE:
        pytest.skip("it has Transit alone")
    return server


@pytest.mark.parametrize("type_", ["aes256-gcm96", "aes128-gcm96", "chacha20-poly1305"])
def test_keys_of_aead_types_bind_the_context(server: Server, type_: str) -> None:
    key, backend = server.key(f"binds-{type_}", type=type_), server.backend()
    wrapped = backend.wrap(key, DEK, CONTEXT)
    assert wrapped.startswith(b"vault:v1:")
    assert backend.unwrap(key, wrapped, CONTEXT) == DEK
    for other in ({}, CONTEXT | {"ksecret-name": "other"}):
        says(failure(backend.unwrap, key, wrapped, other), AlteredError, "was altered, wrapped by another key")


def test_an_rsa_key_takes_no_context_and_says_so(server: Server) -> None:
    key = server.key("rsa", type="rsa-2048")
    wrapped = server.backend().wrap(key, DEK, CONTEXT)
    assert server.backend().unwrap(key, wrapped, CONTEXT) == DEK
    assert server.backend().unwrap(key, server.backend().rewrap(key, wrapped, CONTEXT), {}) == DEK
    backend = server.backend()
    assert backend.unwrap(key, wrapped, {}) == DEK
    altered = wrapped[:-8] + b"AAAA" + wrapped[-4:]
    says(failure(backend.unwrap, key, altered, {}), AlteredError, "was altered")


def test_a_rewrap_is_by_the_latest_version_and_min_decryption_version_ends_older_ones(server: Server) -> None:
    key, backend = server.key("versions"), server.backend()
    bound, bare = backend.wrap(key, DEK, CONTEXT), backend.wrap(key, DEK, {})
    server.call("POST", "transit/keys/versions/rotate", {})
    for wrapped, context in ((bound, CONTEXT), (bare, {})):
        assert backend.unwrap(key, wrapped, context) == DEK
        fresh = backend.rewrap(key, wrapped, context)
        assert fresh.startswith(b"vault:v2:")
        assert backend.unwrap(key, fresh, context) == DEK
    server.call("POST", "transit/keys/versions/config", {"min_decryption_version": 2})
    says(failure(backend.unwrap, key, bound, CONTEXT), BackendError, "below the key's min_decryption_version")
    newer = b"vault:v9:" + bound[9:]
    says(failure(backend.unwrap, key, newer, CONTEXT), AlteredError, "by a later version than that key has")


def test_wrapped_deks_of_other_keys_and_texts_that_are_none(server: Server) -> None:
    key, other, backend = server.key("one"), server.key("other"), server.backend()
    wrapped = backend.wrap(key, DEK, CONTEXT)
    says(failure(backend.unwrap, other, wrapped, CONTEXT), AlteredError, "was altered, wrapped by another key")
    for odd in (b"x", b"vault:v1", b"vault:vx:AAAA", b"vault:v1:???", b"vault:v1:AAAA"):
        says(failure(backend.unwrap, key, odd, CONTEXT), AlteredError, "was altered")


def test_what_is_no_key_no_engine_or_not_for_this(server: Server) -> None:
    backend = server.backend()
    missing = KeyRef("vault", f"{server.url}/v1/transit/keys/missing")
    says(failure(backend.wrap, missing, DEK, CONTEXT), KeyRefError, "there is no key missing in transit/")
    says(
        failure(backend.unwrap, missing, b"vault:v1:AAAA", CONTEXT), BackendError, "there is no key missing in transit/"
    )
    with pytest.raises(HTTPError, match="404"):
        server.call("GET", "transit/keys/missing")  # nor was one made
    nowhere = KeyRef("vault", f"{server.url}/v1/nowhere/keys/k")
    says(failure(backend.wrap, nowhere, DEK, CONTEXT), KeyRefError, "there is no Transit engine at nowhere/")
    says(failure(backend.unwrap, nowhere, b"vault:v1:AAAA", CONTEXT), BackendError, "there is no Transit engine")
    says(failure(backend.wrap, server.key("signs", type="ed25519"), DEK, {}), KeyRefError, "is not for encryption")
    derived = server.key("derived", derived=True)
    says(failure(backend.wrap, derived, DEK, CONTEXT), KeyRefError, "that key is derived")


def test_a_deleted_key_is_told_and_one_made_anew_does_not_open(server: Server) -> None:
    key, backend = server.key("deleted"), server.backend()
    wrapped = backend.wrap(key, DEK, CONTEXT)
    server.call("POST", "transit/keys/deleted/config", {"deletion_allowed": True})
    server.call("DELETE", "transit/keys/deleted")
    says(failure(server.backend().unwrap, key, wrapped, CONTEXT), BackendError, "there is no key deleted in transit/")
    server.key("deleted")
    says(failure(server.backend().unwrap, key, wrapped, CONTEXT), AlteredError, "was altered, wrapped by another key")


def test_policies_and_tokens(whole: Server) -> None:
    key = whole.key("app")
    lines = [
        'path "transit/encrypt/app" { capabilities = ["update"] }',
        'path "transit/keys/app" { capabilities = ["read"] }',
    ]
    whole.call("PUT", "sys/policies/acl/seal", {"policy": "\n".join(lines)})
    token = whole.call("POST", "auth/token/create", {"policies": ["seal"], "ttl": "60s"})["auth"]["client_token"]
    backend = whole.backend(VAULT_TOKEN=token)
    wrapped = backend.wrap(key, DEK, CONTEXT)
    says(failure(backend.unwrap, key, wrapped, CONTEXT), BackendError, "lacks update on transit/decrypt/app")
    whole.call("POST", "auth/token/revoke-self", {}, token=token)
    again = whole.backend(VAULT_TOKEN=token)
    says(failure(again.wrap, key, DEK, CONTEXT), BackendError, "does not accept the token")
    refs = [str(offer.ref) for offer in whole.backend().offers()]
    assert str(key) in refs


def test_a_login_by_approle(whole: Server) -> None:
    key = whole.key("robot")
    whole.call("PUT", "sys/policies/acl/robot", {"policy": 'path "transit/+/robot" { capabilities = ["update"] }'})
    whole.call("POST", "sys/auth/approle", {"type": "approle"})
    whole.call("POST", "auth/approle/role/robot", {"token_policies": ["robot"], "token_ttl": "60s"})
    role = whole.call("GET", "auth/approle/role/robot/role-id")["data"]["role_id"]
    secret = whole.call("POST", "auth/approle/role/robot/secret-id", {})["data"]["secret_id"]
    backend = whole.backend(VAULT_ROLE_ID=role, VAULT_SECRET_ID=secret)
    assert backend.unwrap(key, backend.wrap(key, DEK, CONTEXT), CONTEXT) == DEK
    wrong = whole.backend(VAULT_ROLE_ID=role, VAULT_SECRET_ID="wrong")
    says(failure(wrong.wrap, key, DEK, CONTEXT), BackendError, "refuses the login by approle")
    elsewhere = whole.backend(VAULT_ROLE_ID=role, VAULT_SECRET_ID=secret, VAULT_AUTH_PATH="elsewhere")
    error = failure(elsewhere.wrap, key, DEK, CONTEXT)
    says(error, BackendError, "no auth method at auth/elsewhere/|refuses the login")


def test_a_sealed_server_says_so(whole: Server) -> None:
    """The last of these tests: a real one stays sealed."""
    key, backend = whole.key("sealed"), whole.backend()
    wrapped = backend.wrap(key, DEK, CONTEXT)
    whole.call("PUT", "sys/seal", {})
    says(failure(backend.unwrap, key, wrapped, CONTEXT), BackendError, "is sealed", "vault operator unseal")
