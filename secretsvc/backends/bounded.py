"""Calls over HTTP to whoever keeps keys: bounded in time and in bytes, over connections that are kept.

The clients of Vault and Azure ask a session of `requests` for their calls. This one gives them to urllib3, which
`requests` is made of: what that does besides, for each call anew (cookies, ~/.netrc, redirects, looks at the
environment, the authorities of TLS for each connection), is not wanted, and took longer than the call itself.
Imported by backends that use it, once they call somebody.
"""

from __future__ import annotations

import io
import json as json_
import ssl
from http.client import HTTPResponse
from time import monotonic

from requests import Response, Session
from requests.structures import CaseInsensitiveDict
from requests.utils import (
    DEFAULT_CA_BUNDLE_PATH,
    get_auth_from_url,
    get_environ_proxies,
    prepend_scheme_if_needed,
    select_proxy,
)
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager, ProxyManager, Timeout, make_headers
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from secretsvc import __version__
from secretsvc.backends.unanswered import no_answer
from secretsvc.errors import BackendError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

MOST_BYTES = 4 * 1024 * 1024
"""Of an answer: a list of a thousand keys takes some 100 KiB, everything else a few."""

CONNECTIONS = 64
"""The most that a session keeps open, and so the most calls that run at the same time without a new connection each."""


class AnswerTooLongError(Exception):
    """An answer that no server of keys gives: more than MOST_BYTES, or packed, which nobody asked it for."""


class BoundedSession(Session):
    """Sends calls, and reads answers at once. Follows no redirect; honours no settings but its own.

    Safe to use from several threads, as `requests` does not say of its own.
    """

    def __init__(self, tls: ssl.SSLContext | None, proxy: str, connect: float, answer: float) -> None:
        """`tls`: None for calls without. `connect`: seconds for a connection, TLS included.

        `answer`: seconds from there to an answer's last byte.
        """
        super().__init__()
        settings: dict[str, Any] = {
            "ssl_context": tls,
            "maxsize": CONNECTIONS,
            "socket_options": HTTPConnection.default_socket_options,  # else a proxy gets bodies 40 ms late
        }
        self._pools = (
            ProxyManager(proxy, proxy_headers=_who(proxy), proxy_ssl_context=tls, **settings)
            if proxy
            else PoolManager(**settings)
        )
        self._pools.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}
        self._options: dict[str, Any] = {
            "timeout": Timeout(connect=connect, read=answer),
            "retries": False,
            "redirect": False,
            "preload_content": False,
            "decode_content": False,
        }

    def request(  # type: ignore[override]
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        data: str | bytes | None = None,
        json: Any = None,
        **_: Any,
    ) -> Response:
        """Return the answer, read. Raises AnswerTooLongError and NoAnswerError.

        What else a client gives (`verify`, `timeout`, `proxies`, …) counts for nothing.
        """
        sent = {"User-Agent": f"ksecret/{__version__}", **(headers or {})}
        sent["Accept-Encoding"] = "identity"  # a few bytes could be unpacked to as many as they like
        if json is not None:
            data, sent["Content-Type"] = json_.dumps(json), "application/json"
        try:
            answer = self._pools.urlopen(method.upper(), url, body=data or None, headers=sent, **self._options)
            content = _read(answer)
        except (HTTPError, OSError) as error:
            raise no_answer(error) from error
        return _response(answer, content, url)

    def close(self) -> None:
        """Closes the connections that are kept."""
        self._pools.clear()
        super().close()


def trust(authorities: str, pair: tuple[str, str] | None = None) -> ssl.SSLContext:
    """Return whom TLS trusts: the authorities in a file or a folder, or those that `requests` has where "" is given.

    `pair`: the files of one's own certificate and its key. Read once, and not for each connection: there may be
    hundreds. Raises OSError for what can't be read, or is no PEM.
    """
    from os.path import isdir

    path = authorities or DEFAULT_CA_BUNDLE_PATH
    context = ssl.create_default_context(cafile=None if isdir(path) else path, capath=path if isdir(path) else None)
    if pair:
        context.load_cert_chain(*pair, password="")  # else OpenSSL would ask for one on the terminal
    return context


def proxy_to(address: str, named: str = "") -> str:
    """Return the proxy for an address: the one named, else that of HTTPS_PROXY and NO_PROXY; "" for none.

    Raises BackendError for one that can't be used.
    """
    found = named or select_proxy(address, get_environ_proxies(address)) or ""
    proxy = str(prepend_scheme_if_needed(found, "http")) if found else ""
    if proxy and not proxy.startswith(("http://", "https://")):
        raise BackendError("the proxy that is set is neither one of HTTP nor of HTTPS", hint="give http://HOST:PORT")
    return proxy


def _who(proxy: str) -> dict[str, str]:
    """Return the headers with the name and password that stand in a proxy's address."""
    name, password = get_auth_from_url(proxy)
    return dict(make_headers(proxy_basic_auth=f"{name}:{password}")) if name else {}


def _read(answer: Any) -> bytes:
    if answer.headers.get("Content-Encoding", "identity").lower() == "identity":
        content: bytes = answer.read(MOST_BYTES + 1)
        if len(content) <= MOST_BYTES:
            answer.release_conn()
            return content
    answer.close()
    raise AnswerTooLongError


def _response(answer: Any, content: bytes, url: str) -> Response:
    """Return what clients expect of `requests`."""
    response = Response()
    response.status_code, response.reason, response.url = answer.status, answer.reason, url
    response.headers = CaseInsensitiveDict(answer.headers)
    response.raw = io.BytesIO(content)
    assert response.content == content
    return response


class _Timed(io.RawIOBase):
    """What comes in by a socket until its time is over, however many bytes come one by one."""

    def __init__(self, socket: Any, ends: float) -> None:
        self._socket, self._ends = socket, ends
        self._stream = socket.makefile("rb", buffering=0)

    def makefile(self, *_: object) -> io.BufferedReader:
        """Return it as http.client reads a socket."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._ends - monotonic()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)
        count: int | None = self._stream.readinto(buffer)
        return count

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()


class _Connection(HTTPConnection):
    """A connection whose timeouts are those of a whole answer, a proxy's too, and not of each read; one write a call.

    Head and body by themselves would cost a system call, a record of TLS and a waking server more.
    """

    _ends = 0.0
    _held: list[bytes] | None = None

    def connect(self) -> None:
        self._ends = monotonic() + (self.timeout or 0.0)
        super().connect()

    def request(self, *given: Any, **named: Any) -> None:
        self._held = []
        try:
            super().request(*given, **named)
            held = b"".join(self._held)
        finally:
            self._held = None
        self.send(held)

    def send(self, data: Any) -> None:
        if self._held is None:
            super().send(data)
        else:
            self._held.append(data)

    def getresponse(self) -> Any:
        self._ends = monotonic() + (self.timeout or 0.0)
        return super().getresponse()

    def response_class(self, socket: Any, **options: Any) -> HTTPResponse:  # type: ignore[override]
        return HTTPResponse(_Timed(socket, self._ends), **options)  # type: ignore[arg-type]


class _TlsConnection(_Connection, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection
