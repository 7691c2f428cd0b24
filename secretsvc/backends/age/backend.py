"""age recipients as KEKs, in process, by pyrage (the Rust implementation of age-encryption.org/v1)."""

from __future__ import annotations

import os

import pyrage

from secretsvc.backends.age import SCHEME, TAG, TAG_PQ, is_of_plugin
from secretsvc.backends.age.identities import Identities, default_identity_path, make_identity
from secretsvc.backends.base import checked_dek
from secretsvc.errors import (
    RESTORE_HINT,
    AlteredError,
    BackendError,
    BackendUnavailableError,
    KeyNotHeldError,
    KeyRefError,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeAlias, TypeVar

    from secretsvc.backends.age.identities import Identity
    from secretsvc.backends.base import Place, Settings
    from secretsvc.keyref import KeyRef

    T = TypeVar("T")
    _Recipient: TypeAlias = (
        pyrage.x25519.Recipient | pyrage.ssh.Recipient | pyrage.tag.Recipient | pyrage.tagpq.Recipient
    )

MAX_WRAPPED_BYTES = 4096
"""A DEK wrapped to an X25519 recipient takes up to 410 bytes, to an SSH key of 16,384 bits 3,300."""

MOST_STANZAS = 8
"""We wrap to one recipient. age itself adds a stanza that means nothing, and other tools may wrap to a few."""

_OF_AGE = (b"X25519", b"ssh-ed25519", b"ssh-rsa", b"scrypt")
"""Types of stanzas that identities in memory open."""

_FILES = ("KSECRET_AGE_KEY_FILE", "SOPS_AGE_KEY_FILE", "SOPS_AGE_SSH_PRIVATE_KEY_FILE")
_COMMANDS = ("SOPS_AGE_KEY_CMD", "SOPS_AGE_SSH_PRIVATE_KEY_CMD")

_FIND_HINT = "set KSECRET_AGE_KEY_FILE or KSECRET_AGE_KEY, or run `ksecret init`"
_ADD_HINT = "set KSECRET_AGE_KEY_FILE to one that does, or let somebody who opens it add yours: `ksecret keys add`"


class Age:
    """Recipients `age1…` (X25519), `age1tag1…` (P-256), `age1tagpq1…` (and ML-KEM-768), those of plug-ins, `age1pq1…`
    among them, and SSH public keys (`ssh-ed25519`, `ssh-rsa`).

    Credentials: identities in `KSECRET_AGE_KEY` (the text), in the file that `KSECRET_AGE_KEY_FILE` names, and in
    the user's `ksecret/age.key`, and where SOPS finds them (`places_of_sops`); all that there are, and the first is
    the one to seal to. A file holds age identities, one a line, or one SSH private key; both may be protected by a
    passphrase, which is asked for at most once a run.
    Permissions: to read these files. What leaves the machine: nothing.
    The encryption context is not bound here: the age format has no place for it. The seal binds it all the same.
    """

    jobs = 1  # pyrage holds the interpreter's lock, and takes a tenth of a millisecond

    @property
    def forks(self) -> bool:
        """Tell whether copies of this process have the same identities: a pipe gives them once, a command is to."""
        paths = filter(None, map(self._environ.get, _FILES))
        same = all(map(os.path.isfile, paths)) and not any(map(self._environ.get, _COMMANDS))
        return same and not (self._starts_plugins and self._identities.of_plugins())  # which ask, one at a time

    def __init__(self, settings: Settings) -> None:
        self._environ = settings.environ
        self._identities = Identities(settings)
        self._named_only = settings.named_only
        self._starts_plugins = settings.starts_plugins and not settings.named_only
        self._silent: dict[str, BackendUnavailableError] = {}
        """Plug-ins that are missing, or have not answered, by name: they are waited for once in a run."""

    def wrap(self, ref: KeyRef, dek: bytes, context: Mapping[str, str]) -> bytes:
        """A binary age file to that recipient (age-encryption.org/v1). Raises KeyRefError, BackendError."""
        if is_of_plugin(ref.id):
            return self._wrapped_by_plugin(ref.id, dek)
        recipient = _recipient(ref.id)
        try:
            return bytes(pyrage.encrypt(dek, [recipient]))
        except pyrage.EncryptError:
            raise BackendError("age could not encrypt to it", key_ref=str(ref)) from None

    def unwrap(self, ref: KeyRef, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        """The DEK, by whichever identity opens it; a passphrase or a command is asked only where no other one does.

        Raises KeyNotHeldError, AlteredError, BackendError.
        """
        if len(wrapped) > MAX_WRAPPED_BYTES or wrapped.count(b"\n-> ") > MOST_STANZAS:
            raise AlteredError("its wrapped data key is too long", hint=RESTORE_HINT)
        tried = (self._identities.named(ref.id),) if self._named_only else self._identities.all()
        dek = next(filter(None, (_opened(wrapped, identities) for identities in tried)), None)
        if dek is None and self._starts_plugins and _may_be_of_plugin(wrapped):
            dek = self._opened_by_plugins(wrapped)
        if dek is None:
            raise self._not_opened()
        return checked_dek(dek)

    def _wrapped_by_plugin(self, recipient: str, dek: bytes) -> bytes:
        """Wrap to a plug-in's recipient, by its program. Raises KeyRefError, BackendError."""
        from secretsvc.backends.age import plugins

        name = plugins.name_of_recipient(recipient)
        if not self._starts_plugins:
            raise KeyRefError(f"no program age-plugin-{name} is started here", hint="ksecret on a terminal does")
        if name not in plugins.allowed(self._environ) | self._identities.of_plugins().keys():
            hint = f"{plugins.VARIABLE}={name} says that it may be, or an identity of its own in your age identities"
            raise KeyRefError(f"nobody has said that age-plugin-{name} may be started for this recipient", hint=hint)
        return self._once_in_vain(name, plugins.wrap, recipient, dek, self._environ)

    def _opened_by_plugins(self, wrapped: bytes) -> bytes | None:
        """Return what an identity of a plug-in's makes of it, by its program. Raises BackendError, AlteredError."""
        from secretsvc.backends.age import plugins

        for name, identities in self._identities.of_plugins().items():
            dek = self._once_in_vain(name, plugins.unwrap, name, identities, wrapped, self._environ)
            if dek is not None:
                return dek
        return None

    def _once_in_vain(self, name: str, work: Callable[..., T], *given: object) -> T:
        """Return what a call of a plug-in's program gives. Raises what it raises, and the same once it is silent."""
        if name in self._silent:
            silent = self._silent[name]
            raise BackendUnavailableError(f"{silent.message} (as earlier in this run)", hint=silent.hint)
        try:
            return work(*given)
        except BackendUnavailableError as error:
            self._silent[name] = error
            raise

    def _not_opened(self) -> KeyNotHeldError | BackendError:
        """Return why none of the identities opened it, with all that can't be used of them."""
        problem = self._identities.problem()
        if self._identities.in_clear():
            more = f"; {problem.message}" if problem else ""
            hint = self._looked(problem.hint if problem else _ADD_HINT)
            return KeyNotHeldError(f"none of the age identities at hand opens it{more}", hint=hint)
        return problem or KeyNotHeldError("no age identity is at hand", hint=self._looked(_FIND_HINT))

    def _looked(self, hint: str) -> str:
        """The hint after where identities were looked for."""
        places = ", ".join(f"{place.name} ({place.found})" for place in self._identities.places())
        return f"looked in {places}; {hint}" if hint else f"looked in {places}"

    def describe(self, ref: KeyRef) -> str:
        """Return nothing: an age recipient carries no name."""
        return ""

    def own_ref(self) -> KeyRef | None:
        """The recipient of the user's first identity that can be used; None where there is none at all.

        Raises BackendError where what there is can't be used.
        """
        recipient = self._identities.recipient()
        return SCHEME.parse(recipient) if recipient else None

    def holds(self, ref: KeyRef) -> bool | None:
        """Tell whether an identity at hand opens what is wrapped to it; None where a passphrase hides that."""
        if is_of_plugin(ref.id) or ref.id.startswith((TAG, TAG_PQ)):  # a device tells, and a program would be started
            return None if self._starts_plugins and self._identities.of_plugins() else False
        if _opened(self.wrap(ref, bytes(32), {}), self._identities.in_clear()) is not None:
            return True
        return None if self._identities.has_locked() else False

    def places(self) -> list[Place]:
        """Return where identities are looked for, in the order in which they count, and what was found there."""
        return self._identities.places()

    def make_identity(self) -> str:
        """A new identity in the user's own file, whose path it returns. Raises InputError and FileError."""
        path = default_identity_path(self._environ)
        make_identity(path)
        return path


def _may_be_of_plugin(wrapped: bytes) -> bool:
    """Tell whether a stanza is of a type that age itself has not: no program is started for others."""
    header = wrapped.partition(b"\n--- ")[0]
    types = [line[3:].partition(b" ")[0] for line in header.split(b"\n") if line.startswith(b"-> ")]
    return any(one not in _OF_AGE and not one.endswith(b"-grease") for one in types)


def _opened(wrapped: bytes, identities: list[Identity]) -> bytes | None:
    """Return what the first fitting identity makes of it; None where none fits. Raises AlteredError."""
    if not identities:
        return None
    try:
        return bytes(pyrage.decrypt(wrapped, identities))
    except pyrage.DecryptError as error:
        if "No matching keys" in str(error):
            return None
        raise AlteredError("its wrapped data key was altered", hint=RESTORE_HINT) from None


def _recipient(text: str) -> _Recipient:
    try:
        if text.startswith("ssh-"):
            return pyrage.ssh.Recipient.from_str(text)
        if text.startswith(TAG):
            return pyrage.tag.Recipient.from_str(text)
        if text.startswith(TAG_PQ):
            return pyrage.tagpq.Recipient.from_str(text)
        return pyrage.x25519.Recipient.from_str(text)
    except pyrage.RecipientError:
        raise KeyRefError(
            "that is not an age recipient", hint="give age1…, or an ssh-ed25519 or ssh-rsa public key"
        ) from None
