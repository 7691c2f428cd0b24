"""Who may do what: each right alone, each Secret and key by name, and the ways around that are closed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyrage
import pytest

from tests.e2e.cli import CONFIG_MAP, MANIFEST, MARK, MARKS
from tests.service import EVERY, Answer, Service, entry, rule

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DEV = MANIFEST.replace(b"namespace: prod", b"namespace: dev")
PATHS = [
    *("/v1/encrypt", "/v1/decrypt", "/v1/rotate", "/v1/set", "/v1/inspect", "/v1/verify", "/v1/generate/generic"),
    *("/v1/batch", "/v1/keys", "/v1/whoami", "/v1/nowhere", "/v1", "/v1/"),
]


def new_ref() -> str:
    return f"age:{pyrage.x25519.Identity.generate().to_public()}"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    made = Service(tmp_path_factory.mktemp("service"))
    made.config["tokens"] += [
        entry(name) for name in (*EVERY, "dev", "dev-any", "mine", "exact", "prod-writer", "none")
    ]
    made.config["rules"] += [
        *(rule(right, right, keys=[made.ref]) for right in EVERY),
        rule("dev", *EVERY, namespaces=["dev"], keys=["*"]),
        rule("dev-any", "encrypt", "decrypt", namespaces=["dev", "dev-?"], names=["db*"]),
        rule("mine", *EVERY, names=["mine-*"]),
        rule("exact", "encrypt", "decrypt", keys=[made.ref]),
        rule("prod-writer", "encrypt", "set", "generate", namespaces=["prod"], keys=[made.ref]),
    ]
    with made:
        yield made


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_nobody_gets_nothing(service: Service, method: str, path: str) -> None:
    answer = service.send(method, path, MANIFEST, {"Content-Type": "application/yaml"})
    assert (answer.status, answer.problem) == (401, "unauthenticated")


def ask(service: Service, operation: str, sealed: bytes, caller: str) -> Answer:
    if operation == "encrypt":
        return service.post("/v1/encrypt", MANIFEST, caller)
    if operation == "set":
        return service.post("/v1/set", {"manifest": sealed.decode(), "values": {"password": MARK}}, caller)
    if operation == "generate":
        return service.post("/v1/generate/generic", {"name": "a", "stringData": {"a": MARK}}, caller)
    return service.post(f"/v1/{operation}", sealed, caller)


@pytest.mark.parametrize("right", [*EVERY, "none"])
def test_each_right_allows_its_own_operation_and_no_other(service: Service, right: str) -> None:
    sealed = service.sealed(MANIFEST)
    allowed = {operation for operation in EVERY if ask(service, operation, sealed, right).status == 200}
    assert allowed == {right} - {"none"}
    for operation in {*EVERY} - {right}:
        answer = ask(service, operation, sealed, right)
        assert (answer.status, answer.problem) == (403, "forbidden")
        assert not any(mark in answer.body.decode() for mark in MARKS)


def test_namespaces_names_and_keys_all_have_to_fit(service: Service) -> None:
    assert service.post("/v1/encrypt", DEV, "dev-any").status == 200
    assert service.post("/v1/encrypt", DEV.replace(b"space: dev", b"space: dev-1"), "dev-any").status == 200
    for wrong in (
        MANIFEST,
        DEV.replace(b"namespace: dev", b"namespace: dev-10"),
        DEV.replace(b"namespace: dev", b"namespace: Dev"),
        DEV.replace(b"name: db", b"name: xdb"),
        DEV.replace(b"  namespace: dev\n", b""),
    ):
        assert service.post("/v1/encrypt", wrong, "dev-any").problem == "forbidden"
    assert service.post("/v1/encrypt", MANIFEST, "exact", key=new_ref()).problem == "forbidden"
    assert service.post("/v1/encrypt", MANIFEST, "exact", key=[service.ref, new_ref()]).problem == "forbidden"


def test_one_secret_too_many_and_the_whole_manifest_is_denied(service: Service) -> None:
    both = DEV + b"---\n" + MANIFEST
    assert service.post("/v1/encrypt", both, "dev").problem == "forbidden"
    sealed = service.sealed(both)
    for path in ("/v1/decrypt", "/v1/verify", "/v1/rotate", "/v1/inspect"):
        assert service.post(path, sealed, "dev").problem == "forbidden"
    body = {"manifest": sealed.decode(), "values": {"password": "x"}, "secret": "dev/db"}
    assert service.post("/v1/set", body, "dev").problem == "forbidden"
    listed = b"apiVersion: v1\nkind: List\nitems:\n" + b"".join(
        b"- " + b"\n  ".join(one.strip().splitlines()[1:]) + b"\n" for one in (DEV, MANIFEST)
    )
    assert service.post("/v1/encrypt", listed, "dev").problem == "forbidden"


def test_a_body_without_any_secret_is_no_way_around_the_rules(service: Service) -> None:
    for body in (CONFIG_MAP, b"apiVersion: v1\nkind: List\nitems: []\n", b""):
        for path in ("/v1/encrypt", "/v1/decrypt", "/v1/verify", "/v1/rotate", "/v1/inspect"):
            answer = service.post(path, body, "none")
            assert (answer.status, answer.problem) == (403, "forbidden")


def test_a_value_in_the_clear_is_sealed_to_keys_that_the_caller_may_use_alone(service: Service) -> None:
    sealed = service.sealed(MANIFEST, key=[service.ref, new_ref()]).decode()
    line = next(line for line in sealed.splitlines() if line.startswith("  password: "))
    mixed = sealed.replace(line.partition(" #")[0], "  password: eHg=").encode()
    answer = service.post("/v1/encrypt", mixed, "prod-writer")
    assert (answer.status, answer.problem) == (403, "forbidden")
    assert answer.json()["detail"].endswith("with these keys")
    assert service.post("/v1/encrypt", mixed).status == 200, "root may use any"


def test_changes_of_a_keyset_that_contradict_themselves(service: Service) -> None:
    sealed, other = service.sealed(MANIFEST), new_ref()
    for query in (
        {"add": other, "remove": other},
        {"mode": "rewrap", "add": other},
        {"mode": "rewrap", "remove": other},
    ):
        answer = service.post("/v1/rotate", sealed, **query)
        assert (answer.status, answer.problem) == (400, "usage")


def test_a_secret_that_no_key_rule_fits_needs_keys_that_are_named(tmp_path: Path) -> None:
    service = Service(tmp_path)
    service.key_rules = [{"namespace": "prod", "keys": [service.ref]}]
    with service:
        assert service.post("/v1/encrypt", MANIFEST).status == 200
        answer = service.post("/v1/encrypt", DEV)
        assert (answer.status, answer.problem) == (400, "usage")
        assert answer.json()["detail"] == "no key rule of the service fits dev/db"
        assert service.post("/v1/encrypt", DEV, key=service.ref).status == 200


def test_only_keys_that_a_caller_may_use_open_anything_for_them(service: Service) -> None:
    other = new_ref()
    assert service.post("/v1/decrypt", service.sealed(MANIFEST, key=[service.ref, other]), "exact").status == 200
    assert service.post("/v1/decrypt", service.sealed(MANIFEST, key=other), "exact").problem == "forbidden"


class TestConfusedDeputies:
    """Ways to have the service open, for a caller of the namespace dev, what is prod's."""

    def test_a_file_that_was_given_another_name(self, service: Service) -> None:
        moved = service.sealed(MANIFEST).replace(b"namespace: prod", b"namespace: dev")
        relabelled = moved.replace(b"sealedFor: prod/db", b"sealedFor: dev/db")
        for sealed in (moved, relabelled):
            for operation in ("decrypt", "rotate", "verify", "set"):
                assert ask(service, operation, sealed, "dev").problem == "altered"
            assert service.post("/v1/rotate", sealed, "dev", mode="rewrap").problem == "altered"
            assert service.post("/v1/rotate", sealed, "dev", add=new_ref()).problem == "altered"

    def test_a_file_that_is_bound_to_no_name(self, service: Service) -> None:
        for scope in ("any", "namespace"):
            sealed = service.sealed(MANIFEST, scope=scope)
            mine = sealed.replace(b"name: db", b"name: mine-db")
            assert service.post("/v1/decrypt", mine).status == 200, "root may"
            for operation in ("decrypt", "rotate", "verify", "set", "inspect"):
                assert ask(service, operation, mine, "mine").problem == "forbidden"
        relabelled = service.sealed(MANIFEST, scope="any").replace(b"namespace: prod", b"namespace: dev")
        assert service.post("/v1/decrypt", relabelled, "dev").problem == "forbidden"
        assert service.post("/v1/encrypt", DEV, "dev", scope="namespace").status == 200
        widely = service.post("/v1/encrypt", DEV, "dev", scope="any")
        assert widely.problem == "forbidden"
        assert widely.json()["detail"].endswith("encrypt dev/db sealed for any namespace")

    def test_encrypt_is_no_way_to_add_a_key_or_to_loosen_what_is_sealed(self, service: Service) -> None:
        sealed = service.sealed(MANIFEST)
        queries: list[dict[str, Any]] = [
            {"key": new_ref()},
            {"key": service.ref},
            {"scope": "any"},
            {"format": "kubesec"},
        ]
        for query in queries:
            assert service.post("/v1/encrypt", sealed, **query).problem == "usage"
        assert service.post("/v1/encrypt", sealed).problem == "already-sealed"

    def test_encrypt_puts_no_value_into_what_is_sealed_without_the_right_to_set(self, service: Service) -> None:
        sealed = service.sealed(MANIFEST)
        line = next(line for line in sealed.decode().splitlines() if line.startswith("  password: "))
        mixed = sealed.replace(line.partition(" #")[0].encode(), b"  password: eHg=")
        assert service.post("/v1/encrypt", mixed, "encrypt").problem == "forbidden"
        assert service.post("/v1/encrypt", mixed, "prod-writer").status == 200

    def test_a_keyset_that_somebody_wrote_a_key_into(self, service: Service) -> None:
        sealed = service.sealed(MANIFEST).decode()
        mine = new_ref()
        added = sealed.replace("  keys:\n", f"  keys:\n    {mine}: AAAA\n").encode()
        assert service.post("/v1/rotate", added, "rotate", mode="rewrap").problem == "forbidden", "not a key of theirs"
        for mode in ("rewrap", "rotate"):
            assert service.post("/v1/rotate", added, mode=mode).problem == "altered", "nor for those who may use any"

    def test_a_key_that_rotation_would_add(self, service: Service) -> None:
        sealed = service.sealed(MANIFEST)
        assert service.post("/v1/rotate", sealed, "rotate", add=new_ref()).problem == "forbidden"
        assert service.post("/v1/rotate", sealed, "rotate").status == 200

    def test_another_ones_data_key_in_a_file_of_ones_own(self, service: Service) -> None:
        prods = service.sealed(MANIFEST).decode()
        mine = new_ref()
        own = service.sealed(DEV, key=[service.ref, mine]).decode()
        stolen = next(line for line in prods.splitlines() if line.startswith(f"    {service.ref}: "))
        ours = next(line for line in own.splitlines() if line.startswith(f"    {service.ref}: "))
        forged = own.replace(ours, stolen).encode()
        for mode in ("rewrap", "rotate"):
            assert service.post("/v1/rotate", forged, "dev", mode=mode).problem == "altered"
        assert service.post("/v1/decrypt", forged, "dev").problem == "altered"

    def test_kubesecs_format_needs_a_rule_that_says_so(self, service: Service) -> None:
        answer = service.post("/v1/encrypt", DEV, "dev", format="kubesec", key=service.ref)
        assert answer.problem == "forbidden"
        pgp = f"pgp:{'AB' * 20}"
        lines = f"# kubesec:v:3\n# kubesec:{pgp}:QUJD\n# kubesec:mac:QUJDQUJDQUJDQUJD.QUJDQUJDQUJDQUJDQUJDQQ==\n"
        sealed = b"apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\n  namespace: dev\n" + lines.encode()
        for operation in ("decrypt", "inspect", "set", "rotate", "verify"):
            assert ask(service, operation, sealed, "dev").problem == "forbidden"
        assert service.post("/v1/inspect", sealed).status == 200, "root's rule says unbound"


def test_a_manifest_with_more_keys_than_anybody_has_is_not_looked_through(service: Service) -> None:
    first, second = service.sealed(DEV + b"---\n" + MANIFEST).decode().split("---\n")
    many, more = ("".join(f"    pgp:{at + start:040X}: AAAA\n" for at in range(60)) for start in (0, 60))
    for operation in ("decrypt", "inspect", "verify", "rotate", "set"):
        both = (first.replace("  keys:\n", f"  keys:\n{many}"), second.replace("  keys:\n", f"  keys:\n{more}"))
        data = "---\n".join(both).encode()
        answer = ask(service, operation, data, "root")
        assert (answer.status, answer.problem) == (413, "too-large")


def test_the_policy_sees_the_name_that_is_bound(service: Service) -> None:
    """Ways to write a namespace that one reader takes for dev and another for prod."""
    head = b"apiVersion: v1\nkind: Secret\n"
    data = b"stringData: {a: b}\n"
    for metadata in (
        b"metadata: {name: a, namespace: dev, namespace: prod}\n",
        b"metadata: {name: a, namespace: dev}\nmetadata: {name: a, namespace: prod}\n",
        b"metadata: {<<: {namespace: prod}, name: a, namespace: dev}\n",
        b"x: &n dev\nmetadata: {name: a, namespace: *n}\n",
        b"metadata: {name: a, namespace: !!binary ZGV2}\n",
        b"metadata: {name: dev/a}\n",
    ):
        assert service.post("/v1/encrypt", head + metadata + data).problem == "manifest"
    for metadata in (
        b'"namespace":"\\u0070rod"',
        b'"namespace":"d\xd0\xb5v"',
        b'"namespace":null',
        b'"Namespace":"dev"',
    ):
        body = b'{"apiVersion":"v1","kind":"Secret","metadata":{"name":"a",%s},"stringData":{"a":"b"}}' % metadata
        assert service.post("/v1/encrypt", body, "dev", "application/json").problem == "forbidden"
    twice = (
        b'{"apiVersion":"v1","kind":"Secret","metadata":{"namespace":"dev","name":"a","namespace":"prod"},"data":{}}'
    )
    assert service.post("/v1/encrypt", twice, kind="application/json").status == 400


def test_denials_are_written_down_too(service: Service) -> None:
    assert service.post("/v1/decrypt", service.sealed(MANIFEST), "dev").status == 403
    *_, before, intent, outcome = service.audited()
    assert before["outcome"] == "done"
    assert (intent["event"], outcome["event"], outcome["outcome"]) == ("intent", "outcome", "denied")
    assert (intent["caller"], intent["operation"], intent["secrets"]) == ({"token": "dev"}, "decrypt", ["prod/db"])
    assert outcome["status"] == 403
    assert outcome["request"] == intent["request"]
