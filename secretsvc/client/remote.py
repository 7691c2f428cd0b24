"""A client of the REST service (docs/api.md): bytes in, bytes out, and its problems as errors of the tree.

The standard library is enough: HTTP/1.1 with kept connections, TLS and proxies, and it follows no redirect by itself,
which would take the token along. Nothing here is imported by a run without a service.
"""

from __future__ import annotations

import json
import ssl
from contextlib import suppress
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from ipaddress import ip_address
from threading import Lock
from urllib.parse import SplitResult, urlencode, urlsplit

from secretsvc import __version__
from secretsvc.client.line import Line
from secretsvc.client.problems import HttpAnswer, problem
from secretsvc.client.proxy import proxy_for
from secretsvc.errors import BackendError, BackendUnavailableError, FileError, KsecretError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

TIMEOUT = 75.0
"""Seconds without a byte from the service; it gives up on an operation sooner, with 504."""

MAX_ANSWER = 64 * 1024 * 1024
"""Bytes, as many as a manifest may have."""


_MEDIA = ("application/yaml", "application/json", "application/octet-stream")
"""What a service answers with."""


class Remote:
    """A service at one address. Safe in several threads: as many connections are kept as were needed at a time."""

    def __init__(self, url: str, environ: Mapping[str, str], ca_file: str = "") -> None:
        """`ca_file`: PEM certificates of the only authorities to trust. Raises UsageError, FileError."""
        self._base = _checked(url, insecure=environ.get("KSECRET_SERVER_INSECURE") == "1")
        self._open = partial(_connection, self._base, _context(ca_file, environ))
        self._open()  # a proxy that can't be used is told before any file is read
        self._shows_certificate = bool(environ.get("KSECRET_SERVER_CERT"))
        self._source = token_source(environ, self._base.geturl().rstrip("/"))
        self._token = ""
        self._lock = Lock()
        self._line = Line()
        self._idle: list[HTTPConnection] = []

    def __repr__(self) -> str:
        return f"Remote({self._base.geturl()}, masked)"

    def post(self, path: str, body: bytes, *, query: Sequence[tuple[str, str]] = (), media: str) -> bytes:
        """The body of the 200 that answers it. `media` is the body's type, `query` is not yet quoted.

        Raises what the service's problem document stands for; BackendUnavailableError where it can't be reached, and
        BackendError for an answer that is not one of its own.
        """
        target = self._base.path.rstrip("/") + path + (f"?{urlencode(query)}" if query else "")
        token, renewed = self._current(), False
        while True:
            headers = {"Authorization": f"Bearer {token}", "Content-Type": media}
            answer = self._line.ask(partial(self._exchange, target, body, headers))
            if answer.status == 401 and not renewed:  # an identity token lives minutes, a run over a tree may not
                renewed = True
                old, token = token, self._current(instead_of=token)
                if token == old:
                    raise problem(answer)
            elif answer.status == 200 and answer.media in _MEDIA:
                return answer.body
            else:
                raise problem(answer)

    def _current(self, instead_of: str = "") -> str:
        with self._lock:
            if self._token == instead_of:
                self._token = self._source()
            return self._token

    def close(self) -> None:
        """Ends the connections that are kept."""
        while self._idle:
            self._idle.pop().close()

    def _exchange(self, target: str, body: bytes, headers: dict[str, str]) -> HttpAnswer:
        tries = 2
        while True:
            kept = self._kept()
            connection = kept or self._open()
            try:
                answer = _answer(connection, "POST", target, body, headers)
            except (HTTPException, OSError) as error:
                connection.close()
                tries -= not kept
                broken = isinstance(error, (ConnectionError, ssl.SSLEOFError))
                if broken and tries and not isinstance(error, ConnectionRefusedError):
                    continue  # it was idle, or its replica stops; to say it again changes nothing in the service
                raise _unreachable(error, self._base.netloc, shows_certificate=self._shows_certificate) from error
            self._idle.append(connection)
            return answer

    def _kept(self) -> HTTPConnection | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None


