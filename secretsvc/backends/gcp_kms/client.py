"""Reaching Cloud KMS: its endpoint, the credentials, and the one client."""

from __future__ import annotations

import os
import re

from secretsvc.backends.gcp_kms import errors
from secretsvc.backends.tries import Tries
from secretsvc.errors import BackendError
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from google.auth.credentials import Credentials
    from google.cloud.kms_v1 import KeyManagementServiceClient

UNIVERSE = "googleapis.com"
"""The domain of Google's public cloud; sovereign clouds have others, which their credentials name."""

_ATTEMPT = 5.0
"""Seconds for one try of a call; the connection and TLS are made in the first one's."""

_TOKEN = 5.0
"""Seconds for one request for an access token."""

_SCOPES = ("https://www.googleapis.com/auth/cloudkms",)

_ENDPOINT = re.compile(r"(?:(https?)://)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?/?")


class Endpoint(Record):
    """`host`: HOST:PORT. `plain`: in clear text and without credentials, which only emulators take."""

    host: str
    plain: bool


def endpoint(text: str, location: str = "", universe: str = UNIVERSE) -> Endpoint:
    """Return KSECRET_GCP_KMS_ENDPOINT: `http://HOST:PORT`, `https://HOST[:PORT]` or `HOST[:PORT]`; "" is Google's.

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
    """One client for each endpoint in a run, made when first needed and shared by all threads."""

    def __init__(self, endpoint_text: str, patience: float) -> None:
        self._endpoint_text = endpoint_text
        self._patience = patience
        self._tries = Tries(patience)
        self._clients: dict[Endpoint, KeyManagementServiceClient] = {}
        self._universe = UNIVERSE
        self._credentials: Credentials | None = None

    def send(self, operation: str, request: Mapping[str, object], location: str) -> Any:
        """The answer to a method of the client's, such as `encrypt`, after as many tries as patience allows.

        Raises errors.ChecksumError where the request was altered on its way, and the errors of errors.failed.
        """
        self._tries.check(location)
        client = self._tries.ready(lambda: self._ready(location))
        method: Callable[..., Any] = getattr(client, operation)
        return self._tries.call(
            location,
            lambda: method(request=dict(request), retry=None, timeout=min(_ATTEMPT, self._patience)),
            errors.kind,
            lambda error: errors.failed(error, operation, self._endpoint(location).host),
        )

    def project(self) -> str:
        """The project that GOOGLE_CLOUD_PROJECT or the credentials name. Raises BackendError."""
        named = os.environ.get("GOOGLE_CLOUD_PROJECT", "").strip()
        if not named and not self._endpoint("global").plain:
            self._tries.ready(lambda: self._ready("global"))
            import google.auth

            named = google.auth.default(request=_requests())[1] or ""
        if not re.fullmatch(r"[a-z0-9][a-z0-9.:-]{0,99}", named):
            raise errors.no_project()
        return named

    def _endpoint(self, location: str) -> Endpoint:
        return endpoint(self._endpoint_text, location, self._universe)

    def _ready(self, location: str) -> KeyManagementServiceClient:
        """The location's client, with an access token that is still good.

        Raises BackendError and BackendUnavailableError.
        """
        client = self._clients.get(self._endpoint(location)) or self._made(location)
        self._refresh()
        self._clients[self._endpoint(location)] = client  # which the credentials' universe may tell only now
        return client

    def _made(self, location: str) -> KeyManagementServiceClient:
        plain = self._endpoint(location).plain
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # else gRPC writes what goes wrong on standard error by itself
        try:
            _import_quietly()
            import grpc
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


def _import_quietly() -> None:
    """Import Google's libraries, without what older versions warn of: that this Python is in its last year.

    Raises ImportError.
    """
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        import grpc  # noqa: F401 - first: without it the next line fails in odd ways
        from google.cloud import kms_v1  # noqa: F401


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
    """Return how tokens are asked for: by google.auth's own transport, but for two minutes it waits seconds."""
    from functools import partial

    from google.auth.transport.requests import Request

    return partial(Request(), timeout=_TOKEN)
