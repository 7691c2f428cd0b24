"""The service's client: what leaves, what comes back, and what every failure becomes."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from secretsvc import errors
from secretsvc.client import line as client_line
from secretsvc.client import remote
from secretsvc.client.problems import Answer, problem
from secretsvc.client.remote import Remote, token_source
from tests.emulators.service import PROBLEM, TOKEN, Canned, FakeService
from tests.support import new_lock, seal
from tests.unit.certificates import Authority

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CLEAR = b"apiVersion: v1\nkind: Secret\nmetadata:\n  name: a\nstringData:\n  k: v\n"
YAML = "application/yaml"
ENVIRON = {"KSECRET_TOKEN": TOKEN}
URL = "https://ksecret.example"


@pytest.fixture
def service() -> Iterator[FakeService]:
    with FakeService(new_lock()) as running:
        yield running


@pytest.fixture
def client(service: FakeService) -> Iterator[Remote]:
    with closing(Remote(service.url, ENVIRON)) as made:
        yield made


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    found: list[float] = []
    monkeypatch.setattr(client_line.time, "sleep", found.append)
    monkeypatch.setattr(client_line.random, "random", lambda: 0.4)  # of a quarter, a tenth
    return found


def sealed_by(client: Remote) -> bytes:
    return client.post("/v1/encrypt", CLEAR, media=YAML)


def test_what_leaves_is_the_manifest_with_its_type_and_the_token(client: Remote, service: FakeService) -> None:
    ref = str(service.lock.keys[0])
    sealed = client.post("/v1/encrypt", CLEAR, query=[("key", ref), ("scope", "any")], media=YAML)
    assert service.lock.open_(sealed) == CLEAR
    (seen,) = service.seen
    assert seen[:5] == ("/v1/encrypt", [("key", ref), ("scope", "any")], YAML, TOKEN, CLEAR)


def test_a_path_in_the_address_goes_before(service: FakeService) -> None:
    service.canned = [Canned(media=YAML)]
    with closing(Remote(f"{service.url}/tools/ksecret/", ENVIRON)) as client:
        client.post("/v1/decrypt", b"x", media=YAML)
    assert service.seen[0].path == "/tools/ksecret/v1/decrypt"


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


@pytest.mark.parametrize(
    ("url", "said"),
    [
        *((url, "is not a URL") for url in ("", "localhost:8200", "ftp://a", "https://", "https://a:0", "https://a:x")),
        ("https://a\n", "is not a URL"),
        ("https://me:pa55@a", "more than host"),
        ("https://a?token=pa55", "more than host"),
        ("http://a.example", "plain http"),
        ("http://127.0.0.1.example", "plain http"),
        ("http://10.0.0.1", "plain http"),
    ],
)
def test_addresses_that_are_refused(url: str, said: str) -> None:
    with pytest.raises(errors.UsageError, match=said) as raised:
        Remote(url, ENVIRON)
    assert "pa55" not in f"{raised.value} {raised.value.hint}"


@pytest.mark.parametrize(
    "url", ["http://127.9.9.9:1", "http://[::1]:1", "http://localhost", "https://a", "HTTPS://A/b"]
)
def test_addresses_that_are_taken(url: str) -> None:
    Remote(url, ENVIRON)


def test_plain_http_elsewhere_must_be_asked_for() -> None:
    Remote("http://a.example", ENVIRON | {"KSECRET_SERVER_INSECURE": "1"})
    with pytest.raises(errors.UsageError, match="plain http"):
        Remote("http://a.example", ENVIRON | {"KSECRET_SERVER_INSECURE": "0"})


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

    def send() -> Answer:
        if not getattr(first, "sent", False):
            first.sent = True
            gate.wait(30)
            return Answer(429, "", 3, b"")
        with lock:
            order.append(threading.get_ident())
        return Answer(200, YAML, 0, b"")

    found: list[Answer] = []
    threads = [threading.Thread(target=lambda: found.append(line.ask(send))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [answer.status for answer in found] == [200] * 8
    assert len(naps) == 1


def test_who_waited_in_vain_did_it_for_all_that_were_sent_away(naps: list[float]) -> None:
    gate, line, sent = threading.Barrier(8), client_line.Line(), threading.local()

    def send() -> Answer:
        if not getattr(sent, "once", False):
            sent.once = True
            gate.wait(30)
        return Answer(503, "", 3, b"")

    found: list[Answer] = []
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


def test_a_token_that_ran_out_is_read_anew_once(service: FakeService, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    client = Remote(service.url, {"KSECRET_TOKEN_FILE": str(path)})
    sealed_by(client)
    service.token = "next"
    path.write_text("next")
    sealed_by(client)
    assert [seen.token for seen in service.seen] == [TOKEN, TOKEN, "next"]
    service.token = "another"
    with pytest.raises(errors.BackendError, match="no such token") as raised:
        sealed_by(client)
    assert raised.value.hint == "has it expired, or is it for another service? (the service's request r-1)"
    assert len(service.seen) == 4
    client.close()


def test_an_identity_token_is_for_the_service_that_gets_it(service: FakeService) -> None:
    """One for a word that anybody's service may go by could be used at another."""
    service.canned = [Canned(body=b'{"value": "not-a-secret-test-token"}', media="application/json")]
    actions = {"ACTIONS_ID_TOKEN_REQUEST_URL": f"{service.url}/token", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "runner"}
    client = Remote(f"{service.url}/", actions)
    sealed_by(client)
    assert service.seen[0].query == [("audience", service.url)]
    client.close()


