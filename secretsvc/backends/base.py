"""What a backend is: something that wraps and unwraps DEKs under KEKs that it alone can use."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from secretsvc.keyref import KeyRef


class Settings(NamedTuple):
    """What a run tells its backends. Each takes what concerns it."""

    environ: Mapping[str, str]
    passphrase: Callable[[str], bytes | None]
    """Asked with what is to be unlocked ("age identity …", "pgp"); None where nobody can tell it."""
    keyring: str = ""
    """gpg: the public keyring's file, in place of the default one."""
    require_signature: bool = False
    """gpg: refuse a wrapped DEK without a good signature."""
    profiles: Mapping[str, str] = {}
    """aws: KeyRef → the profile whose credentials use it, in place of those of the environment."""
    warn: Callable[[str], None] = lambda _: None
    """Told, once each, of what works and should not stay so: a line without a value in it."""


class Backend(Protocol):
    """One home of KEKs. Third parties add one through the entry-point group `ksecret.backends`:
    its name is the scheme, its object takes `Settings` and gives a Backend.

    An instance serves one run, from several threads: it may keep clients, identities and unlocked agents, never a DEK.
    Importing its module and making it must start no process and touch no network.
    """

    scheme: str
    """What a KeyRef's URI starts with."""

    jobs: int
    """How many DEKs are worth unwrapping at a time, from as many threads."""

    def parse(self, text: str) -> KeyRef:
        """The canonical KeyRef of a URI's text after `scheme:`. Raises KeyRefError, which never shows key material.

        Text of a hostile file comes here too: it starts no program, touches no network, and gives back unchanged only
        what the other methods may be trusted with.
        """
        ...

    def wrap(self, ref: KeyRef, dek: bytes, context: Mapping[str, str]) -> bytes:
        """The DEK (32 bytes) wrapped under `ref`; `context` is authenticated with it where the backend can.

        Raises KeyRefError for a key that can't encrypt (expired, revoked, unknown), BackendError for a failure.
        """
        ...

    def unwrap(self, ref: KeyRef, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        """The DEK again. Raises KeyNotHeldError where this machine has not got the key, BackendError for a failure."""
        ...

    def describe(self, ref: KeyRef) -> str:
        """Who or what the key is, for people, from what this machine knows offline; "" where it knows nothing."""
        ...


@runtime_checkable
class HasDefault(Protocol):
    """What a backend may have beside: a key of the caller's own, which a person calls `SCHEME:default`."""

    def default_ref(self) -> KeyRef:
        """The KeyRef of that key. Raises KeyRefError where there is none, and BackendError."""
        ...


@runtime_checkable
class Rewraps(Protocol):
    """What a backend may have beside: a way to wrap a DEK anew that does not give it away."""

    def rewrap(self, ref: KeyRef, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        """The same DEK under the newest version of the same KEK. Raises what `unwrap` and `wrap` raise."""
        ...


@runtime_checkable
class KnowsHeld(Protocol):
    """What a backend may have beside: a way to tell, without the network, whose key is on this machine."""

    def holds(self, ref: KeyRef) -> bool | None:
        """Whether this machine has what opens that KEK's wrapped DEKs; None where it takes a passphrase to tell."""
        ...
