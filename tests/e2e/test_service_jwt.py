"""JWTs as bearer tokens, from a real issuer over HTTP and HTTPS."""

from __future__ import annotations

import http.client
import json
import socket
import time
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from benchmarks.load import prepared
from secretsvc.api.transport.pauses import FIRST
from tests.e2e.cli import MANIFEST
from tests.issuer import Issuer, certificate
from tests.service import Service

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CLAIMS = {"project_path": "platform/*", "ref_protected": "true", "kubernetes.io.namespace": "ci"}
GOOD = {"project_path": "platform/app", "ref_protected": True, "kubernetes.io": {"namespace": "ci"}}


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with Issuer() as made:
        yield made


def configured(service: Service, issuer: Issuer, **more: Any) -> Service:
    known = {"name": "ci", "issuer": issuer.url, "audience": "ksecret", "leeway": 5, **more}
    service.config["issuers"] = [known]
    service.config["rules"].append(
        {
            "callers": [{"issuer": "ci", "claims": CLAIMS}],
            "operations": ["encrypt"],
            "namespaces": ["prod"],
            "names": ["*"],
            "keys": ["*"],
        }
    )
    return service


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, issuer: Issuer) -> Iterator[Service]:
    with configured(Service(tmp_path_factory.mktemp("service")), issuer) as made:
        yield made


def test_a_good_token_may_what_its_claims_allow(service: Service, issuer: Issuer) -> None:
    for kid in ("rsa", "ec"):
        assert service.post("/v1/encrypt", MANIFEST, issuer.token(kid, **GOOD)).status == 200
    assert service.post("/v1/decrypt", MANIFEST, issuer.token(**GOOD)).problem == "forbidden"
    many = issuer.token(**{**GOOD, "project_path": ["x", "platform/b"], "aud": ["other", "ksecret"]})
    assert service.post("/v1/encrypt", MANIFEST, many).status == 200
    assert service.audited()[-1]["caller"] == {"issuer": "ci", "subject": "job"}
    for claim in (
        {"project_path": "other/app"},
        {"ref_protected": False},
        {"kubernetes.io": {}},
        {"project_path": None},
    ):
        assert service.post("/v1/encrypt", MANIFEST, issuer.token(**{**GOOD, **claim})).problem == "forbidden"


