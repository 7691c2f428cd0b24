"""The proxy that the environment names for a host (`https_proxy`, `no_proxy`), as far as one can be used safely.

The tunnel is asked for in plain HTTP (RFC 9110, section 9.3.6); inside it there is TLS up to the service itself.
"""

from __future__ import annotations

from base64 import b64encode
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from secretsvc.errors import UsageError
from secretsvc.record import Record

_PORT = 8080
"""Port of a proxy that names none."""


class Proxy(Record):
    """Address of a proxy, and the headers that ask for a tunnel."""

    host: str
    port: int
    headers: dict[str, str]

    def __repr__(self) -> str:
        return f"Proxy({self.host}:{self.port}, masked)"


def proxy_for(host: str) -> Proxy | None:
    """Find the proxy; None where the service is spoken to directly.

    Raises UsageError, which does not show the address, for one that is no URL or wants another protocol: a login for a
    proxy that is itself spoken to by TLS or SOCKS would go over the network in the clear, to nobody who knows it.
    """
    text = getproxies().get("https", "").strip()
    if not text or proxy_bypass(host):
        return None
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        port = _PORT if parts.port is None else parts.port
    except ValueError:
        parts, port = urlsplit(""), 0
    scheme = parts.scheme if parts.scheme.isalnum() else ""
    if scheme not in ("", "http"):
        raise UsageError(
            f"https_proxy names a proxy of the kind {scheme}://, which ksecret can't speak to",
            hint="name one as http://HOST:PORT (what goes through it is TLS all the same), or the service in no_proxy",
        )
    if not (parts.hostname and port and text.isascii() and text.isprintable() and " " not in text):
        raise UsageError("https_proxy is not the URL of a proxy", hint="such as http://proxy.example:3128")
    return Proxy(parts.hostname, port, _login(parts))


def _login(parts: SplitResult) -> dict[str, str]:
    if not parts.username:
        return {}
    login = unquote(f"{parts.username}:{parts.password or ''}").encode()
    return {"Proxy-Authorization": f"Basic {b64encode(login).decode()}"}
