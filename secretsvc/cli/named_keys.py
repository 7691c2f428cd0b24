"""The keys of a run, with the names that a policy has for them in what goes wrong."""

from __future__ import annotations

from secretsvc.errors import KsecretError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from secretsvc.keyref import KeyRef, WrappedKey
    from secretsvc.operations.keyring import Keyring
    from secretsvc.policy.people import People


class NamedKeys:
    """A keyring whose errors say `alice (age:age1…)`. Wraps and unwraps as the one that it is made of."""

    def __init__(self, keyring: Keyring, people: People) -> None:
        self._keyring = keyring
        self._people = people

    def wrap(self, ref: KeyRef, dek: bytes, context: Mapping[str, str]) -> bytes:
        """Do as the keyring does, and name keys in its errors."""
        with _Naming(self._people):
            return self._keyring.wrap(ref, dek, context)

    def unwrap(self, keys: Sequence[WrappedKey]) -> bytes:
        """Do as the keyring does, and name keys in its errors."""
        with _Naming(self._people):
            return self._keyring.unwrap(keys)

    def rewrap(self, keys: Sequence[WrappedKey], dek: Callable[[], bytes]) -> tuple[WrappedKey, ...]:
        """Do as the keyring does, and name keys in its errors."""
        with _Naming(self._people):
            return self._keyring.rewrap(keys, dek)

    def role(self, ref: KeyRef) -> str:
        """Say what the keyring does."""
        return self._keyring.role(ref)

    def signed(self) -> NamedKeys:
        """Do as the keyring does, and name keys in its errors."""
        return NamedKeys(self._keyring.signed(), self._people)

    def unsigned(self) -> NamedKeys:
        """Do as the keyring does, and name keys in its errors."""
        return NamedKeys(self._keyring.unsigned(), self._people)


class _Naming:
    """Errors that say whose key it is."""

    def __init__(self, people: People) -> None:
        self._people = people

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, KsecretError):
            if error.key_ref and error.key_ref not in error.message:
                error.message = f"{error.key_ref}: {error.message}"
            error.message = self._people.named_in(error.message)
            error.reasons = tuple(self._people.named_in(reason) for reason in error.reasons)
