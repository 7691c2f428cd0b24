"""What callers of the service get: manifests byte for byte, problems that say what is wrong, and nothing more."""

from __future__ import annotations

import json
import re
import time
from base64 import b64decode
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.e2e.cli import CONFIG_MAP, MANIFEST, MARK, NOT_YAML, PASSWORD, USER, b64, is_sealed, marks
from tests.service import Service, entry, rule, token

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OTHER = "age:age1huqfk8az7qjvqg2nlfzjetlgpuefxjahpwecm8sgqd6ruth7u93q3dh5l9"
JSON_MANIFEST = json.dumps(
    {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db", "namespace": "prod"}, "data": {"a": b64(MARK)}},
    indent=1,
).encode()
PROD = "prod-app"
GROUP = "system:bootstrappers:nodes"
SSH_KEY = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    made = Service(tmp_path_factory.mktemp("service"))
    made.config["tokens"] += [entry(name) for name in ("setter", "stranger", "nobody", "dev", "old")]
    made.config["tokens"].append({**entry("expired"), "expires": "2020-01-01T00:00:00Z"})
    made.config["rules"] += [
        rule("setter", "set", namespaces=["prod"]),
        rule("stranger", "encrypt", "decrypt", namespaces=["dev"]),
    ]
    made.config["limits"]["documents"] = 3
    made.config["limits"]["nodes"] = 1000
    made.config["limits"]["bodyBytes"] = 100_000
    with made:
        yield made


def test_a_manifest_comes_back_byte_for_byte(service: Service) -> None:
    both = MANIFEST + b"---\n" + CONFIG_MAP + b"---\n" + MANIFEST.replace(b"name: db", b"name: db2")
    sealed = service.post("/v1/encrypt", both)
    assert sealed.status == 200
    assert sealed.headers["content-type"] == "application/yaml"
    assert sealed.headers["ksecret-secrets"] == "2"
    assert is_sealed(sealed.body)
    assert CONFIG_MAP in sealed.body
    opened = service.post("/v1/decrypt", sealed.body)
    assert (opened.status, opened.body) == (200, both)
    assert opened.headers["cache-control"] == "no-store"


def test_json_in_json_out(service: Service) -> None:
    sealed = service.post("/v1/encrypt", JSON_MANIFEST, kind="application/json; charset=utf-8")
    assert sealed.headers["content-type"] == "application/json"
    assert sealed.json()["ksecret"]["sealedFor"] == "prod/db"
    assert service.post("/v1/decrypt", sealed.body, kind="application/json").body == JSON_MANIFEST
    assert service.post("/v1/encrypt", MANIFEST, kind="application/json").problem == "manifest"


def test_the_caller_names_the_keys(service: Service) -> None:
    sealed = service.sealed(MANIFEST, key=[OTHER, service.ref]).decode()
    assert OTHER in sealed
    assert service.ref in sealed
    lost = service.post("/v1/decrypt", service.sealed(MANIFEST, key=OTHER))
    assert (lost.status, lost.problem) == (422, "no-key")
    assert service.post("/v1/encrypt", MANIFEST, key="age:nonsense").problem == "key-ref"
    assert service.post("/v1/encrypt", MANIFEST, keys=OTHER).problem == "request"  # misspelt: nothing is sealed


def test_rotation_gives_new_tokens_and_changes_keysets(service: Service) -> None:
    sealed = service.sealed(MANIFEST)
    rotated = service.post("/v1/rotate", sealed, add=OTHER).body
    assert OTHER in rotated.decode()
    assert token_lines(rotated).isdisjoint(token_lines(sealed))
    assert service.post("/v1/decrypt", rotated).body == MANIFEST
    rewrapped = service.post("/v1/rotate", sealed, mode="rewrap").body
    assert token_lines(rewrapped) == token_lines(sealed)
    assert rewrapped != sealed
    assert service.post("/v1/decrypt", rewrapped).body == MANIFEST
    alone = service.post("/v1/rotate", rotated, remove=service.ref).body.decode()
    assert OTHER in alone
    assert service.ref not in alone


def token_lines(sealed: bytes) -> set[str]:
    return {line for line in sealed.decode().splitlines() if "ksecret.v1." in line}


def test_who_may_only_set_replaces_a_value_and_learns_none(service: Service) -> None:
    sealed = service.sealed(MANIFEST)
    body = {"manifest": sealed.decode(), "values": {"password": f"new-{MARK}", "username": None, "more": MARK}}
    changed = service.post("/v1/set", body, "setter")
    assert changed.status == 200, changed.body
    opened = service.post("/v1/decrypt", changed.body).body.decode()
    assert f"password: {b64(f'new-{MARK}')}" in opened
    assert f"more: {b64(MARK)}" in opened
    assert "username" not in opened
    assert service.post("/v1/decrypt", sealed, "setter").problem == "forbidden"


def test_a_random_value_is_one_that_nobody_has_seen(service: Service) -> None:
    sealed = service.sealed(MANIFEST).decode()
    changed = service.post("/v1/set", {"manifest": sealed, "random": {"password": 40}}, "setter")
    assert changed.status == 200, changed.body
    opened = yaml.safe_load(service.post("/v1/decrypt", changed.body).body)
    value = b64decode(opened["data"]["password"]).decode()
    assert re.fullmatch(r"[A-Za-z0-9]{40}", value)
    for body, told, pointer in [
        ({"values": {"a": "b"}, "random": {"a": 20}}, "random: an entry that another member has too", "#/random/a"),
        ({"random": {"a": 1 << 20}}, "random: Input should be less than or equal to 65536", "#/random/a"),
        ({"random": {f"a{n}": 65536 for n in range(17)}}, "random: more than 1 MiB together", "#/random"),
        ({"base64Values": {"a": "b"}}, "base64Values: not base64", "#/base64Values/a"),
        ({}, "values: none", "#/values"),
    ]:
        refused = service.post("/v1/set", {"manifest": sealed, **body}, "setter")
        assert refused.problem == "request"
        assert refused.json()["detail"].startswith(told)
        assert refused.json()["pointer"] == pointer
    refused = service.post("/v1/set", {"manifest": sealed, "values": {"a b": "c"}}, "setter")
    assert (refused.problem, refused.json()["entry"]) == ("input", "a b")
    made = service.post("/v1/generate/basic-auth", {"name": "a", "username": "u", "random": {"password": 32}})
    opened = yaml.safe_load(service.post("/v1/decrypt", made.body).body)
    assert (opened["type"], sorted(opened["data"])) == ("kubernetes.io/basic-auth", ["password", "username"])
    assert len(b64decode(opened["data"]["password"])) == 32
    for body in ({"password": "x", "random": {"password": 32}}, {"random": {"username": 32}}):
        assert service.post("/v1/generate/basic-auth", {"name": "a", **body}).json()["pointer"] == "#/random"


def test_set_is_no_way_to_try_out_what_a_value_is(service: Service) -> None:
    sealed = service.sealed(MANIFEST)
    for guess in (PASSWORD, "something else"):
        changed = service.post("/v1/set", {"manifest": sealed.decode(), "values": {"password": guess}}, "setter").body
        kept = token_lines(sealed) & token_lines(changed)
        assert len(kept) == len(token_lines(sealed)) - 1, "right guess or wrong one, its token is another"


def test_set_takes_a_form_as_curl_sends_it(service: Service) -> None:
    sealed = service.sealed(MANIFEST)
    binary = bytes(range(256))
    parts = {"manifest": sealed, "values.password": b"from-a-form", "base64Values.blob": binary}
    changed = service.post("/v1/set", form([*parts.items()]), kind="multipart/form-data; boundary=XX")
    assert changed.status == 200, changed.body
    opened = service.post("/v1/decrypt", changed.body).body.decode()
    assert b64("from-a-form") in opened
    assert b64(binary) in opened


def form(parts: list[tuple[str, bytes]]) -> bytes:
    made = b"".join(
        f'--XX\r\nContent-Disposition: form-data; name="{name}"; filename="f"\r\n\r\n'.encode() + content + b"\r\n"
        for name, content in parts
    )
    return made + b"--XX--\r\n"


def test_inspect_and_verify_tell_what_the_commands_tell(service: Service) -> None:
    sealed = service.sealed(MANIFEST)
    (told,) = service.post("/v1/inspect", sealed).json()["secrets"]
    assert (told["namespace"], told["name"], told["sealedFor"]) == ("prod", "db", "prod/db")
    assert told["keys"] == [{"ref": service.ref, "owner": ""}]
    assert told["entries"]["data"] == ["username", "password"]
    assert service.post("/v1/verify", sealed).json() == {"sealed": 1, "bound": True}
    moved = service.post("/v1/verify", sealed.replace(b"namespace: prod", b"namespace: dev"))
    assert (moved.status, moved.problem) == (409, "altered")
    assert service.post("/v1/inspect", MANIFEST).problem == "not-sealed"


@pytest.mark.parametrize(
    ("kind", "body", "entries"),
    [
        ("generic", {"data": {"a": b64(MARK)}, "stringData": {"b": MARK}, "random": {"c": 32}}, {"a", "b", "c"}),
        ("docker-registry", {"username": USER, "password": PASSWORD}, {".dockerconfigjson"}),
        ("basic-auth", {"username": USER, "password": PASSWORD}, {"username", "password"}),
        ("ssh-auth", {"privateKey": SSH_KEY}, {"ssh-privatekey"}),
    ],
)
def test_a_new_secret_is_sealed_before_anybody_sees_it(
    service: Service, kind: str, body: dict[str, object], entries: set[str]
) -> None:
    made = service.post(f"/v1/generate/{kind}", {"name": "new", "namespace": "prod", **body})
    assert made.status == 200, made.body
    assert b"\nksecret:\n" in made.body
    assert not any(mark.encode() in made.body for mark in marks())
    (told,) = service.post("/v1/inspect", made.body).json()["secrets"]
    assert {*told["entries"]["data"], *told["entries"]["stringData"]} == entries
    opened = service.post("/v1/decrypt", made.body).body
    assert kind in ("docker-registry", "ssh-auth") or any(mark.encode() in opened for mark in marks())


def test_a_bootstrap_token_is_what_kubeadm_takes(service: Service) -> None:
    asked = {"name": "bootstrap-token-abc123", "namespace": "kube-system", "ttl": "2h", "groups": [GROUP]}
    made = service.post("/v1/generate/bootstrap-token", {**asked, "usages": ["signing"], "description": "for node 7"})
    assert made.status == 200, made.body
    assert "warning" not in made.headers
    secret = yaml.safe_load(service.post("/v1/decrypt", made.body).body)
    entries = {key: b64decode(text).decode() for key, text in secret["data"].items()}
    assert re.fullmatch("[a-z0-9]{16}", entries.pop("token-secret"))
    left = datetime.fromisoformat(entries.pop("expiration")) - datetime.now(UTC)
    assert timedelta(minutes=118) < left <= timedelta(hours=2)
    assert secret["type"] == "bootstrap.kubernetes.io/token"
    assert entries == {
        "token-id": "abc123",
        "usage-bootstrap-signing": "true",
        "auth-extra-groups": GROUP,
        "description": "for node 7",
    }
    off = service.post("/v1/generate/bootstrap-token", {**asked, "ttl": "soon"})
    assert (off.status, off.problem) == (400, "usage")
    repeated = [("usages", b"signing"), ("usages", b"authentication"), ("name", b"bootstrap-token-abc123")]
    sent = service.post("/v1/generate/bootstrap-token", form(repeated), kind="multipart/form-data; boundary=XX")
    assert sent.status == 200, sent.body
    assert sent.headers["warning"] == '299 - "a bootstrap token works in the namespace kube-system only"'


def test_generate_takes_forms_and_refuses_what_kubernetes_would(service: Service) -> None:
    parts = [("name", b"new"), ("data.a", b"\0\xff"), ("random.b", b"20"), ("immutable", b"true")]
    made = service.post(
        "/v1/generate/generic",
        form(parts),
        kind="multipart/form-data; boundary=XX",
        output="json",
        scope="any",
    )
    assert made.status == 200, made.body
    assert made.json()["ksecret"]["sealedFor"] == "*/*"
    assert made.json()["immutable"] is True
    assert service.post("/v1/generate/generic", {"name": "a", "data": {"a b": ""}}).problem == "input"
    assert service.post("/v1/generate/generic", {"name": ""}).problem == "input"
    assert service.post("/v1/generate/generic", {"name": "a"}).problem == "nothing-to-seal"
    assert service.post("/v1/generate/spaceship", {"name": "a"}).problem == "not-found"
    pair = service.post("/v1/generate/tls", {"name": "a", "cert": MARK, "key": MARK})
    assert (pair.status, pair.problem) == (400, "input")


@pytest.mark.parametrize(
    ("kind", "body", "told", "pointer"),
    [
        ("tls", {"cert": MARK, "key": MARK}, "cert: no PEM data", "#/cert"),
        ("ssh-auth", {"privateKey": MARK}, "privateKey: not an SSH private key, or damaged", "#/privateKey"),
        ("basic-auth", {}, "username or password is required", "#/username"),
        ("docker-registry", {"username": USER}, "server, username and password are required", "#/password"),
        ("bootstrap-token", {"tokenSecret": MARK}, "tokenSecret: it must be sixteen of a-z and 0-9", "#/tokenSecret"),
        ("generic", {"stringData": {"a": "b"}, "labels": {"a b": "c"}}, "labels: not a valid label", "#/labels"),
        ("generic", {"name": "", "stringData": {"a": "b"}}, "a Secret needs a name", "#/name"),
        (
            "generic",
            {"stringData": {"a": "b", "x~y/z": "c"}},
            "stringData: not a valid key name for a Secret: it must consist of letters, digits, '-', '_' or '.'",
            "#/stringData/x~0y~1z",
        ),
        (
            "generic",
            {"random": {"a": 3}},
            "random: Input should be greater than or equal to 16",
            "#/random/a",
        ),
        ("generic", {"data": {"a": "b==="}}, "data: String should match pattern '^[A-Za-z0-9+/]*={0,2}$'", "#/data/a"),
        ("generic", {"data": {"a": "b"}}, "data: not base64", "#/data/a"),
    ],
)
def test_what_is_wrong_is_told_of_the_body_and_not_of_options(
    service: Service, kind: str, body: dict[str, object], told: str, pointer: str
) -> None:
    name = "bootstrap-token-abc123"
    answer = service.post(f"/v1/generate/{kind}", {"name": name, "namespace": "kube-system", **body})
    assert (answer.status, answer.json()["detail"], answer.json()["pointer"]) == (400, told, pointer)
    assert "--" not in answer.body.decode().replace("-----BEGIN", "")
    assert MARK.encode() not in answer.body


@pytest.mark.parametrize(
    ("kind", "body", "member"),
    [
        ("tls", {"cert": "", "random": {"password": 32}}, "random"),
        ("generic", {"stringData": {"a": "b"}, "privateKey": MARK}, "privateKey"),
        ("ssh-auth", {"privateKey": SSH_KEY, "data": {"a": b64(MARK)}}, "data"),
    ],
    ids=["random password", "key", "data"],
)
def test_a_member_that_the_kind_does_not_take_is_refused(
    service: Service, kind: str, body: dict[str, object], member: str
) -> None:
    refused = service.post(f"/v1/generate/{kind}", {"name": "new", "namespace": "prod", **body})
    assert (refused.status, refused.problem) == (400, "request")
    assert refused.json()["detail"] == f"{member}: {kind} does not take it"


def test_a_batch_answers_line_by_line_in_order(service: Service) -> None:
    sealed = service.sealed(MANIFEST).decode()
    lines = [
        {"op": "decrypt", "manifest": sealed, "id": "one"},
        {"op": "encrypt", "manifest": NOT_YAML.decode()},
        {"op": "verify", "manifest": sealed},
        {"op": "fly", "manifest": MARK},
        {"op": "inspect", "manifest": sealed},
        {"op": "set", "manifest": sealed, "values": {"password": "x"}},
        *({"op": "verify", "manifest": sealed} for _ in range(20)),
    ]
    body = "\n".join(map(json.dumps, lines)).encode()
    answer = service.post("/v1/batch", body, kind="application/x-ndjson")
    assert answer.status == 200
    results = [json.loads(line) for line in answer.body.splitlines()]
    assert [one["index"] for one in results] == list(range(26))
    assert [one["status"] for one in results[:6]] == [200, 400, 200, 400, 200, 200]
    assert results[0]["manifest"].encode() == MANIFEST
    assert results[0]["id"] == "one"
    assert results[1]["problem"]["type"] == "/problems/manifest"
    assert results[3]["problem"]["type"] == "/problems/request"
    assert results[4]["secrets"][0]["name"] == "db"
    assert not any(mark in json.dumps(results[1:]) for mark in marks())


def test_a_line_of_a_batch_with_members_of_another_operation_is_refused(service: Service) -> None:
    sealed = service.sealed(MANIFEST).decode()
    lines = [
        {"op": "rotate", "manifest": sealed, "key": [service.ref]},
        {"op": "encrypt", "manifest": MANIFEST.decode(), "add": [service.ref]},
        {"op": "decrypt", "manifest": sealed, "secret": "prod/db"},
    ]
    answer = service.post("/v1/batch", "\n".join(map(json.dumps, lines)).encode(), kind="application/jsonl")
    results = [json.loads(line) for line in answer.body.splitlines()]
    assert [one["problem"]["detail"] for one in results] == ["a member that the operation does not take"] * 3


def test_large_manifests_have_a_limit_of_time_and_wait_for_one_another(tmp_path: Path) -> None:
    small = Service(tmp_path)
    small.config["limits"] |= {"operationSeconds": 0.25, "nodes": 1_000_000, "bodyBytes": 8_000_000}
    with small:
        began = time.monotonic()
        answer = small.post("/v1/encrypt", b"a: %b\n---\n" % (b"b" * 50) * 75_000)  # as many nodes as are taken
        assert (answer.status, answer.problem) == (504, "timeout")
        assert time.monotonic() - began < 2
        assert small.post("/v1/encrypt", MANIFEST).status == 200


def test_the_page_is_not_there_unless_it_was_asked_for(service: Service) -> None:
    for path in ("/", "/page/main.js"):
        assert service.get(path, "").status == 401
        assert service.get(path).problem == "not-found"


def test_whoever_asks_learns_who_they_are_taken_for_and_what_they_may(service: Service) -> None:
    told = service.get("/v1/whoami", "setter").json()
    assert told["caller"] == {"token": "setter"}
    (right,) = told["rights"]
    assert right["operations"] == ["set"]
    assert sorted(right) == ["keys", "names", "namespaces", "operations", "unbound"]
    assert service.get("/v1/whoami", "nobody").json() == {"caller": {"token": "nobody"}, "rights": []}
    assert service.get("/v1/whoami?who=root").problem == "request"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://behind.a.proxy"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": ""}, 200),
        ({"Origin": "http://127.0.0.1:PORT"}, 200),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://[:"}, 403),
        ({"Origin": "https://evil.example", "Host": "evil.example", "Sec-Fetch-Site": "cross-site"}, 403),
    ],
)
def test_a_page_of_another_site_sends_nothing_in_somebodys_name(
    service: Service, headers: dict[str, str], status: int
) -> None:
    headers = {name: text.replace("PORT", str(service.port)) for name, text in headers.items()}
    sent = {**service.bearer("root"), "Content-Type": "application/yaml", **headers}
    answer = service.send("POST", "/v1/encrypt", MANIFEST, sent)
    assert answer.status == status
    assert status == 200 or answer.problem == "cross-site"


