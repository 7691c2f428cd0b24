"""Reaching vaults and Managed HSMs: which hosts get a token, the credentials, and one client for a host.

azure-keyvault-keys is Microsoft's own SDK. Its retries are off, as those of other SDKs are: `secretsvc.backends.tries`
has them. Redirects are not followed. Which token a host is to get, its challenge says, which the SDK compares with the
host ("verify_challenge_resource"); that stays on.
"""

from __future__ import annotations

import os
from _thread import allocate_lock
from time import time

from secretsvc import __version__
from secretsvc.backends.azure import errors, is_of_azure
from secretsvc.backends.tries import PATIENCE, Tries
from secretsvc.errors import BackendError, BackendUnavailableError, KsecretError
from secretsvc.patterns import pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from secretsvc.backends.azure import AzureKey

_CONNECT, _READ = 0.3, 0.4
"""In patiences: the time of one try to connect, and from there to the answer's last byte."""

_SILENT_TRIES = 3

_NOT_WANTED = ("retry", "redirect", "proxy", "headers", "custom_hook", "logging")
"""Policies of the SDK's pipeline that have nothing to do for us, and took a tenth of a call's time to do it."""

_TOKEN_CONNECT, _TOKEN_READ, _TOKEN_RETRIES = 3, 5, 1
"""Seconds, and further tries, of each request for an access token."""

_TOKEN_LEFT = 300
"""Seconds before its end at which a token is renewed: the SDK takes none that is nearer to it."""

_ADDRESS = pattern(r"https://([a-z0-9.-]{1,253}(?::[0-9]{1,5})?)/?")


def addresses(text: str) -> tuple[str, ...]:
    """Return the hosts that KSECRET_AZURE_ADDRESSES names, HOST or HOST:PORT. Raises BackendError."""
    found = []
    for word in text.replace(",", " ").split():
        match = _ADDRESS.fullmatch(word.lower())
        if not match:
            raise errors.no_address()
        found.append(match[1].removesuffix(":443"))
    return tuple(found)


class Connection:
    """One credential for a run and one client for a host, made when first needed and shared by all threads."""

    def __init__(self, addresses_text: str = "", patience: float = PATIENCE) -> None:
        """`addresses_text`: hosts that get a token though they are none of Azure's, as KSECRET_AZURE_ADDRESSES has."""
        self._addresses_text = addresses_text
        self._patience = patience
        self._tries = Tries(patience, silent_tries=_SILENT_TRIES, silent_seconds=_READ * patience)
        self._credential: _SignIn | None = None
        self._tls: Any = None
        """Whom TLS trusts."""
        self._clients: dict[tuple[int, str], Any] = {}
        """By process, as a connection is one process's own, and host."""
        self._first = allocate_lock()
        """Under which a host's first call is made, which learns whose tokens it takes."""
        self._known: set[str] = set()
        """Hosts that have answered it, and of which the SDK knows that, in forked processes too."""

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts that KSECRET_AZURE_ADDRESSES names. Raises BackendError."""
        return addresses(self._addresses_text)

    def send(self, key: AzureKey, operation: str, body: Mapping[str, str] | None = None) -> dict[str, Any]:
        """The answer, a mapping, to an operation with a key, after as many tries as patience allows.

        `get` looks at it; others, such as `unwrapkey`, have a body. Raises the errors of errors.failed.
        """
        path = key.path if operation == "get" else f"{key.path}/{operation}"
        try:
            return self.ask(key.host, operation, path, body)
        except KsecretError as error:
            if errors.is_missing(error) and self._is_deleted(key):
                raise errors.soft_deleted(key.name) from None
            raise

    def ask(self, host: str, operation: str, path: str, body: Mapping[str, str] | None = None) -> dict[str, Any]:
        """The answer, a mapping, to a call of a host. Raises as `send`.

        `operation`: what it needs the permission for.
        """
        if not is_of_azure(host) and host not in self.hosts:
            raise errors.unknown_host(host)
        client = self._clients.get((os.getpid(), host)) or self._tries.ready(lambda: self._made(host))
        self._tries.check(host)
        return self._tries.call(
            host,
            lambda: self._attempt(client, host, path, body),
            errors.kind,
            lambda error: errors.failed(error, operation, host),
            errors.wait,
        )

    def _attempt(self, client: Any, host: str, path: str, body: Mapping[str, str] | None) -> dict[str, Any]:
        """One try. Raises errors.RefusedByVaultError, and what the SDK raises."""
        if host in self._known:
            return _answer(client, host, path, body)
        with self._first:
            self._tries.check(host)
            answer = _answer(client, host, path, body)
            self._known.add(host)
            return answer

    def _is_deleted(self, key: AzureKey) -> bool:
        """Tell whether it was deleted and not purged yet, as far as the credentials may know."""
        try:
            self.ask(key.host, "get", f"/deletedkeys/{key.name}")
        except BackendUnavailableError:
            raise
        except Exception:  # of whatever kind: that it is not there is known already
            return False
        return True

    def _made(self, host: str) -> Any:
        """The host's client. Raises BackendError and BackendUnavailableError."""
        try:
            import azure.identity  # noqa: F401
            from azure.core.pipeline.policies import HTTPPolicy, UserAgentPolicy
            from azure.keyvault.keys import KeyClient
        except ImportError:
            raise errors.not_installed() from None

        class Nothing(HTTPPolicy):  # type: ignore[type-arg]
            """In the place of a policy: hands on."""

            def send(self, request: Any) -> Any:
                return self.next.send(request)

        _quieten()
        self._credential = self._credential or _SignIn()
        client = KeyClient(
            f"https://{host}",
            self._credential,
            transport=self._transport(host),
            **{f"{name}_policy": Nothing() for name in _NOT_WANTED},
            user_agent_policy=UserAgentPolicy(f"ksecret/{__version__}", user_agent_use_env=False),
        )
        return self._clients.setdefault((os.getpid(), host), client)

    def _transport(self, host: str) -> Any:
        """How requests go out: by a session of ours.

        Proxies and roots are those of HTTPS_PROXY, NO_PROXY and REQUESTS_CA_BUNDLE. Raises BackendError.
        """
        from azure.core.pipeline.transport import RequestsTransport

        from secretsvc.backends.bounded import BoundedSession, proxy_to, trust

        if self._tls is None:
            try:
                self._tls = trust(os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or "")
            except OSError:
                raise errors.no_authorities() from None
        limits = _CONNECT * self._patience, _READ * self._patience
        return RequestsTransport(session=BoundedSession(self._tls, proxy_to(f"https://{host}"), *limits))


