"""The service when what it needs fails: a KMS that hangs or is down, an audit log that can't be written."""

from __future__ import annotations

import fcntl
import os
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from benchmarks.load import load, percentile, prepared
from tests.e2e.cli import MANIFEST, MARKS
from tests.emulators import gcp, vault
from tests.emulators.aws import ENVIRON, KEY, StubKms
from tests.service import Answer, Service, token
from tests.support import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AWS = f"aws:{KEY}"
ELSEWHERE = AWS.replace("eu-west-1", "us-east-1")
GCP = "gcp:projects/p/locations/europe-west1/keyRings/ring/cryptoKeys/key"
LIMIT = 1.0


@pytest.fixture
def aws() -> Iterator[StubKms]:
    with StubKms(slow=3.0) as stub:
        yield stub


@pytest.fixture
def cloud_kms() -> Iterator[gcp.Emulator]:
    with gcp.Emulator() as emulator:
        emulator.create_key(GCP.removeprefix("gcp:"))
        yield emulator


@pytest.fixture
def service(tmp_path: Path, aws: StubKms, cloud_kms: gcp.Emulator) -> Service:
    environ = {**ENVIRON, "AWS_ENDPOINT_URL_KMS": aws.url, "KSECRET_GCP_KMS_ENDPOINT": cloud_kms.endpoint}
    made = Service(tmp_path, **environ)
    made.config["limits"] |= {"backendSeconds": LIMIT, "threads": 4, "operations": 12}
    return made


def warm(service: Service, *keys: str) -> None:
    """First calls load an SDK and sign in, which may take longer than these tests' short limits."""
    deadline = time.monotonic() + 30
    for key in keys:
        while service.post("/v1/encrypt", MANIFEST, key=key).status != 200:
            assert time.monotonic() < deadline
            time.sleep(0.2)


def test_kms_keys_seal_and_open(service: Service) -> None:
    service.config["limits"]["backendSeconds"] = 20
    with service:
        sealed = service.sealed(MANIFEST, key=[AWS, GCP])
        assert service.post("/v1/decrypt", sealed).body == MANIFEST
        assert service.post("/v1/rotate", sealed, mode="rewrap").status == 200
        told = service.get("/metrics").body.decode()
        assert 'ksecret_crypto_operations_total{backend="gcp",operation="wrap",result="ok"}' in told


def test_time_for_headers_is_no_time_for_the_work(service: Service, aws: StubKms) -> None:
    """A second request that is begun while the first is worked on is not held against its client."""
    service.config["limits"] |= {"backendSeconds": 20, "headerSeconds": 0.4}
    first = prepared("POST", f"/v1/encrypt?key={AWS}", token("root"), MANIFEST)
    with service:
        warm(service, AWS)
        aws.latency = 1.5
        with socket.create_connection((service.host, service.port), timeout=10) as connection:
            connection.sendall(first + b"GET /livez HT")
            time.sleep(1)
            connection.sendall(b"TP/1.1\r\nConnection: close\r\n\r\n")
            told = connection.makefile("rb").read()
    assert told.count(b"HTTP/1.1 200 OK") == 2