def _checked(url: str, *, insecure: bool) -> SplitResult:
    """The address of a service. Raises UsageError, which does not show it: it may hold a password."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if not (parts.hostname and parts.scheme in ("http", "https") and port != 0 and url.isascii() and url.isprintable()):
        raise UsageError("the service's address is not a URL", hint="such as https://ksecret.example:8200")
    if parts.username is not None or parts.query or parts.fragment or " " in url:
        raise UsageError(
            "the service's address holds more than host, port and path", hint="the token goes into KSECRET_TOKEN"
        )
    if parts.scheme == "http" and not (insecure or _is_loopback(parts.hostname)):
        raise UsageError(
            "plain http would show the token and the manifests to the network",
            hint="use https; or KSECRET_SERVER_INSECURE=1, where the network itself is encrypted",
        )
    return parts


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _context(ca_file: str, environ: Mapping[str, str]) -> ssl.SSLContext:
    """TLS 1.2 or newer, the certificate and its name verified. Raises FileError."""
    certificate, key = environ.get("KSECRET_SERVER_CERT", ""), environ.get("KSECRET_SERVER_KEY", "")
    try:
        file = ca_file
        context = ssl.create_default_context(cafile=ca_file or None)
        if certificate:
            file = certificate
            context.load_cert_chain(certificate, key or None, password="")
    except (OSError, ValueError) as error:  # an SSLError is an OSError
        reason = error.strerror if isinstance(error, OSError) and not isinstance(error, ssl.SSLError) else "not PEM"
        raise FileError(f"the certificates can't be used: {reason}", file=file) from error
    return context


def _connection(base: SplitResult, context: ssl.SSLContext) -> HTTPConnection:
    """Make a connection that is not opened yet. Raises UsageError for a proxy that can't be used."""
    host = base.hostname or ""
    if base.scheme == "http":
        return HTTPConnection(host, base.port, timeout=TIMEOUT)
    proxy = proxy_for(host)
    if not proxy:
        return HTTPSConnection(host, base.port, timeout=TIMEOUT, context=context)
    connection = HTTPSConnection(proxy.host, proxy.port, timeout=TIMEOUT, context=context)
    connection.set_tunnel(host, base.port or 443, proxy.headers)
    return connection


def _answer(connection: HTTPConnection, method: str, target: str, body: bytes, headers: dict[str, str]) -> HttpAnswer:
    """Raises HTTPException, OSError, BackendError."""
    with suppress(BrokenPipeError, ssl.SSLEOFError):  # who refuses a long body, or us, may say so before its end
        connection.request(method, target, body or None, {"User-Agent": f"ksecret/{__version__}", **headers})
    response = connection.getresponse()
    data = response.read(MAX_ANSWER + 1)
    if len(data) > MAX_ANSWER or response.length or (response.length is None and not response.chunked):
        connection.close()
        raise BackendError("the service's answer is too long, cut off, or does not say how long it is")
    wait = response.headers.get("Retry-After", "")
    media = response.headers.get_content_type() if "Content-Type" in response.headers else ""
    return HttpAnswer(response.status, media, int(wait) if wait.isdecimal() and len(wait) < 6 else 0, data)


