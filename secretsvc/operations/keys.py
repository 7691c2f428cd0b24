"""What operations need of the backends: a keyring that wraps and unwraps DEKs by KeyRef."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from secretsvc.keyref import KeyRef


class Keyring(Protocol):
    """Satisfied by `secretsvc.backends.registry.Backends`."""

    def wrap(self, ref: KeyRef, dek: bytes, context: Mapping[str, str]) -> bytes:
        """The DEK wrapped under one KEK. Raises KeyRefError or BackendError."""
        ...

    def unwrap(self, keys: Mapping[str, str], context: Mapping[str, str]) -> bytes:
        """The DEK by any one member of a keyset (KeyRef → base64). Raises NoKeyError or BackendError."""
        ...

    def rewrap(self, keys: Mapping[str, str], context: Mapping[str, str], dek: Callable[[], bytes]) -> dict[str, str]:
        """The same keyset with the same DEK wrapped anew; `dek` gives it where needed, once the keyset is proven.

        Raises as `unwrap` and `wrap`, and what `dek` raises.
        """
        ...

    def signed(self) -> Keyring:
        """The same keys, but what PGP keys wrap must be signed, and a good signature is demanded of it."""
        ...