def _answer(client: Any, host: str, path: str, body: Mapping[str, str] | None) -> dict[str, Any]:
    """The answer to one request, by the SDK's pipeline. Raises errors.RefusedByVaultError, and what the SDK raises."""
    from azure.core.rest import HttpRequest

    request = HttpRequest("GET", path) if body is None else HttpRequest("POST", path, json=dict(body))
    response = client.send_request(request)
    status = int(response.status_code)
    try:
        told = response.json()
    except Exception:  # ValueError, DecodeError: no JSON
        told = None
    if status == 200:
        if isinstance(told, dict):
            return told
        raise errors.foreign(host)
    said = told.get("error") if isinstance(told, dict) else None
    said = said if isinstance(said, dict) else {}
    inner = said.get("innererror") or said.get("innerError") or {}
    code = str(inner.get("code", "")) if isinstance(inner, dict) else ""
    wait = response.headers.get("Retry-After", "")
    seconds = float(wait) if wait.isascii() and wait.isdigit() else 0.0
    raise errors.RefusedByVaultError(status, str(said.get("code", "")), code, str(said.get("message", "")), seconds)


def _quieten() -> None:
    """Keep the SDK's and msal's logs from standard error, where they would go of themselves, and at INFO.

    At DEBUG they may have whole requests and answers, DEKs and tokens included.
    """
    import logging

    for name in ("azure", "msal", "urllib3"):
        logger = logging.getLogger(name)
        logger.setLevel(max(logging.INFO, logger.getEffectiveLevel()))
        if name != "urllib3" and not any(isinstance(one, logging.NullHandler) for one in logger.handlers):
            logger.addHandler(logging.NullHandler())
    identity = logging.getLogger("azure.identity")  # whose warnings have what Microsoft Entra ID answered
    identity.setLevel(max(logging.ERROR, identity.level))


class _SignIn:
    """The credential that the SDK's clients ask for tokens (azure.core.credentials.TokenCredential).

    It has DefaultAzureCredential sign in once for all threads and vaults, however many ask at the same time, and
    remembers what that gave: some of its sources run a program each time. Its repr shows no token.
    """

    def __init__(self) -> None:
        self._lock = allocate_lock()
        self._source: Any = None
        self._tokens: dict[tuple[tuple[str, ...], str | None], Any] = {}
        self._failure: BackendError | None = None

    def get_token(
        self, *scopes: str, claims: str | None = None, tenant_id: str | None = None, **options: object
    ) -> Any:
        """Return the token for these scopes, with its end in seconds since 1970. Raises BackendError."""
        wanted = scopes, tenant_id
        with self._lock:
            token = self._tokens.get(wanted)
            if token and not claims and token.expires_on - time() >= _TOKEN_LEFT + 1:
                return token
            if self._failure:
                raise type(self._failure)(f"{self._failure.message} (as earlier in this run)", hint=self._failure.hint)
            try:
                token = self._credential().get_token(*scopes, claims=claims, tenant_id=tenant_id, **options)
            except Exception as error:  # sources of credentials raise anything
                self._failure = errors.credentials(error)
                raise self._failure from None
            self._tokens[wanted] = token
            return token

    def _credential(self) -> Any:
        if self._source is None:
            from azure.identity import DefaultAzureCredential

            self._source = DefaultAzureCredential(
                connection_timeout=_TOKEN_CONNECT, read_timeout=_TOKEN_READ, retry_total=_TOKEN_RETRIES
            )
        return self._source
