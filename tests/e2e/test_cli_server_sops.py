"""`ksecret --server` on files that SOPS sealed: the same results as with keys at hand, every answer checked."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest
import yaml

from secretsvc.operations.documents.keysets import SopsKeyset
from secretsvc.operations.documents.seal import SopsRule, seal_file
from tests.e2e.test_cli_apply import Kubectl
from tests.emulators.fake_service import Canned, FakeService
from tests.support import CREATED, Lock, new_lock

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.cli import Person

BYTES = "application/octet-stream"
CLEAR = b"db:\n  password: hunter  # of May\n  port: 5432\nreplicas_unencrypted: 2\n"


def sealed(lock: Lock, name: str, data: bytes, rule: SopsRule | None = None) -> bytes:
    keys = SopsKeyset((tuple((ref, {}) for ref in lock.keys),))
    return seal_file(data, keys, rule or SopsRule(), lock.keyring, name=name, now=CREATED).data


def test_a_file_is_opened_changed_and_rotated_without_a_key(job: Person, service: FakeService) -> None:
    before = sealed(service.lock, "a.yaml", CLEAR)
    path = job.write("a.yaml", before)
    assert job.ok("decrypt", "a.yaml").out == CLEAR
    job.ok("set", "a.yaml", "db.port=5433", "replicas_unencrypted=3")
    changed = path.read_bytes()
    lines = {line.split(b":")[0].strip() for line in set(changed.splitlines()) - set(before.splitlines())}
    assert lines == {b"port", b"replicas_unencrypted", b"mac", b"lastmodified"}
    job.ok("rotate", "a.yaml")
    job.ok("rotate", "--rewrap", "a.yaml")
    assert path.read_bytes().count(b"ENC[") == before.count(b"ENC[")
    assert job.ok("decrypt", "a.yaml").out == CLEAR.replace(b"5432", b"5433").replace(b": 2", b": 3")
    assert [(seen.path, dict(seen.query).get("kind"), seen.media) for seen in service.seen] == [
        ("/v1/decrypt", "yaml", "application/yaml"),
        ("/v1/set", None, "application/json"),
        ("/v1/rotate", "yaml", "application/yaml"),
        ("/v1/rotate", "yaml", "application/yaml"),
        ("/v1/decrypt", "yaml", "application/yaml"),
    ]


def test_what_needs_no_service_is_said_without_it(job: Person, service: FakeService) -> None:
    job.write("a.yaml", sealed(service.lock, "a.yaml", CLEAR))
    assert "sealed already, in SOPS's format" in job.fails(3, "encrypt", "-i", "a.yaml")
    assert "each named by its path" in job.fails(2, "set", "a.yaml", "--secret", "db", "db.port=1")
    job.write("a.env", sealed(service.lock, "a.env", b"A=x\nB_unencrypted=\xff\n"))
    assert "a service takes values for a file of UTF-8 text only" in job.fails(3, "set", "a.env", "A=x")
    assert not service.seen


def test_a_file_of_any_bytes_is_sent_as_what_it_is(job: Person, service: FakeService) -> None:
    job.write("a.env", sealed(service.lock, "a.env", b"A=\xff\nB=x\n"))
    service.canned.append(Canned(200, b"A=\xff\nB=x\n", BYTES))
    assert job.ok("decrypt", "a.env").out == b"A=\xff\nB=x\n"
    (seen,) = service.seen
    assert (seen.query, seen.media) == ([("kind", "dotenv")], BYTES)


@pytest.mark.parametrize("words", [("decrypt", "-i"), ("rotate",), ("rotate", "--rewrap"), ("set",)])
def test_an_answer_that_is_not_what_was_asked_for_is_not_written(
    job: Person, service: FakeService, words: tuple[str, ...]
) -> None:
    data = sealed(service.lock, "a.yaml", CLEAR)
    path = job.write("a.yaml", data)
    other = sealed(service.lock, "a.yaml", CLEAR.replace(b"5432", b"1"))
    service.canned += [Canned(200, other, "application/yaml")]
    command, *options = words
    changes = ["db.port=1"] if command == "set" else []
    assert "the service's answer " in job.fails(6, command, *options, "a.yaml", *changes)
    assert path.read_bytes() == data


def test_a_file_is_sealed_to_the_services_keys_or_to_those_that_are_named(job: Person, service: FakeService) -> None:
    other = str(new_lock().keys[0])
    path = job.write("a.yaml", CLEAR)
    job.ok("encrypt", "--format", "sops", "-o", "b.yaml", "a.yaml")
    assert job.ok("decrypt", "b.yaml").out == CLEAR
    job.ok("encrypt", "-i", "--format", "sops", "-k", other, "--encrypted-regex", "^port$", "a.yaml")
    assert path.read_bytes().startswith(b"db:\n  password: hunter  # of May\n  port: ENC[")
    assert other.removeprefix("age:").encode() in path.read_bytes()
    assert service.seen[2].query == [("format", "sops"), ("kind", "yaml"), ("key", other), ("encryptedRegex", "^port$")]
    job.write("b.env", b"A=x\n")
    job.ok("encrypt", "-i", "--jobs", "2", "--format", "sops", "b.env")
    assert job.ok("decrypt", "b.env").out == b"A=x\n"


def test_it_is_sealed_as_sops_yaml_says(job: Person, service: FakeService) -> None:
    ref = str(service.lock.keys[0]).removeprefix("age:")
    path = job.write("a.yaml", CLEAR)
    job.write(".sops.yaml", f"creation_rules:\n  - age: {ref}\n    encrypted_regex: password\n".encode())
    job.ok("encrypt", "-i", "a.yaml")
    assert b"\n  port: 5432\n" in path.read_bytes()
    assert ref.encode() in path.read_bytes()
    job.write("b.yaml", CLEAR)
    groups = f"creation_rules:\n  - key_groups:\n      - age: [{ref}]\n      - age: [{ref}]\n"
    job.write(".sops.yaml", groups.encode())
    assert "keys without groups, contexts, profiles and roles" in job.fails(3, "encrypt", "-i", "b.yaml")
    assert [seen.path for seen in service.seen] == ["/v1/encrypt"]


def test_lines_that_come_back_otherwise_are_told_and_refused_where_that_is_wanted(job: Person) -> None:
    path = job.write("a.yaml", b"a: 0777\n")
    assert "spelled otherwise" in job.fails(3, "encrypt", "-i", "--exact", "--format", "sops", "a.yaml")
    assert path.read_bytes() == b"a: 0777\n"
    assert "a.yaml:1: a will come back spelled otherwise" in job.ok("encrypt", "-i", "--format", "sops", "a.yaml").err


@pytest.mark.parametrize("what", ["in the clear", "another file", "other keys", "another rule"])
def test_an_answer_that_is_not_the_file_sealed_as_asked_is_not_written(
    job: Person, service: FakeService, what: str
) -> None:
    path = job.write("a.yaml", CLEAR)
    good = sealed(service.lock, "a.yaml", CLEAR)
    answers = {
        "in the clear": CLEAR,
        "another file": sealed(service.lock, "a.yaml", CLEAR.replace(b"_unencrypted: 2", b"_unencrypted: 3")),
        "other keys": good,
        "another rule": good.replace(b'"_unencrypted"', b'"_clear"'),
    }
    service.canned.append(Canned(200, answers[what], "application/yaml"))
    keys = ["-k", str(new_lock().keys[0])] if what == "other keys" else []
    assert "the service's answer " in job.fails(6, "encrypt", "-i", "--format", "sops", *keys, "a.yaml")
    assert path.read_bytes() == CLEAR


SECRET = b"apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\nstringData:\n  password: hunter  # of May\n"
RULE = SopsRule(("encrypted_regex", "^(data|stringData)$"))


@pytest.fixture
def kubectl(tmp_path: Path, job: Person) -> Kubectl:
    return Kubectl(tmp_path, job)


def test_a_secret_that_sops_sealed_is_rendered_applied_and_handed_to_a_program(
    job: Person, service: FakeService, kubectl: Kubectl
) -> None:
    job.write("a.yaml", sealed(service.lock, "a.yaml", SECRET, RULE))
    rendered = job.ok("render", "a.yaml").out
    (one,) = yaml.safe_load_all(rendered)
    assert (one["metadata"], base64.b64decode(one["data"]["password"])) == ({"name": "db"}, b"hunter")
    job.ok("apply", "a.yaml")
    assert kubectl.stdin == rendered
    assert job.ok("exec", "a.yaml", "--", "printenv", "password").out == b"hunter\n"
    assert [seen.path for seen in service.seen] == ["/v1/decrypt"] * 3


def test_a_flat_file_that_sops_sealed_is_handed_to_a_program(job: Person, service: FakeService) -> None:
    job.write("a.env", sealed(service.lock, "a.env", b"A=x y\nB=z\n"))
    assert job.ok("exec", "a.env", "--", "sh", "-c", 'echo "$A-$B"').out == b"x y-z\n"
    assert [dict(seen.query)["kind"] for seen in service.seen] == ["dotenv"]


@pytest.mark.parametrize("words", [("render", "a.yaml"), ("apply", "a.yaml"), ("exec", "a.yaml", "--", "true")])
def test_nothing_is_handed_on_of_an_answer_that_is_not_what_was_asked_for(
    job: Person, service: FakeService, kubectl: Kubectl, words: tuple[str, ...]
) -> None:
    job.write("a.yaml", sealed(service.lock, "a.yaml", SECRET, RULE))
    service.canned.append(Canned(200, SECRET.replace(b"name: db", b"name: other"), "application/yaml"))
    ran = job.run(*words)
    assert (ran.code, ran.out) == (6, b"")
    assert "the service's answer " in ran.err
    assert not kubectl.ran