def test_keys_are_those_that_the_caller_may_seal_to(service: Service) -> None:
    assert service.get("/v1/keys").json() == {"keys": [service.ref]}
    assert service.get("/v1/keys", "nobody").json() == {"keys": []}


@pytest.mark.parametrize(
    ("path", "body", "kind", "problem"),
    [
        ("/v1/encrypt", NOT_YAML, "application/yaml", "manifest"),
        ("/v1/encrypt", b"\xff\xfe", "application/yaml", "manifest"),
        ("/v1/encrypt", CONFIG_MAP, "application/yaml", "nothing-to-seal"),
        ("/v1/encrypt", MANIFEST, "text/plain", "media-type"),
        ("/v1/encrypt", MANIFEST, "application/yaml; charset=utf-16", "media-type"),
        ("/v1/decrypt", MANIFEST, "application/yaml", "not-sealed"),
        ("/v1/rotate", MANIFEST, "application/yaml", "not-sealed"),
        ("/v1/rotate?mode=fly", MANIFEST, "application/yaml", "request"),
        ("/v1/encrypt?scope=fly", MANIFEST, "application/yaml", "request"),
        ("/v1/encrypt?scope=strict&scope=any", MANIFEST, "application/yaml", "request"),
        ("/v1/rotate?mode=rewrap&mode=rotate", MANIFEST, "application/yaml", "request"),
        ("/v1/encrypt/", MANIFEST, "application/yaml", "not-found"),
        ("//v1/encrypt", MANIFEST, "application/yaml", "not-found"),
        ("/v1/encrypt?key=pgp:default", MANIFEST, "application/yaml", "usage"),
        ("/v1/set", MARK.encode(), "application/json", "request"),
        ("/v1/set", json.dumps({"manifest": MARK}).encode(), "application/json", "request"),
        ("/v1/set", json.dumps({"manifest": 1, MARK: 2}).encode(), "application/json", "request"),
        ("/v1/set", b"--XX", "multipart/form-data", "request"),
        ("/v1/batch", b"{}", "application/json", "media-type"),
        ("/v1/encrypt", b"x" * 100_001, "application/yaml", "too-large"),
        ("/v1/encrypt", (MANIFEST + b"---\n") * 4, "application/yaml", "too-large"),
        ("/v1/encrypt", MANIFEST + b"---\na: [" + b"b, " * 1000 + b"c]\n", "application/yaml", "manifest"),
        ("/v1/encrypt", JSON_MANIFEST + b"[" + b"1, " * 1000 + b"1]", "application/json", "manifest"),
        ("/v1/fly", MANIFEST, "application/yaml", "not-found"),
        ("/v1/keys", MANIFEST, "application/yaml", "method"),
    ],
)
def test_what_is_wrong_is_told_without_what_was_sent(
    service: Service, path: str, body: bytes, kind: str, problem: str
) -> None:
    assert service.post(path, body, kind=kind).problem == problem


