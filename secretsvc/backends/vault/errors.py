"""Failures of Vault, of logins, TLS and HTTP, in words for people. Nothing of their texts gets out.

The texts are only looked at, where a status alone does not tell what to do: they are those of Vault's own source
(sdk/helper/keysutil/policy.go, builtin/logical/transit, http/handler.go), which OpenBao has inherited.
"""

from __future__ import annotations

import os

from secretsvc.backends.tries import Kind
from secretsvc.backends.unanswered import NoAnswerError
from secretsvc.backends.vault import setting
from secretsvc.errors import (
    RESTORE_HINT,
    AlteredError,
    BackendError,
    BackendUnavailableError,
    KeyRefError,
    KsecretError,
    install_hint,
)
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secretsvc.backends.vault import VaultEnvironment

_NO_KEY = "encryption key not found"

_OF_KEYS: tuple[tuple[tuple[str, ...], type[KsecretError] | None, str, str], ...] = (
    (
        (
            "message authentication failed",
            "invalid ciphertext: no prefix",
            "invalid ciphertext: wrong number of fields",
            "invalid ciphertext: version number could not be decoded",
            "invalid ciphertext: could not decode base64",
            "invalid ciphertext length",
            "failed to rsa decrypt",
        ),
        AlteredError,
        "its wrapped data key was altered, wrapped by another key, or with another encryption context "
        "(another Secret's)",
        RESTORE_HINT,
    ),
    (
        ("version is too new",),
        AlteredError,
        "its data key was wrapped by a later version than that key has: the key was deleted and made anew, or came "
        "back from an older backup, or the file was altered",
        f"restore the key from Vault's backup, or open it with another key of its keyset; or {RESTORE_HINT}",
    ),
    (
        ("too old",),
        BackendError,
        "the version of the key that wrapped its data key is below the key's min_decryption_version",
        "`vault write {mount}/keys/{name}/config min_decryption_version=N`, `ksecret rotate --rewrap`, and "
        "raise it again",
    ),
    (
        ("no such key version", "no key versions found"),
        BackendError,
        "the version of the key that wrapped its data key was trimmed away",
        "what only that version wrapped is lost; open it with another key of its keyset",
    ),
    (
        (_NO_KEY,),
        None,
        "there is no key {name} in {mount}/ on {host}: it was deleted, or never made",
        "`vault list {mount}/keys` shows what there is; `vault write -f {mount}/keys/NAME` makes one",
    ),
    (
        ("no handler for route", "unsupported path"),
        None,
        "there is no Transit engine at {mount}/ on {host}",
        "`vault secrets list` shows the mounts; a namespace, if any, comes before the mount",
    ),
    (
        ("for key derivation", "requires derivation"),
        None,
        "that key is derived, and asks for a context of Vault's own for each use",
        "make one that is not: `vault write -f {mount}/keys/NAME`",
    ),
    (
        ("not supported for key type", "not supported for this operation"),
        None,
        "that key is not for encryption",
        "use a key of type aes256-gcm96 or chacha20-poly1305",
    ),
    (
        ("http request to an https server",),
        BackendError,
        "{host} speaks TLS, and was called without",
        "write https:// in the address",
    ),
)
"""Signs in Vault's text, the error's class (None: KeyRefError where a key was to wrap), what to say, what to do."""

DENIED = "access is denied"
"""How what a policy does not allow is told."""

_WHO_HINT = "`vault token lookup` shows whose token it is and how long it lives"


class VaultRefusedError(Exception):
    """An answer of Vault's that is none: its status, and its text in small letters, which must not get out."""

    def __init__(self, status: int, text: str, target: str = "") -> None:
        """`target`: the address that a redirect names; "" where that is none."""
        super().__init__(status)
        self.status = status
        self.text = text.lower()
        self.target = target
        self.is_of_token = "invalid token" in self.text or self.text == "permission denied"
        """Whether it is the token that was refused, as Vault and OpenBao say it, not what it was used for."""


class NotVaultError(Exception):
    """An answer that is no JSON."""


class NotBindingError(Exception):
    """The key's type takes no associated data."""


class VaultCall(Record):
    """What was asked for."""

    operation: str
    """`encrypt`, `decrypt`, `rewrap`, `read` of a key, `list` of keys or of mounts."""
    host: str
    mount: str
    name: str

    @property
    def capability(self) -> str:
        return "update" if self.operation in ("encrypt", "decrypt", "rewrap") else self.operation

    @property
    def path(self) -> str:
        """As policies have it."""
        if self.operation in ("read", "list"):
            return f"{self.mount}/keys" + (f"/{self.name}" if self.name else "")
        return f"{self.mount}/{self.operation}/{self.name}"


