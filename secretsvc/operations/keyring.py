"""The keyring, which is what operations need of the backends: it that wraps and unwraps DEKs by KeyRef."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Protocol

    from secretsvc.keyref import KeyRef, WrappedKey
else:
    Protocol = object


class Keyring(Protocol):
    """Satisfied by `secretsvc.backends.registry.Backends`."""

    def wrap(self, ref: KeyRef, dek: bytes, context: Mapping[str, str]) -> bytes:
        """The DEK wrapped under one KEK. Raises KeyRefError or BackendError."""
        ...

    def unwrap(self, keys: Sequence[WrappedKey]) -> bytes:
        """The DEK by any one of the keys that it is wrapped under. Raises NoKeyError or BackendError."""
        ...

    def rewrap(self, keys: Sequence[WrappedKey], dek: Callable[[], bytes]) -> tuple[WrappedKey, ...]:
        """The same DEK wrapped anew under each key; `dek` gives it where needed, once the keyset is proven.

        Raises as `unwrap` and `wrap`, and what `dek` raises.
        """
        ...

    def role(self, ref: KeyRef) -> str:
        """Return the IAM role that a policy has the key used in; "" for none."""
        ...

    def signed(self) -> Keyring:
        """The same keys, but what PGP keys wrap must be signed, and a good signature is demanded of it."""
        ...

    def unsigned(self) -> Keyring:
        """The same keys, but what PGP keys wrap is not signed, for formats whose other tools take no signature."""
        ...