def test_a_compressed_or_endless_body_is_refused(service: Service) -> None:
    headers = {**service.bearer("root"), "Content-Type": "application/yaml", "Content-Encoding": "gzip"}
    assert service.send("POST", "/v1/encrypt", b"x", headers).problem == "media-type"
    chunks = (b"x" * 10_000 for _ in range(1000))
    with closing(service.connect()) as connection:
        endless = {**headers, "Content-Encoding": "identity"}
        with suppress(BrokenPipeError, ConnectionResetError):  # it is told before it has sent all
            connection.request("POST", "/v1/encrypt", chunks, endless, encode_chunked=True)
        with suppress(ConnectionResetError):
            assert connection.getresponse().status == 413


def test_callers_are_known_or_turned_away_and_the_metric_says_why(service: Service) -> None:
    for reason, headers in (
        ("missing", {}),
        ("missing", {"Authorization": ""}),
        ("malformed", {"Authorization": token("root")}),
        ("malformed", {"Authorization": f"Basic {token('root')}"}),
        ("unknown", {"Authorization": f"Bearer {token('root')}x"}),
        ("malformed", {"Authorization": "Bearer"}),
        ("expired", {"Authorization": f"Bearer {token('expired')}"}),
        ("issuer", {"Authorization": "Bearer a.b.c"}),
        ("malformed", {"Authorization": "Bearer " + "x" * 20_000}),
    ):
        before = turned_away(service, reason)
        answer = service.send("POST", "/v1/encrypt", MANIFEST, {"Content-Type": "application/yaml", **headers})
        assert (answer.status, answer.problem) == (401, "unauthenticated")
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert turned_away(service, reason) == before + 1, headers
    assert service.get("/metrics", "").status == 401
    assert service.get("/openapi.json", "").status == 401


