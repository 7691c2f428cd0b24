"""The service's client: what leaves, what comes back, and what every failure becomes."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

import pytest

from secretsvc import errors
from secretsvc.client import line as client_line
from secretsvc.client.problems import HttpAnswer, problem
from tests.emulators.fake_service import PROBLEM, TOKEN, Canned, FakeService
from tests.support import new_lock, seal
from tests.unit.remote_support import CLEAR, YAML, client, sealed_by, service

if TYPE_CHECKING:
    from secretsvc.client.remote import Remote

__all__ = ["client", "service"]  # fixtures, for pytest to find here


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    found: list[float] = []
    monkeypatch.setattr(client_line.time, "sleep", found.append)
    monkeypatch.setattr(client_line.random, "random", lambda: 0.4)  # of a quarter, a tenth
    return found


def test_what_leaves_is_the_manifest_with_its_type_and_the_token(client: Remote, service: FakeService) -> None:
    ref = str(service.lock.keys[0])
    sealed = client.post("/v1/encrypt", CLEAR, query=[("key", ref), ("scope", "any")], media=YAML)
    assert service.lock.open_(sealed) == CLEAR
    (seen,) = service.seen
    assert seen[:5] == ("/v1/encrypt", [("key", ref), ("scope", "any")], YAML, TOKEN, CLEAR)


def test_connections_are_kept(client: Remote, service: FakeService) -> None:
    for _ in range(3):
        sealed_by(client)
    other = threading.Thread(target=sealed_by, args=(client,))
    other.start()
    other.join()
    assert len({seen.connection for seen in service.seen}) == 1


def test_a_kept_connection_that_was_closed_is_opened_anew(client: Remote, service: FakeService) -> None:
    sealed_by(client)
    service.canned = [Canned(drop=True)]
    assert service.lock.open_(sealed_by(client)) == CLEAR
    service.canned = [Canned(drop=True)] * 2
    assert service.lock.open_(sealed_by(client)) == CLEAR, "a replica that stops is no reason to fail"
    service.canned = [Canned(drop=True)] * 3
    with pytest.raises(errors.BackendUnavailableError, match="can't be reached"):
        sealed_by(client)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(client: Remote, service: FakeService, status: int) -> None:
    with FakeService(new_lock()) as other:
        service.canned = [Canned(status, headers=(("Location", f"{other.url}/v1/encrypt"),))]
        with pytest.raises(errors.BackendError, match="redirects, which is not followed"):
            sealed_by(client)
        assert not other.seen


def test_too_many_requests_are_waited_for_twice(client: Remote, service: FakeService, naps: list[float]) -> None:
    busy = Canned(429, headers=(("Retry-After", "3"),))
    service.canned = [busy, busy]
    assert service.lock.open_(sealed_by(client)) == CLEAR
    assert [round(nap, 6) for nap in naps] == [3.3, 3.3]
    service.canned = [busy] * 3
    with pytest.raises(errors.BackendError, match="asked too much"):
        sealed_by(client)


def test_a_service_that_says_when_to_come_back_is_asked_again(
    client: Remote, service: FakeService, naps: list[float]
) -> None:
    service.canned = [Canned(503, headers=(("Retry-After", "2"),))]
    assert service.lock.open_(sealed_by(client)) == CLEAR
    assert [round(nap, 6) for nap in naps] == [2.2]
    service.canned = [Canned(503)]
    with pytest.raises(errors.BackendUnavailableError, match="HTTP 503"):
        sealed_by(client)


def test_one_of_many_threads_waits_for_all(service: FakeService, naps: list[float]) -> None:
    """Eight were sent away, one comes back to ask, and only when that one was served the others do."""
    gate, order, lock = threading.Barrier(8), [], threading.Lock()
    line = client_line.Line()
    first = threading.local()

    def send() -> HttpAnswer:
        if not getattr(first, "sent", False):
            first.sent = True
            gate.wait(30)
            return HttpAnswer(429, "", 3, b"")
        with lock:
            order.append(threading.get_ident())
        return HttpAnswer(200, YAML, 0, b"")

    found: list[HttpAnswer] = []
    threads = [threading.Thread(target=lambda: found.append(line.ask(send))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [answer.status for answer in found] == [200] * 8
    assert len(naps) == 1


def test_who_waited_in_vain_did_it_for_all_that_were_sent_away(naps: list[float]) -> None:
    gate, line, sent = threading.Barrier(8), client_line.Line(), threading.local()

    def send() -> HttpAnswer:
        if not getattr(sent, "once", False):
            sent.once = True
            gate.wait(30)
        return HttpAnswer(503, "", 3, b"")

    found: list[HttpAnswer] = []
    threads = [threading.Thread(target=lambda: found.append(line.ask(send))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [answer.status for answer in found] == [503] * 8
    assert len(naps) == 2


@pytest.mark.parametrize(("said", "waited"), [("99999", 30), ("soon", 1), ("", 1), ("-5", 1), ("9" * 5000, 1)])
def test_nobody_waits_longer_than_is_sensible(
    client: Remote, service: FakeService, naps: list[float], said: str, waited: int
) -> None:
    service.canned = [Canned(429, headers=(("Retry-After", said),))]
    sealed_by(client)
    assert [round(nap, 6) for nap in naps] == [round(waited * 1.1, 6)]


KINDS = [
    ("usage", 400, errors.UsageError),
    ("key-ref", 400, errors.KeyRefError),
    ("manifest", 400, errors.ManifestError),
    ("not-sealed", 400, errors.NotSealedError),
    ("already-sealed", 400, errors.AlreadySealedError),
    ("nothing-to-seal", 400, errors.NothingToSealError),
    ("request", 400, errors.InputError),
    ("unauthenticated", 401, errors.BackendError),
    ("forbidden", 403, errors.BackendError),
    ("altered", 409, errors.AlteredError),
    ("too-large", 413, errors.ManifestError),
    ("media-type", 415, errors.InputError),
    ("no-key", 422, errors.NoKeyError),
    ("rate", 429, errors.BackendError),
    ("internal", 500, errors.BackendError),
    ("file", 500, errors.FileError),
    ("backend", 502, errors.BackendError),
    ("audit", 503, errors.BackendUnavailableError),
    ("backend-unavailable", 503, errors.BackendUnavailableError),
    ("timeout", 504, errors.BackendUnavailableError),
    ("altered", 400, errors.InputError),  # a type that does not go with its status
    ("ksecret", 500, errors.BackendError),
]


@pytest.mark.parametrize(("type_", "status", "kind"), KINDS)
def test_each_problem_becomes_its_error(type_: str, status: int, kind: type[errors.KsecretError]) -> None:
    told = {
        "type": f"/problems/{type_}",
        "detail": "what",
        "hint": "do",
        "line": 3,
        "entry": "data/a",
        "keyRef": "age:x",
    }
    error = problem(HttpAnswer(status, PROBLEM, 1, json.dumps(told).encode()))
    assert type(error) is kind
    assert (error.message, error.hint, error.line, error.entry, error.key_ref) == ("what", "do", 3, "data/a", "age:x")


@pytest.mark.parametrize(
    "body", [b"<html>pa55</html>", b"[]", b"5", b'{"detail": 5, "line": "x"}', b"\xff", b"", b"[" * 100_000]
)
@pytest.mark.parametrize("media", [PROBLEM, "text/html", ""])
def test_an_answer_that_is_no_problem_document_tells_its_status_only(body: bytes, media: str) -> None:
    error = problem(HttpAnswer(500, media, 1, body))
    assert (error.message, error.hint) == ("the service answered with HTTP 500", "")


def test_a_200_of_something_else_is_no_manifest(client: Remote, service: FakeService) -> None:
    service.canned = [Canned(200, b"<html>log in</html>", "text/html")]
    with pytest.raises(errors.BackendError, match="answered with HTTP 200"):
        sealed_by(client)


def test_nothing_secret_is_in_a_representation(client: Remote) -> None:
    sealed_by(client)
    assert TOKEN not in repr(client)
    assert "k: v" not in repr(HttpAnswer(200, YAML, 1, CLEAR))


def test_a_body_that_is_too_long_is_told(client: Remote, service: FakeService) -> None:
    big = seal(CLEAR) + b"# " + b"x" * 8_000_000
    service.canned = [Canned(413, b'{"type": "/problems/too-large", "detail": "over 4 MiB"}')]
    with pytest.raises(errors.ManifestError, match="over 4 MiB"):
        client.post("/v1/decrypt", big, media=YAML)
