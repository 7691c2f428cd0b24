"""The simple types with fixed keys: basic-auth, ssh-auth, service-account-token and bootstrap-token.

Source: https://kubernetes.io/docs/concepts/configuration/secret/#secret-types
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from secretsvc.errors import InputError, UsageError
from secretsvc.generators.random_text import random_text
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secretsvc.generators.entries import Warn

BASIC_AUTH = "kubernetes.io/basic-auth"
SSH_AUTH = "kubernetes.io/ssh-auth"
SERVICE_ACCOUNT_TOKEN = "kubernetes.io/service-account-token"  # noqa: S105
BOOTSTRAP_TOKEN = "bootstrap.kubernetes.io/token"  # noqa: S105

SSH_FLAG = "--ssh-privatekey"
_TOKEN_PREFIX = "bootstrap-token-"  # noqa: S105
_GROUP = r"system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]"
_USAGES = ("authentication", "signing")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def basic_auth(username: bytes, password: bytes) -> dict[str, bytes]:
    """`username` and `password`; Kubernetes wants one of the two at least. Raises UsageError."""
    if not (username or password):
        raise UsageError("--username or --password is required")
    return {key: value for key, value in (("username", username), ("password", password)) if value}


def ssh_auth(key: bytes, warn: Warn, file: str = "") -> dict[str, bytes]:
    """`ssh-privatekey`, exactly as read, once it is found to be one. Raises InputError."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_ssh_private_key

    load = load_ssh_private_key if b"BEGIN OPENSSH PRIVATE KEY" in key else load_pem_private_key
    protected = "the key is protected by a passphrase, which Kubernetes has no place for"
    try:
        load(key, None, unsafe_skip_rsa_key_validation=True)  # else a quarter of a second for each 4,096 bits
    except TypeError:
        warn(f"{SSH_FLAG}: {protected}")
    except (ValueError, UnsupportedAlgorithm) as error:
        if "Unsupported cipher" in str(error):  # what OpenSSH encrypts by, where the library knows the name only
            warn(f"{SSH_FLAG}: {protected}")
        else:
            hint = "it is the private key: the file without .pub" if key.startswith((b"ssh-", b"ecdsa-")) else ""
            raise InputError(f"{SSH_FLAG}: not an SSH private key, or damaged", hint=hint, file=file) from error
    if not key.endswith(b"\n"):
        warn(f"{SSH_FLAG}: no line break at the end, without which OpenSSH refuses the key")
    return {"ssh-privatekey": key}


def service_account_annotations(account: str) -> dict[str, str]:
    """The annotation by which Kubernetes fills the Secret with a token of that account. Raises UsageError."""
    if not account:
        raise UsageError("--service-account is required")
    return {"kubernetes.io/service-account.name": account}


class Bootstrap(Record):
    """Contents of a bootstrap token. `secret` empty: made at random."""

    name: str
    secret: bytes = b""
    expiration: datetime | None = None
    usages: tuple[str, ...] = _USAGES
    groups: tuple[str, ...] = ()
    description: str = ""

    def __repr__(self) -> str:
        return f"Bootstrap({self.name!r}, masked)"


def bootstrap_token(wanted: Bootstrap) -> dict[str, bytes]:
    """The entries of https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/. Raises UsageError.

    Six characters of the Secret's name are the token's id, and `secret` has sixteen. `expiration` has a time zone.
    """
    token_id = wanted.name.removeprefix(_TOKEN_PREFIX)
    if not wanted.name.startswith(_TOKEN_PREFIX) or not re.fullmatch(r"[a-z0-9]{6}", token_id):
        raise UsageError(f"NAME must be {_TOKEN_PREFIX} and the token's id: six of a-z and 0-9")
    secret = wanted.secret or random_text("16:lower").encode()
    if not re.fullmatch(rb"[a-z0-9]{16}", secret):
        raise UsageError("--token-secret: it must be sixteen of a-z and 0-9", hint="leave it out for a random one")
    if not wanted.usages or set(wanted.usages) - set(_USAGES):
        raise UsageError(f"--usages: choose from {', '.join(_USAGES)}")
    if any(not re.fullmatch(_GROUP, group) for group in wanted.groups):
        raise UsageError("--groups: each must be system:bootstrappers:NAME")
    texts = {
        "token-id": token_id,
        "token-secret": secret.decode(),
        **{f"usage-bootstrap-{usage}": "true" for usage in _USAGES if usage in wanted.usages},
    }
    if wanted.expiration:
        texts["expiration"] = wanted.expiration.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if wanted.groups:
        texts["auth-extra-groups"] = ",".join(wanted.groups)
    if wanted.description:
        texts["description"] = wanted.description
    return {key: text.encode(errors="surrogateescape") for key, text in texts.items()}


def expiration(ttl: str) -> datetime | None:
    """Return the time so long from now (`24h`: a number and s, m, h or d); None for no text. Raises UsageError."""
    if not ttl:
        return None
    if not re.fullmatch(r"[1-9][0-9]{0,6}[smhd]", ttl, re.ASCII):
        raise UsageError("--ttl: expected a number and s, m, h or d, such as 24h")
    return datetime.now(UTC) + timedelta(seconds=int(ttl[:-1]) * _SECONDS[ttl[-1]])
