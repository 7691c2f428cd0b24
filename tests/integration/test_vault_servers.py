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
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from secretsvc.errors import AlteredError, BackendError, KeyRefError
from secretsvc.keyref import KeyRef, SopsContext
from tests.emulators import vault
from tests.integration.vault_support import CONTEXT, DEK, Pki, failure, made, pki, says
from tests.support import quiet_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from secretsvc.backends.vault.backend import Vault

__all__ = ["pki"]  # a fixture, for pytest to find here

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


@pytest.fixture
def job(whole: Server) -> KeyRef:
    """A key, and a policy `job` for it alone."""
    whole.call("PUT", "sys/policies/acl/job", {"policy": 'path "transit/+/job" { capabilities = ["update"] }'})
    return whole.key("job")


def token_of(signer: ec.EllipticCurvePrivateKey, subject: str, **claims: Any) -> str:
    now = int(time.time())
    return jwt.encode({"aud": "vault", "sub": subject, "iat": now, "exp": now + 600, **claims}, signer, "ES256")


def public(signer: ec.EllipticCurvePrivateKey) -> str:
    return signer.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def test_a_login_by_a_jobs_jwt(whole: Server, job: KeyRef) -> None:
    """As CI gives its jobs one."""
    signer, other = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    whole.call("POST", "sys/auth/jwt", {"type": "jwt"})
    ci = {"iss": "https://ci.example", "ref": "main"}
    whole.call("POST", "auth/jwt/config", {"jwt_validation_pubkeys": [public(signer)], "bound_issuer": ci["iss"]})
    role = {"role_type": "jwt", "user_claim": "sub", "bound_audiences": ["vault"], "bound_claims": {"ref": "main"}}
    whole.call("POST", "auth/jwt/role/job", {**role, "token_policies": ["job"], "token_ttl": "60s"})

    def backend(token: str, role: str = "job") -> Vault:
        return whole.backend(VAULT_AUTH_ROLE=role, VAULT_ID_TOKEN=token)

    good = backend(token_of(signer, "shop/deploy", **ci))
    assert good.unwrap(job, good.wrap(job, DEK, CONTEXT), CONTEXT) == DEK
    says(failure(good.wrap, whole.key("another"), DEK, CONTEXT), BackendError, "lacks update on transit/encrypt/")
    for wrong in ({"ref": "topic"}, {"aud": "elsewhere"}, {"iss": "https://other.example"}, {"exp": 1}):
        token = token_of(signer, "shop/deploy", **ci | wrong)
        says(failure(backend(token).wrap, job, DEK, CONTEXT), BackendError, "refuses the login by jwt")
    for token, role_name in ((token_of(other, "shop/deploy", **ci), "job"), (token_of(signer, "x", **ci), "missing")):
        says(failure(backend(token, role_name).wrap, job, DEK, CONTEXT), BackendError, "refuses the login by jwt")


class _Reviews(BaseHTTPRequestHandler):
    """As much of a cluster as is asked whether a service account's token is one: it takes them all."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        claims = jwt.decode(asked["spec"]["token"], options={"verify_signature": False})
        user = {"username": claims["sub"], "uid": "u", "groups": ["system:serviceaccounts"]}
        status = {"authenticated": True, "user": user, "audiences": claims["aud"]}
        answer = json.dumps(asked | {"status": status}).encode()
        self.send_response(201)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Nothing."""


