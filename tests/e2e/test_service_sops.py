"""Files that SOPS sealed, through the service: for callers who may open what is bound to no name, and no others."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pyrage
import pytest

from secretsvc.backends.base import Settings
from secretsvc.backends.registry import Backends
from secretsvc.keyref import KeyRef
from secretsvc.operations.documents.keysets import SopsKeyset
from secretsvc.operations.documents.seal import SopsRule, seal_file
from tests import sops_support
from tests.service import EVERY, YAML, Answer, Service, entry, rule

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BYTES = "application/octet-stream"
CLEAR = b"# of the database\ndb:\n  password: correct horse  # changed in May\n  port: 5432\nreplicas_unencrypted: 2\n"
NOW = "2026-01-02T03:04:05Z"
OTHER = pyrage.x25519.Identity.generate()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """`root` may do everything; the others lack one thing each. The service holds two identities."""
    identities = f"{sops_support.IDENTITY}\n{OTHER}"
    made = Service(tmp_path_factory.mktemp("service"), KSECRET_AGE_KEY=identities)
    made.ref = f"age:{sops_support.RECIPIENT}"
    made.key_rules = [{"keys": [made.ref]}]
    rules = {
        "bound": rule("bound", *EVERY),
        "prod": rule("prod", *EVERY, namespaces=["prod"], unbound=True),
        "documents": rule("documents", *EVERY, namespaces=[""], names=[""], unbound=True),
        "blind": rule("blind", "set", "rotate", "verify", "inspect", keys=[made.ref], unbound=True),
        "one": rule("one", *EVERY, keys=[f"age:{OTHER.to_public()}"], unbound=True),
    }
    made.config["tokens"] += [entry(name) for name in rules]
    made.config["rules"] += rules.values()
    with made:
        yield made


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("sops") / "values.yaml"
    path.write_bytes(CLEAR)
    return sops_support.by_sops(path)


def ask(service: Service, operation: str, data: bytes, caller: str = "root") -> Answer:
    if operation == "set":
        return service.post("/v1/set", {"manifest": data.decode(), "values": {"db.port": "5433"}}, caller)
    return service.post(f"/v1/{operation}", data, caller)


def by_sops(data: bytes, *words: str) -> bytes:
    done = sops_support.sops("decrypt", *words, "/dev/stdin", stdin=data)
    assert not done.returncode, done.stderr.decode()
    return done.stdout


def test_it_is_opened_checked_changed_and_rotated_and_sops_opens_what_comes_of_it(
    service: Service, sealed: bytes
) -> None:
    opened = service.post("/v1/decrypt", sealed)
    assert opened.status == 200, opened.body
    assert opened.headers["content-type"].startswith(YAML)
    assert opened.headers["ksecret-unbound"] == "true"
    assert b"    password: correct horse" in opened.body
    assert service.post("/v1/verify", sealed).json() == {"sealed": 1, "bound": False}
    changed = ask(service, "set", sealed)
    assert changed.status == 200, changed.body
    differing = set(changed.body.splitlines()) - set(sealed.splitlines())
    assert {line.split(b":")[0].strip() for line in differing} - {b"lastmodified"} == {b"mac", b"port"}
    assert b"    port: 5433\n" in by_sops(changed.body, "--input-type", "yaml", "--output-type", "yaml")
    for mode in ("rotate", "rewrap"):
        rotated = service.post("/v1/rotate", sealed, mode=mode)
        assert rotated.status == 200, rotated.body
        tokens = [line for line in sealed.splitlines() if b"ENC[" in line and b"mac:" not in line]
        assert all((line in rotated.body) == (mode == "rewrap") for line in tokens)
        assert service.post("/v1/decrypt", rotated.body).body == opened.body
        assert by_sops(rotated.body, "--input-type", "yaml", "--output-type", "yaml") == by_sops(
            sealed, "--input-type", "yaml", "--output-type", "yaml"
        )


def test_rotation_changes_whom_it_is_sealed_to(service: Service, sealed: bytes) -> None:
    new = f"age:{OTHER.to_public()}"
    rotated = service.post("/v1/rotate", sealed, add=new, remove=service.ref)
    assert rotated.status == 200, rotated.body
    (told,) = service.post("/v1/inspect", rotated.body).json()["secrets"]
    assert [key["ref"] for key in told["keys"]] == [new]
    assert service.post("/v1/decrypt", rotated.body).body == service.post("/v1/decrypt", sealed).body


def test_inspection_needs_no_key_and_tells_of_the_rule(service: Service, sealed: bytes) -> None:
    (told,) = service.post("/v1/inspect", sealed).json()["secrets"]
    assert told["sealed"]
    assert told["type"] == "unencrypted_suffix _unencrypted"
    assert told["entries"]["sealed"][-2:] == ["db.password", "db.port"]
    assert told["keys"] == [{"ref": service.ref, "owner": ""}]


@pytest.mark.parametrize("caller", ["bound", "prod", "blind"])
@pytest.mark.parametrize("operation", ["verify", "rotate", "set"])
def test_a_rule_has_to_allow_what_has_no_name_and_to_open_it(
    service: Service, sealed: bytes, operation: str, caller: str
) -> None:
    """Whoever learns whether it opens can try out values: a clear text moved to where a token was fits, or not."""
    answer = ask(service, operation, sealed, caller)
    assert answer.problem == "forbidden"
    assert "in SOPS's format, which binds it to no name" in answer.json()["detail"]
    assert ask(service, operation, sealed, "documents").status == 200, "which a rule for no namespace and no name may"


def test_who_may_inspect_only_is_told_what_the_file_shows(service: Service, sealed: bytes) -> None:
    assert ask(service, "inspect", sealed, "blind").status == 200
    assert ask(service, "inspect", sealed, "prod").problem == "forbidden"


@pytest.mark.parametrize("operation", ["decrypt", "verify", "rotate", "set"])
def test_a_keys_name_beside_what_another_one_wraps_opens_nothing(
    service: Service, sealed: bytes, operation: str
) -> None:
    """SOPS's MAC covers no key: whoever may use one of the service's keys could write its name over another's."""
    assert ask(service, operation, sealed, "one").problem == "forbidden"
    relabelled = sealed.replace(sops_support.RECIPIENT.encode(), str(OTHER.to_public()).encode())
    assert ask(service, operation, relabelled, "one").problem == "no-key"


