"""`--decryption-order`: of which kind the keys are that are tried first."""

from __future__ import annotations

from secretsvc.errors import BackendError, KsecretError, NoKeyError
from secretsvc.formats.sops.metadata import LISTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from secretsvc.keyref import KeyRef, WrappedKey
    from secretsvc.operations.keyring import Keyring


class InOrder:
    """A keyring that tries keys of these kinds first, as SOPS calls them, and all others behind them."""

    def __init__(self, keyring: Keyring, order: Sequence[str]) -> None:
        self._keyring = keyring
        self._schemes = [LISTS[kind][0] for kind in order if kind in LISTS]

    def unwrap(self, keys: Sequence[WrappedKey]) -> bytes:
        """Return the DEK by any of the keys. Raises as the keyring does, of all kinds that failed the first's."""
        turns = [[key for key in keys if key.ref.scheme == scheme] for scheme in self._schemes]
        turns.append([key for key in keys if key.ref.scheme not in self._schemes])
        failures: list[KsecretError] = []
        for turn in filter(None, turns):
            try:
                return self._keyring.unwrap(turn)
            except (NoKeyError, BackendError) as error:
                failures.append(error)
        raise failures[0]

    def wrap(self, ref: KeyRef, dek: bytes, context: Mapping[str, str]) -> bytes:
        """Wrap as the keyring does."""
        return self._keyring.wrap(ref, dek, context)

    def rewrap(self, keys: Sequence[WrappedKey], dek: Callable[[], bytes]) -> tuple[WrappedKey, ...]:
        """Wrap anew as the keyring does."""
        return self._keyring.rewrap(keys, dek)

    def role(self, ref: KeyRef) -> str:
        """Say what the keyring does."""
        return self._keyring.role(ref)

    def signed(self) -> Keyring:
        """Return the same, demanding signatures of PGP keys."""
        return InOrder(self._keyring.signed(), ())

    def unsigned(self) -> Keyring:
        """Return the same, where PGP keys do not sign."""
        return self._keyring.unsigned()
