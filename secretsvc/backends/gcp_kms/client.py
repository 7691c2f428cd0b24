"""Reaching Cloud KMS: its endpoint, the credentials, the one client, retries, and what is known to be out of reach."""

from __future__ import annotations

import os
import re
from _thread import allocate_lock
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from secretsvc.backends.gcp_kms import errors
from secretsvc.errors import BackendError, BackendUnavailableError, KsecretError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from google.auth.credentials import Credentials
    from google.cloud.kms_v1 import KeyManagementServiceClient

UNIVERSE = "googleapis.com"
"""The domain of Google's public cloud; sovereign clouds have others, which their credentials name."""

PATIENCE = 10.0
"""Seconds in which something has to answer. A call that failed otherwise is tried again for as long too."""

THROTTLED = 3
"""How many times as long a throttled call is tried again: quotas are counted by the minute."""

_ATTEMPT = 5.0
"""Seconds for one try of a call; the connection and TLS are made in the first one's."""

_TOKEN = 5.0
"""Seconds for one request for an access token."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0
"""Seconds: between two tries it waits for a random time up to the first, twice that, and so on up to the longest."""

_SCOPES = ("https://www.googleapis.com/auth/cloudkms",)

_ENDPOINT = re.compile(r"(?:(https?)://)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?/?")


class Endpoint(NamedTuple):
    """`host`: HOST:PORT. `plain`: in clear text and without credentials, which only emulators take."""

    host: str
    plain: bool


def endpoint(text: str, location: str = "", universe: str = UNIVERSE) -> Endpoint:
    """What KSECRET_GCP_KMS_ENDPOINT says: `http://HOST:PORT`, `https://HOST[:PORT]` or `HOST[:PORT]`; "" is Google's.

    `{location}` in it stands for the key's (`cloudkms.{location}.rep.googleapis.com`).
    Raises BackendError, which does not show the text: it may hold a password.
    """
    match = _ENDPOINT.fullmatch(text.strip().replace("{location}", location) or f"cloudkms.{universe}")
    if not match or (match[1] == "http" and not match[3]):
        raise BackendError(
            "KSECRET_GCP_KMS_ENDPOINT is not an endpoint",
            hint="give HOST:PORT or https://HOST:PORT, or http://HOST:PORT for an emulator without TLS; {location} in "
            "it is the key's",
        )
    return Endpoint(f"{match[2]}:{match[3] or 443}", match[1] == "http")


class Connection:
    """One client for each endpoint in a run, made when first needed and shared by all threads.

    What can't get better within a run (no credentials, no library) and which locations' keys nobody answered for is
    remembered, so that it costs its time once, not once per file. Holds no request and no answer.
    """

    def __init__(self, endpoint_text: str, patience: float) -> None:
        self._endpoint_text = endpoint_text
        self._patience = patience
        self._lock = allocate_lock()
        self._clients: dict[Endpoint, KeyManagementServiceClient] = {}
        self._universe = UNIVERSE
        self._credentials: Credentials | None = None
        self._unusable: KsecretError | None = None
        self._dead: dict[str, KsecretError] = {}
        self._answered: dict[str, float] = {}

    def send(self, operation: str, request: Mapping[str, object]) -> Any:
        """The answer to `encrypt` or `decrypt`, after as many tries as patience allows.

        Raises errors.ChecksumError where the request was altered on its way, and the errors of
        errors.failed.
        """
        location = str(request["name"]).split("/")[3]
        if location in self._dead:
            raise errors.again(self._dead[location])
        client = self._ready(location)
        from google.api_core.exceptions import GoogleAPICallError, RetryError
        from google.api_core.retry import Retry

        began = monotonic()
        retry = Retry(
            predicate=self._worth_another_try(location, began),
            initial=_FIRST_PAUSE,
            maximum=_LONGEST_PAUSE,
            timeout=THROTTLED * self._patience,
        )
        method: Callable[..., Any] = client.encrypt if operation == "encrypt" else client.decrypt
        try:
            answer = method(request=dict(request), retry=retry, timeout=min(_ATTEMPT, self._patience))
        except RetryError as error:
            raise self._given_up(error.cause, operation, location, began) from None
        except GoogleAPICallError as error:
            raise self._given_up(error, operation, location, began) from None
        self._answered[location] = monotonic()
        return answer

    def _worth_another_try(self, location: str, began: float) -> Callable[[Exception], bool]:
        """Tells whether a call that began then and failed like that should be made again."""
        from google.api_core import exceptions

        silence = (exceptions.ServiceUnavailable, exceptions.DeadlineExceeded)
        passing = (exceptions.InternalServerError, exceptions.Aborted)

        def worth(error: Exception) -> bool:
            past = monotonic() - began
            if isinstance(error, silence):
                return past < self._patience and location not in self._dead and not errors.is_token(error)
            self._answered[location] = monotonic()
            if isinstance(error, exceptions.ResourceExhausted):
                return past < THROTTLED * self._patience
            return isinstance(error, passing) and past < self._patience

        return worth

    def _given_up(self, cause: Exception | None, operation: str, location: str, began: float) -> Exception:
        """The error for a call that failed for good. Where nobody answered since it began, its location is dead."""
        host = self._endpoint(location).host
        error = errors.failed(cause, operation, host)
        if isinstance(error, BackendUnavailableError) and self._answered.get(location, 0.0) < began:
            self._dead.setdefault(location, error)
        return error

    def _endpoint(self, location: str) -> Endpoint:
        return endpoint(self._endpoint_text, location, self._universe)

    def _ready(self, location: str) -> KeyManagementServiceClient:
        """The location's client, with an access token that is still good.

        Raises BackendError and BackendUnavailableError.
        """
        with self._lock:
            if self._unusable:
                raise errors.again(self._unusable)
            try:
                client = self._clients.get(self._endpoint(location)) or self._made(location)
                self._refresh()
            except KsecretError as error:
                self._unusable = error
                raise
            self._clients[self._endpoint(location)] = client  # which the credentials' universe may tell only now
            return client

    def _made(self, location: str) -> KeyManagementServiceClient:
        plain = self._endpoint(location).plain
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # else gRPC writes what goes wrong on standard error by itself
        try:
            import grpc  # first: without it the next line fails in odd ways
            from google.auth.exceptions import GoogleAuthError
            from google.cloud.kms_v1 import KeyManagementServiceClient
            from google.cloud.kms_v1.services.key_management_service.transports import KeyManagementServiceGrpcTransport
        except ImportError:
            raise errors.not_installed() from None
        import logging

        try:
            if plain:
                channel = grpc.insecure_channel(self._endpoint(location).host, options=(("grpc.enable_http_proxy", 0),))
                client = KeyManagementServiceClient(transport=KeyManagementServiceGrpcTransport(channel=channel))
            else:
                self._credentials = self._credentials or _default_credentials()
                self._universe = _universe(self._credentials)
                options = {
                    "api_endpoint": self._endpoint(location).host,
                    "scopes": _SCOPES,
                    "universe_domain": self._universe,
                }
                client = KeyManagementServiceClient(credentials=self._credentials, client_options=options)
        except (GoogleAuthError, ValueError, OSError) as error:
            raise errors.credentials(error) from None
        # With GOOGLE_SDK_PYTHON_LOGGING_SCOPE set the library would log whole requests and answers, DEKs included.
        logging.getLogger(type(client.transport).__module__).setLevel(logging.INFO)
        return client

    def _refresh(self) -> None:
        """A new access token where there is none, or an old one.

        The library would get it by itself, but in a thread of gRPC's, which prints tracebacks and tells failures apart
        by their text only. A service account's own key signs its tokens here, and needs no request.
        """
        credentials = self._credentials
        if credentials is None or credentials.valid:
            return
        from google.auth.exceptions import GoogleAuthError
        from google.oauth2 import service_account

        if isinstance(credentials, service_account.Credentials):
            return
        refresh: Callable[[Any], None] = credentials.refresh
        try:
            refresh(_requests())
        except (GoogleAuthError, ValueError, OSError) as error:
            raise errors.credentials(error) from None


def _default_credentials() -> Credentials:
    """Application Default Credentials. Raises google.auth's exceptions, ValueError and OSError."""
    import warnings

    import google.auth
    from google.auth.credentials import with_scopes_if_required

    scoped: Callable[..., Credentials] = with_scopes_if_required
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about a person's credentials without a quota project: the call will tell
        # Given scopes at once, it would ask Google for a federated project's name, which nobody needs here.
        return scoped(google.auth.default(request=_requests())[0], _SCOPES)


def _universe(credentials: Credentials) -> str:
    """The universe's domain, the credentials' own. Raises BackendError where another one is configured.

    A client of another one would refuse them with an exception of its own at every call (AIP-4116).
    """
    own = str(getattr(credentials, "universe_domain", "") or UNIVERSE)
    if os.environ.get("GOOGLE_CLOUD_UNIVERSE_DOMAIN", "").strip() not in ("", own):
        raise errors.another_universe()
    return own


def _requests() -> Any:
    """How tokens are asked for: by google.auth's own transport, but for two minutes it waits seconds."""
    from functools import partial

    from google.auth.transport.requests import Request

    return partial(Request(), timeout=_TOKEN)
