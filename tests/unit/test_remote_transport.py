"""How the client reaches a service: addresses, TLS and proxies, and what is no HTTP."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from secretsvc import errors
from secretsvc.client import remote
from secretsvc.client.remote import Remote
from tests.emulators.fake_service import TOKEN, Canned, FakeService
from tests.support import new_lock
from tests.unit.certificates import Authority
from tests.unit.remote_support import CLEAR, ENVIRON, YAML, client, sealed_by, service

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["client", "service"]  # fixtures, for pytest to find here


def test_a_path_in_the_address_goes_before(service: FakeService) -> None:
    service.canned = [Canned(media=YAML)]
    with closing(Remote(f"{service.url}/tools/ksecret/", ENVIRON)) as client:
        client.post("/v1/decrypt", b"x", media=YAML)
    assert service.seen[0].path == "/tools/ksecret/v1/decrypt"


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