def not_installed() -> BackendUnavailableError:
    """Say that hvac can't be imported."""
    return BackendUnavailableError("the library for Vault is not installed", hint=install_hint("vault"))


def not_allowed(address: str) -> BackendError:
    """Return the error for a key whose server nobody here has named. No connection to it is made."""
    return BackendError(
        f"{address} is no Vault server that this machine trusts with its token: nothing here names it",
        hint="where it is one of yours, set VAULT_ADDR to it, or list it in KSECRET_VAULT_ADDRESSES",
    )


def no_address() -> BackendError:
    return BackendError("no Vault server is configured", hint="set VAULT_ADDR to its address, or name a key: vault:…")


def bad_addresses() -> BackendError:
    return BackendError(
        "KSECRET_VAULT_ADDRESSES is not a list of addresses", hint="give https://HOST:PORT, parted by commas"
    )


def no_credentials() -> BackendError:
    return BackendError(
        "there is no token for Vault here",
        hint="run `vault login`, or set VAULT_TOKEN; or VAULT_ROLE_ID and VAULT_SECRET_ID (AppRole), or "
        "VAULT_AUTH_ROLE with VAULT_ID_TOKEN (JWT) or in a pod (Kubernetes)",
    )


def unknown_method(known: tuple[str, ...]) -> BackendError:
    return BackendError(
        "VAULT_AUTH_METHOD names no way to log in that ksecret knows", hint=f"one of {', '.join(known)}"
    )


def lacking(name: str, method: str) -> BackendError:
    return BackendError(
        f"VAULT_{name} is not set, which a login by {method} needs", hint="set it, or VAULT_AUTH_METHOD"
    )


def unreadable(what: str) -> BackendError:
    return BackendError(f"the file of {what} can't be read", hint="check that it is there, and yours to read")


def malformed(what: str) -> BackendError:
    return BackendError(
        f"{what} holds no token: it is empty, or has blanks or other odd characters in it", hint=_WHO_HINT
    )


def foreign(host: str) -> BackendError:
    return BackendError(
        f"what answers at {host} is not Vault's Transit engine",
        hint="check the address, the mount, and what proxies between here and there lead to",
    )


def readable_files(environ: VaultEnvironment) -> tuple[str, tuple[str, str] | None]:
    """Return what vouches for servers, and the client's certificate with its key. Raises BackendError."""
    trusted = setting(environ, "CACERT") or setting(environ, "CAPATH") or environ.get("SSL_CERT_FILE").strip()
    pair = setting(environ, "CLIENT_CERT"), setting(environ, "CLIENT_KEY")
    for name, path in (("VAULT_CACERT", trusted), ("VAULT_CLIENT_CERT", pair[0]), ("VAULT_CLIENT_KEY", pair[1])):
        if path and not os.access(path, os.R_OK):
            raise BackendError(f"the file that {name} names can't be read", hint="check that it is there, and PEM")
    if any(pair) and not all(pair):
        raise BackendError("VAULT_CLIENT_CERT and VAULT_CLIENT_KEY go together", hint="set both, or none")
    return trusted, pair if all(pair) else None


def no_pem() -> BackendError:
    return BackendError(
        "what VAULT_CACERT, VAULT_CLIENT_CERT or VAULT_CLIENT_KEY names is no certificate or key that TLS can use",
        hint="check that each is PEM, the key without a passphrase, and that the two belong together",
    )


def kind(error: Exception) -> Kind:
    """Tell whether another try may help."""
    if isinstance(error, VaultRefusedError):
        if error.status == 429:
            return Kind.THROTTLED
        is_final = error.status < 500 and error.status != 412
        return Kind.FINAL if is_final or error.status in (501, 505) or _lasts(error.text) else Kind.PASSING
    if isinstance(error, NoAnswerError) and not error.is_of_tls:
        return Kind.SILENCE
    return Kind.FINAL if isinstance(error, NotBindingError) else Kind.BROKEN


def _lasts(text: str) -> bool:
    """Tell whether a 5xx is nothing that passes by itself."""
    return any(sign in text for sign in ("is sealed", "rsa decrypt", "api access to this namespace"))


def failed(error: Exception, call: VaultCall) -> Exception:
    """Return the error for what a call raised, tries done.

    KeyRefError for a key that can't be used to wrap, AlteredError for a wrapped DEK that does not open,
    BackendUnavailableError where nobody answered, NotBindingError as it stands, else BackendError.
    """
    if isinstance(error, KsecretError | NotBindingError):
        return error
    if isinstance(error, VaultRefusedError):
        return _answered(error, call)
    return _unanswered(error, call.host)


