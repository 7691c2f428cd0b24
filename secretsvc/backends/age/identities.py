"""The sources of age identities: each is read once a run, and what can't be used of one spoils no other."""

from __future__ import annotations

import os
import stat
import time
from _thread import allocate_lock

import pyrage

from secretsvc.backends.base import Place
from secretsvc.errors import BackendError, FileError, InputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import TypeAlias

    from secretsvc.backends.base import Settings

MAX_IDENTITY_BYTES = 1024 * 1024
MOST_IDENTITIES = 100
"""In one source. Each is tried on each stanza of a wrapped DEK, at 0.1 ms a try in which no other thread runs."""

_IDENTITY = "AGE-SECRET-KEY-1"
_OF_PLUGINS = ("AGE-PLUGIN-", "AGE-SECRET-KEY-PQ-1")
"""Begin identities that programs open by: plug-ins', and those of age's own post-quantum type, by age-plugin-pq."""
_ENCRYPTED = (b"age-encryption.org/v1", b"-----BEGIN AGE ENCRYPTED FILE-----")
_SSH = b"-----BEGIN "
_BOM = b"\xef\xbb\xbf"

Identity: TypeAlias = "pyrage.x25519.Identity | pyrage.ssh.Identity"


def default_identity_path(environ: Mapping[str, str]) -> str:
    """Return where `ksecret init` puts the identity: `$XDG_CONFIG_HOME/ksecret/age.key`, else under `~/.config`."""
    return os.path.join(_settings_folder(environ), "ksecret", "age.key")


def _settings_folder(environ: Mapping[str, str]) -> str:
    home = environ.get("HOME") or os.path.expanduser("~")
    return environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")


def make_identity(path: str) -> None:
    """Write a new identity as age-keygen does: 0600, in a folder that is its owner's alone.

    Raises InputError where something is there already, and FileError.
    """
    if os.path.lexists(path):
        hint = "move it away, and run this again"
        raise InputError("it holds no age identity that one could seal to", hint=hint, file=path)
    identity = pyrage.x25519.Identity.generate()
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    text = f"# created: {created}\n# public key: {identity.to_public()}\n{identity}\n"
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
            stream.write(text)
    except OSError as error:
        raise FileError(f"can't be written: {error.strerror}", file=path) from error