def turned_away(service: Service, reason: str) -> float:
    told = service.get("/metrics").body.decode()
    counted = re.search(rf'ksecret_auth_failures_total{{reason="{reason}"}} (\S+)', told)
    return float(counted[1]) if counted else 0


def test_health_needs_no_caller_and_metrics_name_no_secret(service: Service) -> None:
    for path in ("/livez", "/healthz"):
        assert service.get(path, "").json() == {"status": "alive"}
    ready = service.get("/readyz", "")
    assert (ready.status, ready.json()) == (200, {"status": "ready", "audit": "ok", "backends": {"age": "ok"}})
    service.sealed(MANIFEST)
    service.post("/v1/encrypt", MANIFEST.replace(b"name: db", b"name: very-odd-name"), "stranger")
    told = service.get("/metrics").body.decode()
    for name in (
        'ksecret_http_requests_total{method="POST",path="/v1/encrypt",status="200"}',
        "ksecret_http_request_duration_seconds_bucket",
        'ksecret_crypto_operations_total{backend="age",operation="wrap",result="ok"}',
        "ksecret_kms_request_duration_seconds_count",
        "ksecret_audit_write_failures_total 0.0",
        "ksecret_build_info{version=",
        'ksecret_denials_total{operation="encrypt"}',
    ):
        assert name in told, name
    for secret in ("very-odd-name", "prod", "stranger", service.ref):
        assert secret not in told
