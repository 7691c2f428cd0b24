"""Keys of the Transit engine of HashiCorp Vault or OpenBao as KEKs, over HTTP, by hvac.

Nothing of hvac is imported before a DEK has to be wrapped or unwrapped. docs/backends/vault.md has what an operator
should know.
"""

from __future__ import annotations

from base64 import b64decode, b64encode

from secretsvc.backends.base import additional_data, checked_dek
from secretsvc.backends.tries import PATIENCE
from secretsvc.backends.vault import SCHEME, VaultEnvironment, canonical_address, errors, key_of, setting
from secretsvc.backends.vault.client import Connection
from secretsvc.backends.vault.errors import NotBindingError, VaultCall
from secretsvc.errors import RESTORE_HINT, AlteredError, BackendError, KeyRefError
from secretsvc.keyref import SopsContext

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from secretsvc.backends.base import Settings
    from secretsvc.backends.offers import Offer
    from secretsvc.backends.vault import TransitKey
    from secretsvc.keyref import KeyRef

MAX_WRAPPED_BYTES = 64 * 1024
"""A DEK wrapped by Transit takes about 90 bytes, by an RSA key of 4096 bits about 700."""

_BINDING = ("aes128-gcm96", "aes256-gcm96", "chacha20-poly1305", "xchacha20-poly1305", "managed_key")
"""Types whose associated data is authenticated. (Vault API, Transit, "Create key"; the x of OpenBao)"""