def test_a_kms_that_hangs_takes_nobody_else_down(service: Service, aws: StubKms) -> None:
    with service:
        warm(service, AWS, ELSEWHERE, GCP)
        requests = [
            prepared("POST", f"/v1/encrypt?key={key}", token("root"), MANIFEST) for key in (service.ref, GCP, ELSEWHERE)
        ]
        quiet = max(percentile(load(service.port, requests, 300, 4), 0.99) for _ in range(2))
        aws.states[KEY] = "Slow"
        hung: list[tuple[float, Answer]] = []

        def ask() -> None:
            began = time.monotonic()
            answer = service.post("/v1/encrypt", MANIFEST, key=AWS)
            hung.append((time.monotonic() - began, answer))

        threads = [threading.Thread(target=ask) for _ in range(20)]
        for thread in threads:
            thread.start()
        time.sleep(0.2)
        busy = []
        for _ in range(3):  # a machine that other work shares has slow moments of its own
            replies = load(service.port, requests, 300, 4)
            assert {reply.status for reply in replies} == {200}
            busy.append(percentile(replies, 0.99))
        for thread in threads:
            thread.join()
        assert min(busy) < 2 * quiet + 0.05
        late = [(seconds, answer) for seconds, answer in hung if answer.status == 504]
        refused = [(seconds, answer) for seconds, answer in hung if answer.status == 503]
        assert len(late) + len(refused) == 20
        assert len(late) >= 12, "those that ran or waited; for the others there was no place"
        for seconds, answer in late:
            assert answer.problem == "timeout"
            assert LIMIT <= seconds < 2 * LIMIT + 1
        for _, answer in refused:
            assert answer.problem == "busy"
            assert 1 <= int(answer.headers["retry-after"]) <= 5
        assert sum(seconds < LIMIT for seconds, _ in refused) * 2 >= len(refused), "most at once"
        aws.states.clear()
        deadline = time.monotonic() + 20
        while (answer := service.post("/v1/encrypt", MANIFEST, key=AWS)).status != 200:
            assert answer.status in (503, 504)
            assert time.monotonic() < deadline, "it does not come back"
            time.sleep(0.5)


def test_a_home_that_failed_is_asked_anew_and_not_refused_from_memory(service: Service, aws: StubKms) -> None:
    aws.slow = 0.5
    with service:
        warm(service, AWS)
        aws.states[KEY] = "Slow"
        assert service.post("/v1/encrypt", MANIFEST, key=AWS).problem == "timeout"
        time.sleep(3)  # the SDK gives up too, and remembers that nobody answered
        refused = service.post("/v1/encrypt", MANIFEST, key=AWS)
        assert refused.problem in ("backend-unavailable", "timeout"), "from memory for some seconds only"
        assert refused.headers["retry-after"] == "5"
        aws.states.clear()
        time.sleep(5)
        assert service.post("/v1/encrypt", MANIFEST, key=AWS).status == 200


def test_a_hundred_hung_requests_leave_no_thread_behind(service: Service, aws: StubKms) -> None:
    service.config["limits"] |= {"backendSeconds": 0.2, "operations": 500}
    aws.slow = 1.0
    with service:
        warm(service, AWS)
        aws.states[KEY] = "Slow"
        requests = [prepared("POST", f"/v1/encrypt?key={AWS}", token("root"), MANIFEST)]
        replies = load(service.port, requests, 100, 50)
        assert {reply.status for reply in replies} <= {503, 504}
        with open(f"/proc/{service.process.pid}/status", encoding="ascii") as status:
            (threads,) = [int(line.split()[1]) for line in status if line.startswith("Threads:")]
        assert threads < 40


def test_a_kms_that_is_down_is_a_503_and_makes_nobody_unready(service: Service, cloud_kms: gcp.Emulator) -> None:
    service.key_rules = [{"namespace": "prod", "keys": [GCP]}, {"keys": [service.ref]}]
    service.config["limits"]["backendSeconds"] = 5
    cloud_kms.keys.deny()
    with service:
        denied = service.post("/v1/encrypt", MANIFEST)
        assert (denied.status, denied.problem) == (502, "backend")
        cloud_kms.down.add("europe-west1")
        ready = service.get("/readyz", "")
        assert ready.status == 200
        assert ready.json()["backends"] == {"age": "ok", "gcp:europe-west1": "failing"}


