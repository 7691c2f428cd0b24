"""Clients that are slow, endless, gone, or never take their answer: none of them holds or fills anything for long."""

from __future__ import annotations

import json
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from benchmarks.load import prepared
from secretsvc.api.transport.connections import KEEP_ALIVE
from tests.e2e.cli import MANIFEST
from tests.service import Service, token

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECONDS = 0.6
CALLER = f"Authorization: Bearer {token('root')}\r\n"
MEBIBYTE = 1024 * 1024


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    made = Service(tmp_path_factory.mktemp("service"))
    made.config["limits"] |= {"headerSeconds": SECONDS, "bodySeconds": 2 * SECONDS, "bodiesBytes": 24 * MEBIBYTE}
    with made:
        yield made


@pytest.fixture(scope="module", autouse=True)
def idle(service: Service) -> Iterator[tuple[socket.socket, float]]:
    """A connection that had an answer, and when."""
    with connected(service, b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n") as connection:
        answer = b""
        while not answer.endswith(b"}"):  # headers and body may come one after the other
            answer += connection.recv(10_000)
        assert answer.startswith(b"HTTP/1.1 200 ")
        yield connection, time.monotonic()


def memory(service: Service) -> int:
    """Bytes of RAM that the service holds."""
    with open(f"/proc/{service.process.pid}/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * 4096


def connected(service: Service, *sent: bytes) -> socket.socket:
    connection = socket.create_connection((service.host, service.port), timeout=10)
    for data in sent:
        connection.sendall(data)
    return connection


def lasts(connection: socket.socket, drip: bytes = b"") -> float:
    """Seconds until the service closes it, while it is sent a byte now and then."""
    began = time.monotonic()
    connection.settimeout(0.1)
    with connection:
        while time.monotonic() < began + 10:
            try:
                connection.sendall(drip)
                if not connection.recv(65536):
                    break
            except TimeoutError:
                continue
            except ConnectionError:
                break
        return time.monotonic() - began


@pytest.mark.parametrize(
    ("sent", "drip"),
    [
        (b"", b""),
        (b"", b"\r\n"),
        (b"POST /v1/encrypt HTTP/1.1\r\n", b""),
        (b"POST /v1/encrypt HTTP/1.1\r\nX-Slow: ", b"x"),
        (b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\nGET /li", b"v"),
        (b"POST /v1/encrypt HTTP/1.1\r\nHost: a\r\nContent-Length: 9999\r\n\r\n", b"x"),
        (b"POST /v1/encrypt HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Trailer: ", b"x"),
    ],
    ids=["nothing", "line breaks", "a line", "a header", "a second request", "a body that nobody reads", "a trailer"],
)
def test_whoever_is_slow_is_cut_off_without_being_a_caller(service: Service, sent: bytes, drip: bytes) -> None:
    assert SECONDS - 0.2 < lasts(connected(service, sent), drip) < SECONDS + 2


def test_a_body_that_drips_has_a_limit_as_a_whole(service: Service) -> None:
    headers = f"POST /v1/encrypt HTTP/1.1\r\n{CALLER}Content-Type: application/yaml\r\nContent-Length: 9999\r\n\r\n"
    assert 2 * SECONDS - 0.2 < lasts(connected(service, headers.encode()), b"x") < 2 * SECONDS + 2


@pytest.mark.parametrize(
    "endless",
    [
        b"GET /",
        b"GET /livez HTTP/1.1\r\nX: ",
        b"POST /livez HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ",
        b"POST /livez HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;x=",
    ],
    ids=["url", "header", "trailer", "chunk extension"],
)
def test_headers_without_end_are_not_kept(service: Service, endless: bytes) -> None:
    before = memory(service)
    with connected(service, endless) as connection, pytest.raises(ConnectionError, match=r"(?i)reset|pipe"):
        connection.sendall(b"a" * 64 * MEBIBYTE)
    assert memory(service) < before + 8 * MEBIBYTE


def test_many_small_headers_and_trailers_are_not_kept_either(service: Service) -> None:
    for start in (b"GET /livez HTTP/1.1\r\n", b"GET /livez HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"):
        with connected(service, start) as connection, pytest.raises(ConnectionError, match=r"(?i)reset|pipe"):
            connection.sendall(b"X-Some: thing\r\n" * 4_000_000)


def test_headers_of_a_usual_size_and_large_bodies_pass(service: Service) -> None:
    many = {f"X-{number}": "x" * 1000 for number in range(30)}
    body = MANIFEST + b"#" * 2 * MEBIBYTE
    headers = {**service.bearer("root"), "Content-Type": "application/yaml", **many}
    assert service.send("POST", "/v1/encrypt", body, headers).status == 200


def test_an_answer_that_nobody_takes_is_given_up_with_the_memory_that_it_holds(service: Service) -> None:
    large = MANIFEST + b"#" * 3 * MEBIBYTE
    body = (json.dumps({"op": "encrypt", "manifest": large.decode()}).encode() + b"\n") * 5
    head = f"POST /v1/batch HTTP/1.1\r\n{CALLER}Content-Type: application/jsonl\r\nContent-Length: {len(body)}\r\n\r\n"
    for _ in range(2):  # there is room for one of them only
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with connection:
            connection.connect((service.host, service.port))
            connection.sendall(head.encode() + body)
            time.sleep(2 * SECONDS + 2)
            connection.settimeout(5)
            taken = b""
            with suppress(ConnectionResetError):
                while data := connection.recv(65536):
                    taken += data
            assert taken.startswith(b"HTTP/1.1 200")
            assert len(taken) < len(body)


@pytest.mark.parametrize("line", [b"\n", b"ab\n"])
def test_a_batch_of_nothing_but_lines_takes_no_more_memory_than_its_bytes(service: Service, line: bytes) -> None:
    before = memory(service)
    body = line * (22 * MEBIBYTE // len(line))
    answer = service.post("/v1/batch", body, kind="application/jsonl")
    assert answer.status == (200 if line == b"\n" else 413)
    with open(f"/proc/{service.process.pid}/status", encoding="ascii") as status:
        (peak,) = [int(found.split()[1]) * 1024 for found in status if found.startswith("VmHWM:")]
    assert peak < before + 120 * MEBIBYTE


def test_no_answer_names_a_file_of_the_services_machine(tmp_path: Path) -> None:
    service = Service(tmp_path, KSECRET_AGE_KEY_FILE=str(tmp_path / "nowhere" / "age.key"))
    del service.environ["KSECRET_AGE_KEY"]
    with service:
        answer = service.post("/v1/decrypt", service.sealed(MANIFEST))
        assert (answer.status, answer.problem) == (502, "backend")
        assert str(tmp_path) not in answer.body.decode()
        assert "age identity file \\u2026 can't be read" in answer.body.decode()


def test_a_body_over_the_limit_is_told_so_even_to_clients_that_send_it_all_first(service: Service) -> None:
    for _ in range(3):
        assert service.post("/v1/encrypt", MANIFEST + b"#" * 5 * MEBIBYTE).problem == "too-large"


def test_who_hangs_up_is_no_mistake_of_the_service(service: Service) -> None:
    head = f"POST /v1/encrypt HTTP/1.1\r\n{CALLER}Content-Type: application/yaml\r\nContent-Length: 9999\r\n\r\nx"
    connected(service, head.encode()).close()
    deadline = time.monotonic() + 5
    while b'path="/v1/encrypt",status="400"} 1.0' not in (told := service.get("/metrics").body):
        assert time.monotonic() < deadline, told
        time.sleep(0.05)
    assert b'status="500"' not in told
    assert "ClientDisconnect" not in service.log.read_text()


def test_nobody_fills_the_log_without_being_a_caller(service: Service) -> None:
    before = service.log.read_text()
    upgrade = b"GET /livez HTTP/1.1\r\nConnection: upgrade, close\r\nUpgrade: websocket\r\n\r\n"
    for sent in (b"\0\0\0\r\n\r\n", b"GET http://a HTTP/1.1\r\n\r\n", upgrade):
        lasts(connected(service, sent))
    assert service.log.read_text() == before


def test_a_body_in_many_small_chunks_arrives_whole(service: Service) -> None:
    """It is looked at in parts, between which others have their turn."""
    manifest = MANIFEST + b"# more\n" * 20_000
    head = prepared("POST", "/v1/encrypt", token("root"), b"").replace(
        b"Content-Length: 0", b"Transfer-Encoding: chunked"
    )
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in manifest)
    with socket.create_connection((service.host, service.port), timeout=30) as connection:
        connection.sendall(head.replace(b"Host:", b"Connection: close\r\nHost:") + chunks + b"0\r\n\r\n")
        answer = connection.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 200 ")
    sealed = answer.partition(b"\r\n\r\n")[2]
    assert service.post("/v1/decrypt", sealed).body == manifest


def test_requests_that_come_all_at_once_are_answered_in_turn(service: Service) -> None:
    last = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with socket.create_connection((service.host, service.port), timeout=30) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n" * 1999 + last)
        answers = connection.makefile("rb").read()
    assert answers.count(b"HTTP/1.1 200 OK") == 2000


def test_an_idle_connection_is_kept_for_longer_than_clients_think(
    service: Service, idle: tuple[socket.socket, float]
) -> None:
    """As long as the documentation says, but for this test's patience; uvicorn's own would be closed after 5 s."""
    assert service
    connection, since = idle
    time.sleep(max(0.0, since + 5.5 - time.monotonic()))
    if time.monotonic() < since + KEEP_ALIVE:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
        assert connection.recv(10_000).startswith(b"HTTP/1.1 200 ")
