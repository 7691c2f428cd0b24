"""Many requests, and an end under load. The full sizes: KSECRET_TEST_LOAD=10000."""

from __future__ import annotations

import http.client
import json
import os
import threading
from typing import TYPE_CHECKING

import pytest

from benchmarks.load import load, prepared
from tests.e2e.cli import KSECRET, MANIFEST, MARK, MARKS, Person
from tests.service import Service, entry, token
from tests.support import wait_until

if TYPE_CHECKING:
    from pathlib import Path

REQUESTS = int(os.environ.get("KSECRET_TEST_LOAD", "1500"))
WARM = REQUESTS // 5


def memory(pid: int) -> int:
    """Bytes of RAM that the process holds."""
    with open(f"/proc/{pid}/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * 4096


def mixed(service: Service) -> list[bytes]:
    """A request of every kind, good ones and some that fail."""
    sealed = service.sealed(MANIFEST)
    set_body = json.dumps({"manifest": sealed.decode(), "values": {"password": f"new-{MARK}"}}).encode()
    new = json.dumps({"name": "new", "stringData": {"a": MARK}}).encode()
    batch = json.dumps({"op": "decrypt", "manifest": sealed.decode()}).encode()
    root = token("root")
    return [
        prepared("POST", "/v1/encrypt", root, MANIFEST),
        prepared("POST", "/v1/decrypt", root, sealed),
        prepared("POST", "/v1/rotate", root, sealed),
        prepared("POST", "/v1/rotate?mode=rewrap", root, sealed),
        prepared("POST", "/v1/set", root, set_body, "application/json"),
        prepared("POST", "/v1/inspect", root, sealed),
        prepared("POST", "/v1/verify", root, sealed),
        prepared("POST", "/v1/generate/generic", root, new, "application/json"),
        prepared("GET", "/v1/keys", root, b""),
        prepared("POST", "/v1/decrypt", root, sealed.replace(b"name: db", b"name: moved")),
        prepared("POST", "/v1/encrypt", token("nobody"), MANIFEST),
        prepared("POST", "/v1/encrypt", root, batch),
    ]


EXPECTED = [200] * 9 + [409, 403, 400]


@pytest.mark.uncounted
def test_mixed_requests_at_concurrency_64_fail_none_tell_nothing_and_keep_nothing(tmp_path: Path) -> None:
    service = Service(tmp_path)
    service.config["tokens"].append(entry("nobody"))
    with service:
        requests = mixed(service)
        replies = load(service.port, requests, WARM, 64)
        before = memory(service.process.pid)
        replies += load(service.port, requests, REQUESTS - WARM, 64)
        after = memory(service.process.pid)
    assert {(reply.request, reply.status) for reply in replies} == set(enumerate(EXPECTED))
    assert after < before * 1.1 + 8_000_000
    told = service.log.read_text() + service.out.read_text() + service.audit.read_text()
    opened = service.identity, token("root"), token("nobody"), "ksecret.v1."
    for secret in (*MARKS, *opened):
        assert secret not in told
    assert len(service.audited()) >= 2 * len([one for one in replies if one.request not in (8,)])
    person = Person(tmp_path, identity=False)
    assert b"all sound" in person.ok("audit", "verify", str(service.audit), program=KSECRET).out


def test_sigterm_under_load_loses_no_request(tmp_path: Path) -> None:
    service = Service(tmp_path)
    service.config["listen"] |= {"workers": 2, "stopDelay": 0.5}
    lost: list[str] = []
    statuses: list[int] = []
    stopping = threading.Event()

    def caller(keep_alive: bool) -> None:
        connection = service.connect()
        headers = {**service.bearer("root"), "Content-Type": "application/yaml"}
        while True:
            try:
                connection.connect() if connection.sock is None else None
            except ConnectionRefusedError:
                assert stopping.is_set()
                return
            try:
                connection.request("POST", "/v1/encrypt", MANIFEST, headers)
                answer = connection.getresponse()
                statuses.append(answer.status)
                body = answer.read()
                assert b"\nksecret:" in body
            except (OSError, http.client.HTTPException) as error:
                lost.append(repr(error))
                return
            if not keep_alive:
                connection.close()

    with service:
        threads = [threading.Thread(target=caller, args=(number % 2 == 0,)) for number in range(12)]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(statuses) > 50 or bool(lost), 60)
        stopping.set()
        code = service.stop()
        for thread in threads:
            thread.join(20)
    assert code == 0
    assert lost == []
    assert set(statuses) == {200}
    assert len([one for one in service.audited() if one.get("outcome") == "done"]) == len(statuses)
