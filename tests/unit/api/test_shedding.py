"""What finds no place is refused without its headers being read, where it came whole; nobody can tell, nor slip by."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import pytest
from uvicorn.server import ServerState

from benchmarks.load import prepared
from secretsvc.api.app import application, parts
from secretsvc.api.server import _uvicorn
from secretsvc.api.settings import Config
from secretsvc.api.transport.connections import Port
from secretsvc.api.transport.whole import MOST, WholePosts
from tests.e2e.cli import MANIFEST
from tests.service import EVERY, entry, rule, token

if TYPE_CHECKING:
    from pathlib import Path

SEAL = prepared("POST", "/v1/encrypt", token("root"), MANIFEST)
LAST = prepared("GET", "/livez", "", b"").replace(b"Host", b"Connection: close\r\nHost")


def post(*lines: str, body: bytes = b"", path: str = "/v1/encrypt", version: str = "1.1") -> bytes:
    return "\r\n".join((f"POST {path} HTTP/{version}", "Host: a", *lines, "", "")).encode() + body


NOT_WHOLE = {
    "headers that go on": SEAL[:60],
    "a body that goes on": SEAL[:-1],
    "two": SEAL + SEAL,
    "one, and what begins another": SEAL + b"P",
    "another method": SEAL.replace(b"POST", b"GET"),
    "headers alone, and the method of a longer name": SEAL.replace(b"POST", b"POSTS"),
    "the last of its connection": SEAL.replace(b"Host", b"Connection: close\r\nHost"),
    "HTTP/1.0": SEAL.replace(b"1.1", b"1.0"),
    "chunks that go on": post("Transfer-Encoding: chunked", body=b"1\r\na\r\n"),
    "lengths of two kinds": post("Content-Length: 1", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    "two lengths": post("Content-Length: 1", "Content-Length: 2", body=b"ab"),
    "no number": post("Content-Length: x"),
    "a line that is no header": post("nothing"),
    "a wish to speak otherwise": post("Connection: Upgrade", "Upgrade: websocket"),
    "no URL": post(path="/\x80"),
    "no HTTP": b"POST / nothing\r\n\r\n",
    "more than is looked at at once": post(f"Content-Length: {MOST}", body=b"a" * MOST),
}


@pytest.mark.parametrize("kind", NOT_WHOLE)
def test_what_is_not_one_whole_post_is_left_to_the_connections_own_parser(kind: str) -> None:
    posts = WholePosts()
    assert posts.path(NOT_WHOLE[kind]) == ""
    assert posts.path(SEAL) == "/v1/encrypt", "nothing is left of what came before, from whomever"


@pytest.mark.parametrize(
    "whole",
    [
        SEAL,
        post(),
        post("Content-Length: 0"),
        post("Content-Length: 6", body=b"a\r\n\r\nb"),
        post("Transfer-Encoding: chunked", body=b"1\r\na\r\n0\r\n\r\n"),
        post("Expect: 100-continue", "Content-Length: 1", body=b"a"),
        post(path="/v1/encrypt?key=age:a&path=/livez"),
        post(path="/v1/%65ncrypt"),
    ],
)
def test_a_whole_post_is_told_by_its_path(whole: bytes) -> None:
    posts = WholePosts()
    for _ in range(3):
        assert posts.path(whole) == "/v1/encrypt"


def told(tmp_path: Path, *sent: bytes) -> list[tuple[bytes, bytes]]:
    """Head and body of each answer of a service without any place, to what comes in these reads over one connection."""
    tree = {"version": 1, "tokens": [entry("root")], "rules": [rule("root", *EVERY)]}
    config = Config.model_validate({**tree, "audit": {"file": str(tmp_path / "audit.jsonl")}})
    made = parts(config)
    for _ in range(config.limits.requests):
        made.places.take({})
    app = application(config, made)

    async def answers() -> bytes:
        settings = _uvicorn(config, app, Port())
        settings.load()
        state = ServerState()
        state.default_headers = [(b"date", b"today")]
        listening = await asyncio.get_running_loop().create_server(
            lambda: settings.http_protocol_class(config=settings, server_state=state, app_state={}), "127.0.0.1"
        )
        reader, writer = await asyncio.open_connection(*listening.sockets[0].getsockname())
        for part in sent:
            writer.write(part)
            await asyncio.sleep(0.02)
        found = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        listening.close()
        while state.connections or state.tasks:
            await asyncio.sleep(0.01)
        return found

    got = asyncio.run(answers())
    counted = re.findall(rb'ksecret_http_requests_total{.*status="503"} (\d+)', made.metrics.text())
    assert sum(map(int, counted)) == got.count(b" 503 ")
    split = [answer.partition(b"\r\n\r\n") for answer in re.split(rb"(?=HTTP/1\.1 \d)", got)[1:]]
    return [(head, body) for head, _, body in split]


def alike(answer: tuple[bytes, bytes]) -> tuple[list[bytes], bytes]:
    """It, without what differs by chance."""
    head, body = (re.sub(rb"[0-9a-f]{32}", b"ID", re.sub(rb"(?<=retry-after: )[1-5]\b", b"N", part)) for part in answer)
    return sorted(head.split(b"\r\n")), body


def test_who_is_refused_unread_is_told_the_same_as_who_is_read(tmp_path: Path) -> None:
    whole, read, again, live = told(tmp_path, SEAL, SEAL[:-1], SEAL[-1:], SEAL, LAST)
    assert whole[0].startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: " in whole[0]
    assert alike(whole) == alike(read) == alike(again)
    ids = [re.findall(rb"[0-9a-f]{32}", head + body) for head, body in (whole, read, again)]
    assert len({one for pair in ids for one in pair}) == 3, "each has its own, in head and body"
    assert all(len(pair) == 2 and pair[0] == pair[1] for pair in ids)
    assert live[0].startswith(b"HTTP/1.1 200 ")


def test_answers_come_in_the_order_of_requests_whether_these_are_read_or_not(tmp_path: Path) -> None:
    health, lost = LAST.replace(b"Connection: close\r\n", b""), post(path="/nowhere")
    found = told(tmp_path, health + SEAL, SEAL, SEAL + health, lost, post(path="/livez"), health, SEAL + LAST)
    assert [int(head[9:12]) for head, _ in found] == [200, 503, 503, 503, 200, 503, 405, 200, 503, 200]


def test_a_body_that_looks_like_a_request_is_a_body(tmp_path: Path) -> None:
    found = told(tmp_path, post(f"Content-Length: {len(SEAL)}"), SEAL, LAST)
    assert [int(head[9:12]) for head, _ in found] == [503, 200]