def unsigned(issuer: Issuer, algorithm: str) -> str:
    parts = ({"alg": algorithm, "kid": "rsa", "typ": "JWT"}, issuer.claims(**GOOD))
    return ".".join(urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + "."


def forged_by_public_key(issuer: Issuer) -> str:
    """HS256 with the public key's text as the secret, which a careless checker takes."""
    import hmac

    pem = (
        issuer.keys["rsa"]
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    text = unsigned(issuer, "HS256").rstrip(".")
    return f"{text}.{urlsafe_b64encode(hmac.digest(pem, text.encode(), 'sha256')).decode().rstrip('=')}"


def test_what_is_off_about_a_token_turns_it_away(service: Service, issuer: Issuer) -> None:
    now = int(time.time())
    stranger = rsa.generate_private_key(65537, 2048)
    good = issuer.token(**GOOD)
    bad = {
        "expired": issuer.token(**GOOD, exp=now - 60),
        "not yet": issuer.token(**GOOD, nbf=now + 60),
        "another audience": issuer.token(**GOOD, aud="other"),
        "another issuer": issuer.token(**GOOD, iss="https://evil.example"),
        "an expiry that is no time": issuer.token(**GOOD, exp="soon"),
        "an expiry that is no number": issuer.token(**GOOD, exp=[now + 600]),
        "an expiry that never comes": issuer.token(**GOOD, exp=float("inf")),
        "no expiry": issuer.token(**GOOD, exp=None),
        "no audience": issuer.token(**GOOD, aud=None),
        "no issuer": issuer.token(**GOOD, iss=None),
        "algorithm none": unsigned(issuer, "none"),
        "algorithm HS256": forged_by_public_key(issuer),
        "algorithm not listed": issuer.token(algorithm="PS256", **GOOD),
        "algorithm of another kind of key": issuer.token("ec", headers={"kid": "rsa"}, **GOOD),
        "a stranger's key": jwt.encode(issuer.claims(**GOOD), stranger, "RS256", {"kid": "rsa"}),
        "a stranger's key in its header": jwt.encode(
            issuer.claims(**GOOD),
            stranger,
            "RS256",
            {"kid": "new", "jwk": {"kty": "RSA"}, "jku": "https://evil.example"},
        ),
        "critical extension": issuer.token(headers={"crit": ["exp"], "exp": 1}, **GOOD),
        "a claim changed": ".".join((good.split(".")[0], good.split(".")[1][:-2] + "AA", good.split(".")[2])),
        "a signature cut": good[:-8],
        "nothing in it": "..",
        "no JWT": "a.b.c",
    }
    for what, text in bad.items():
        answer = service.send(
            "POST", "/v1/encrypt", MANIFEST, {"Authorization": f"Bearer {text}", "Content-Type": "application/yaml"}
        )
        assert (answer.status, answer.problem) == (401, "unauthenticated"), what
        assert len(text) < 10 or text not in answer.body.decode()
    told = service.get("/metrics").body.decode()
    for reason in ("expired", "not-yet", "audience", "issuer", "claims", "algorithm", "signature", "key"):
        assert f'ksecret_auth_failures_total{{reason="{reason}"}}' in told, reason


def test_clocks_may_differ_a_little(service: Service, issuer: Issuer) -> None:
    now = int(time.time())
    assert service.post("/v1/encrypt", MANIFEST, issuer.token(**GOOD, exp=now - 1, nbf=now + 2)).status == 200


def test_an_unknown_key_is_looked_for_but_not_for_every_token(tmp_path: Path) -> None:
    with Issuer() as issuer, configured(Service(tmp_path), issuer, jwksUrl=f"{issuer.url}/keys") as service:
        assert service.post("/v1/encrypt", MANIFEST, issuer.token(**GOOD)).status == 200
        assert issuer.fetched == 1
        issuer.keys["ec-new"] = ec.generate_private_key(ec.SECP256R1())
        for _ in range(5):  # asked for again too soon: the issuer is left in peace
            assert service.post("/v1/encrypt", MANIFEST, issuer.token("ec-new", **GOOD)).status == 401
        assert issuer.fetched == 1


def test_an_issuer_that_drips_is_not_waited_for(tmp_path: Path) -> None:
    with Issuer() as issuer, configured(Service(tmp_path), issuer, jwksUrl=f"{issuer.url}/keys") as service:
        issuer.drips = 0.5
        began = time.monotonic()
        assert service.post("/v1/encrypt", MANIFEST, issuer.token(**GOOD)).problem == "issuer"
        assert time.monotonic() - began < 8


def test_keys_from_a_file_need_no_network(tmp_path: Path, issuer: Issuer) -> None:
    (tmp_path / "keys.json").write_text(json.dumps(issuer.jwks()))
    with configured(Service(tmp_path), issuer, jwksFile="keys.json", algorithms=["ES256"]) as service:
        fetched = issuer.fetched
        assert service.post("/v1/encrypt", MANIFEST, issuer.token("ec", **GOOD)).status == 200
        assert service.post("/v1/encrypt", MANIFEST, issuer.token("rsa", **GOOD)).status == 401
        assert issuer.fetched == fetched


def test_an_issuer_over_https_is_checked(tmp_path: Path) -> None:
    pem = certificate(tmp_path / "issuer.pem")
    with Issuer(pem) as issuer:
        (tmp_path / "a").mkdir()
        (tmp_path / "b").mkdir()
        with configured(Service(tmp_path / "a"), issuer, caFile=str(pem)) as service:
            assert service.post("/v1/encrypt", MANIFEST, issuer.token(**GOOD)).status == 200
        with configured(Service(tmp_path / "b"), issuer) as service:
            answer = service.post("/v1/encrypt", MANIFEST, issuer.token(**GOOD))
            assert (answer.status, answer.problem) == (503, "issuer")
            assert answer.headers["retry-after"]
            told = (
                '"message": "the keys of ci can\'t be fetched: its certificate is not trusted: self-signed certificate"'
            )
            assert told in service.log.read_text()


def test_keys_are_never_fetched_in_the_clear_for_an_issuer_over_https(tmp_path: Path) -> None:
    pem = certificate(tmp_path / "issuer.pem")
    with Issuer(pem) as issuer, Issuer() as plain, configured(Service(tmp_path), issuer, caFile=str(pem)) as service:
        plain.keys, issuer.keys_at = issuer.keys, f"{plain.url}/keys"
        answer = service.post("/v1/encrypt", MANIFEST, issuer.token(**GOOD))
        assert (answer.status, answer.problem) == (503, "issuer")
        assert (plain.fetched, issuer.fetched) == (0, 0)


def test_a_key_is_used_with_the_algorithm_that_it_names_alone(tmp_path: Path, issuer: Issuer) -> None:
    named = [{**key, "alg": "RS512"} if key["kid"] == "rsa" else key for key in issuer.jwks()["keys"]]
    (tmp_path / "keys.json").write_text(json.dumps({"keys": named}))
    algorithms = ["RS256", "RS512"]
    with configured(Service(tmp_path), issuer, jwksFile="keys.json", algorithms=algorithms) as service:
        assert service.post("/v1/encrypt", MANIFEST, issuer.token(algorithm="RS512", **GOOD)).status == 200
        assert service.post("/v1/encrypt", MANIFEST, issuer.token(algorithm="RS256", **GOOD)).status == 401
        assert 'reason="algorithm"} 1.0' in service.get("/metrics").body.decode()


@pytest.mark.parametrize("fault", ["another issuer's document", "a redirect", "an answer that is no JWKS"])
def test_keys_that_are_not_surely_the_issuers_are_not_taken(tmp_path: Path, fault: str) -> None:
    with Issuer() as issuer, configured(Service(tmp_path), issuer) as service:
        issuer.redirects = fault == "a redirect"
        issuer.says = "https://other.example" if fault.startswith("another") else None
        text = issuer.token(**GOOD)
        if fault.startswith("an answer"):
            issuer.keys.clear()
        assert service.post("/v1/encrypt", MANIFEST, text).problem == "issuer"
        told = "HTTP 302" if issuer.redirects else "not the document that it should be"
        assert f"the keys of ci can't be fetched: {told}" in service.log.read_text()


def test_a_refusal_that_was_found_late_waits_too_and_closes_where_more_came_behind(
    service: Service, issuer: Issuer
) -> None:
    good = issuer.token(**GOOD)
    bad = good[:-8] + ("A" * 8 if good[-8:] != "A" * 8 else "B" * 8)
    request = prepared("POST", "/v1/encrypt", bad, MANIFEST)
    with socket.create_connection((service.host, service.port), timeout=30) as connection:
        began = time.monotonic()
        connection.sendall(request * 20)
        told = connection.makefile("rb").read()
        assert time.monotonic() - began > FIRST * 0.9
    assert told.count(b"HTTP/1.1 401 ") == told.count(b"HTTP/1.1 ") == 1
    assert told.lower().count(b"\r\nconnection: close\r\n") == 1
    with socket.create_connection((service.host, service.port), timeout=30) as connection:
        connection.sendall(request)
        refusal = http.client.HTTPResponse(connection)
        refusal.begin()
        assert (refusal.status, b"unauthenticated" in refusal.read()) == (401, True)
        closing = prepared("POST", "/v1/encrypt", good, MANIFEST).replace(b"Host:", b"Connection: close\r\nHost:")
        connection.sendall(closing)
        assert connection.makefile("rb").read().startswith(b"HTTP/1.1 200 "), "the connection is in order"
