"""PGP keys as KEKs, by the gpg that is installed here, with its keyring and its agent.

gpg is called directly: the python-gnupg package takes longer to import than gpg takes to decrypt. It lists and makes
keys for people (`choosing`).
docs/backends/gnupg.md has the figures, and what an operator should know.
"""

from __future__ import annotations

import os
from _thread import allocate_lock
from time import monotonic

from secretsvc import programs
from secretsvc.backends.base import checked_dek
from secretsvc.backends.gnupg import SCHEME, run, status
from secretsvc.errors import (
    RESTORE_HINT,
    AlteredError,
    BackendError,
    BackendUnavailableError,
    KeyNotHeldError,
    KeyRefError,
    UsageError,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from secretsvc.backends.base import Settings
    from secretsvc.backends.gnupg.run import GpgAnswer
    from secretsvc.backends.offers import Offer
    from secretsvc.keyref import KeyRef

MAX_WRAPPED_BYTES = 16 * 1024
"""A DEK wrapped and signed takes 1,200 bytes with keys of 4,096 bits, 1,700 as armoured text."""

MAX_LISTING = 16 * 1024 * 1024
"""Bytes in which gpg may list a whole keyring: 16,000 keys."""

_ALONE = 3
"""So many keys are looked up each by a gpg of its own, and so many DEKs tried in vain; then one gpg lists all keys."""

_REMEMBERED = 60.0
"""Seconds for which a list of secret keys serves: a service runs for long, and keys come and go."""

_LIMIT = 60.0
_LIMIT_WITH_PERSON = 300.0
"""Seconds for one run of gpg, without and with somebody who may be asked for a passphrase."""

# The user named the exact key, so the web of trust has no say; and nothing is fetched from anywhere.
_ALWAYS = ("--trust-model", "always", "--no-auto-key-locate", "--no-auto-key-retrieve", "--disable-dirmngr")

_DECRYPT = ("--max-output", "1024", "--output", "-", "--decrypt")

# Undoes what gpg.conf may say about whom messages go to and what they look like.
_ENCRYPT = (
    *("--no-encrypt-to", "--no-groups", "--no-default-recipient", "--no-throw-keyids"),
    *("--no-armor", "--no-textmode", "-z", "0", "--default-sig-expire", "0", "--output", "-", "--encrypt"),
)


class GnuPG:
    """PGP keys, named by the fingerprint of a primary key, or of a subkey where exactly that one is meant.

    Credentials: the keyring and gpg-agent of the user who runs this, in GNUPGHOME or `~/.gnupg`; smart cards as gpg
    uses them. A passphrase comes from gpg-agent's cache, else from the run's settings (asked for at most once), else
    from gpg's own pinentry. `keyring` stands in place of the default public keyring: own public keys must be in it
    too, because gpg finds a secret key by its public half.
    Permissions: to read and lock that folder, and to reach or start gpg-agent. What leaves the machine: nothing.
    The encryption context is not bound here: OpenPGP has no place for it. The seal binds it all the same.
    """

    jobs = min(4, os.cpu_count() or 1)  # each a process; the agent works on one at a time
    forks = True
    wanted = "your name and address, as in Alice Doe <alice@example.org>"

    def __init__(self, settings: Settings) -> None:
        # An agent that gpg starts keeps its environment for hours, where it can be read: none of our secrets in it.
        self._environ = programs.environment(settings.environ)
        self._ask = settings.passphrase
        self._keyring = settings.keyring
        self._require_signature = settings.require_signature
        self._named_only = settings.named_only
        self._meanwhile = settings.meanwhile
        self._lock = allocate_lock()
        self._passphrase: bytes | None = None
        self._asked = False
        self._own_pinentry = False
        self._signs = settings.signs
        self._program = ""
        self._recipients: dict[KeyRef, status.Recipient] = {}
        self._own: set[KeyRef] = set()
        self._owners: dict[KeyRef, str] = {}
        self._names: dict[str, str] | None = None
        self._in_vain = 0
        self._held: tuple[float, frozenset[str]] = (0.0, frozenset())

    def default_ref(self) -> KeyRef:
        """The key that gpg takes as the caller's own: `default-key` of gpg.conf, else the first that can be used.

        Raises KeyRefError where there is none, and as `wrap`.
        """
        # No listing tells gpg's choice; encrypting nothing to oneself does, by the last key that it considered.
        options = ("--default-recipient-self", "--no-encrypt-to", "--no-groups", "--output", "-", "--encrypt")
        answer = self._run([*self._common(), *options])
        considered = answer.words("KEY_CONSIDERED")
        if not (answer.has("END_ENCRYPTION") and considered):
            raise KeyRefError(
                "no secret PGP key here can be the default",
                hint="make one with `gpg --quick-gen-key`, or name a key: pgp:FINGERPRINT",
            )
        own = SCHEME.parse(considered[-1][0])
        self._own.add(own)
        return own

    def wrap(self, ref: KeyRef, dek: bytes, context: Mapping[str, str]) -> bytes:
        """A binary OpenPGP message to that key and no other, signed with the caller's key where there is one.

        Raises KeyRefError for a key that is unknown, expired, revoked, disabled or can't encrypt; BackendError where
        gpg fails, where the signing key can't be unlocked, and where a signature is required but nobody can sign.
        """
        to = self._recipient(ref)
        arguments = [*self._common(), *_ENCRYPT, "--recipient", to.word]
        answer = self._secret([*arguments, "--sign"], dek) if self._signs else None
        if answer is None or status.has_no_signer(answer):
            if self._require_signature:
                raise BackendError(
                    "a signature is required, and there is no secret PGP key here that can sign",
                    hint="make one with `gpg --quick-gen-key`, or lift requireSignature in .ksecret.yaml",
                )
            self._signs = False
            answer = self._run(arguments, dek)
        if not answer.has("END_ENCRYPTION") or answer.has("FAILURE") or (self._signs and not answer.has("SIG_CREATED")):
            raise status.not_encrypted(answer)
        if status.addressee(answer.output) not in to.key_ids:
            raise BackendError(
                "gpg made a message that is not to exactly that key, or lacks integrity protection",
                hint="check gpg.conf for `recipient`, `hidden-recipient`, `rfc2440`",
            )
        return answer.output

    def unwrap(self, ref: KeyRef, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        """The DEK, 32 bytes, of an OpenPGP message, binary or armoured, to any secret key that is here.

        Raises KeyNotHeldError where none of its keys is here; AlteredError for a message that was altered, has no
        integrity protection, has a bad or expired signature, is not 32 bytes, or lacks a good signature where one is
        required; BackendError for a locked key, a wrong passphrase, an agent that fails.
        """
        if len(wrapped) > MAX_WRAPPED_BYTES:
            raise AlteredError("its wrapped data key is too long", hint=RESTORE_HINT)
        if self._in_vain >= _ALONE and ref.id not in self._held_keys():
            raise self._no_secret_key()
        answer = self._secret([*self._common(), *_DECRYPT], wrapped)
        if answer.has("NO_SECKEY") and not answer.has("DECRYPTION_OKAY") and not answer.error_code("pkdecrypt_failed"):
            self._in_vain += 1
            raise self._not_held(ref)
        status.check_opened(answer)
        if self._named_only and not status.was_opened_by(answer, ref.id):
            raise AlteredError("its wrapped data key is another key's than the file says", hint=RESTORE_HINT)
        dek = checked_dek(answer.output)
        reason = status.unsigned_because(answer) if self._require_signature else ""
        if reason:
            raise AlteredError(
                f"a signature is required on its wrapped data key: {reason}",
                hint=status.SIGN_HINT,
            )
        return dek

    def describe(self, ref: KeyRef) -> str:
        """The user id of the key's owner, `Alice <alice@example.org>`; "" where it is not known. Never fails."""
        if ref not in self._owners:
            try:
                self._owners[ref] = self._owner(ref)
            except (BackendError, UsageError):
                self._owners[ref] = ""
        return self._owners[ref]

    def holds(self, ref: KeyRef) -> bool | None:
        """Tell whether its secret half is here; None where gpg can't tell."""
        if ref in self._own:
            return True
        try:
            return ref.id in self._held_keys()
        except (BackendError, UsageError):
            return None

    def offers(self) -> list[Offer]:
        """The secret keys here that can encrypt. Raises BackendError."""
        from secretsvc.backends.gnupg import choosing

        return choosing.offers(self._found(), self._environ, self._common())

    def make(self, told: str) -> KeyRef:
        """A new key for `Alice Doe <alice@example.org>`. Raises UsageError and BackendError."""
        from secretsvc.backends.gnupg import choosing

        environ = {**self._environ, **_terminal(self._environ)}
        return choosing.make(self._found(), environ, self._common(), told)

    def _owner(self, ref: KeyRef) -> str:
        """A few keys are looked up one by one, in however large a keyring; more by one list of all that are in it."""
        if len(self._owners) < _ALONE:
            return status.owner(self._listing("--list-keys", ref).output)
        if self._names is None:
            self._names = {}
            self._names = status.owners(self._list_all("--list-keys"))
        return self._names.get(ref.id, "")

    def _held_keys(self) -> frozenset[str]:
        """The fingerprints of all keys and subkeys of which the secret half is here."""
        until, held = self._held
        if monotonic() > until:
            held = frozenset(key.fingerprint for key in status.secret_keys(self._list_all("--list-secret-keys")))
            self._held = (monotonic() + _REMEMBERED, held)
        return held

    def _recipient(self, ref: KeyRef) -> status.Recipient:
        """Return how to encrypt to a key, looked up once a run. Raises KeyRefError."""
        if ref not in self._recipients:
            keys = status.listed_keys(self._listing("--list-keys", ref).output)
            self._recipients[ref] = status.recipient(ref, keys)
        return self._recipients[ref]

    def _not_held(self, ref: KeyRef) -> KeyNotHeldError | BackendError:
        """The error for a message that gpg found no secret key for: it says the same where its agent is broken."""
        answer = self._listing("--list-secret-keys", ref)
        code = answer.error_code("keylist.getkey")
        if code not in (0, 9, 17):  # neither held, nor unknown, nor without its secret half
            return status.failure(code, "decrypt", answer.home)
        return self._no_secret_key()

    def _no_secret_key(self) -> KeyNotHeldError:
        hint = "`gpg --list-secret-keys` shows the keys that are"
        if self._keyring:
            hint += "; your own public key must be in the keyring given by --keyring too"
        return KeyNotHeldError("its secret PGP key is not on this machine", hint=hint)

    def _list_all(self, command: str) -> bytes:
        return self._run([*self._common(), "--with-colons", command], most=MAX_LISTING).output

    def _listing(self, command: str, ref: KeyRef) -> GpgAnswer:
        return self._run([*self._common(), "--with-colons", command, "--", ref.id])

    def _common(self) -> list[str]:
        """The arguments of every call. Raises UsageError for a keyring that is not there: gpg would make it."""
        if not self._keyring:
            return [*_ALWAYS]
        home = self._environ.get("GNUPGHOME") or os.path.join(self._environ.get("HOME", ""), ".gnupg")
        path = self._keyring if os.sep in self._keyring else os.path.join(home, self._keyring)
        if not os.path.isfile(os.path.expanduser(path)):
            raise UsageError(f"the keyring {self._keyring} does not exist")
        return [*_ALWAYS, "--no-default-keyring", "--keyring", self._keyring]

    def _secret(self, arguments: Sequence[str], data: bytes) -> GpgAnswer:
        """Gpg with a secret key: its passphrase by the settings' callable, else by gpg's own pinentry."""
        if not self._own_pinentry:
            try:
                answer = self._run(arguments, data, ask=True)
                if not answer.error_code("set_pinentry_mode"):
                    return answer
            except run.NoPassphraseError:
                pass
            self._own_pinentry = True
        self._environ = {**self._environ, **_terminal(self._environ)}
        with_person = any(self._environ.get(name) for name in ("GPG_TTY", "DISPLAY", "WAYLAND_DISPLAY"))
        return self._run(arguments, data, limit=_LIMIT_WITH_PERSON if with_person else _LIMIT)

    def _run(
        self,
        arguments: Sequence[str],
        data: bytes = b"",
        *,
        ask: bool = False,
        limit: float = 0,
        most: int = run.MAX_ANSWER,
    ) -> GpgAnswer:
        self._program = self._program or self._found()
        asker = self._passphrase_once if ask else None
        return run.run(
            self._program,
            arguments,
            environ=self._environ,
            limit=limit or _LIMIT,
            data=data,
            passphrase=asker,
            most=most,
            meanwhile=self._meanwhile if ask else None,
        )

    def _found(self) -> str:
        """The path of gpg. Raises BackendUnavailableError also where GNUPGHOME is no folder: gpg would find no keys."""
        home = self._environ.get("GNUPGHOME", "")
        if home and not os.path.isdir(home):
            hint = "make it by `mkdir -m 700`, set GNUPGHOME to the folder of your keys, or unset it for ~/.gnupg"
            raise BackendUnavailableError(f"GNUPGHOME names no folder: {home}", hint=hint)
        return run.find(self._environ)

    def _passphrase_once(self) -> bytes | None:
        """The passphrase by the settings' callable, which is called once in a run, whatever it gives."""
        with self._lock:
            if not self._asked:
                self._passphrase = self._ask(SCHEME.name)
                self._asked = True
            return self._passphrase


def _terminal(environ: Mapping[str, str]) -> dict[str, str]:
    """GPG_TTY, where it is not set: gpg can't find the terminal for its pinentry by itself when its input is a pipe."""
    if not environ.get("GPG_TTY"):
        for descriptor in (0, 1, 2):
            if os.isatty(descriptor):
                return {"GPG_TTY": os.ttyname(descriptor)}
    return {}