def test_of_groups_of_keys_as_many_have_to_be_allowed_as_its_threshold_wants(service: Service) -> None:
    ours, other, stranger = sops_support.RECIPIENT, OTHER.to_public(), pyrage.x25519.Identity.generate().to_public()
    refs = [((KeyRef("age", str(one)), {}),) for one in (ours, other, stranger)]
    opened = {}
    for threshold in (2, 3):
        keys = SopsKeyset(tuple(refs), threshold)
        sealed = seal_file(CLEAR, keys, SopsRule(), Backends(Settings({}, lambda _: None)), name="a.yaml", now=NOW).data
        opened[threshold] = ask(service, "decrypt", sealed)
        assert ask(service, "decrypt", sealed, "one").problem == "forbidden", "who may use the second one only"
    assert opened[2].body == CLEAR
    assert opened[3].problem == "no-key"


def test_a_role_and_a_profile_that_a_file_names_are_not_taken_from_it(service: Service, sealed: bytes) -> None:
    arn = "arn:aws:kms:eu-west-1:123456789012:key/00000000-0000-0000-0000-000000000000"
    entry = f"sops:\n    kms:\n        - arn: {arn}\n          role: arn:aws:iam::1:role/x\n          enc: AAAA\n"
    added = sealed.replace(b"sops:\n", entry.encode())
    assert ask(service, "decrypt", added).status == 200, "by its other key"
    (told,) = service.post("/v1/inspect", added).json()["secrets"]
    assert f"aws:{arn}" in [key["ref"] for key in told["keys"]]
    refused = service.post("/v1/rotate", added)
    assert refused.problem == "input"
    assert "in the role" in refused.json()["detail"]


