"""The Vault backend when Vault refuses, fails, throttles, hangs, or isn't there, and its credentials."""

from __future__ import annotations

import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from secretsvc.backends.vault import client, credentials
from secretsvc.errors import BackendError, BackendUnavailableError
from tests.emulators import vault
from tests.integration.vault_support import CONTEXT, DEK, Pki, emulator, failure, made, pki, ref, says
from tests.support import quiet_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["emulator", "pki"]  # fixtures, for pytest to find here


# What Vault refuses


@pytest.mark.parametrize(
    ("status", "text", "message", "hint"),
    [
        (503, "Vault is sealed", "is sealed", "vault operator unseal"),
        (501, "", "is not initialized", "vault operator init"),
        (473, "", "is a standby, and sends its callers elsewhere$", "load balancer"),
        (400, "Client sent an HTTP request to an HTTPS server.", "speaks TLS, and was called without", "https://"),
        (400, "no such key version", "was trimmed away", "another key of its keyset"),
        (400, "something new", r"failed \(HTTP 400\)", "vault status"),
        (503, "API access to this namespace has been locked by an administrator", "is locked", "namespace unlock"),
        (401, "", "does not accept the token", "vault login"),
    ],
)
def test_refusals_are_told_apart_and_not_tried_again(
    emulator: vault.Emulator, status: int, text: str, message: str, hint: str
) -> None:
    backend = made(emulator)
    wrapped = backend.wrap(ref(emulator), DEK, CONTEXT)
    emulator.calls.clear()
    emulator.fail(status, text)
    says(failure(backend.unwrap, ref(emulator), wrapped, CONTEXT), BackendError, message, hint)
    assert emulator.calls.total() == 1
    assert backend.unwrap(ref(emulator), wrapped, CONTEXT) == DEK


def test_a_permission_that_is_missing_is_told_apart_from_a_token_that_is_no_good(emulator: vault.Emulator) -> None:
    emulator.policies["seal"] = 'path "transit/encrypt/key" { capabilities = ["update"] }'
    emulator.tokens["t"] = vault.Token(["seal"])
    backend = made(emulator, VAULT_TOKEN="t")
    wrapped = backend.wrap(ref(emulator), DEK, CONTEXT)
    error = failure(backend.unwrap, ref(emulator), wrapped, CONTEXT)
    says(error, BackendError, "access is denied: the token lacks update on transit/decrypt/key", "give its policy")
    emulator.tokens["t"].ends = 0.0
    error = failure(backend.unwrap, ref(emulator), wrapped, CONTEXT)
    says(error, BackendError, "does not accept the token: it has expired", "vault login")
    error = failure(made(emulator, VAULT_TOKEN="wrong").unwrap, ref(emulator), wrapped, CONTEXT)
    says(error, BackendError, "does not accept the token")


# Retries


@pytest.mark.parametrize("fault", [429, 500, 502, 503, 412, vault.DROP])
def test_passing_failures_are_tried_again(emulator: vault.Emulator, fault: int | str) -> None:
    backend = made(emulator, patience=5.0)
    wrapped = backend.wrap(ref(emulator), DEK, CONTEXT)
    emulator.fail(fault, times=2)
    assert backend.unwrap(ref(emulator), wrapped, CONTEXT) == DEK
    assert emulator.calls["decrypt"] == 3


def test_every_seventh_call_fails_and_every_fifth_is_throttled(emulator: vault.Emulator) -> None:
    backend = made(emulator, patience=10.0)
    wrapped = backend.wrap(ref(emulator), DEK, CONTEXT)
    emulator.fail_every(7, 503)
    emulator.fail_every(5, 429)
    with ThreadPoolExecutor(16) as pool:
        results = list(pool.map(lambda _: backend.unwrap(ref(emulator), wrapped, CONTEXT), range(200)))
    assert results == [DEK] * 200
    assert emulator.answered["decrypt"] == 200
    assert emulator.calls["decrypt"] > 250


@pytest.mark.parametrize(
    ("status", "text", "message"),
    [
        (429, "", "throttles: a rate limit quota"),
        (500, "", r"failed \(HTTP 500\)"),
        (500, "local node not active but active cluster node not found", "has no active server"),
    ],
)
def test_what_retries_do_not_cure_fails_alone(emulator: vault.Emulator, status: int, text: str, message: str) -> None:
    backend = made(emulator, patience=0.2)
    emulator.fail(status, text, times=100_000)
    says(failure(backend.wrap, ref(emulator), DEK, CONTEXT), BackendError, message)
    calls = emulator.calls.total()
    assert calls > 1
    failure(backend.wrap, ref(emulator), DEK, CONTEXT)
    assert emulator.calls.total() > calls  # asked again: nothing was taken as dead


# Servers that don't answer