def login_failed(error: Exception, method: str, path: str, host: str) -> Exception:
    """Return the error for a login."""
    if isinstance(error, VaultRefusedError) and error.status in (400, 401, 403):
        return BackendError(
            f"Vault at {host} refuses the login by {method}",
            hint="the role, its secret or its token is wrong, expired or used up, or bound to somebody else; "
            f"VAULT_AUTH_PATH says where the method is mounted ({path.removeprefix('/v1/').removesuffix('/login')})",
        )
    if isinstance(error, VaultRefusedError) and error.status == 404:
        return BackendError(
            f"Vault at {host} has no auth method at {path.removeprefix('/v1/').removesuffix('/login')}/",
            hint="`vault auth list` shows them; set VAULT_AUTH_PATH, and VAULT_NAMESPACE where it is in one",
        )
    return failed(error, VaultCall("login", host, "", ""))


def _answered(error: VaultRefusedError, call: VaultCall) -> Exception:
    if 300 <= error.status < 400 or error.status in (472, 473):
        return _standby(error, call)
    if error.status in (400, 500) or error.status == 404:
        found = _of_key(error, call)
        if found:
            return found
    if error.status in (401, 403):
        return _denied(error, call)
    return _failure(error, call)


def _standby(error: VaultRefusedError, call: VaultCall) -> BackendError:
    where = f" to {error.target}, which is not named here" if error.target else ""
    return BackendError(
        f"Vault at {call.host} is a standby, and sends its callers elsewhere{where}",
        hint="use the address of the active server or of the load balancer; or list the other one in "
        "KSECRET_VAULT_ADDRESSES",
    )


def _of_key(error: VaultRefusedError, call: VaultCall) -> Exception | None:
    """What is wrong with the key, the engine, or the wrapped DEK; None where it is about none of them."""
    if "non-aead" in error.text:
        return NotBindingError()
    text = error.text if error.text or error.status != 404 else _NO_KEY
    for signs, kind, message, hint in _OF_KEYS:
        if any(sign in text for sign in signs):
            unfit = KeyRefError if call.operation in ("encrypt", "read") else BackendError
            return (kind or unfit)(message.format(**call._asdict()), hint=hint.format(**call._asdict()))
    return None


def _denied(error: VaultRefusedError, call: VaultCall) -> BackendError:
    if error.is_of_token or error.status == 401:
        return BackendError(
            f"Vault at {call.host} does not accept the token: it has expired, was revoked, or is another server's",
            hint=f"`vault login` again, or renew what VAULT_TOKEN holds; {_WHO_HINT}",
        )
    return BackendError(
        f"{DENIED}: the token lacks {call.capability} on {call.path}, or there is no such mount",
        hint=f'give its policy: path "{call.path}" {{ capabilities = ["{call.capability}"] }}; {_WHO_HINT}',
    )


def _failure(error: VaultRefusedError, call: VaultCall) -> BackendError:
    """Return what trying again may cure and did not, and everything else."""
    host, text = call.host, error.text
    if error.status == 429:
        return BackendError(
            f"Vault at {host} throttles: a rate limit quota is used up, and trying again did not help",
            hint="wait a minute, lower --jobs, or raise the quota (`vault read sys/quotas/rate-limit/NAME`)",
        )
    if "is sealed" in text:
        return BackendError(f"Vault at {host} is sealed", hint="somebody has to unseal it: `vault operator unseal`")
    if error.status == 501 or "not initialized" in text:
        return BackendError(
            f"Vault at {host} is not initialized", hint="`vault operator init`; is it the right address?"
        )
    if "standby" in text or "active node" in text or "active cluster node" in text:
        return BackendError(
            f"Vault at {host} has no active server at the moment",
            hint="its cluster is electing one, or has lost its majority: try again; `vault status` tells",
        )
    if "api access to this namespace" in text:
        return BackendError(f"the API of that namespace is locked on {host}", hint="`vault namespace unlock` opens it")
    return BackendError(
        f"Vault at {host} failed (HTTP {error.status})", hint="try again; its log and `vault status` tell more"
    )


def _unanswered(error: Exception, host: str) -> BackendError:
    if not isinstance(error, NoAnswerError):
        return foreign(host)
    hint = "check the network, its proxies and the address; try again"
    if error.is_of_tls:
        hint = (
            "VAULT_CACERT names the authority that vouches for it, VAULT_CLIENT_CERT and VAULT_CLIENT_KEY are "
            "one's own certificate"
        )
    return BackendUnavailableError(f"Vault at {host} can't be reached: {error.why}", hint=hint)
