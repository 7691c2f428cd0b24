"""Reaching AWS KMS: the session with its credentials, and one client for a region.

boto3 is Amazon's own SDK; what it has no setting for is set in botocore, its core. Its retries are off: their adaptive
mode all but stops where KMS fails at random (docs/backends/aws-kms.md has the figures), and in their other modes an
endpoint that is dead gets as many tries as one that throttles.
"""

from __future__ import annotations

import os

from secretsvc import __version__
from secretsvc.backends.aws_kms import errors
from secretsvc.backends.aws_kms.errors import KmsCall
from secretsvc.backends.aws_kms.loader import loader
from secretsvc.backends.tries import PATIENCE, Tries
from secretsvc.keyref import Principal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from secretsvc.errors import KsecretError

_CONNECT, _READ = 0.3, 0.4
"""In patiences: the time of one try to connect to one address, and to wait for bytes of the answer."""

CONNECTIONS = 64
"""The most that a client keeps open, and so the most calls that run at the same time without a new connection each."""

_SILENT_TRIES = 3

_BY_CONNECTION = ("iam-role", "container-role")
"""Sources of credentials (botocore's `method`) whose connection is kept, so that each process needs its own. The others
are not asked again by a forked process: they may ask somebody for a code, or for a touch.
"""

_ROLE_SESSION_NAME = "ksecret"
"""By which CloudTrail shows who has assumed a role."""

_ENVIRONMENT = Principal()

_VARIANTS = ("use_fips_endpoint", "use_dualstack_endpoint")
"""Settings that choose other endpoints, which that loader does not know."""


class Connection:
    """One session for a run and one client for a region, made when first needed and shared by all threads."""

    def __init__(self, patience: float = PATIENCE, principal: Principal = _ENVIRONMENT) -> None:
        """`principal`: who calls; else whom the environment says."""
        self._patience = patience
        self._principal = principal
        self._tries = Tries(patience, silent_tries=_SILENT_TRIES, silent_seconds=_READ * patience)
        self._session: Any = None
        self._process = 0
        self._clients: dict[tuple[int, str], Any] = {}
        """By process, as a connection is one process's own, and region."""

    def send(self, region: str, operation: str, parameters: Mapping[str, Any]) -> Any:
        """The answer, a mapping, to an operation such as `encrypt`, after as many tries as patience allows.

        Raises the errors of errors.failed and errors.credentials.
        """
        client = self._clients.get((os.getpid(), region)) or self._tries.ready(lambda: self._made(region))
        self._tries.check(region)
        method = getattr(client, operation)

        def failed(error: Exception) -> KsecretError:
            names = {name for key in parameters if key.endswith("Context") for name in parameters[key]}
            return errors.failed(error, KmsCall(operation, region, self.host(region), tuple(sorted(names))))

        return self._tries.call(region, lambda: method(**parameters), errors.kind, failed)

    def host(self, region: str) -> str:
        """HOST or HOST:PORT of the region's endpoint, without what else a configured URL may hold."""
        from urllib.parse import urlsplit

        return str(urlsplit(self._clients[os.getpid(), region].meta.endpoint_url).netloc.rpartition("@")[2])

    def _made(self, region: str) -> Any:
        """The region's client, once credentials are there: so a failure of theirs is told from KMS's.

        Raises BackendError and BackendUnavailableError.
        """
        process = os.getpid()
        if self._process != process and self._session and self._session.get_credentials().method in _BY_CONNECTION:
            self._session = None
        self._session = self._session or _session(self._patience, region, self._principal)
        self._process, mine = process, (process, region)
        self._clients[mine] = self._clients.get(mine) or _client(self._session, region)
        return self._clients[mine]


def _session(patience: float, region: str, principal: Principal) -> Any:
    """A session of boto3's that has credentials. `region`: a key's, for STS where no other is configured.

    Raises BackendError and BackendUnavailableError.
    """
    try:
        from boto3.session import Session
        from botocore.config import Config
        from botocore.session import Session as Core
    except ImportError:
        raise errors.not_installed() from None
    import logging

    # At DEBUG botocore logs requests and answers whole, DEKs included.
    logger = logging.getLogger("botocore")
    logger.setLevel(max(logging.INFO, logger.getEffectiveLevel()))
    try:
        core = Core(profile=principal.profile or None)  # which leaves AWS_ACCESS_KEY_ID out of account
        folders = core.get_config_variable("data_path") or ""
        data = loader(folders)
        core.register_component("data_loader", data)
        # Of all clients; the retries are for those that get credentials (STS, SSO), until _client turns them off.
        core.set_default_client_config(
            Config(
                connect_timeout=_CONNECT * patience,
                read_timeout=_READ * patience,
                retries={"mode": "standard", "total_max_attempts": 2},
            )
        )
        _settle_region(core, region)
        if principal.role:
            _use_role(core, principal.role)
        session = Session(botocore_session=core)
        data.search_paths[:] = dict.fromkeys(data.search_paths)  # to which boto3 adds its own folder each time
        credentials = session.get_credentials()
        if credentials:
            credentials.get_frozen_credentials()
        # A client of STS or SSO, if any, is there by now; but that of a role is made anew whenever it expires.
        if not principal.role and not any(map(core.get_config_variable, _VARIANTS)):
            core.register_component("data_loader", loader(folders, is_for_kms=True))
    except Exception as error:  # sources of credentials raise anything: OSError, EOFError, KeyError
        raise errors.credentials(error, principal) from None
    if not credentials:
        raise errors.no_credentials()
    return session


def _use_role(core: Any, role: str) -> None:
    """Have the session use the credentials that STS gives for a role, for which it is asked with the session's own.

    They are renewed before they expire (AWS STS API, AssumeRole). Raises what sources of credentials raise.
    """
    from botocore.credentials import AssumeRoleCredentialFetcher, CredentialResolver, DeferredRefreshableCredentials

    source = core.get_component("credential_provider").load_credentials()
    if not source:
        return
    source.get_frozen_credentials()
    fetcher = AssumeRoleCredentialFetcher(
        core.create_client, source, role, extra_args={"RoleSessionName": _ROLE_SESSION_NAME}
    )

    class InRole(CredentialResolver):  # type: ignore[misc]
        def load_credentials(self) -> Any:
            return DeferredRefreshableCredentials(fetcher.fetch_credentials, source.method)

    core.register_component("credential_provider", InRole([fetcher]))


def configured_region() -> str:
    """Return where AWS_REGION, AWS_DEFAULT_REGION or the profile says that one's keys are. Raises BackendError."""
    try:
        from boto3.session import Session
    except ImportError:
        raise errors.not_installed() from None
    try:
        region = os.environ.get("AWS_REGION") or Session().region_name
    except Exception as error:  # as above
        raise errors.credentials(error) from None
    if not region:
        raise errors.no_region()
    return str(region)


def _settle_region(core: Any, region: str) -> None:
    """Return the region to assume roles in: AWS_REGION, which botocore ignores; its own settings; the key's."""
    wanted = os.environ.get("AWS_REGION") or core.get_config_variable("region") or region
    core.set_config_variable("region", wanted)


def _client(session: Any, region: str) -> Any:
    """A KMS client. Raises BackendError where its endpoint is configured as something that is none."""
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    config = Config(
        user_agent=f"ksecret/{__version__}",  # spares a fifteenth of a call, and tells nothing of this machine
        max_pool_connections=CONNECTIONS,
        retries={"mode": "standard", "total_max_attempts": 1},
    )
    try:
        return session.client("kms", region_name=region, config=config)
    except (BotoCoreError, ValueError):
        raise errors.misconfigured(region) from None