def test_where_tokens_come_from_and_in_which_order(service: FakeService, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(" from-file \n")
    service.canned = [Canned(body=b'{"value": "from-github"}', media="application/json")] * 2
    every = {
        "KSECRET_TOKEN": "from-environment",
        "KSECRET_TOKEN_FILE": str(path),
        "ACTIONS_ID_TOKEN_REQUEST_URL": f"{service.url}/token?api-version=2.0",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "runner",
    }
    assert token_source(every, URL)() == "from-environment"
    del every["KSECRET_TOKEN"]
    assert token_source(every, URL)() == "from-file"
    del every["KSECRET_TOKEN_FILE"]
    assert token_source(every, URL)() == "from-github"
    assert token_source(every | {"KSECRET_TOKEN_AUDIENCE": "mine & yours"}, URL)() == "from-github"
    assert [seen.query for seen in service.seen] == [
        [("api-version", "2.0"), ("audience", URL)],
        [("api-version", "2.0"), ("audience", "mine & yours")],
    ]
    assert {seen.token for seen in service.seen} == {"runner"}
    del every["ACTIONS_ID_TOKEN_REQUEST_TOKEN"]
    with pytest.raises(errors.UsageError, match="no token for the service"):
        token_source(every, URL)


@pytest.mark.parametrize(
    "canned",
    [Canned(403, b'{"message": "pa55"}'), Canned(body=b"pa55"), Canned(body=b'["pa55"]'), Canned(body=b'{"value": 5}')],
)
def test_github_without_a_token(service: FakeService, canned: Canned) -> None:
    service.canned = [canned]
    source = token_source(
        {"ACTIONS_ID_TOKEN_REQUEST_URL": service.url, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "runner"}, URL
    )
    with pytest.raises(errors.BackendError, match="GitHub gave no identity token") as raised:
        source()
    assert "pa55" not in str(raised.value)


def test_githubs_own_token_goes_over_https_only() -> None:
    source = token_source(
        {"ACTIONS_ID_TOKEN_REQUEST_URL": "http://a.example", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "x"}, URL
    )
    with pytest.raises(errors.UsageError, match="not an https URL"):
        source()


@pytest.mark.parametrize("text", ["pa55 word", "pa55\r\nX: y", "pä55", " ", "pa55\x7f"])
def test_a_token_that_can_stand_in_no_header_is_not_shown(text: str, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(text, newline="")
    for environ in ({"KSECRET_TOKEN": text}, {"KSECRET_TOKEN_FILE": str(path)}):
        with pytest.raises(errors.UsageError, match="holds no token") as raised:
            token_source(environ, URL)()
        assert "pa55" not in str(raised.value)


def test_a_token_file_that_is_not_there() -> None:
    with pytest.raises(errors.FileError, match="the token can't be read: No such file"):
        token_source({"KSECRET_TOKEN_FILE": "/nowhere/token"}, URL)()


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
    error = problem(Answer(status, PROBLEM, 1, json.dumps(told).encode()))
    assert type(error) is kind
    assert (error.message, error.hint, error.line, error.entry, error.key_ref) == ("what", "do", 3, "data/a", "age:x")


@pytest.mark.parametrize(
    "body", [b"<html>pa55</html>", b"[]", b"5", b'{"detail": 5, "line": "x"}', b"\xff", b"", b"[" * 100_000]
)
@pytest.mark.parametrize("media", [PROBLEM, "text/html", ""])
def test_an_answer_that_is_no_problem_document_tells_its_status_only(body: bytes, media: str) -> None:
    error = problem(Answer(500, media, 1, body))
    assert (error.message, error.hint) == ("the service answered with HTTP 500", "")


def test_a_200_of_something_else_is_no_manifest(client: Remote, service: FakeService) -> None:
    service.canned = [Canned(200, b"<html>log in</html>", "text/html")]
    with pytest.raises(errors.BackendError, match="answered with HTTP 200"):
        sealed_by(client)


@pytest.mark.parametrize("headers", [b"Content-Length: 99\r\n", b""])
def test_an_answer_that_was_cut_off_is_none(headers: bytes) -> None:
    """Without a length nobody could tell, and it would take a file's place."""
    says = b"HTTP/1.1 200 OK\r\nContent-Type: application/yaml\r\n" + headers + b"\r\nkind: Secret\n"
    with raw_server(says) as url, pytest.raises(errors.KsecretError, match=r"cut off|not HTTP"):
        Remote(url, ENVIRON).post("/v1/decrypt", b"x", media=YAML)


def test_what_is_not_http_is_not_shown() -> None:
    with raw_server(b"pa55 pa55 pa55\r\n\r\n") as url, pytest.raises(errors.BackendError, match="not HTTP") as raised:
        Remote(url, ENVIRON).post("/v1/decrypt", b"x", media=YAML)
    assert "pa55" not in str(raised.value)


def test_a_service_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "TIMEOUT", 0.2)
    with raw_server(b"") as url, pytest.raises(errors.BackendUnavailableError, match="no answer in time"):
        Remote(url, ENVIRON).post("/v1/decrypt", b"x", media=YAML)


def test_nobody_there() -> None:
    with raw_server(b"") as url:
        pass
    with pytest.raises(errors.BackendUnavailableError, match="can't be reached: Connection refused"):
        Remote(url, ENVIRON).post("/v1/decrypt", b"x", media=YAML)


def test_tls_is_verified(tmp_path: Path) -> None:
    ours, theirs = Authority(tmp_path / "ours"), Authority(tmp_path / "theirs")
    with FakeService(new_lock(), ours.server_context("localhost")) as service:
        with closing(Remote(service.url, ENVIRON, ours.ca_file)) as client:
            assert service.lock.open_(sealed_by(client)) == CLEAR
        for ca_file in (theirs.ca_file, ""):
            with pytest.raises(errors.BackendUnavailableError, match="certificate is not trusted") as raised:
                sealed_by(Remote(service.url, ENVIRON, ca_file))
            assert "--server-ca" in raised.value.hint
        assert len(service.seen) == 1


def test_a_certificate_for_another_name_is_refused(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = authority.server_context("other.example")
    refused = pytest.raises(errors.BackendUnavailableError, match="not trusted: Hostname mismatch")
    with FakeService(new_lock(), context) as service, refused:
        sealed_by(Remote(service.url, ENVIRON, authority.ca_file))


def test_a_client_certificate_is_shown_where_one_is_named(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = authority.server_context("localhost")
    context.load_verify_locations(authority.ca_file)
    context.verify_mode = ssl.CERT_REQUIRED
    certificate, key = authority.issue("client")
    with FakeService(new_lock(), context) as service:
        own = {"KSECRET_SERVER_CERT": certificate, "KSECRET_SERVER_KEY": key}
        with closing(Remote(service.url, ENVIRON | own, authority.ca_file)) as client:
            assert service.lock.open_(sealed_by(client)) == CLEAR
        with pytest.raises(errors.BackendUnavailableError, match="wants a client certificate") as raised:
            sealed_by(Remote(service.url, ENVIRON, authority.ca_file))
        assert "KSECRET_SERVER_CERT" in raised.value.hint


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_certificate_that_is_refused_is_named(tmp_path: Path, version: ssl.TLSVersion) -> None:
    authority = Authority(tmp_path / "ours")
    context = authority.server_context("localhost")
    context.load_verify_locations(authority.ca_file)
    context.verify_mode = ssl.CERT_REQUIRED
    context.maximum_version = version
    certificate, key = Authority(tmp_path / "theirs").issue("client")
    theirs = {"KSECRET_SERVER_CERT": certificate, "KSECRET_SERVER_KEY": key}
    with FakeService(new_lock(), context) as service:
        for environ, said in ((theirs, "does not take the client certificate"), ({}, "wants a client certificate")):
            with pytest.raises(errors.BackendUnavailableError, match=said):
                sealed_by(Remote(service.url, ENVIRON | environ, authority.ca_file))


@pytest.mark.parametrize("text", ["pa55", None])
def test_an_authority_that_can_not_be_read(text: str | None, tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    if text:
        path.write_text(text)
    with pytest.raises(errors.FileError, match=r"can't be used: (not PEM|No such file)") as raised:
        Remote("https://localhost", ENVIRON, str(path))
    assert raised.value.file == str(path)
    assert "pa55" not in str(raised.value)


def test_a_proxy_is_asked_for_a_tunnel_and_never_shown_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[bytes] = []
    with raw_server(b"HTTP/1.1 403 Forbidden\r\n\r\n", heard) as proxy:
        monkeypatch.setenv("https_proxy", proxy.replace("//", "//me:pa55@"))
        with pytest.raises(errors.BackendUnavailableError, match="can't be reached"):
            Remote("https://ksecret.example:8443", ENVIRON).post("/v1/decrypt", b"x", media=YAML)
    (request,) = heard
    assert request.startswith(b"CONNECT ksecret.example:8443 HTTP/1.")
    assert b"Proxy-Authorization: Basic bWU6cGE1NQ==" in request
    assert TOKEN.encode() not in request


@pytest.mark.parametrize(
    ("url", "said"),
    [
        *(
            (f"{kind}://me:pa55@p:1", f"of the kind {kind}://")
            for kind in ("https", "socks5", "socks5h", "socks4", "ftp")
        ),
        *(
            (url, "not the URL of a proxy")
            for url in ("http://", "http://p:x", "http://p:99999", "http://p:0", "//p:1/")
        ),
        *(
            (url, "not the URL of a proxy")
            for url in ("http://[::1", "me:pa55@", "http://p\tq:1", "http://p q", "http://\xe4")
        ),
    ],
)
def test_a_proxy_that_can_not_be_used_is_told_and_not_spoken_to(
    monkeypatch: pytest.MonkeyPatch, url: str, said: str
) -> None:
    """An https:// or SOCKS proxy would be sent the login in the clear."""
    monkeypatch.setenv("https_proxy", url)
    with pytest.raises(errors.UsageError, match=said) as raised:
        Remote("https://ksecret.example", ENVIRON)
    assert "pa55" not in f"{raised.value} {raised.value.hint}"
    Remote("http://localhost", ENVIRON)
    monkeypatch.setenv("no_proxy", "ksecret.example")
    Remote("https://ksecret.example", ENVIRON)


def test_a_host_that_no_proxy_names_is_spoken_to_directly(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "localhost")
    authority = Authority(tmp_path)
    with (
        FakeService(new_lock(), authority.server_context("localhost")) as service,
        closing(Remote(service.url, ENVIRON, authority.ca_file)) as client,
    ):
        assert service.lock.open_(sealed_by(client)) == CLEAR


def test_nothing_secret_is_in_a_representation(client: Remote) -> None:
    sealed_by(client)
    assert TOKEN not in repr(client)
    assert "k: v" not in repr(Answer(200, YAML, 1, CLEAR))


def test_a_body_that_is_too_long_is_told(client: Remote, service: FakeService) -> None:
    big = seal(CLEAR) + b"# " + b"x" * 8_000_000
    service.canned = [Canned(413, b'{"type": "/problems/too-large", "detail": "over 4 MiB"}')]
    with pytest.raises(errors.ManifestError, match="over 4 MiB"):
        client.post("/v1/decrypt", big, media=YAML)


class raw_server:  # noqa: N801
    """Something on a port that says these bytes to whoever says something, and closes; with none it never answers."""

    def __init__(self, says: bytes, heard: list[bytes] | None = None) -> None:
        self._says, self._heard = says, heard
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._held: list[socket.socket] = []

    def __enter__(self) -> str:
        threading.Thread(target=self._serve, daemon=True).start()
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for one in self._held:
            one.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            heard = connection.recv(65536)
            if self._heard is not None:
                self._heard.append(heard)
            if self._says:
                connection.sendall(self._says)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):  # what is unread when it closes would reset the connection
                    pass
                connection.close()
            else:
                self._held.append(connection)