def test_a_refused_connection_costs_its_bounded_time_once_a_run() -> None:
    with quiet_port() as port:
        url = f"http://127.0.0.1:{port}"
        backend = made(url, patience=1.0)
        key = ref(url)
        error = failure(backend.unwrap, key, b"vault:v1:AAAA", CONTEXT)
        says(error, BackendUnavailableError, rf"at 127\.0\.0\.1:{port} can't be reached: the connection was refused")
        second = failure(backend.unwrap, key, b"vault:v1:AAAA", CONTEXT)
        assert second.message == f"{error.message} (as earlier in this run)"


def test_silence_times_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:  # the kernel accepts, and nobody ever answers
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        began = time.monotonic()
        error = failure(made(url, patience=0.6).unwrap, ref(url), b"vault:v1:AAAA", CONTEXT)
        assert time.monotonic() - began < 3
    says(error, BackendUnavailableError, "did not answer in time", "check the network")


def test_a_server_that_drips_is_given_up(emulator: vault.Emulator) -> None:
    emulator.fail(vault.DRIP, times=9)
    began = time.monotonic()
    error = failure(made(emulator, patience=0.5).unwrap, ref(emulator), b"vault:v1:AAAA", CONTEXT)
    assert time.monotonic() - began < 5  # it goes on for a minute
    says(error, BackendUnavailableError, "did not answer in time", "check the network")


def test_a_name_that_does_not_exist() -> None:
    """By RFC 2606 there is no such name."""
    url = "http://vault.invalid:8200"
    error = failure(made(url, patience=0.5).unwrap, ref(url), b"vault:v1:AAAA", CONTEXT)
    says(error, BackendUnavailableError, "at vault.invalid:8200 can't be reached: its name can't be resolved")


# TLS


