"""Abilities that a backend may have beside what every `Backend` has: told by the methods that its class has."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from secretsvc.backends.base import Place
    from secretsvc.keyref import KeyRef


@runtime_checkable
class HasDefault(Protocol):
    """A key of the caller's own, which a person calls `SCHEME:default`."""

    def default_ref(self) -> KeyRef:
        """The KeyRef of that key. Raises KeyRefError where there is none, and BackendError."""
        ...


@runtime_checkable
class Resolves(Protocol):
    """Names that leave open which version of a key is meant."""

    def resolve(self, ref: KeyRef) -> KeyRef:
        """The KeyRef of the newest version; as it is where it names one. Raises KeyRefError and BackendError."""
        ...


@runtime_checkable
class Rewraps(Protocol):
    """A way to wrap a DEK anew that does not give it away."""

    def rewrap(self, ref: KeyRef, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        """The same DEK under the newest version of the same KEK. Raises what `unwrap` and `wrap` raise."""
        ...


@runtime_checkable
class KnowsHeld(Protocol):
    """A way to tell, without the network, whose key is on this machine."""

    def holds(self, ref: KeyRef) -> bool | None:
        """Tell whether this machine opens what that KEK wrapped; None where it takes a passphrase to tell."""
        ...


@runtime_checkable
class HasIdentities(Protocol):
    """Private keys of the caller's own, in places that are known."""

    def own_ref(self) -> KeyRef | None:
        """The KeyRef of the first that can be used; None where there is none at all.

        Raises BackendError where what there is can't be used.
        """
        ...

    def places(self) -> list[Place]:
        """Return where they are looked for, in the order in which they count, and what was found there."""
        ...

    def make_identity(self) -> str:
        """Make one where `own_ref` gives None, and return its place. Raises InputError and FileError."""
        ...
