"""Tokens of Vault: where one is found, and how one is asked for with another credential (Vault, "Auth methods")."""

from __future__ import annotations

import os

from secretsvc.backends.vault import errors, setting
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from secretsvc.backends.vault import VaultEnvironment

SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount/token"
"""Where Kubernetes puts a pod's own token."""

_METHODS = ("token", "approle", "kubernetes", "jwt")
_MOST = 64 * 1024
"""Bytes of a token, or of the file with one."""


class VaultToken:
    """A token of Vault's, masked."""

    __slots__ = ("ends", "is_from_login", "text")

    def __init__(self, text: str, *, is_from_login: bool = False, ends: float = 0.0) -> None:
        """`ends`: by the monotonic clock, when two thirds of its life are over; 0 for one that is not ours to renew."""
        self.text = text
        self.is_from_login = is_from_login
        self.ends = ends

    def __repr__(self) -> str:
        return "VaultToken(masked)"


class VaultLogin(Record):
    """A request for a token: its path in the API, and its parameters, which are secret."""

    method: str
    path: str
    parameters: Mapping[str, str]

    def __repr__(self) -> str:
        return f"VaultLogin({self.path}, masked)"


def method_of(environ: VaultEnvironment) -> str:
    """Return how a token is got: as VAULT_AUTH_METHOD says, else by what is there. Raises BackendError.

    What a variable names counts before the file that `vault login` left.
    """
    named = setting(environ, "AUTH_METHOD").lower()
    if named:
        if named not in _METHODS:
            raise errors.unknown_method(_METHODS)
        return named
    if setting(environ, "TOKEN"):
        return "token"
    if setting(environ, "ROLE_ID"):
        return "approle"
    if setting(environ, "ID_TOKEN") or setting(environ, "ID_TOKEN_FILE"):
        return "jwt"
    if setting(environ, "AUTH_ROLE") and os.path.exists(SERVICE_ACCOUNT):
        return "kubernetes"
    return "token"


def token(environ: VaultEnvironment) -> VaultToken:
    """Return the token of VAULT_TOKEN, else of `~/.vault-token`, where `vault login` puts it. Raises BackendError."""
    text = setting(environ, "TOKEN")
    if text:
        return VaultToken(_sound(text, "VAULT_TOKEN"))
    path = os.path.join(environ.get("HOME") or os.path.expanduser("~"), ".vault-token")
    if not os.path.isfile(path):
        raise errors.no_credentials()
    return VaultToken(_sound(_read(path, "~/.vault-token"), "~/.vault-token"))


def login(environ: VaultEnvironment, method: str) -> VaultLogin:
    """Return the request for a token by that method. Raises BackendError for what is missing for it."""
    mount = setting(environ, "AUTH_PATH").strip("/") or method
    if method == "approle":
        parameters = {"role_id": _needed(environ, "ROLE_ID", method)}
        secret = _of_file(environ, "SECRET_ID")
        if secret:
            parameters["secret_id"] = secret
    else:
        parameters = {"jwt": _of_file(environ, "ID_TOKEN")}
        if method == "kubernetes":
            parameters = {"jwt": parameters["jwt"] or _sound(_read(SERVICE_ACCOUNT, "the pod's token"), "it")}
        if not parameters["jwt"]:
            raise errors.lacking("ID_TOKEN", method)
        role = setting(environ, "AUTH_ROLE")
        if role:
            parameters["role"] = role
        elif method == "kubernetes":
            raise errors.lacking("AUTH_ROLE", method)
    return VaultLogin(method, f"/v1/auth/{mount}/login", parameters)


def _needed(environ: VaultEnvironment, name: str, method: str) -> str:
    text = setting(environ, name)
    if not text:
        raise errors.lacking(name, method)
    return text


def _of_file(environ: VaultEnvironment, name: str) -> str:
    """Return what a variable says, or the file that VAULT_name_FILE names; "" for neither. Raises BackendError."""
    text, path = setting(environ, name), setting(environ, f"{name}_FILE")
    if text or not path:
        return _sound(text, f"VAULT_{name}") if text else ""
    return _sound(_read(path, f"VAULT_{name}_FILE"), f"VAULT_{name}_FILE")


def _read(path: str, what: str) -> str:
    """Return a file's text, without blanks around it. Raises BackendError, which does not show it."""
    try:
        with open(path, "rb") as file:
            return file.read(_MOST + 1).decode().strip()
    except (OSError, ValueError):
        raise errors.unreadable(what) from None


def _sound(text: str, what: str) -> str:
    """Return a token that HTTP can carry. Raises BackendError, which does not show it."""
    if not text or len(text) > _MOST or not text.isascii() or not text.isprintable() or " " in text:
        raise errors.malformed(what)
    return text
