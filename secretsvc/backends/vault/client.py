"""Reaching a server of Vault or OpenBao, by hvac: its address, TLS and proxies, the token, and its renewal."""

from __future__ import annotations

import os
from _thread import allocate_lock
from functools import lru_cache
from time import monotonic

from secretsvc.backends.tries import Tries
from secretsvc.backends.vault import canonical_address, credentials, errors, setting
from secretsvc.backends.vault.credentials import VaultToken
from secretsvc.backends.vault.errors import VaultCall, VaultRefusedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from secretsvc.backends.vault import VaultEnvironment

_CONNECT, _READ = 0.3, 0.4
"""In patiences: the time of one try to connect, and from there to the answer's last byte."""

_SILENT_TRIES = 3

_YOUNG = 5.0
"""Seconds: a token as young as that, or that was found good so lately, is not taken for expired."""

_REDIRECTS = (301, 302, 307, 308)


class Connection:
    """One server in a run: one client and one token, got when first needed and shared by all threads."""

    def __init__(self, address: str, environ: VaultEnvironment, allowed: frozenset[str], patience: float) -> None:
        """`allowed`: addresses that may be sent a token, this one among them."""
        self.address = address
        self.host = address.rpartition("://")[2]
        self._environ = environ
        self._allowed = allowed
        self._timeouts = (_CONNECT * patience, _READ * patience)
        self._tries = Tries(patience, silent_tries=_SILENT_TRIES, silent_seconds=_READ * patience)
        self._lock = allocate_lock()
        self._tls: Any = None
        """Whom TLS trusts."""
        self._token: VaultToken | None = None
        self._since = 0.0
        """When the token was got, or last found good."""
        self._clients: dict[int, Any] = {}
        """By process, as a connection is one process's own."""

    def send(self, call: VaultCall, ask: Callable[[Any], Any]) -> Any:
        """The answer that `ask` gets from a client of hvac's, after as many tries as patience allows.

        Raises the errors of errors.failed, and of what gets a token.
        """
        client = self._clients.get(os.getpid()) or self._tries.ready(self._made)
        self._tries.check(self.host)
        if self._token and 0 < self._token.ends < monotonic():
            self._renew(client, self._token)

        def attempt() -> Any:
            used = self._token
            try:
                return ask(client)
            except VaultRefusedError as refused:
                if refused.status != 403 or not self._is_fresh(client, used, refused):
                    raise
            return ask(client)

        return self._tries.call(self.host, attempt, errors.kind, lambda error: errors.failed(error, call))

    def _made(self) -> Any:
        """The client of this process, once it has a token. Raises BackendError and BackendUnavailableError."""
        client = self._clients.get(os.getpid()) or self._client()
        if not self._token:
            self._take(client, self._got(client))
        client.token = self._token.text if self._token else ""
        self._clients[os.getpid()] = client
        return client

    def _client(self) -> Any:
        adapter = _adapter()
        import hvac

        from secretsvc.backends.bounded import BoundedSession, proxy_to, trust

        authorities, pair = errors.readable_files(self._environ)
        if self._tls is None and any(address.startswith("https:") for address in self._allowed):
            try:
                self._tls = trust(authorities, pair)
            except OSError:
                raise errors.no_pem() from None
        named = setting(self._environ, "PROXY_ADDR") or setting(self._environ, "HTTP_PROXY")
        session = BoundedSession(self._tls, proxy_to(self.address, named), *self._timeouts)
        client = hvac.Client(url=self.address, token="", session=session, adapter=adapter, allow_redirects=False)
        client.adapter.allowed = self._allowed
        return client

    def _got(self, client: Any) -> VaultToken:
        """A token of the environment, or one that was logged in for. Raises BackendError."""
        method = credentials.method_of(self._environ)
        if method == "token":
            return credentials.token(self._environ)
        login = credentials.login(self._environ, method)
        asked = self._tries.call(
            self.host,
            lambda: self._asked(client, login.path, login.parameters),
            errors.kind,
            lambda error: errors.login_failed(error, login.method, login.path, self.host),
        )
        return _token_of(asked, self.host)

    def _asked(self, client: Any, path: str, parameters: Mapping[str, str]) -> Any:
        """The answer to a request about tokens, in the namespace that they are of."""
        namespace = setting(self._environ, "NAMESPACE")
        return client.adapter.post(
            path, json=dict(parameters), headers={"X-Vault-Namespace": namespace} if namespace else {}
        )

    def _take(self, client: Any, token: VaultToken) -> None:
        self._token, self._since, client.token = token, monotonic(), token.text

    def _renew(self, client: Any, token: VaultToken) -> None:
        """Renews a token that was logged in for, once two thirds of its life are over; else gets another."""
        with self._lock:
            if self._token is not token:
                return
            try:
                renewed = _token_of(self._asked(client, "/v1/auth/token/renew-self", {}), self.host)
            except Exception:  # not renewable any more, say: what to do then is the same
                renewed = self._got(client)
            self._take(client, renewed)

    def _is_fresh(self, client: Any, used: VaultToken | None, refused: VaultRefusedError) -> bool:
        """Tell whether there is another token by now than the one that was refused, got anew if need be, once.

        Where that one is good, it is the permission that is missing, and `refused` is told so.
        """
        with self._lock:
            if self._token is not used:
                return True
            young = monotonic() - self._since < _YOUNG
            if not refused.is_of_token and not young:
                refused.is_of_token = not self._is_good(client)
            if young or not refused.is_of_token:
                return False
            method = credentials.method_of(self._environ)
            found = self._got(client) if method != "token" else credentials.token(self._environ)
            if used and found.text == used.text:
                return False
            self._take(client, found)
            return True

    def _is_good(self, client: Any) -> bool:
        """Tell whether Vault knows the token. (Vault HTTP API, "Lookup a token (self)")"""
        try:
            client.adapter.get("/v1/auth/token/lookup-self")
        except Exception as error:
            return getattr(error, "status", 0) != 403
        self._since = monotonic()
        return True


