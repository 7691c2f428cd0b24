"""Failures of Key Vault, Managed HSM, Microsoft Entra ID and the SDK, in words for people. Nothing of their texts gets
out: they are only looked at, where a status and a code alone do not tell what to do.

Codes: "Azure Key Vault REST API error codes", and what the service is known to answer. Classes of the SDK's exceptions
are known by name, so that none has to exist in every azure-core.
"""

from __future__ import annotations

from secretsvc.backends.tries import Kind, class_names
from secretsvc.backends.unanswered import NO_NAME, NoAnswerError
from secretsvc.errors import (
    RESTORE_HINT,
    AlteredError,
    BackendError,
    BackendUnavailableError,
    KeyRefError,
    KsecretError,
    install_hint,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_WHO_HINT = "`az account show` tells who you are, and in which tenant"

_ROLE = "Key Vault Crypto Service Encryption User (of a Managed HSM: Managed HSM Crypto Service Encryption User)"

_PERMISSIONS = {
    "get": "keys/get",
    "wrapkey": "keys/wrapKey",
    "unwrapkey": "keys/unwrapKey",
    "encrypt": "keys/encrypt",
    "decrypt": "keys/decrypt",
    "list": "keys/list",
}

_DENIALS: Mapping[str, tuple[str, str]] = {
    "ForbiddenByRbac": (
        "access to {host} is denied by its role assignments: {permission} is missing",
        f"assign the role {_ROLE} on the key or the vault; what was assigned just now takes some minutes. {_WHO_HINT}",
    ),
    "AccessDenied": (
        "access to {host} is denied by the vault's access policy: {permission} is missing",
        "`az keyvault set-policy --key-permissions get wrapKey unwrapKey` for whom you are; " + _WHO_HINT,
    ),
    "ForbiddenByPolicy": (
        "access to {host} is denied by the vault's access policy: {permission} is missing",
        "`az keyvault set-policy --key-permissions get wrapKey unwrapKey` for whom you are; " + _WHO_HINT,
    ),
    "ForbiddenByFirewall": (
        "the firewall of {host} does not let this machine's address in",
        "`az keyvault network-rule add`, or call from a network that it lets in",
    ),
    "ForbiddenByConnection": (
        "{host} takes no calls from public networks",
        "call by a private endpoint, from inside its network",
    ),
}
"""What the inner code of a 403 says of whom it keeps out, and by what."""

_CHAIN = "failed to retrieve a token from the included credentials"
_TRIED = "Authentication failed"
"""What DefaultAzureCredential says once none of its sources had a token, and of a source that was there and failed."""

_TOKEN_SILENCE = (
    *("Max retries exceeded", "timed out", "Connection refused", "Connection aborted", "Failed to resolve"),
    *("Unable to connect to proxy", "Tunnel connection failed", "CERTIFICATE_VERIFY_FAILED", "[SSL"),
)
"""In what it says of one: that its host did not answer."""

_MOST_WAITED = 30.0
"""Seconds that a Retry-After may ask for."""


class RefusedByVaultError(Exception):
    """An answer that is an error: its status, its codes, its text (which must not get out), and what it asks for."""

    def __init__(self, status: int, code: str, inner: str, text: str, wait: float) -> None:
        super().__init__(status)
        self.status = status
        self.code = code
        self.inner = inner
        self.text = text
        self.wait = wait
        """Seconds after which to come again (RFC 9110, section 10.2.3); 0 where nothing is said."""


def is_missing(error: KsecretError) -> bool:
    """Tell whether that is what became of an answer that a key is not there."""
    came_of = error.__context__
    return isinstance(came_of, RefusedByVaultError) and came_of.status == 404


def is_denial(error: KsecretError) -> bool:
    """Tell whether that is what became of an answer that a permission lacks: another one may be there."""
    came_of = error.__context__
    return isinstance(came_of, RefusedByVaultError) and came_of.status == 403 and error.message.endswith("is missing")


def not_installed() -> BackendUnavailableError:
    """azure-keyvault-keys or azure-identity can't be imported."""
    return BackendUnavailableError("the library for Azure Key Vault is not installed", hint=install_hint("azure"))


def unknown_host(host: str) -> BackendError:
    """Return the error for a host that may be anybody's: it is asked for nothing, and gets no token."""
    return BackendError(
        f"{host} is no host of Azure Key Vault's or Managed HSM's, so no token is sent to it",
        hint=f"where it is yours, name it: KSECRET_AZURE_ADDRESSES=https://{host}",
    )


def no_address() -> BackendError:
    """Return the error for KSECRET_AZURE_ADDRESSES with something else in it. It is not shown: it may hold a token."""
    return BackendError(
        "KSECRET_AZURE_ADDRESSES has what is no address of a vault",
        hint="give https://HOST or https://HOST:PORT, several with commas between",
    )


def no_authorities() -> BackendError:
    return BackendError(
        "the file that REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE names can't be read, or is no certificate",
        hint="check that it is there, and PEM",
    )


def no_vault() -> BackendError:
    """Return the error for a list of keys where nothing says of which vault."""
    return BackendError(
        "no vault is configured to list keys of",
        hint="set KSECRET_AZURE_ADDRESSES to https://NAME.vault.azure.net, or name the key: azure:https://…/keys/KEY",
    )


def no_version() -> KeyRefError:
    """Return the error for sealing to a key whose version nobody has looked up."""
    return KeyRefError(
        "that names no version of the key, and a data key is wrapped under one",
        hint="give its version: `az keyvault key show --query key.kid` shows the newest",
    )


def not_for_wrapping(why: str) -> KeyRefError:
    return KeyRefError(
        f"that key of Azure Key Vault wraps no data keys: {why}",
        hint="make one: `az keyvault key create --kty RSA --ops wrapKey unwrapKey`, or oct-HSM of 256 bits in a "
        "Managed HSM",
    )


def disabled() -> BackendError:
    return BackendError(
        "that version of the Azure Key Vault key is disabled", hint="`az keyvault key set-attributes --enabled true`"
    )


def expired() -> BackendError:
    return BackendError(
        "that version of the Azure Key Vault key has expired",
        hint="seal to a newer one (`az keyvault key rotate`), or `az keyvault key set-attributes --expires`",
    )


def not_yet_valid() -> BackendError:
    return BackendError(
        "that version of the Azure Key Vault key is not valid yet",
        hint="wait until its not-before, which `az keyvault key show` tells; compare this machine's clock",
    )


def foreign(host: str) -> BackendError:
    """Return the error for an answer that lacks what was asked for, or is about another key."""
    return BackendError(
        f"something that is not Azure Key Vault answers at {host}, or about another key",
        hint="check KSECRET_AZURE_ADDRESSES and the proxies on the way",
    )


def redirected(host: str) -> BackendError:
    return BackendError(
        f"{host} sends the call on to another address, which ksecret does not follow with a token",
        hint="check the proxies on the way: a vault itself does not do that",
    )


def credentials(error: Exception) -> BackendError:
    """Return the error for what azure-identity raised when it looked for credentials or asked for an access token."""
    names, text = class_names(error), str(error)
    tried = [line for line in text.splitlines() if _TRIED in line]
    silent = any(sign in line for line in tried for sign in _TOKEN_SILENCE)
    if silent or any(name in names for name in ("ServiceRequestError", "ServiceResponseError")):
        return BackendUnavailableError(
            "the service that gives out Azure access tokens can't be reached, or its TLS certificate not be verified",
            hint="check the network and its proxies: tokens come from another host than the vault "
            "(login.microsoftonline.com, or what AZURE_AUTHORITY_HOST names; a managed identity's on its own machine)",
        )
    for code, (words, hint) in _ENTRA.items():
        if code in text:
            return BackendError(words, hint=hint)
    if "CredentialUnavailableError" in names or (_CHAIN in text and not tried):
        return BackendError(
            "there are no Azure credentials here that work",
            hint="run `az login`, set AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_CLIENT_SECRET (or …_CERTIFICATE_PATH),"
            " or give the workload an identity; docs/backends/azure.md has the order",
        )
    return BackendError(
        "the Azure credentials here were refused, or can't be used",
        hint=f"they may have expired: `az login` again, or renew the secret or certificate. {_WHO_HINT}",
    )


_ENTRA: Mapping[str, tuple[str, str]] = {
    "AADSTS7000215": (
        "Microsoft Entra ID does not accept the client secret",
        "AZURE_CLIENT_SECRET is the secret's value, not its id",
    ),
    "AADSTS7000222": ("the client secret has expired", "make another: `az ad app credential reset`"),
    "AADSTS700016": (
        "Microsoft Entra ID knows no application of that client id in that tenant",
        "check AZURE_CLIENT_ID and AZURE_TENANT_ID",
    ),
    "AADSTS90002": ("Microsoft Entra ID knows no such tenant", "check AZURE_TENANT_ID"),
    "AADSTS700027": (
        "Microsoft Entra ID does not accept the client certificate",
        "check AZURE_CLIENT_CERTIFICATE_PATH",
    ),
    "AADSTS70021": (
        "Microsoft Entra ID takes no token of that workload: no federated credential fits it",
        "compare issuer, subject and audience of the federated credential with the workload's token",
    ),
    "AADSTS700082": ("the Azure sign-in has expired", "run `az login` again"),
    "AADSTS50076": ("the Azure sign-in asks for a second factor", "run `az login` again"),
    "not configured to acquire tokens for tenant": (
        "the vault is in another tenant than the Azure credentials are for",
        "check AZURE_TENANT_ID, and the vault's name",
    ),
}
"""Codes of Microsoft Entra ID ("Microsoft Entra authentication and authorization error codes") and words of the SDK."""


def kind(error: Exception) -> Kind:
    """Tell whether another try may help."""
    if isinstance(error, RefusedByVaultError):
        if error.status == 429:
            return Kind.THROTTLED
        return Kind.PASSING if error.status >= 500 or error.status == 408 else Kind.FINAL
    names = class_names(error)
    if isinstance(error, KsecretError):
        return Kind.BROKEN
    if "AttributeError" in names:  # the SDK's: a thread took the token away that another was about to send
        return Kind.PASSING
    return Kind.SILENCE if isinstance(error, NoAnswerError) and not error.is_of_tls else Kind.BROKEN


def wait(error: Exception) -> float:
    """Return how many seconds the vault asks to wait before another try."""
    return min(error.wait, _MOST_WAITED) if isinstance(error, RefusedByVaultError) else 0.0


def failed(error: Exception, operation: str, host: str) -> KsecretError:
    """Return the error for what came of a call to a host, tries done.

    KeyRefError for a key that can't be used to wrap, AlteredError for a wrapped DEK that does not open,
    BackendUnavailableError where nobody answered, else BackendError.
    """
    if isinstance(error, KsecretError):
        return error
    if isinstance(error, RefusedByVaultError):
        return _answered(error, operation, host)
    if isinstance(error, NoAnswerError):
        why = f"{NO_NAME}: there is no vault of that name, or it was deleted" if error.why == NO_NAME else error.why
        return BackendUnavailableError(
            f"Azure Key Vault at {host} can't be reached: {why}",
            hint="check the vault's name, the network, its proxies and private endpoints; try again",
        )
    names = class_names(error)
    if "ClientAuthenticationError" in names:
        return credentials(error)
    if "ValueError" in names and "challenge" in str(error):
        return BackendError(
            f"{host} asks for a token of another domain than its own, and gets none",
            hint="check KSECRET_AZURE_ADDRESSES and the proxies on the way",
        )
    return foreign(host)


def denied(operation: str, inner: str, host: str) -> BackendError:
    """Return the error for credentials that lack a permission."""
    words, hint = _DENIALS.get(
        inner, ("access to {host} is denied: {permission} is missing", f"assign the role {_ROLE}; {_WHO_HINT}")
    )
    return BackendError(words.format(host=host, permission=_PERMISSIONS.get(operation, operation)), hint=hint)


def soft_deleted(name: str) -> BackendError:
    """Return the error for a key that was deleted and can still be had back."""
    return BackendError(
        "the Azure Key Vault key was deleted, and can still be recovered",
        hint=f"`az keyvault key recover --name {name}`, before it is purged",
    )


def _answered(error: RefusedByVaultError, operation: str, host: str) -> KsecretError:
    if error.status == 401:
        return BackendError(
            f"{host} does not accept the Azure credentials: their token is of another tenant, too old, or for "
            "something else",
            hint=f"check AZURE_TENANT_ID and AZURE_AUTHORITY_HOST; {_WHO_HINT}",
        )
    ways = {403: _forbidden, 404: _not_found, 400: _refused, 409: _refused}
    if error.status in ways:
        return ways[error.status](error, operation, host)
    if 300 <= error.status < 400:
        return redirected(host)
    if error.status == 429:
        asked = f" (it asks to wait {error.wait:.0f} s)" if error.wait else ""
        return BackendError(
            f"Azure Key Vault at {host} throttles{asked}, and trying again did not help",
            hint="wait a minute, lower --jobs, or spread the keys over several vaults: each has limits of its own",
        )
    code = error.code if error.code.isascii() and error.code.isalnum() and len(error.code) <= 60 else ""
    return BackendError(
        f"Azure Key Vault at {host} failed ({code or f'HTTP {error.status}'})",
        hint="try again; azure.status.microsoft shows outages",
    )


def _forbidden(error: RefusedByVaultError, operation: str, host: str) -> KsecretError:
    """A 403: whom it keeps out, or which state of the key does."""
    text = error.text.lower()
    if error.inner == "KeyDisabled" or "disabled key" in text or "is disabled" in text:
        return disabled()
    if "expired" in text or error.inner == "KeyExpired":
        return expired()
    if "not yet valid" in text or error.inner == "KeyNotYetValid":
        return not_yet_valid()
    if error.inner == "KeyOperationForbidden" or "not permitted on this key" in text:
        return not_for_wrapping(f"its permitted operations leave out {_PERMISSIONS[operation].removeprefix('keys/')}")
    return denied(operation, error.inner, host)


def _not_found(error: RefusedByVaultError, operation: str, host: str) -> KsecretError:
    if error.code not in ("KeyNotFound", "NotFound") and error.inner != "KeyNotFound":
        return foreign(host)
    kind = BackendError if operation in ("unwrapkey", "decrypt") else KeyRefError
    return kind(
        f"there is no such key, or no such version of it, in {host}",
        hint="`az keyvault key list-versions` shows what there is; a purged key is gone for good",
    )


def _refused(error: RefusedByVaultError, operation: str, host: str) -> KsecretError:
    """A 400 or 409: what was sent does not fit the key."""
    text = error.text.lower()
    if "pending" in text or "deleted" in text:
        return BackendError("the Azure Key Vault key is just being deleted or recovered", hint="wait a minute")
    if "key type" in text or "algorithm" in text:
        return not_for_wrapping("its type does not go with RSA-OAEP-256 or AES-KW")
    if operation in ("unwrapkey", "decrypt") and error.status == 400:
        return AlteredError("its wrapped data key was altered, or wrapped by another key", hint=RESTORE_HINT)
    return BackendError(
        f"Azure Key Vault at {host} refused the call", hint="check the key's type, operations and state"
    )