class Identities:
    """The identities of a run, in the order in which they count: `KSECRET_AGE_KEY` (the text), the file that
    `KSECRET_AGE_KEY_FILE` names, the user's own `ksecret/age.key`, and where SOPS finds them (`places_of_sops`).
    Serves several threads, and takes files that were replaced meanwhile, where its settings want them watched.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = allocate_lock()
        self._sources: list[_Source] | None = None
        self._paths: tuple[str, ...] = ()
        self._knows_sops = False
        self._stamps: list[_Stamp] = []

    def in_clear(self) -> list[Identity]:
        """Return the identities that are at hand without asking anybody for a passphrase, or a command for them."""
        return [identity for source in self._all() for identity in source.identities]

    def all(self) -> Iterator[list[Identity]]:
        """Yield those in the clear, and then, source by source, those that somebody or a command is asked for."""
        yield self.in_clear()
        yield from self.when_asked()

    def named(self, recipient: str) -> list[Identity]:
        """Return the identity with that public key; none where it is not here. Asks for others where none has it."""
        for source in sorted(self._all(), key=lambda source: source.was_locked):
            with self._lock:
                source.unlock(self._settings.passphrase)
                found = source.named(recipient)
            if found:
                return found
        return []

    def when_asked(self) -> Iterator[list[Identity]]:
        """Yield, source by source, those that somebody or a command is asked for: as each is taken, once a run."""
        for source in self._all():
            if source.was_locked:
                with self._lock:
                    source.unlock(self._settings.passphrase)
                yield source.identities

    def of_plugins(self) -> dict[str, list[str]]:
        """Return the identities of plug-ins, by the plug-in's name, as far as they are at hand without asking."""
        found: dict[str, list[str]] = {}
        for source in self._all():
            for name, text in source.of_plugins:
                found.setdefault(name, []).append(text)
        return found

    def has_locked(self) -> bool:
        """Tell whether there are some that nobody has asked for yet."""
        return any(source.is_locked for source in self._all())

    def recipient(self) -> str:
        """The public key of the first identity; empty where there is none.

        Raises BackendError where there are sources, and none of them can be used.
        """
        for source in self._all():
            with self._lock:
                source.unlock(self._settings.passphrase)
            if source.identities:
                return source.recipient()
        problem = self.problem()
        if problem:
            raise problem
        return ""

    def problem(self) -> BackendError | None:
        """All that can't be used, as one error."""
        found = [problem for source in self._all() for problem in source.problems]
        if not found:
            return None
        hint = next((problem.hint for problem in found if problem.hint), "")
        return BackendError("; ".join(problem.message for problem in found), hint=hint)

    def places(self) -> list[Place]:
        """Return where they are looked for, in order, and what was found there."""
        return [source.place() for source in self._all()]

    def _all(self) -> list[_Source]:
        with self._lock:
            if self._sources is not None and not self._settings.watches:
                return self._sources
            stamps = [_stamp(path) for path in self._watched()]
            if self._sources is None or stamps != self._stamps:
                self._stamps = stamps
                self._sources = list(_sources(self._settings.environ))
                for source in self._sources:
                    if source.mode & 0o077 and not _is_mounted_for_reading(source.name):
                        what = f"holds a private key, and its mode {source.mode:04o} lets others at it: chmod 600"
                        self._settings.warn(f"{source.name} {what}")
            return self._sources

    def _watched(self) -> tuple[str, ...]:
        """Return the files that are looked at for every DEK: a variable does not change, SOPS's folder may come."""
        environ = self._settings.environ
        if not self._paths or (not self._knows_sops and os.path.isdir(_folder_of_sops(environ))):
            self._paths = tuple(dict.fromkeys(filter(None, _watched(environ))))
            self._knows_sops = _has_places_of_sops(environ)
        return self._paths


def _paths(environ: Mapping[str, str]) -> tuple[str, str]:
    return environ.get("KSECRET_AGE_KEY_FILE", ""), default_identity_path(environ)


def _has_places_of_sops(environ: Mapping[str, str]) -> bool:
    """Tell whether it is worth an import."""
    from_variables = any(name.startswith("SOPS_AGE_") for name in environ)
    return from_variables or os.path.isdir(_folder_of_sops(environ))


def _folder_of_sops(environ: Mapping[str, str]) -> str:
    return os.path.join(_settings_folder(environ), "sops")


def _watched(environ: Mapping[str, str]) -> Iterator[str]:
    yield from _paths(environ)
    if _has_places_of_sops(environ):
        from secretsvc.backends.age import places_of_sops

        yield from places_of_sops.files(environ)


_Stamp = tuple[int, int, int] | None


