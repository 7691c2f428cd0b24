"""More than the service can do: who is refused is refused at once, and who is served is served as ever."""

from __future__ import annotations

import fcntl
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from secretsvc.api.limits import SOON
from secretsvc.api.transport.pauses import FIRST
from tests.e2e.cli import MANIFEST
from tests.emulators.aws import ENVIRON, KEY, StubKms
from tests.service import Answer, Service, token
from tests.support import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AWS = f"aws:{KEY}"


@contextmanager
def audit_waits(service: Service) -> Iterator[None]:
    """Requests get as far as their first audit line meanwhile."""
    with service.audit.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


class UnderWay:
    """So many encrypts that have begun, or will once a test's own look at the service leaves them a place."""

    def __init__(self, service: Service, count: int, **query: str) -> None:
        self.found: list[Answer] = []
        self._asked = (service, query)
        self._threads = [threading.Thread(target=self._ask) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def _ask(self) -> None:
        service, query = self._asked
        while (answer := service.post("/v1/encrypt", MANIFEST, **query)).status == 503:
            time.sleep(0.05)
        self.found.append(answer)

    def answers(self) -> list[Answer]:
        """Theirs, once all have ended."""
        for thread in self._threads:
            thread.join()
        return self.found


@pytest.fixture
def service(tmp_path: Path) -> Service:
    made = Service(tmp_path)
    made.config["limits"]["requests"] = 2
    made.config["audit"]["seconds"] = 60
    return made


def headers(length: int, *more: str) -> bytes:
    """A request up to its body."""
    lines = ("POST /v1/encrypt HTTP/1.1", "Host: localhost", f"Authorization: Bearer {token('root')}", *more)
    return "\r\n".join((*lines, "Content-Type: application/yaml", f"Content-Length: {length}", "", "")).encode()


def answer_before_body(service: Service) -> bytes:
    """What headers alone are answered; nothing where the service waits for the body: it has a place."""
    with socket.create_connection((service.host, service.port), timeout=1) as connection:
        connection.sendall(headers(1_000_000))
        try:
            return answered(connection)
        except TimeoutError:
            return b""


def refused_before_body(service: Service) -> bytes:
    """The answer to headers alone, once there is one."""
    told: list[bytes] = [b""]

    def refused() -> bool:
        told.append(answer_before_body(service))
        return told[-1] != b""

    wait_until(refused, 60)
    return told[-1]


def answered(connection: socket.socket) -> bytes:
    """One problem as an answer."""
    told = b""
    while not told.endswith(b"}"):
        told += connection.recv(10_000)
    return told


def test_who_finds_no_place_is_refused_at_once_before_the_body_and_health_is_there(service: Service) -> None:
    with service:
        assert service.post("/v1/encrypt", MANIFEST).status == 200
        with audit_waits(service):
            under_way = UnderWay(service, 2)
            told = refused_before_body(service)
            assert told.startswith(b"HTTP/1.1 503 ")
            assert b'"type": "/problems/busy"' in told
            assert b"\r\nretry-after: " in told
            for path in ("/livez", "/readyz"):
                assert service.get(path, "").status == 200
            assert service.get("/metrics").status == 200
        assert [answer.status for answer in under_way.answers()] == [200, 200]
        assert service.post("/v1/encrypt", MANIFEST).status == 200, "places come back"
        assert len([line for line in service.audited() if line["event"] == "intent"]) == 4, "none of who was refused"


def test_a_body_that_comes_slowly_holds_no_place(service: Service) -> None:
    with service:
        slow = [socket.create_connection((service.host, service.port), timeout=5) for _ in range(4)]
        for connection in slow:
            connection.sendall(headers(len(MANIFEST), "Expect: 100-continue"))
            assert connection.recv(10_000) == b"HTTP/1.1 100 Continue\r\n\r\n", "it has been seen"
            connection.sendall(MANIFEST[:10])
            time.sleep(2 * SOON)  # a moment for which they are expected
        assert service.post("/v1/encrypt", MANIFEST).status == 200
        for connection in slow:
            connection.sendall(MANIFEST[10:])
            assert connection.recv(10_000).startswith(b"HTTP/1.1 200 ")
            connection.close()


def test_requests_that_wait_for_a_kms_that_hangs_hold_no_place(tmp_path: Path) -> None:
    with StubKms() as aws:
        service = Service(tmp_path, **ENVIRON, AWS_ENDPOINT_URL_KMS=aws.url)
        service.config["limits"] |= {"backendSeconds": 60, "threads": 2, "requests": 3}
        with service:
            assert service.post("/v1/encrypt", MANIFEST, key=AWS).status == 200
            aws.gate.clear()
            before = aws.calls
            under_way = UnderWay(service, 3, key=AWS)
            wait_until(lambda: aws.calls >= before + 2, 60)  # so many threads are there
            wait_until(lambda: service.post("/v1/encrypt", MANIFEST).status == 200, 60)
            for _ in range(5):
                assert service.post("/v1/encrypt", MANIFEST).status == 200
            assert not under_way.found, "they are there still"
            aws.gate.set()
            assert [answer.status for answer in under_way.answers()] == [200] * 3


def test_a_home_with_much_work_is_not_failing(tmp_path: Path) -> None:
    """Its requests are refused for want of a place, and its try is not."""
    with StubKms() as aws:
        service = Service(tmp_path, **ENVIRON, AWS_ENDPOINT_URL_KMS=aws.url)
        service.key_rules = [{"keys": [AWS]}]
        service.config["limits"] |= {"threads": 1, "operations": 1, "backendSeconds": 60}
        aws.gate.clear()
        with service:
            under_way = UnderWay(service, 1)
            wait_until(lambda: any("EncryptionContext" in body for _, body in aws.seen), 60)  # it is at work
            assert service.post("/v1/encrypt", MANIFEST).problem == "busy"
            with ThreadPoolExecutor() as asking:
                found = asking.submit(service.get, "/readyz", "")
                wait_until(lambda: aws.calls >= 2, 60)  # the try is at work beside it
                aws.gate.set()
            ready = found.result()
            assert (ready.status, ready.json()["backends"]) == (200, {"aws:eu-west-1": "ok"})
            assert [answer.status for answer in under_way.answers()] == [200]


def told_on_one_connection(service: Service, sent: bytes) -> bytes:
    """Everything that is answered to these bytes, until the connection is closed."""
    with socket.create_connection((service.host, service.port), timeout=10) as connection:
        connection.sendall(sent)
        told = b""
        with suppress(ConnectionResetError):  # by a service that closes with more of it unread
            while part := connection.recv(65536):
                told += part
        return told


def statuses(told: bytes) -> list[int]:
    return [int(part[:3]) for part in told.split(b"HTTP/1.1 ")[1:]]


BAD = b"POST /v1/encrypt HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer kst_none\r\nContent-Length: %d\r\n\r\n"
LIVE = b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"
LAST = LIVE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
NO_REQUEST = b"GET /livez HTTP/1.1\r\n\r\n"
"""A body that must not be taken for a request."""


def test_what_is_refused_at_once_leaves_the_connection_in_order(service: Service) -> None:
    service.config["limits"] |= {"requestsPerSecond": 0.001, "burst": 1}
    many = BAD.replace(b"kst_none", token("root").encode())
    with service:
        assert service.get("/v1/keys").status == 200
        assert statuses(told_on_one_connection(service, many % len(NO_REQUEST) + NO_REQUEST + LAST)) == [429, 200]
        in_turn = LIVE + (many % 0) * 300 + LIVE + (many % 0) * 3 + LAST
        assert statuses(told_on_one_connection(service, in_turn)) == [200, *[429] * 300, 200, *[429] * 3, 200]
        head = told_on_one_connection(service, (many % 0).replace(b"POST", b"HEAD") + LAST)
        assert statuses(head) == [429, 200]
        assert head.count(b"/problems/") == 0
        closed = told_on_one_connection(service, (many % 0).replace(b"HTTP/1.1", b"HTTP/1.0") + LIVE)
        assert statuses(closed) == [429]
        for header in (b"cache-control: no-store", b"x-request-id: ", b"retry-after: ", b"date: "):
            assert closed.lower().count(b"\r\n" + header) == 1


def test_a_refused_token_waits_and_so_does_its_connection_which_stays_in_order(tmp_path: Path) -> None:
    with Service(tmp_path) as service:
        with socket.create_connection((service.host, service.port), timeout=10) as connection:
            ids = set()
            for number in range(3):
                began = time.monotonic()
                connection.sendall(BAD % len(NO_REQUEST))
                connection.sendall(NO_REQUEST)
                told = answered(connection)
                assert time.monotonic() - began > FIRST * 0.9, number
                assert statuses(told) == [401]
                for header in (b"cache-control: no-store", b"www-authenticate: ", b"date: "):
                    assert told.lower().count(b"\r\n" + header) == 1
                ids.add(told.lower().partition(b"x-request-id: ")[2].partition(b"\r\n")[0])
            assert len(ids) == 3
            connection.sendall(LAST)
            assert statuses(connection.makefile("rb").read()) == [200]
        counted = 'ksecret_http_requests_total{method="POST",path="/v1/encrypt",status="401"} 3.0'
        assert counted in service.get("/metrics").body.decode()


@pytest.mark.parametrize("before", [b"", LIVE], ids=["first", "behind another"])
def test_tokens_that_come_all_at_once_do_not_go_around_the_pause(tmp_path: Path, before: bytes) -> None:
    with Service(tmp_path) as service:
        began = time.monotonic()
        told = told_on_one_connection(service, before + (BAD % 0) * 500)
        assert time.monotonic() - began > FIRST * 0.9
        assert statuses(told) == [200, 401][0 if before else 1 :]
        assert told.rpartition(b"HTTP/1.1 401")[2].lower().count(b"\r\nconnection: close\r\n") == 1
        counted = 'ksecret_http_requests_total{method="POST",path="/v1/encrypt",status="401"} 1.0'
        assert counted in service.get("/metrics").body.decode()
        assert service.post("/v1/encrypt", MANIFEST).status == 200


def test_a_body_of_what_was_refused_at_once_may_not_come_for_ever(tmp_path: Path) -> None:
    service = Service(tmp_path)
    service.config["limits"]["headerSeconds"] = 1
    with service:
        refused = headers(1_000_000).replace(token("root").encode(), b"kst_none")
        with socket.create_connection((service.host, service.port), timeout=10) as connection:
            connection.sendall(refused)
            began = time.monotonic()
            assert connection.makefile("rb").read().startswith(b"HTTP/1.1 401 ")
            assert 0.8 < time.monotonic() - began < 9, "it is 10 where nothing else is said"
