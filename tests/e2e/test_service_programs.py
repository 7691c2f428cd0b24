"""What the service starts no program for: everything but work with a key that a program holds."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from tests.e2e.cli import BIN, MANIFEST
from tests.service import YAML, Service

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FINGERPRINT = "AB" * 20
HOSTILE = ("--homedir=.g", "--status-file=started", "-v", "default", " default")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("service")


@pytest.fixture(scope="module")
def service(folder: Path) -> Iterator[Service]:
    """With programs on its path that write down that they were started."""
    programs = folder / "programs"
    programs.mkdir()
    for name in ("gpg", "gpg2", "gpgconf", "git", "kubectl", "sh"):
        (programs / name).write_text(f'#!/bin/sh\necho "{name} $*" >> {folder}/started\nexit 2\n')
        (programs / name).chmod(0o755)
    with Service(folder, PATH=os.pathsep.join((str(programs), BIN, os.environ["PATH"]))) as made:
        yield made


@pytest.fixture(autouse=True)
def nothing_started(folder: Path) -> None:
    (folder / "started").unlink(missing_ok=True)


def sealed_to(service: Service, *names: str) -> bytes:
    """A sealed manifest that says to be sealed to these PGP keys too."""
    more = "".join(f"    {json.dumps(f'pgp:{name}')}: QUFB\n" for name in names)
    return service.sealed(MANIFEST).replace(b"  keys:\n", b"  keys:\n" + more.encode())


def in_kubesecs_format(name: str) -> bytes:
    lines = f"# kubesec:v:3\n# kubesec:pgp:{name}:QUJD\n# kubesec:mac:QUJDQUJDQUJDQUJD.QUJDQUJDQUJDQUJDQUJDQQ==\n"
    return b"apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\n  namespace: dev\n" + lines.encode()


@pytest.mark.parametrize("name", [FINGERPRINT, *HOSTILE])
def test_to_inspect_starts_no_program_whatever_keys_a_file_names(service: Service, folder: Path, name: str) -> None:
    for manifest in (sealed_to(service, name), in_kubesecs_format(name)):
        service.post("/v1/inspect", manifest)
        service.post("/v1/inspect", manifest, "nobody")
        line = json.dumps({"op": "inspect", "manifest": manifest.decode()}).encode()
        service.post("/v1/batch", line, kind="application/jsonl")
    assert not (folder / "started").exists()


def test_inspect_tells_the_keys_as_they_stand(service: Service) -> None:
    (told,) = service.post("/v1/inspect", sealed_to(service, FINGERPRINT)).json()["secrets"]
    assert {"ref": f"pgp:{FINGERPRINT}", "owner": ""} in told["keys"]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_key_that_a_caller_names_starts_no_program(service: Service, folder: Path, name: str) -> None:
    word = f"pgp:{name}"
    answers = [
        service.post("/v1/encrypt", MANIFEST, key=word),
        service.post("/v1/encrypt", MANIFEST, key=word.replace(":", ": ")),
        service.post("/v1/encrypt", MANIFEST, key=f" {word}"),
        service.post("/v1/rotate", service.sealed(MANIFEST), add=word),
        service.post("/v1/rotate", service.sealed(MANIFEST), remove=word),
        service.post("/v1/generate/generic", {"name": "a", "data": {"a": "eA=="}}, key=word),
    ]
    assert {answer.status for answer in answers} == {400}
    line = json.dumps({"op": "encrypt", "manifest": MANIFEST.decode(), "key": [word]}).encode()
    assert service.post("/v1/batch", line, kind="application/jsonl").json()["status"] == 400
    assert not (folder / "started").exists()


def test_no_other_path_starts_a_program_without_a_key_that_one_holds(service: Service, folder: Path) -> None:
    for path in ("/livez", "/readyz", "/healthz", "/metrics", "/openapi.json", "/docs", "/v1/keys"):
        assert service.get(path).status == 200
    sealed = service.sealed(MANIFEST)
    for path in ("decrypt", "verify", "rotate", "inspect"):
        assert service.post(f"/v1/{path}", sealed).status == 200
    assert service.post("/v1/set", {"manifest": sealed.decode(), "values": {"password": "x"}}).status == 200
    assert service.post("/v1/decrypt", sealed_to(service, FINGERPRINT), "nobody").status == 401
    assert service.send("POST", "/v1/inspect", b"{{", {**service.bearer("root"), "Content-Type": YAML}).status == 400
    assert not (folder / "started").exists()