def test_a_login_by_a_pods_service_account(whole: Server, job: KeyRef, pki: Pki) -> None:
    signer = ec.generate_private_key(ec.SECP256R1())
    with ThreadingHTTPServer(("127.0.0.1", 0), _Reviews) as cluster:
        Thread(target=cluster.serve_forever, daemon=True).start()
        whole.call("POST", "sys/auth/kubernetes", {"type": "kubernetes"})
        host = f"http://127.0.0.1:{cluster.server_port}"
        authority = {"kubernetes_ca_cert": Path(pki.certificate).read_text(), "disable_local_ca_jwt": True}
        config = {"kubernetes_host": host, "pem_keys": [public(signer)], **authority}
        whole.call("POST", "auth/kubernetes/config", config)
        role = {"bound_service_account_names": ["app"], "bound_service_account_namespaces": ["prod"]}
        policies = {"audience": "vault", "token_policies": ["job"], "token_ttl": "60s"}
        whole.call("POST", "auth/kubernetes/role/job", role | policies)

        def backend(namespace: str) -> Vault:
            account = {"namespace": namespace, "serviceaccount": {"name": "app", "uid": "u"}}
            subject = f"system:serviceaccount:{namespace}:app"
            token = token_of(signer, subject, aud=["vault"], **{"kubernetes.io": account})
            return whole.backend(VAULT_AUTH_METHOD="kubernetes", VAULT_AUTH_ROLE="job", VAULT_ID_TOKEN=token)

        good = backend("prod")
        assert good.unwrap(job, good.wrap(job, DEK, CONTEXT), CONTEXT) == DEK
        says(failure(backend("dev").wrap, job, DEK, CONTEXT), BackendError, "refuses the login by kubernetes")
        cluster.shutdown()


def test_keys_logins_and_offers_in_a_namespace(whole: Server) -> None:
    """Of OpenBao and Vault Enterprise."""
    try:
        whole.call("POST", "sys/namespaces/team-a", {})
    except HTTPError as error:
        error.close()
        assert error.code == 404  # noqa: PT017 - Vault's Community edition has none
        pytest.skip("it has no namespaces")
    whole.call("POST", "team-a/sys/mounts/transit", {"type": "transit"})
    whole.call("POST", "team-a/transit/keys/app", {})
    lines = [f'path "transit/{what}" {{ capabilities = ["update", "read", "list"] }}' for what in ("+/app", "keys")]
    whole.call("PUT", "team-a/sys/policies/acl/app", {"policy": "\n".join(lines)})
    token = whole.call("POST", "team-a/auth/token/create", {"policies": ["app"]})["auth"]["client_token"]
    key = KeyRef("vault", f"{whole.url}/v1/team-a/transit/keys/app")
    backend = whole.backend(VAULT_TOKEN=token)
    wrapped = backend.wrap(key, DEK, CONTEXT)
    inside = {"VAULT_NAMESPACE": "team-a"}
    for environ in ({"VAULT_TOKEN": token}, {"VAULT_TOKEN": token, **inside}, {"VAULT_TOKEN": whole.token, **inside}):
        assert whole.backend(**environ).unwrap(key, wrapped, CONTEXT) == DEK
    assert [offer.ref for offer in whole.backend(VAULT_TOKEN=token, **inside).offers()] == [key]
    bare = KeyRef("vault", f"{whole.url}/v1/transit/keys/app")  # as SOPS's files have it
    unbound = whole.backend(VAULT_TOKEN=token, **inside)
    assert unbound.unwrap(bare, unbound.wrap(bare, DEK, SopsContext()), SopsContext()) == DEK
    outside = failure(whole.backend(VAULT_TOKEN=token).wrap, bare, DEK, {})
    says(outside, BackendError, "access is denied|does not accept the token")
    whole.call("POST", "team-a/sys/auth/approle", {"type": "approle"})
    whole.call("POST", "team-a/auth/approle/role/app", {"token_policies": ["app"], "token_ttl": "60s"})
    role = whole.call("GET", "team-a/auth/approle/role/app/role-id")["data"]["role_id"]
    secret = whole.call("POST", "team-a/auth/approle/role/app/secret-id", {})["data"]["secret_id"]
    given = {"VAULT_ROLE_ID": role, "VAULT_SECRET_ID": secret}
    assert whole.backend(**given, **inside).unwrap(key, wrapped, CONTEXT) == DEK
    error = failure(whole.backend(**given).unwrap, key, wrapped, CONTEXT)
    says(error, BackendError, "refuses the login by approle|has no auth method")


def test_a_sealed_server_says_so(whole: Server) -> None:
    """The last of these tests: a real one stays sealed."""
    key, backend = whole.key("sealed"), whole.backend()
    wrapped = backend.wrap(key, DEK, CONTEXT)
    whole.call("PUT", "sys/seal", {})
    says(failure(backend.unwrap, key, wrapped, CONTEXT), BackendError, "is sealed", "vault operator unseal")