class Vault:
    """Keys of Transit that encrypt, named by the address of their server, their mount and their name.

    Credentials: VAULT_TOKEN; a login by AppRole, Kubernetes or JWT, as VAULT_AUTH_METHOD says or VAULT_ROLE_ID,
    VAULT_ID_TOKEN or VAULT_AUTH_ROLE show; else `~/.vault-token`. They go to the servers that VAULT_ADDR and
    KSECRET_VAULT_ADDRESSES name, and to no other one, whatever a file or a redirect says.
    Permissions, as policies have them: update on MOUNT/encrypt/NAME to seal, on MOUNT/decrypt/NAME to open, on
    MOUNT/rewrap/NAME too where the engine is to rewrap, and, to be told of a name that is none, read on
    MOUNT/keys/NAME. What leaves the machine: over TLS to that server, the DEK when sealing, the wrapped DEK when
    opening, and the Secret's namespace and name, as associated data. No value of a Secret ever does.
    The encryption context is authenticated by keys of AEAD types; RSA keys have no place for it.

    Safe to use from several threads, which share one client for each server.
    """

    jobs = 32
    """Calls at a time that bulk work should make."""

    forks = True
    """Each process has clients of its own, and those that are forked the token that was there by then."""

    def __init__(self, settings: Settings, *, patience: float = PATIENCE) -> None:
        """`patience`: seconds after which a server that does not answer is given up for the rest of the run."""
        self._environ = VaultEnvironment(settings.environ)
        self._warn = settings.warn
        self._patience = patience
        self._connections: dict[str, Connection] = {}
        self._binds: dict[KeyRef, bool] = {}
        """Whether a key's type has a place for associated data, for keys of which that is known."""
        self._seen: set[KeyRef] = set()
        """Keys that are there, or that the token may not read."""

    def wrap(self, ref: KeyRef, dek: bytes, context: Mapping[str, str]) -> bytes:
        """The DEK encrypted by the key's latest version, with the context as associated data.
        (Vault API, Transit, "Encrypt data")

        The key is read before: who may make keys would make one by encrypting under a name that is none.
        Raises KeyRefError for a key that does not exist or is not for encryption, BackendError and
        BackendUnavailableError for a failure.
        """
        key, connection = self._reached(ref, context)
        self._look_at(ref, key, connection)
        answer = self._bound(ref, "encrypt", {"plaintext": _text(dek)}, context)
        if context and not self._binds.get(ref, True):
            self._warn(f"{ref}: keys of its type can't bind what they wrap to a Secret's namespace and name")
        return _ciphertext(answer, connection.host)

    def unwrap(self, ref: KeyRef, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        """The DEK, 32 bytes, by the version of the key that had wrapped it. (Vault API, Transit, "Decrypt data")

        Raises AlteredError where it was wrapped by another key or with another context, or altered, or is no DEK;
        BackendError and BackendUnavailableError for a failure.
        """
        answer = self._bound(ref, "decrypt", {"ciphertext": _wrapped(wrapped)}, context)
        try:
            return checked_dek(b64decode(answer["data"]["plaintext"], validate=True))
        except (KeyError, TypeError, ValueError):
            raise errors.foreign(SCHEME.home(ref)) from None

    def rewrap(self, ref: KeyRef, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        """The same DEK under the key's latest version. (Vault API, Transit, "Rewrap data")

        The engine's rewrap has no place for associated data: what is bound to a context is unwrapped and wrapped
        here. Raises what `unwrap` and `wrap` raise.
        """
        if context and self._binds.get(ref, True):
            dek = self.unwrap(ref, wrapped, context)
            if self._binds.get(ref, True):
                return self.wrap(ref, dek, context)
        answer = self._bound(ref, "rewrap", {"ciphertext": _wrapped(wrapped)}, context)
        return _ciphertext(answer, SCHEME.home(ref))

    def describe(self, ref: KeyRef) -> str:
        """Return nothing: the name says it all, and more is known to the server only."""
        return ""

    def offers(self) -> list[Offer]:
        """The keys that the token can list, on the server of VAULT_ADDR. Raises BackendError."""
        from secretsvc.backends.vault import choosing

        address = canonical_address(setting(self._environ, "ADDR"))
        if not address:
            raise errors.no_address()
        return choosing.offers(self._connected(address), setting(self._environ, "NAMESPACE").strip("/"))

    def _reached(self, ref: KeyRef, context: Mapping[str, str]) -> tuple[TransitKey, Connection]:
        """Return where the key is, and the connection to it. Raises BackendError for a server that nobody named.

        In files of SOPS's, a path is in the environment's namespace unless it begins with it: sops and `vault` have
        it so. Names of ours hold their namespace.
        """
        key = key_of(ref)
        connection = self._connected(key.address)
        namespace = setting(self._environ, "NAMESPACE").strip("/")
        is_own = key.address == canonical_address(setting(self._environ, "ADDR"))
        if (
            namespace
            and is_own
            and isinstance(context, SopsContext)
            and not f"{key.mount}/".startswith(f"{namespace}/")
        ):
            key = key._replace(mount=f"{namespace}/{key.mount}")
        return key, connection

    def _connected(self, address: str) -> Connection:
        """Return the connection to a server. Raises BackendError for one that nobody named."""
        if address not in self._connections:
            allowed = _allowed(self._environ)
            if address not in allowed:
                raise errors.not_allowed(address)
            self._connections.setdefault(address, Connection(address, self._environ, allowed, self._patience))
        return self._connections[address]

    def _look_at(self, ref: KeyRef, key: TransitKey, connection: Connection) -> None:
        """Learns of a key that it is there, and of what type, once in a run. Raises KeyRefError and BackendError."""
        if ref in self._seen:
            return
        call = VaultCall("read", connection.host, key.mount, key.name)
        try:
            answer = connection.send(
                call, lambda client: client.secrets.transit.read_key(name=key.name, mount_point=key.mount)
            )
        except KeyRefError:
            raise
        except BackendError as error:
            if not error.message.startswith(errors.DENIED):
                raise
            self._seen.add(ref)
            return
        about = answer.get("data") if isinstance(answer, dict) else None
        if not isinstance(about, dict):
            raise errors.foreign(connection.host)
        self._binds[ref] = about.get("type") in _BINDING
        self._seen.add(ref)

    def _bound(self, ref: KeyRef, operation: str, parameters: Mapping[str, str], context: Mapping[str, str]) -> Any:
        """The answer of the engine, told the context where the key's type has a place for it."""
        key, connection = self._reached(ref, context)
        call = VaultCall(operation, connection.host, key.mount, key.name)

        def ask(client: Any) -> Any:
            bound = (
                {"associated_data": _text(additional_data(context))} if context and self._binds.get(ref, True) else {}
            )
            method = getattr(client.secrets.transit, f"{operation}_data")
            return method(name=key.name, mount_point=key.mount, **parameters, **bound)

        try:
            return connection.send(call, ask)
        except NotBindingError:
            self._binds[ref] = False
            return connection.send(call, ask)


def _allowed(environ: VaultEnvironment) -> frozenset[str]:
    """Return the addresses that a token may go to. Raises BackendError for a list that has something else in it."""
    listed = environ.get("KSECRET_VAULT_ADDRESSES").replace(",", " ").split()
    found = [canonical_address(text) for text in listed]
    if not all(found):
        raise errors.bad_addresses()
    own = canonical_address(setting(environ, "ADDR"))
    return frozenset([*found, own] if own else found)


def _text(data: bytes) -> str:
    return b64encode(data).decode()


def _ciphertext(answer: Any, host: str) -> bytes:
    """Return the wrapped DEK of an answer, `vault:v1:…`. Raises BackendError for an answer without."""
    data = answer.get("data") if isinstance(answer, dict) else None
    text = data.get("ciphertext") if isinstance(data, dict) else None
    if not isinstance(text, str) or not text.isascii() or not text.isprintable() or not text:
        raise errors.foreign(host)
    return text.encode()


def _wrapped(wrapped: bytes) -> str:
    text = wrapped.decode("ascii", "replace") if len(wrapped) <= MAX_WRAPPED_BYTES else ""
    if not text or not text.isascii() or not text.isprintable():
        raise AlteredError("its wrapped data key is no text of Vault's, or too long", hint=RESTORE_HINT)
    return text