def test_a_vault_that_hangs_keeps_nobody_else_waiting(tmp_path: Path) -> None:
    """Each server is a home of its own: keys of another one, and age's, go on."""
    with vault.Emulator() as hung, vault.Emulator() as other:
        keys = [f"vault:{server.url}/v1/transit/keys/key" for server in (hung, other)]
        environ = {"VAULT_ADDR": hung.url, "VAULT_TOKEN": vault.ROOT, "KSECRET_VAULT_ADDRESSES": other.url}
        service = Service(tmp_path, **environ)
        service.config["limits"] |= {"backendSeconds": 30, "threads": 4, "operations": 12}
        for server in (hung, other):
            server.create_key("key")
        with service:
            warm(service, *keys)
            hung.fail(vault.HANG, times=1000)
            answers: list[int] = []
            waiting = [
                threading.Thread(
                    target=lambda: answers.append(service.post("/v1/encrypt", MANIFEST, key=keys[0]).status)
                )
                for _ in range(8)
            ]
            for thread in waiting:
                thread.start()
            for key in (keys[1], service.ref):
                assert service.post("/v1/encrypt", MANIFEST, key=key).status == 200
            assert not answers, "they wait still"
            hung.heal()
            for thread in waiting:
                thread.join()
            assert set(answers) <= {200, 503}
            assert vault.ROOT not in service.log.read_text()


def test_a_full_disk_stops_everything_and_releases_nothing(tmp_path: Path) -> None:
    service = Service(tmp_path)
    with service:
        sealed = service.sealed(MANIFEST)
    full = service.audit.stat().st_size

    with service.start(file_bytes=full):
        answers = [
            service.post("/v1/encrypt", MANIFEST),
            *(service.post(f"/v1/{path}", sealed) for path in ("decrypt", "rotate", "inspect", "verify")),
            service.post("/v1/set", {"manifest": sealed.decode(), "values": {"password": "x"}}),
            service.post("/v1/generate/generic", {"name": "a", "data": {"a": "eA=="}}),
        ]
        for answer in answers:
            assert (answer.status, answer.problem) == (503, "audit")
            assert not any(mark.encode() in answer.body for mark in MARKS)
        assert service.get("/readyz", "").json()["audit"] == "failing"
        assert service.get("/readyz", "").status == 503
        assert service.get("/livez", "").status == 200
        assert b"ksecret_audit_write_failures_total 0.0" not in service.get("/metrics").body
        assert service.log.read_text().count("the audit log can't be written: File too large") == 1
    assert service.audit.stat().st_size == full, "no half line is left"


@pytest.mark.parametrize("kind", ["fifo", "folder", "locked"])
def test_what_is_no_audit_file_stops_everything_and_the_log_says_why(tmp_path: Path, kind: str) -> None:
    service = Service(tmp_path)
    service.config["audit"]["seconds"] = 0.3
    service.start()
    if kind == "fifo":
        os.mkfifo(service.audit)
    elif kind == "folder":
        service.audit.mkdir()
    else:
        service.audit.touch()
    try:
        with service.folder.joinpath("service.yaml" if kind != "locked" else "audit.jsonl").open("rb") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            assert service.post("/v1/encrypt", MANIFEST).problem == "audit"
            assert service.get("/readyz", "").json()["audit"] == "failing"
            assert service.get("/livez", "").status == 200
        assert service.log.read_text().count("the audit log can't be written: ") == 1
        if kind == "locked":
            wait_until(lambda: service.post("/v1/encrypt", MANIFEST).status == 200)
            assert service.get("/readyz", "").json()["audit"] == "ok"
    finally:
        assert service.stop() == 0


def test_an_outcome_that_cannot_be_written_releases_nothing(tmp_path: Path) -> None:
    """The disk gets full between intent and outcome."""
    service = Service(tmp_path)
    with service:
        sealed = service.sealed(MANIFEST)
    with service:
        assert service.post("/v1/decrypt", sealed).status == 200
    lines = service.audit.read_bytes().splitlines(keepends=True)
    full = service.audit.stat().st_size + len(lines[-3]) + len(lines[-2]) + 60

    with service.start(file_bytes=full):
        answer = service.post("/v1/decrypt", sealed)
        assert (answer.status, answer.problem) == (503, "audit")
        assert not any(mark.encode() in answer.body for mark in MARKS)
    assert [line["event"] for line in service.audited()] == ["start", "intent", "outcome"] * 2 + ["start", "intent"]
