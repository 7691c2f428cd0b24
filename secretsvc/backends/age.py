"""age recipients as KEKs, in process, by pyrage (the Rust implementation of age-encryption.org/v1)."""

from __future__ import annotations

import os
from _thread import allocate_lock
from typing import TYPE_CHECKING, TypeAlias

import pyrage

from secretsvc import key_shapes
from secretsvc.errors import AlteredError, BackendError, KeyNotHeldError, KeyRefError
from secretsvc.keyref import KeyRef

if TYPE_CHECKING:
    from collections.abc import Mapping

    from secretsvc.backends.base import Settings

SCHEME = "age"
MAX_IDENTITY_BYTES = 1024 * 1024
MOST_IDENTITIES = 100
"""In one source. Each is tried on each stanza of a wrapped DEK, at 0.1 ms a try in which no other thread runs."""

MAX_WRAPPED_BYTES = 4096
"""A DEK wrapped to an X25519 recipient takes up to 410 bytes, to an SSH key of 16,384 bits 3,300."""

MOST_STANZAS = 8
"""We wrap to one recipient. age itself adds a stanza that means nothing, and other tools may wrap to a few."""


_IDENTITY = "AGE-SECRET-KEY-1"
_ENCRYPTED = (b"age-encryption.org/v1", b"-----BEGIN AGE ENCRYPTED FILE-----")
_SSH = b"-----BEGIN "
_FIND_HINT = "set KSECRET_AGE_KEY_FILE or KSECRET_AGE_KEY, or run `ksecret init`"
_ADD_HINT = "set KSECRET_AGE_KEY_FILE to one that does, or let somebody who opens it add yours: ksecret keys add -k"

Identity: TypeAlias = "pyrage.x25519.Identity | pyrage.ssh.Identity"


def backend(settings: Settings) -> Age:
    """The backend for a run."""
    return Age(settings)


def default_identity_path(environ: Mapping[str, str]) -> str:
    """Where `ksecret init` puts the user's identity: `$XDG_CONFIG_HOME/ksecret/age.key`, else under `~/.config`."""
    config = environ.get("XDG_CONFIG_HOME") or os.path.join(environ.get("HOME") or os.path.expanduser("~"), ".config")
    return os.path.join(config, "ksecret", "age.key")