@pytest.fixture
def secure(pki: Pki) -> Iterator[vault.Emulator]:
    """The emulator with TLS, as Vault has it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki.certificate, pki.key)
    context.load_verify_locations(pki.certificate)
    context.verify_mode = ssl.CERT_OPTIONAL
    with vault.Emulator(tls=context) as server:
        server.create_key("key")
        yield server


def test_tls_by_an_authority_of_ones_own_and_a_client_certificate(
    secure: vault.Emulator, pki: Pki, signer: ec.EllipticCurvePrivateKey, tmp_path: Path
) -> None:
    given = {"VAULT_TOKEN": vault.ROOT, "VAULT_CACERT": pki.certificate}
    backend = made(secure, **given)
    assert backend.unwrap(ref(secure), backend.wrap(ref(secure), DEK, CONTEXT), CONTEXT) == DEK
    assert not secure.client_names
    backend = made(secure, **given, VAULT_CLIENT_CERT=pki.certificate, VAULT_CLIENT_KEY=pki.key)
    assert backend.wrap(ref(secure), DEK, CONTEXT)
    assert secure.client_names == {"localhost"}
    half = made(secure, **given, VAULT_CLIENT_CERT=pki.certificate)
    says(
        failure(half.wrap, ref(secure), DEK, CONTEXT),
        BackendError,
        "VAULT_CLIENT_CERT and VAULT_CLIENT_KEY go together",
    )
    locked = tmp_path / "locked.pem"
    locked.write_bytes(signer.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"hunter2")))
    odd = [("VAULT_CACERT", pki.key), ("VAULT_CLIENT_KEY", str(locked)), ("VAULT_CLIENT_KEY", pki.certificate)]
    for name, path in odd:
        wrong = made(secure, **given | {"VAULT_CLIENT_CERT": pki.certificate, "VAULT_CLIENT_KEY": pki.key, name: path})
        says(failure(wrong.wrap, ref(secure), DEK, CONTEXT), BackendError, "no certificate or key that TLS can use")
    missing = made(secure, VAULT_TOKEN=vault.ROOT, VAULT_CACERT="/no/such/file")
    says(
        failure(missing.wrap, ref(secure), DEK, CONTEXT), BackendError, "the file that VAULT_CACERT names can't be read"
    )


def test_tls_failures_are_told_apart(secure: vault.Emulator, emulator: vault.Emulator, pki: Pki) -> None:
    error = failure(made(secure).wrap, ref(secure), DEK, CONTEXT)
    says(error, BackendUnavailableError, "nobody that is trusted here vouches for its certificate", "VAULT_CACERT")
    numbered = secure.url.replace("localhost", "127.0.0.1")
    backend = made(numbered, VAULT_TOKEN=vault.ROOT, VAULT_CACERT=pki.certificate)
    says(failure(backend.wrap, ref(numbered), DEK, CONTEXT), BackendUnavailableError, "certificate is for another host")
    plain = emulator.url.replace("http:", "https:")
    says(failure(made(plain).wrap, ref(plain), DEK, CONTEXT), BackendUnavailableError, "it does not speak TLS")
    assert not secure.calls


# Credentials


def at_home(path: Path, text: str) -> str:
    (path / ".vault-token").write_text(text)
    return str(path)


@pytest.mark.parametrize("said", [vault.INVALID, vault.INVALID_OF_OPENBAO], ids=["Vault", "OpenBao"])
def test_a_token_that_the_server_does_not_know_is_told_as_that_at_once(emulator: vault.Emulator, said: str) -> None:
    emulator.invalid = said
    error = failure(made(emulator, VAULT_TOKEN="hvs.unknown").wrap, ref(emulator), DEK, CONTEXT)
    says(error, BackendError, "does not accept the token: it has expired")
    assert emulator.calls == {"key": 1}


def test_where_a_token_is_found(emulator: vault.Emulator, tmp_path: Path) -> None:
    home = at_home(tmp_path, f"{vault.ROOT}\n")
    assert made(emulator, HOME=home).wrap(ref(emulator), DEK, CONTEXT)
    for name in ("VAULT_TOKEN", "BAO_TOKEN"):
        error = failure(made(emulator, HOME=home, **{name: "other"}).wrap, ref(emulator), DEK, CONTEXT)
        says(error, BackendError, "does not accept the token")
        assert emulator.headers["X-Vault-Token"] == "other"
    emulator.calls.clear()
    nothing = made(emulator, HOME=str(tmp_path / "none"))
    says(
        failure(nothing.wrap, ref(emulator), DEK, CONTEXT),
        BackendError,
        "there is no token for Vault here",
        "vault login",
    )
    for odd in ("", "hunter2 x", "hunter2\nx", "hunter2é"):
        error = failure(made(emulator, HOME=at_home(tmp_path, odd)).wrap, ref(emulator), DEK, CONTEXT)
        says(error, BackendError, "~/.vault-token holds no token")
        assert "hunter2" not in error.message + error.hint
    assert not emulator.calls


def test_a_token_file_that_was_written_anew_is_read_again(
    emulator: vault.Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_YOUNG", 0.0)
    emulator.tokens["old"] = vault.Token(["root"])
    backend = made(emulator, HOME=at_home(tmp_path, "old"))
    wrapped = backend.wrap(ref(emulator), DEK, CONTEXT)
    del emulator.tokens["old"]
    at_home(tmp_path, vault.ROOT)
    assert backend.unwrap(ref(emulator), wrapped, CONTEXT) == DEK


@pytest.fixture
def signer() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def mounted(server: vault.Emulator, type_: str, signer: ec.EllipticCurvePrivateKey, **role: Any) -> None:
    form = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    public = signer.public_key().public_bytes(*form).decode()
    server.policies["app"] = 'path "transit/+/key" { capabilities = ["read", "update"] }'
    server.auth[f"auth/{type_}"] = {
        "type": type_,
        "roles": {"app": {"role_id": "the-role", "token_policies": ["app"], **role}},
        "config": {"pem_keys": [public], "jwt_validation_pubkeys": [public]},
        "secrets": {"the-secret": ["app", 0], "once": ["app", 1]},
    }


def test_a_login_by_approle(emulator: vault.Emulator, signer: Any, tmp_path: Path) -> None:
    mounted(emulator, "approle", signer)
    given = {"VAULT_ROLE_ID": "the-role", "VAULT_SECRET_ID": "the-secret"}
    backend = made(emulator, **given)
    assert backend.unwrap(ref(emulator), backend.wrap(ref(emulator), DEK, CONTEXT), CONTEXT) == DEK
    assert emulator.calls == {"login": 1, "key": 1, "encrypt": 1, "decrypt": 1}
    (tmp_path / "s").write_text("the-secret\n")
    assert made(emulator, VAULT_ROLE_ID="the-role", VAULT_SECRET_ID_FILE=str(tmp_path / "s")).wrap(
        ref(emulator), DEK, {}
    )
    error = failure(made(emulator, **given | {"VAULT_SECRET_ID": "hunter2"}).wrap, ref(emulator), DEK, CONTEXT)
    says(error, BackendError, "refuses the login by approle", "wrong, expired or used up")
    assert "hunter2" not in error.message + error.hint
    error = failure(made(emulator, **given, VAULT_AUTH_PATH="other").wrap, ref(emulator), DEK, CONTEXT)
    says(error, BackendError, "no auth method at auth/other/", "vault auth list")
    error = failure(made(emulator, VAULT_AUTH_METHOD="approle").wrap, ref(emulator), DEK, CONTEXT)
    says(error, BackendError, "VAULT_ROLE_ID is not set, which a login by approle needs")
    error = failure(made(emulator, VAULT_AUTH_METHOD="hunter2").wrap, ref(emulator), DEK, CONTEXT)
    says(error, BackendError, "VAULT_AUTH_METHOD names no way", "token, approle, kubernetes, jwt")


def test_a_login_in_a_namespace(emulator: vault.Emulator, signer: Any) -> None:
    mounted(emulator, "approle", signer)
    emulator.auth["team-a/auth/approle"] = emulator.auth.pop("auth/approle")
    given = {"VAULT_ROLE_ID": "the-role", "VAULT_SECRET_ID": "the-secret"}
    assert made(emulator, **given, VAULT_NAMESPACE="team-a").wrap(ref(emulator), DEK, CONTEXT)
    assert "X-Vault-Namespace" not in emulator.headers  # the key's own stands in its name


def token_of(signer: Any, **claims: Any) -> str:
    return jwt.encode({"aud": "vault", "sub": "system:serviceaccount:prod:app", **claims}, signer, "ES256")


def test_a_login_by_a_jobs_jwt(emulator: vault.Emulator, signer: Any, tmp_path: Path) -> None:
    mounted(emulator, "jwt", signer, bound_audiences=["vault"])
    (tmp_path / "token").write_text(token_of(signer))
    for given in ({"VAULT_ID_TOKEN": token_of(signer)}, {"VAULT_ID_TOKEN_FILE": str(tmp_path / "token")}):
        assert made(emulator, VAULT_AUTH_ROLE="app", **given).wrap(ref(emulator), DEK, CONTEXT)
    other = token_of(signer, aud="somebody else")
    error = failure(made(emulator, VAULT_AUTH_ROLE="app", VAULT_ID_TOKEN=other).wrap, ref(emulator), DEK, CONTEXT)
    says(error, BackendError, "refuses the login by jwt", "bound to somebody else")
    assert other not in error.message + error.hint


def test_a_login_by_a_pods_service_account(
    emulator: vault.Emulator, signer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    role = {
        "bound_service_account_names": ["app"],
        "bound_service_account_namespaces": ["prod"],
        "bound_audiences": ["vault"],
    }
    mounted(emulator, "kubernetes", signer, **role)
    monkeypatch.setattr(credentials, "SERVICE_ACCOUNT", str(tmp_path / "token"))
    (tmp_path / "token").write_text(token_of(signer))
    assert made(emulator, VAULT_AUTH_ROLE="app").wrap(ref(emulator), DEK, CONTEXT)
    (tmp_path / "token").write_text(token_of(signer, sub="system:serviceaccount:dev:app"))
    error = failure(made(emulator, VAULT_AUTH_ROLE="app").wrap, ref(emulator), DEK, CONTEXT)
    says(error, BackendError, "refuses the login by kubernetes")
    error = failure(made(emulator, VAULT_AUTH_METHOD="kubernetes").wrap, ref(emulator), DEK, CONTEXT)
    says(error, BackendError, "VAULT_AUTH_ROLE is not set, which a login by kubernetes needs")


def test_a_token_that_expires_during_a_run_is_fetched_anew_once(
    emulator: vault.Emulator, signer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_YOUNG", 0.0)
    mounted(emulator, "approle", signer)
    backend = made(emulator, VAULT_ROLE_ID="the-role", VAULT_SECRET_ID="the-secret")
    wrapped = backend.wrap(ref(emulator), DEK, CONTEXT)
    for text in [text for text in emulator.tokens if text != vault.ROOT]:
        del emulator.tokens[text]
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: backend.unwrap(ref(emulator), wrapped, CONTEXT), range(32))) == {DEK}
    assert emulator.calls["login"] == 2
    emulator.policies["app"] = ""
    says(failure(backend.unwrap, ref(emulator), wrapped, CONTEXT), BackendError, "access is denied: the token lacks")
    assert emulator.calls["login"] == 2


def test_a_token_is_renewed_before_it_ends_and_else_another_is_got(emulator: vault.Emulator, signer: Any) -> None:
    mounted(emulator, "approle", signer, token_ttl=1)
    backend = made(emulator, VAULT_ROLE_ID="the-role", VAULT_SECRET_ID="once")
    backend.wrap(ref(emulator), DEK, CONTEXT)
    time.sleep(0.7)  # two thirds of its second
    assert backend.wrap(ref(emulator), DEK, CONTEXT)
    assert (emulator.calls["login"], emulator.calls["renew-self"]) == (1, 1)
    emulator.auth["auth/approle"]["secrets"]["once"] = ["app", 1]
    next(iter(token for token in emulator.tokens.values() if token.ttl)).renewable = False
    time.sleep(0.7)
    assert backend.wrap(ref(emulator), DEK, CONTEXT)
    assert emulator.calls["login"] == 2