def _unreachable(error: HTTPException | OSError, where: str, *, shows_certificate: bool) -> BackendUnavailableError:
    """Without the text of an HTTPException, which quotes the answer."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return BackendUnavailableError(
            f"the service at {where}: its certificate is not trusted: {error.verify_message}",
            hint="--server-ca FILE, or KSECRET_SERVER_CA, names the authority that signed it",
        )
    if isinstance(error, ssl.SSLError) and _is_about_ours(error.reason or "", shows_certificate=shows_certificate):
        what = "does not take the client certificate" if shows_certificate else "wants a client certificate"
        hint = (
            "KSECRET_SERVER_CERT and KSECRET_SERVER_KEY name one of an authority that it trusts, not expired or revoked"
        )
        return BackendUnavailableError(f"the service at {where} {what}", hint=hint)
    if isinstance(error, TimeoutError):
        return BackendUnavailableError(f"the service at {where} gave no answer in time", hint="try again later")
    if isinstance(error, HTTPException) and not isinstance(error, ConnectionError):
        hint = "is the address right, and https?"
        return BackendUnavailableError(f"the answer of the service at {where} is not HTTP", hint=hint)
    reason = "TLS failed" if isinstance(error, ssl.SSLError) else error.strerror or "the connection broke off"
    return BackendUnavailableError(f"the service at {where} can't be reached: {reason}", hint="is the address right?")


def _is_about_ours(reason: str, *, shows_certificate: bool) -> bool:
    """Tell whether the alert is about a client's certificate (RFC 8446, section 6.2); by 1.2, that there is none."""
    names = ("CERTIFICATE", "UNKNOWN_CA", "ACCESS_DENIED", *(() if shows_certificate else ("HANDSHAKE_FAILURE",)))
    return any(name in reason.partition("_ALERT_")[2] for name in names)


def token_source(environ: Mapping[str, str], server: str) -> Callable[[], str]:
    """The source of the bearer token for the service at that URL: KSECRET_TOKEN, KSECRET_TOKEN_FILE, or GitHub Actions.

    The file is read, and GitHub asked, whenever it is called. Raises UsageError where there is none of them.
    """
    if environ.get("KSECRET_TOKEN"):
        return partial(_clean, environ["KSECRET_TOKEN"], "KSECRET_TOKEN")
    if environ.get("KSECRET_TOKEN_FILE"):
        return partial(_from_file, environ["KSECRET_TOKEN_FILE"])
    if environ.get("ACTIONS_ID_TOKEN_REQUEST_URL") and environ.get("ACTIONS_ID_TOKEN_REQUEST_TOKEN"):
        return partial(_from_github, environ, environ.get("KSECRET_TOKEN_AUDIENCE") or server)
    raise UsageError(
        "no token for the service",
        hint="put it into KSECRET_TOKEN, or its file's name into KSECRET_TOKEN_FILE; "
        "a job of GitHub Actions needs permissions: id-token: write",
    )


def _clean(text: str, origin: str) -> str:
    """Raises UsageError for what can't stand in a header, which http.client would quote."""
    token = text.strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise UsageError(f"{origin} holds no token")
    return token


def _from_file(path: str) -> str:
    try:
        with open(path, encoding="ascii") as stream:
            return _clean(stream.read(65536), "the token's file")
    except OSError as error:
        raise FileError(f"the token can't be read: {error.strerror}", file=path) from error
    except UnicodeDecodeError:
        raise UsageError("the token's file holds no token", file=path) from None


def _from_github(environ: Mapping[str, str], audience: str) -> str:
    """An identity token of the job (GitHub, "OpenID Connect reference": a GET with `audience`). Raises BackendError."""
    url = _of_github(environ["ACTIONS_ID_TOKEN_REQUEST_URL"])
    query = urlencode({"audience": audience})
    target = f"{url.path or '/'}?{url.query}{'&' if url.query else ''}{query}"
    bearer = _clean(environ["ACTIONS_ID_TOKEN_REQUEST_TOKEN"], "ACTIONS_ID_TOKEN_REQUEST_TOKEN")
    connection = _connection(url, ssl.create_default_context())
    try:
        answer = _answer(connection, "GET", target, b"", {"Authorization": f"bearer {bearer}"})
        connection.close()
        return _clean(json.loads(answer.body)["value"], "GitHub's answer")
    except (HTTPException, OSError, ValueError, KeyError, TypeError, AttributeError, KsecretError) as error:
        raise BackendError(
            "GitHub gave no identity token for this job", hint="does the job have permissions: id-token: write?"
        ) from error


def _of_github(url: str) -> SplitResult:
    parts = urlsplit(url)
    if parts.scheme != "https" and not _is_loopback(parts.hostname or ""):
        raise UsageError("ACTIONS_ID_TOKEN_REQUEST_URL is not an https URL")
    return parts