class Age:
    """Recipients `age1…` (X25519) and SSH public keys (`ssh-ed25519`, `ssh-rsa`).

    Credentials: identities in `KSECRET_AGE_KEY` (the text), in the file that `KSECRET_AGE_KEY_FILE` names, and in
    the user's `ksecret/age.key`; all that there are. A file holds age identities, one a line, or one SSH private
    key; both may be protected by a passphrase, which is asked for at most once a run.
    Permissions: to read these files. What leaves the machine: nothing.
    The encryption context is not bound here: the age format has no place for it. The seal binds it all the same.
    """

    scheme = SCHEME
    jobs = 1  # pyrage holds the interpreter's lock, and takes a tenth of a millisecond

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = allocate_lock()
        self._sources: list[_Source] | None = None
        self._in_clear: list[Identity] = []
        self._unlocked: list[Identity] | BackendError | None = None

    def parse(self, text: str) -> KeyRef:
        """An age recipient, or an SSH public key without its comment. Raises KeyRefError."""
        canonical = key_shapes.age(text)
        _recipient(canonical)
        return KeyRef(SCHEME, canonical)

    def wrap(self, ref: KeyRef, dek: bytes, context: Mapping[str, str]) -> bytes:
        """A binary age file to that recipient (age-encryption.org/v1). Raises KeyRefError."""
        recipient = _recipient(ref.id)
        try:
            return bytes(pyrage.encrypt(dek, [recipient]))
        except pyrage.EncryptError:
            raise BackendError("age could not encrypt to it", key_ref=str(ref)) from None

    def unwrap(self, ref: KeyRef, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        """The DEK, by whichever identity opens it; a passphrase is asked for only where no other one does.

        Raises KeyNotHeldError, AlteredError, BackendError.
        """
        if len(wrapped) > MAX_WRAPPED_BYTES or wrapped.count(b"\n-> ") > MOST_STANZAS:
            raise AlteredError("its wrapped data key is too long", hint="restore the file from Git")
        with self._lock:
            sources = self._read()
        dek = _opened(wrapped, self._in_clear)
        if dek is None and any(source.locked for source in sources):
            dek = _opened(wrapped, self._unlock(sources))
        if dek is None:
            if sources:
                raise KeyNotHeldError("none of the age identities at hand opens it", hint=_ADD_HINT)
            raise KeyNotHeldError("no age identity is at hand", hint=_FIND_HINT)
        return dek

    def describe(self, ref: KeyRef) -> str:
        """Nothing: an age recipient carries no name."""
        return ""

    def own_ref(self) -> KeyRef | None:
        """The recipient of the user's own identity, the first in the file that `ksecret init` makes."""
        path = default_identity_path(self._settings.environ)
        if not os.path.exists(path):
            return None
        for identity in self._identities(_from_file(path)):
            if isinstance(identity, pyrage.x25519.Identity):
                return KeyRef(SCHEME, str(identity.to_public()))
        return None

    def _read(self) -> list[_Source]:
        """Every source of identities, read once; those that need no passphrase are parsed."""
        if self._sources is None:
            environ = self._settings.environ
            sources = []
            if environ.get("KSECRET_AGE_KEY"):
                sources.append(_Source("KSECRET_AGE_KEY", environ["KSECRET_AGE_KEY"].encode()))
            if environ.get("KSECRET_AGE_KEY_FILE"):
                sources.append(_from_file(environ["KSECRET_AGE_KEY_FILE"]))
            if os.path.exists(default_identity_path(environ)):
                sources.append(_from_file(default_identity_path(environ)))
            self._in_clear = [
                identity for source in sources if not source.locked for identity in self._identities(source)
            ]
            self._sources = sources
        return self._sources

    def _unlock(self, sources: list[_Source]) -> list[Identity]:
        """The identities behind passphrases, asked for once; a failure is kept, and raised again."""
        with self._lock:
            if self._unlocked is None:
                try:
                    self._unlocked = [
                        identity for source in sources if source.locked for identity in self._identities(source)
                    ]
                except BackendError as error:
                    self._unlocked = error
            if isinstance(self._unlocked, BackendError):
                raise self._unlocked
            return self._unlocked

    def _identities(self, source: _Source) -> list[Identity]:
        data = self._without_passphrase(source) if source.locked else source.data
        try:
            if data.startswith(_SSH):
                return [pyrage.ssh.Identity.from_buffer(data)]
            lines = map(str.strip, data.decode("utf-8", "replace").splitlines())
            words = [line for line in lines if line and not line.startswith("#")]
            if len(words) > MOST_IDENTITIES:
                raise BackendError(f"{source.name} holds more than {MOST_IDENTITIES} age identities")
            return [pyrage.x25519.Identity.from_str(word) for word in words]
        except pyrage.IdentityError:
            if data.startswith(_SSH):
                hint = "ed25519 and RSA keys in OpenSSH's or PEM form are"
                raise BackendError(f"the SSH key in {source.name} is not one that age can use", hint=hint) from None
            hint = f"a line starts with {_IDENTITY} (plugins are not supported), or the file is an SSH private key"
            raise BackendError(f"{source.name} holds a line that is not an age identity", hint=hint) from None

    def _without_passphrase(self, source: _Source) -> bytes:
        passphrase = self._settings.passphrase(f"age identity {source.name}")
        if passphrase is None:
            raise BackendError(
                f"the age identity in {source.name} is protected by a passphrase, and there is nobody to ask",
                hint="give the passphrase with --passphrase-file, or run on a terminal",
            )
        try:
            if source.data.startswith(_ENCRYPTED):
                return bytes(pyrage.passphrase.decrypt(source.data, passphrase.decode()))
            return _decrypted_ssh_key(source.data, passphrase)
        except (pyrage.DecryptError, ValueError):
            kind = "SSH key" if source.data.startswith(_SSH) else "age identity"
            raise BackendError(f"the passphrase does not open the {kind} in {source.name}") from None


class _Source:
    """Where identities come from: a file's path or a variable's name, and what it holds."""

    def __init__(self, name: str, data: bytes) -> None:
        self.name = name
        self.data = data
        self.locked = data.startswith(_ENCRYPTED) or (data.startswith(_SSH) and _needs_passphrase(data))


def _needs_passphrase(ssh_key: bytes) -> bool:
    try:
        pyrage.ssh.Identity.from_buffer(ssh_key)
    except pyrage.IdentityError as error:
        return "decrypted first" in str(error)
    return False


def _from_file(path: str) -> _Source:
    try:
        with open(path, "rb") as stream:
            data = stream.read(MAX_IDENTITY_BYTES + 1)
    except OSError as error:
        raise BackendError(
            f"the age identity file {path} can't be read: {error.strerror}", hint="check its path and permissions"
        ) from error
    if len(data) > MAX_IDENTITY_BYTES:
        raise BackendError(f"{path} is no age identity file: it is too large")
    return _Source(path, data)


def _opened(wrapped: bytes, identities: list[Identity]) -> bytes | None:
    """What the first fitting identity makes of it; None where none fits. Raises AlteredError."""
    if not identities:
        return None
    try:
        return bytes(pyrage.decrypt(wrapped, identities))
    except pyrage.DecryptError as error:
        if "No matching keys" in str(error):
            return None
        raise AlteredError("its wrapped data key was altered", hint="restore the file from Git") from None


def _recipient(text: str) -> pyrage.x25519.Recipient | pyrage.ssh.Recipient:
    try:
        if text.startswith("ssh-"):
            return pyrage.ssh.Recipient.from_str(text)
        return pyrage.x25519.Recipient.from_str(text)
    except pyrage.RecipientError:
        raise KeyRefError(
            "that is not an age recipient", hint="give age1…, or an ssh-ed25519 or ssh-rsa public key"
        ) from None


def _decrypted_ssh_key(data: bytes, passphrase: bytes) -> bytes:
    """The same OpenSSH key without its passphrase, in memory. Raises ValueError where the passphrase is wrong."""
    from cryptography.hazmat.primitives.serialization import (  # only for a protected SSH key
        Encoding,
        NoEncryption,
        PrivateFormat,
        load_ssh_private_key,
    )

    key = load_ssh_private_key(data, passphrase)
    return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
