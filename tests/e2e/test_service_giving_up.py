"""Work that nobody waits for any more ends: its caller has gone, or its time is up."""

from __future__ import annotations

import json
import os
import socket
import time
from typing import TYPE_CHECKING

import pytest

from benchmarks.load import prepared
from benchmarks.service import cpu_seconds
from secretsvc.manifest.nodes import MOST_NODES
from tests.e2e.cli import BIN, MANIFEST
from tests.service import YAML, Service, token
from tests.support import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FINGERPRINT = "AB" * 20
DEAR = (
    b"apiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: prod}\nx: ["
    + b"aaaaaaaaaaaaaaa," * (MOST_NODES - 1000)
    + b"a]\ndata: {}\n"
)
"""A second of work to look at, and more."""
FAIR = MANIFEST + b"".join(b"  more%d: %s\n" % (number, b"YWFh" * 20) for number in range(500))


@pytest.fixture
def service(tmp_path: Path) -> Service:
    """Whose gpg never answers, and says which process it is."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "gpg").write_text(f"#!/bin/sh\necho $$ >> {tmp_path}/started\nexec sleep 60\n")
    (programs / "gpg").chmod(0o755)
    made = Service(tmp_path, PATH=os.pathsep.join((str(programs), BIN, os.environ["PATH"])))
    made.config["limits"] |= {"nodes": 1_000_000}
    return made


def to_pgp(service: Service) -> bytes:
    sealed = service.sealed(MANIFEST)
    kept = sealed.decode().splitlines(keepends=True)
    return "".join(line.replace(service.ref, f"pgp:{FINGERPRINT}") for line in kept).encode()


def leave(service: Service, path: str, body: bytes, when: Callable[[], object], kind: str = YAML) -> None:
    """Sends a request, and goes without its answer once that is so."""
    with socket.create_connection((service.host, service.port)) as connection:
        connection.sendall(prepared("POST", path, token("root"), body, kind))
        wait_until(lambda: bool(when()), 60)


def spent_until_idle(service: Service) -> float:
    """Its processor time in seconds, once it uses no more of that."""

    def rests() -> bool:
        before = cpu_seconds(service.process.pid)
        time.sleep(0.5)
        return cpu_seconds(service.process.pid) - before < 0.05

    wait_until(rests, 60)
    return cpu_seconds(service.process.pid)


def started(folder: Path) -> list[int]:
    path = folder / "started"
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # gone before it was opened, or read
        return False


def test_a_program_is_killed_when_its_time_is_up(service: Service, tmp_path: Path) -> None:
    service.config["limits"] |= {"backendSeconds": 2}  # in which gpg starts, whatever else the machine does
    with service:
        assert service.post("/v1/decrypt", to_pgp(service)).problem == "timeout"
        assert started(tmp_path)
        wait_until(lambda: not any(map(alive, started(tmp_path))), 30)  # half of what it would take
        assert len(started(tmp_path)) == 1, "and none is started after that"


@pytest.mark.parametrize("path", ["/v1/decrypt", "/v1/batch"])
def test_a_program_is_killed_when_its_caller_goes(service: Service, tmp_path: Path, path: str) -> None:
    service.config["limits"] |= {"backendSeconds": 60}
    with service:
        body, kind = to_pgp(service), YAML
        if path == "/v1/batch":
            body = json.dumps({"op": "decrypt", "manifest": body.decode()}).encode()
            kind = "application/jsonl"
        leave(service, path, body, lambda: started(tmp_path), kind)
        wait_until(lambda: not any(map(alive, started(tmp_path))), 30)  # half of what it would take
        assert len(started(tmp_path)) == 1
        wait_until(lambda: service.audited()[-1].get("outcome") == "given up", 30)
        assert service.post("/v1/decrypt", service.sealed(MANIFEST)).status == 200


def test_manifests_that_nobody_waits_for_are_not_read_on(service: Service) -> None:
    with service:
        began = spent_until_idle(service)
        assert service.post("/v1/inspect", DEAR).problem == "not-sealed"
        once = cpu_seconds(service.process.pid) - began
        assert once > 0.2, "else this tests nothing"
        began = spent_until_idle(service)
        for _ in range(12):
            leave(service, "/v1/inspect", DEAR, lambda: True)
        assert service.post("/v1/encrypt", FAIR).status == 200
        assert spent_until_idle(service) - began < 6 * once


def test_a_time_that_is_up_ends_reading(service: Service) -> None:
    with service:
        began = spent_until_idle(service)
        assert service.post("/v1/inspect", DEAR).problem == "not-sealed"
        once = cpu_seconds(service.process.pid) - began
    service.config["limits"] |= {"operationSeconds": 0.01}
    with service:
        began = spent_until_idle(service)
        assert service.post("/v1/inspect", DEAR).problem == "timeout"
        assert spent_until_idle(service) - began < once / 2
