"""age recipients as KEKs, in process, by pyrage (the Rust implementation of age-encryption.org/v1)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeAlias

import pyrage

from secretsvc.errors import AlteredError, BackendError, KeyNotHeldError, KeyRefError
from secretsvc.keyref import KeyRef

if TYPE_CHECKING:
    from collections.abc import Mapping

    from secretsvc.backends.base import Settings

SCHEME = "age"
MAX_IDENTITY_BYTES = 1024 * 1024

_IDENTITY = "AGE-SECRET-KEY-1"
_ENCRYPTED = (b"age-encryption.org/v1", b"-----BEGIN AGE ENCRYPTED FILE-----")
_SSH = b"-----BEGIN "
_FIND_HINT = "set KSECRET_AGE_KEY_FILE or KSECRET_AGE_KEY, or run `ksecret init`"

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

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._identities: list[Identity] | None = None
        self._failure: BackendError | None = None

    def parse(self, text: str) -> KeyRef:
        """An age recipient, or an SSH public key without its comment. Raises KeyRefError."""
        if text.upper().startswith("AGE-SECRET-KEY-"):
            raise KeyRefError(
                "that is a private age identity, not a recipient",
                hint="give the public key, age1…; consider the identity as leaked if it stands in a shell history",
            )
        canonical = " ".join(text.split()[:2]) if text.startswith("ssh-") else text.strip().lower()
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
        """The DEK, by whichever identity opens it. Raises KeyNotHeldError, AlteredError, BackendError."""
        identities = self._all_identities()
        if not identities:
            raise KeyNotHeldError("no age identity is at hand", hint=_FIND_HINT)
        try:
            return bytes(pyrage.decrypt(wrapped, identities))
        except pyrage.DecryptError as error:
            if "No matching keys" in str(error):
                raise KeyNotHeldError("none of the age identities at hand opens it", hint=_FIND_HINT) from None
            raise AlteredError("its wrapped data key was altered", hint="restore the file from Git") from None

    def describe(self, ref: KeyRef) -> str:
        """Nothing: an age recipient carries no name."""
        return ""

    def default_ref(self) -> KeyRef | None:
        """The recipient of the user's own identity, the first in the file that `ksecret init` makes."""
        path = default_identity_path(self._settings.environ)
        if not os.path.exists(path):
            return None
        for identity in self._from_file(path):
            if isinstance(identity, pyrage.x25519.Identity):
                return KeyRef(SCHEME, str(identity.to_public()))
        return None

    def _all_identities(self) -> list[Identity]:
        """Every identity that this run can use, read once; a failure is kept, so that no passphrase is asked twice."""
        if self._failure:
            raise self._failure
        if self._identities is None:
            try:
                self._identities = self._load()
            except BackendError as error:
                self._failure = error
                raise
        return self._identities

    def _load(self) -> list[Identity]:
        environ = self._settings.environ
        found: list[Identity] = []
        if environ.get("KSECRET_AGE_KEY"):
            found += self._from_bytes(environ["KSECRET_AGE_KEY"].encode(), "KSECRET_AGE_KEY")
        if environ.get("KSECRET_AGE_KEY_FILE"):
            found += self._from_file(environ["KSECRET_AGE_KEY_FILE"])
        default = default_identity_path(environ)
        if os.path.exists(default):
            found += self._from_file(default)
        return found

    def _from_file(self, path: str) -> list[Identity]:
        try:
            with open(path, "rb") as stream:
                data = stream.read(MAX_IDENTITY_BYTES + 1)
        except OSError as error:
            raise BackendError(
                f"the age identity file {path} can't be read: {error.strerror}", hint="check its path and permissions"
            ) from error
        if len(data) > MAX_IDENTITY_BYTES:
            raise BackendError(f"{path} is no age identity file: it is too large")
        return self._from_bytes(data, path)

    def _from_bytes(self, data: bytes, source: str) -> list[Identity]:
        if data.startswith(_ENCRYPTED):
            data = self._unlocked(data, source)
        if data.startswith(_SSH):
            return [self._ssh_identity(data, source)]
        found: list[Identity] = []
        for line in data.decode("utf-8", "replace").splitlines():
            word = line.strip()
            if word and not word.startswith("#"):
                found.append(_identity(word, source))
        return found

    def _unlocked(self, data: bytes, source: str) -> bytes:
        passphrase = self._passphrase(source)
        try:
            return bytes(pyrage.passphrase.decrypt(data, passphrase.decode()))
        except (pyrage.DecryptError, UnicodeDecodeError):
            raise BackendError(f"the passphrase does not open the age identity in {source}") from None

    def _ssh_identity(self, data: bytes, source: str) -> Identity:
        try:
            return pyrage.ssh.Identity.from_buffer(data)
        except pyrage.IdentityError as error:
            if "decrypted first" not in str(error):
                hint = "ed25519 and RSA keys in OpenSSH's or PEM form are"
                raise BackendError(f"the SSH key in {source} is not one that age can use", hint=hint) from None
        return pyrage.ssh.Identity.from_buffer(_decrypted_ssh_key(data, self._passphrase(source), source))

    def _passphrase(self, source: str) -> bytes:
        passphrase = self._settings.passphrase(f"age identity {source}")
        if passphrase is None:
            raise BackendError(
                f"the age identity in {source} is protected by a passphrase, and there is nobody to ask",
                hint="give the passphrase with --passphrase-file, or run on a terminal",
            )
        return passphrase


def _recipient(text: str) -> pyrage.x25519.Recipient | pyrage.ssh.Recipient:
    try:
        if text.startswith("ssh-"):
            return pyrage.ssh.Recipient.from_str(text)
        return pyrage.x25519.Recipient.from_str(text)
    except pyrage.RecipientError:
        raise KeyRefError(
            "that is not an age recipient", hint="give age:age1…, or age: and an ssh-ed25519 or ssh-rsa public key"
        ) from None


def _identity(word: str, source: str) -> Identity:
    try:
        return pyrage.x25519.Identity.from_str(word)
    except pyrage.IdentityError:
        hint = f"a line starts with {_IDENTITY} (plugins are not supported), or the file is an SSH private key"
        raise BackendError(f"{source} holds a line that is not an age identity", hint=hint) from None


def _decrypted_ssh_key(data: bytes, passphrase: bytes, source: str) -> bytes:
    from cryptography.hazmat.primitives.serialization import (  # only for a protected SSH key
        Encoding,
        NoEncryption,
        PrivateFormat,
        load_ssh_private_key,
    )

    try:
        key = load_ssh_private_key(data, passphrase)
    except ValueError:
        raise BackendError(f"the passphrase does not open the SSH key in {source}") from None
    return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