def _stamp(path: str) -> _Stamp:
    """Tells a file from what was there before; None where there is none, and for a pipe, which gives its text once."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return (status.st_ino, status.st_size, status.st_mtime_ns) if stat.S_ISREG(status.st_mode) else None


def _is_mounted_for_reading(path: str) -> bool:
    """Tell whether nobody here could change its mode: of a Secret in a volume, which Kubernetes shows 0440 at best."""
    try:
        return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    except OSError:
        return False


def _sources(environ: Mapping[str, str]) -> Iterator[_Source]:
    text = environ.get("KSECRET_AGE_KEY", "")
    yield _Source("KSECRET_AGE_KEY", os.fsencode(text), "" if text else "not set")
    named, default = _paths(environ)
    yield _from_file(named) if named else _Source("KSECRET_AGE_KEY_FILE", absent="not set")
    if os.path.abspath(named) != os.path.abspath(default):
        yield _from_file(default, may_be_absent=True)
    if _has_places_of_sops(environ):
        yield from _sources_of_sops(environ)


def _sources_of_sops(environ: Mapping[str, str]) -> Iterator[_Source]:
    """Yield only what is there: who has none of them is told of none."""
    from secretsvc.backends.age import places_of_sops

    for name, said in places_of_sops.variables(environ):
        if name == places_of_sops.TEXT:
            yield _Source(name, os.fsencode(said))
        elif name in places_of_sops.COMMANDS:
            from functools import partial

            yield _Source(name, ask=partial(places_of_sops.output, name, environ))
        else:
            yield _from_file(said)
    found = _from_file(places_of_sops.default_path(environ), may_be_absent=True)
    if not found.is_absent:
        yield found


def _from_file(path: str, *, may_be_absent: bool = False) -> _Source:
    try:
        with open(path, "rb") as stream:
            data = stream.read(MAX_IDENTITY_BYTES + 1)
            status = os.fstat(stream.fileno())
    except OSError as error:
        if may_be_absent and isinstance(error, FileNotFoundError | NotADirectoryError):
            return _Source(path, absent="no such file")
        message = f"the age identity file {path} can't be read: {error.strerror}"
        return _Source(path, problem=BackendError(message, hint="check its path and permissions"))
    if len(data) > MAX_IDENTITY_BYTES:
        return _Source(path, problem=BackendError(f"{path} is no age identity file: it is too large"))
    return _Source(path, data, mode=stat.S_IMODE(status.st_mode) if stat.S_ISREG(status.st_mode) else 0)


class _Source:
    """A variable or a file, and what it gave: identities, age's own or one SSH key, and what can't be used of it."""

    def __init__(
        self,
        name: str,
        data: bytes = b"",
        absent: str = "",
        problem: BackendError | None = None,
        *,
        mode: int = 0,
        ask: Callable[[], bytes] | None = None,
    ) -> None:
        """`mode`: of a file in which identities stand in the clear, its permissions; else 0. `ask`: gives the data."""
        self.name = name
        self.identities: list[Identity] = []
        self.of_plugins: list[tuple[str, str]] = []
        """Name of the plug-in, and the identity's text."""
        self._by_recipient: dict[str, Identity] | None = None
        self.problems = [problem] if problem else []
        self._absent = absent
        self._data = data.removeprefix(_BOM)
        self._ask = ask
        self.was_locked = ask is not None or self._is_behind_passphrase
        self.is_locked = self.was_locked
        self.mode = 0 if self.is_locked else mode
        if not self.is_locked:
            self._take()

    @property
    def is_absent(self) -> bool:
        """Tell whether there is no such place."""
        return bool(self._absent)

    @property
    def _is_ssh(self) -> bool:
        return self._data.startswith(_SSH) and not self._data.startswith(_ENCRYPTED)

    @property
    def _is_behind_passphrase(self) -> bool:
        return self._data.startswith(_ENCRYPTED) or (self._is_ssh and _needs_passphrase(self._data))

    def unlock(self, passphrase: Callable[[str], bytes | None]) -> None:
        """Take what a command gives, or is behind a passphrase; that it can't be had is one of its problems then."""
        if not self.is_locked:
            return
        try:
            if self._ask:
                self._data = self._ask()[:MAX_IDENTITY_BYTES].removeprefix(_BOM)
            if self._is_behind_passphrase:
                self._data = self._without_passphrase(passphrase(f"age identity {self.name}"))
            self._take()
        except BackendError as error:
            self.problems.append(error)
        self.is_locked = False

    def recipient(self) -> str:
        """The public key of its first identity."""
        return self._recipient(self.identities[0])

    def named(self, recipient: str) -> list[Identity]:
        """Return its identity with that public key."""
        if self._by_recipient is None:
            self._by_recipient = {self._recipient(one): one for one in self.identities}
        return [self._by_recipient[recipient]] if recipient in self._by_recipient else []

    def _recipient(self, identity: Identity) -> str:
        if isinstance(identity, pyrage.x25519.Identity):
            return str(identity.to_public())
        return _public_ssh_key(self._data)

    def place(self) -> Place:
        """Return where it is, and what was found there."""
        if self._absent:
            return Place(self.name, self._absent, is_absent=True)
        count = len(self.identities)
        parts = [f"{count} {'identity' if count == 1 else 'identities'}"] if count or not self.problems else []
        more = len(self.of_plugins)
        parts += [f"{more} of plug-ins: {', '.join(sorted({name for name, _ in self.of_plugins}))}"] if more else []
        parts = ["given by a command" if self._ask else "behind a passphrase"] if self.is_locked else parts
        hint = next((problem.hint for problem in self.problems if problem.hint), "")
        said = "; ".join([*parts, *(problem.message for problem in self.problems)])
        return Place(self.name, said, hint, count, is_bad=bool(self.problems))

    def _take(self) -> None:
        """The identities in the clear, as far as they can be used."""
        if self._is_ssh:
            try:
                self.identities = [pyrage.ssh.Identity.from_buffer(self._data)]
            except pyrage.IdentityError:
                hint = "ed25519 and RSA keys in OpenSSH's or PEM form are"
                self.problems.append(BackendError(f"the SSH key in {self.name} is not one that age can use", hint=hint))
            return
        lines = map(str.strip, self._data.decode("utf-8", "replace").splitlines())
        words = [line for line in lines if line and not line.startswith("#")]
        if len(words) > MOST_IDENTITIES:
            self.problems.append(BackendError(f"{self.name} holds more than {MOST_IDENTITIES} age identities"))
            return
        if any(word.startswith(_OF_PLUGINS) for word in words):
            from secretsvc.backends.age import plugins

            words = list(map(plugins.identity, words))
            named = [(plugins.name_of_identity(word), word) for word in words]
            self.of_plugins = [(name, word) for name, word in named if name]
            words = [word for name, word in named if not name]
        found = [_x25519(word) for word in words]
        self.identities = [identity for identity in found if identity]
        if len(self.identities) < len(found):
            hint = f"a line starts with {_IDENTITY} or AGE-PLUGIN-NAME-1, or the file is an SSH private key"
            message = f"{self.name} holds a line that is not an age identity"
            self.problems.append(BackendError(message, hint=hint))

    def _without_passphrase(self, passphrase: bytes | None) -> bytes:
        if passphrase is None:
            raise BackendError(
                f"the age identity in {self.name} is protected by a passphrase, and there is nobody to ask",
                hint="give the passphrase with --passphrase-file or KSECRET_AGE_PASSPHRASE, or run on a terminal",
            )
        try:
            if self._is_ssh:
                return _decrypted_ssh_key(self._data, passphrase)
            return bytes(pyrage.passphrase.decrypt(self._data, passphrase.decode()))
        except (pyrage.DecryptError, ValueError):
            kind = "SSH key" if self._is_ssh else "age identity"
            raise BackendError(f"the passphrase does not open the {kind} in {self.name}") from None


def _x25519(word: str) -> pyrage.x25519.Identity | None:
    try:
        return pyrage.x25519.Identity.from_str(word)
    except pyrage.IdentityError:
        return None


def _needs_passphrase(ssh_key: bytes) -> bool:
    try:
        pyrage.ssh.Identity.from_buffer(ssh_key)
    except pyrage.IdentityError as error:
        return "decrypted first" in str(error)
    return False


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


def _public_ssh_key(data: bytes) -> str:
    """`ssh-ed25519 AAAA…` or `ssh-rsa AAAA…`: the public half of a private key without a passphrase."""
    from cryptography.hazmat.primitives.serialization import (  # only to seal to an SSH key of one's own
        Encoding,
        PublicFormat,
        load_pem_private_key,
        load_ssh_private_key,
    )

    openssh = data.startswith(b"-----BEGIN OPENSSH")
    key = load_ssh_private_key(data, None) if openssh else load_pem_private_key(data, None)
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