def test_a_changed_value_is_refused_whatever_is_asked(service: Service, sealed: bytes) -> None:
    altered = sealed.replace(b"replicas_unencrypted: 2", b"replicas_unencrypted: 3")
    for operation in ("decrypt", "verify", "rotate", "set"):
        assert ask(service, operation, altered).problem == "altered"
    assert service.post("/v1/rotate", altered, mode="rewrap").problem == "altered"


def test_what_is_sealed_already_is_not_sealed_in_another_format(service: Service, tmp_path: Path) -> None:
    path = tmp_path / "secret.yaml"
    path.write_bytes(b"apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\nstringData:\n  a: x\n")
    sealed = sops_support.by_sops(path, "--encrypted-regex", "^(data|stringData)$")
    assert service.post("/v1/encrypt", sealed).problem == "already-sealed"
    opened = service.post("/v1/decrypt", sealed)
    assert b"  a: x\n" in opened.body


@pytest.mark.parametrize(
    ("name", "media", "clear"),
    [
        ("a.json", "application/json", b'{\n\t"a": "x",\n\t"b": 12\n}\n'),
        ("a.env", BYTES, b"A=x\nB=y z\n"),
        ("a.ini", BYTES, b"[db]\nuser = x\n"),
        ("a.bin", BYTES, b"\x00\xff any bytes"),
    ],
)
def test_each_kind_of_document_is_opened_and_changed(
    service: Service, tmp_path: Path, name: str, media: str, clear: bytes
) -> None:
    kind = {"a.env": "dotenv", "a.ini": "ini", "a.bin": "binary", "a.json": "json"}[name]
    path = tmp_path / name
    path.write_bytes(clear)
    sealed = sops_support.by_sops(path)
    for query in ("", f"?kind={kind}"):
        opened = service.post(f"/v1/decrypt{query}", sealed, kind=media)
        assert opened.body == clear
        assert opened.headers["content-type"] == media
    rotated = service.post(f"/v1/rotate?kind={kind}", sealed, kind=media).body
    assert service.post("/v1/decrypt", rotated, kind=media).body == clear
    line = {"op": "decrypt", "kind": kind, "manifest": sealed.decode()}
    answer = service.post("/v1/batch", json.dumps(line).encode(), kind="application/jsonl").json()
    if kind == "binary":
        assert answer["problem"]["detail"] == "what comes of it is no text"
        return
    assert answer["manifest"].encode() == clear
    word = {"dotenv": "A", "ini": "db.user", "json": "a"}[kind]
    changed = service.post("/v1/set", {"manifest": sealed.decode(), "kind": kind, "values": {word: "new"}})
    assert changed.headers["content-type"] == media
    assert b"new" in service.post("/v1/decrypt", changed.body, kind=media).body


def test_a_media_type_that_says_another_kind_is_refused(service: Service, sealed: bytes) -> None:
    answer = service.post("/v1/decrypt?kind=dotenv", sealed)
    assert answer.problem == "media-type"
    assert service.post("/v1/decrypt?kind=toml", sealed).problem == "request"


def test_as_many_values_are_read_as_of_a_manifest(service: Service, tmp_path: Path) -> None:
    path = tmp_path / "a.env"
    path.write_bytes(b"A=x\n")
    many = b"".join(b"X%d=\n" % number for number in range(30_000))
    answer = service.post("/v1/verify", many + sops_support.by_sops(path), kind=BYTES)
    assert answer.problem == "manifest"
    assert "more than 25000 values" in answer.json()["detail"]
    blank = b"\n" * 120_000
    assert "lines" in service.post("/v1/verify", blank + sops_support.by_sops(path), kind=BYTES).json()["detail"]