def _token_of(answer: Any, host: str) -> VaultToken:
    """Return the token of a login's answer (Vault HTTP API, "auth"). Raises BackendError for another answer."""
    said = answer.get("auth") if isinstance(answer, dict) else None
    text = said.get("client_token") if isinstance(said, dict) else None
    if not said or not isinstance(text, str) or not text.isascii() or not text.isprintable():
        raise errors.foreign(host)
    seconds = said.get("lease_duration")
    life = float(seconds) if isinstance(seconds, int) else 0.0
    return VaultToken(text, is_from_login=True, ends=monotonic() + life * 2 / 3 if life else 0.0)


@lru_cache(maxsize=1)
def _adapter() -> Any:
    """Return hvac's adapter, but for how failures and redirects are told. Raises BackendUnavailableError.

    Its own exceptions lack the status, and requests would follow a redirect with the token in its headers.
    """
    try:
        from hvac.adapters import RawAdapter
    except ImportError:
        raise errors.not_installed() from None

    class Adapter(RawAdapter):  # type: ignore[misc]
        allowed: frozenset[str] = frozenset()

        def get_login_token(self, response: Any) -> str:
            raise NotImplementedError

        def request(
            self, method: str, url: str, headers: Any = None, raise_exception: bool = True, **given: Any
        ) -> Any:
            """The answer's JSON. Raises VaultRefusedError, errors.NotVaultError, and what requests raises."""
            answer = super().request(method, url, dict(headers or {}), raise_exception=False, **given)
            if answer.status_code in _REDIRECTS:
                answer = self._followed(answer, method, dict(headers or {}), given)
            if answer.status_code >= 300:
                raise VaultRefusedError(answer.status_code, _errors_of(answer))
            try:
                return answer.json() if answer.content else {}
            except ValueError:
                raise errors.NotVaultError from None

        def _followed(self, answer: Any, method: str, headers: Any, given: Any) -> Any:
            """The answer of where a standby sends its callers, if the token may go there. Raises VaultRefusedError."""
            address, _, path = str(answer.headers.get("Location", "")).partition("/v1/")
            target = canonical_address(address)
            if target not in self.allowed:
                raise VaultRefusedError(answer.status_code, "redirect", target)
            active = type(self)(target, self.token, session=self.session, allow_redirects=False)
            active._kwargs = self._kwargs
            return RawAdapter.request(active, method, f"/v1/{path}", headers, raise_exception=False, **given)

    return Adapter


def _errors_of(answer: Any) -> str:
    """The texts of an answer's errors, for a look at them only: never for people."""
    try:
        said = answer.json()["errors"]
    except (ValueError, KeyError, TypeError):
        return str(answer.text[:1000])
    return "; ".join(map(str, said)) if isinstance(said, list) else ""
