"""Keys of Azure Key Vault and Managed HSM as KEKs, by Microsoft's own libraries.

Nothing of azure.* is imported before a DEK has to be wrapped or unwrapped: that import is most of what a cold call
costs. docs/backends/azure.md has the figures, and what an operator should know.
"""

from __future__ import annotations

from time import monotonic

from secretsvc.backends.azure import SCHEME, errors, key_of
from secretsvc.backends.azure.client import Connection
from secretsvc.backends.azure.vault_key import MAX_WRAPPED_BYTES, VaultKey, algorithm_of, encoded, padded, unpadded
from secretsvc.backends.base import checked_dek
from secretsvc.backends.tries import PATIENCE
from secretsvc.errors import RESTORE_HINT, AlteredError, BackendError
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from secretsvc.backends.azure import AzureKey
    from secretsvc.backends.base import Settings
    from secretsvc.backends.offers import Offer
    from secretsvc.keyref import KeyRef

_SAME_BY_RSA = {"wrapkey": "encrypt", "unwrapkey": "decrypt"}
"""Operations that RSA-OAEP-256 does the same in (RFC 8017, section 7.1), by permissions of their own: who set a key up
for sops has granted the latter.
"""

_FRESH = 60.0
"""Seconds for which a vault's word of a key counts: its public half, its newest version, whether it may be used."""


class _Known(Record):
    """What a vault said of a key."""

    key: VaultKey | None
    """None where it may not be looked at."""
    at: float
    """When, by the clock that only counts up."""


class AzureKeyVault:
    """Keys of Azure Key Vault (RSA, by RSA-OAEP-256) and of Managed HSM (RSA too, and AES of 256 bits, by AES-KW).

    Credentials: what azure-identity's DefaultAzureCredential finds: AZURE_CLIENT_ID and its kin, workload identity,
    managed identity, `az login`, …; AZURE_TOKEN_CREDENTIALS chooses among them, AZURE_AUTHORITY_HOST another cloud's.
    Permissions on the key: keys/get to seal, keys/unwrapKey to open, and keys/wrapKey where keys/get is not granted or
    the key is an AES key: for instance by the role Key Vault Crypto Service Encryption User.
    What leaves the machine: over TLS to the vault, the key's name, and the wrapped DEK when opening. To seal under an
    RSA key only its public half is fetched, once a minute at most; otherwise the DEK goes to the vault. No value of a
    Secret ever does, nor its namespace and name.
    There is no place for the encryption context: a wrapped DEK opens with any.
    A token is sent to hosts of Microsoft's domains, and to those that KSECRET_AZURE_ADDRESSES names, only.

    Safe to use from several threads, which share one client for each vault.
    """

    jobs = 32
    """Calls at a time that bulk work should make."""

    forks = True
    """Each process has connections of its own, and those that are forked the access token that was there by then."""

    def __init__(self, settings: Settings, *, patience: float = PATIENCE) -> None:
        """`patience`: seconds after which a vault that does not answer is given up for the rest of the run."""
        self._connection = Connection(settings.environ.get("KSECRET_AZURE_ADDRESSES", ""), patience)
        self._known: dict[KeyRef, _Known] = {}
        self._used: dict[tuple[str, str], str] = {}
        """By a key's path and an operation: the one that the credentials may do it by."""

    def wrap(self, ref: KeyRef, dek: bytes, context: Mapping[str, str]) -> bytes:
        """The DEK wrapped under that version of the key: here, by its public half, where it is an RSA key.

        Raises KeyRefError for a key that does not exist or is none to wrap with; BackendError and
        BackendUnavailableError for a failure. (Azure Key Vault REST API, Get Key and Wrap Key)
        """
        key = key_of(ref.id)
        if not key.version:
            raise errors.no_version()
        found = self._of(ref)
        if found:
            found.check_wraps()
            if found.is_rsa:
                return found.wrap(dek)
        is_aes = bool(found)
        return self._asked(key, "wrapkey", "A256KW" if is_aes else "RSA-OAEP-256", padded(dek) if is_aes else dek)

    def unwrap(self, ref: KeyRef, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        """The DEK, 32 bytes, by the version that the KeyRef names. (Azure Key Vault REST API, Unwrap Key)

        Raises AlteredError where it was wrapped by another key, or altered, or is no DEK; BackendError and
        BackendUnavailableError for a failure.
        """
        key = key_of(ref.id)
        if not key.version:
            raise AlteredError("the name of its key has no version", hint=RESTORE_HINT)
        if not 0 < len(wrapped) <= MAX_WRAPPED_BYTES:
            raise AlteredError("its wrapped data key is empty or too long", hint=RESTORE_HINT)
        algorithm = algorithm_of(wrapped)
        dek = self._asked(key, "unwrapkey", algorithm, wrapped)
        return checked_dek(unpadded(dek) if algorithm == "A256KW" else dek)

    def resolve(self, ref: KeyRef) -> KeyRef:
        """The KeyRef with the newest version of the key, where it names none. Raises as `wrap`."""
        key = key_of(ref.id)
        if key.version:
            return ref
        found = self._of(ref)
        if not found:
            raise errors.denied("get", "", key.host)
        found.check_wraps()
        resolved = SCHEME.parse(f"{ref.id}/{found.version}")
        self._known[resolved] = self._known[ref]
        return resolved

    def describe(self, ref: KeyRef) -> str:
        """Return nothing: the name says it all, and more is known to the service only."""
        return ""

    def offers(self) -> list[Offer]:
        """The keys that the credentials can list in the vaults of KSECRET_AZURE_ADDRESSES. Raises BackendError."""
        from secretsvc.backends.azure import choosing

        return choosing.offers(self._connection)

    def _of(self, ref: KeyRef) -> VaultKey | None:
        """Return what the vault says of a key; None where the credentials may use it, if at all, without looking."""
        known = self._known.get(ref)
        if known is None or monotonic() - known.at >= _FRESH:
            key = key_of(ref.id)
            try:
                found = VaultKey(self._connection.send(key, "get"), key)
            except BackendError as error:
                if not errors.is_denial(error):
                    raise
                found = None
            known = self._known[ref] = _Known(found, monotonic())
        return known.key

    def _asked(self, key: AzureKey, operation: str, algorithm: str, value: bytes) -> bytes:
        """Return what the vault makes of some bytes, once it says that it did so by that very key."""
        body = {"alg": algorithm, "value": encoded(value)}
        used = self._used.get((key.path, operation))
        others = (_SAME_BY_RSA[operation],) if algorithm == "RSA-OAEP-256" else ()
        denial: BackendError | None = None
        for one in (used,) if used else (operation, *others):
            try:
                answer = self._connection.send(key, one, body)
            except BackendError as error:
                if not errors.is_denial(error):
                    raise
                denial = denial or error
            else:
                self._used[key.path, operation] = one
                return VaultKey.result(answer, key)
        assert denial
        raise denial