class TestSealing:
    """`encrypt?format=sops`: to the keys and by the rule that are said, else the service's and SOPS's own."""

    @pytest.mark.parametrize(
        ("kind", "media", "clear"),
        [
            ("yaml", YAML, CLEAR),
            ("json", "application/json", b'{\n\t"a": "x",\n\t"b": 12\n}\n'),
            ("dotenv", BYTES, b"A=x\nB=y z\n"),
            ("ini", BYTES, b"[db]\nuser = x\n"),
            ("binary", BYTES, b"\x00\xff any bytes"),
        ],
    )
    def test_sops_opens_what_the_service_sealed(self, service: Service, kind: str, media: str, clear: bytes) -> None:
        sealed = service.post(f"/v1/encrypt?format=sops&kind={kind}", clear, "documents", kind=media)
        assert sealed.status == 200, sealed.body
        assert sealed.headers["content-type"].startswith(media)
        assert sealed.headers["ksecret-unbound"] == "true"
        assert service.post(f"/v1/decrypt?kind={kind}", sealed.body, kind=media).body == clear
        by_sops(sealed.body, "--input-type", kind, "--output-type", kind)

    def test_it_is_written_down_as_what_it_is(self, service: Service, sealed: bytes) -> None:
        assert service.post("/v1/encrypt?format=sops", CLEAR).status == 200
        assert service.audited()[-1]["secrets"] == ["a document"]
        assert service.post("/v1/verify", sealed).status == 200
        line = service.audited()[-1]
        assert (line["secrets"], line["sealedTo"], line["outcome"]) == (["a tree"], [service.ref], "done")

    def test_keys_and_the_rule_are_the_callers(self, service: Service) -> None:
        new = f"age:{OTHER.to_public()}"
        query = {"format": "sops", "key": new, "encryptedRegex": "^port$", "macOnlyEncrypted": "true"}
        sealed = service.post("/v1/encrypt", CLEAR, **query)
        (told,) = service.post("/v1/inspect", sealed.body).json()["secrets"]
        assert told["type"] == "encrypted_regex ^port$, its MAC over sealed values only"
        assert told["entries"] == {"sealed": ["db.port"]}
        assert [key["ref"] for key in told["keys"]] == [new]
        line = {
            "op": "encrypt",
            "format": "sops",
            "kind": "yaml",
            "encryptedRegex": "^port$",
            "manifest": CLEAR.decode(),
        }
        answer = service.post("/v1/batch", json.dumps(line).encode(), kind="application/jsonl").json()
        assert answer["manifest"].count("ENC[") == 2, "the value and the MAC"

    def test_what_can_not_be_sealed_so_is_refused(self, service: Service, sealed: bytes) -> None:
        for caller in ("bound", "prod"):
            assert service.post("/v1/encrypt?format=sops", CLEAR, caller).problem == "forbidden"
        denied = service.post("/v1/encrypt?format=sops", CLEAR, "one")
        assert denied.problem == "forbidden"
        assert "a document with these keys" in denied.json()["detail"]
        refused = {
            "": "already-sealed",
            "&scope=any": "usage",
            "&allowRepeated=true": "usage",
            "&encryptedRegex=a&encryptedSuffix=b": "request",
            "&encryptedRegex=%5B": "already-sealed",
        }
        for query, problem in refused.items():
            assert service.post(f"/v1/encrypt?format=sops{query}", sealed).problem == problem
        for query, problem in (("encryptedRegex=nothing", "nothing-to-seal"), ("encryptedRegex=%5B", "input")):
            assert service.post(f"/v1/encrypt?format=sops&{query}", CLEAR).problem == problem
        assert service.post("/v1/encrypt?encryptedRegex=a", CLEAR).problem == "usage"
        nameless = service.post("/v1/encrypt?format=sops", b"A=x\n", kind=BYTES)
        assert nameless.json()["detail"] == "of which kind is the document?"

    def test_lines_that_come_back_otherwise_are_told(self, service: Service) -> None:
        sealed = service.post("/v1/encrypt?format=sops", b"a: x\nb: 0777\n")
        assert "at line 2 will come back" in sealed.headers["warning"]
