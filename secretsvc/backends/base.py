"""Protocols of a kind of keys, told offline (`Scheme`), and of its backend, which wraps and unwraps DEKs with them."""

from __future__ import annotations

from secretsvc.errors import RESTORE_HINT, AlteredError, install_hint
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Protocol

    from secretsvc.keyref import KeyRef, Principal
else:
    Protocol = object


DEK_BYTES = 32

SHARE_BYTES = DEK_BYTES + 1
"""Of what each group of keys holds where a DEK is split among several (`secretsvc.shamir`)."""


def additional_data(context: Mapping[str, str]) -> bytes:
    """The encryption context as additional authenticated data: JSON with sorted keys, no spaces and only ASCII.

    An empty context gives no bytes at all, not `{}`: that is what `gcloud kms decrypt` uses.
    """
    import json

    return json.dumps(dict(context), sort_keys=True, separators=(",", ":")).encode() if context else b""


def checked_dek(dek: bytes) -> bytes:
    """Return what was unwrapped. Raises AlteredError where it has not the length of a DEK, nor of a share of one.

    Which of the two is due, formats know: they take no DEK of another length.
    """
    if len(dek) not in (DEK_BYTES, SHARE_BYTES):
        raise AlteredError(f"its wrapped data key is not {DEK_BYTES} bytes", hint=RESTORE_HINT)
    return dek


class Installed(Record):
    """An answer to whether what a backend needs is on this machine."""

    ok: bool
    said: str
    """What was found, or what is missing."""
    hint: str = ""
    """What to install."""


def library(module: str, extra: str) -> Installed:
    """Return whether a module can be found, without importing it. `extra`: of ours, which brings it along."""
    from importlib.util import find_spec

    try:
        found = find_spec(module)
    except ModuleNotFoundError:
        found = None
    return (
        Installed(True, "installed") if found else Installed(False, "its library is not installed", install_hint(extra))
    )


class Scheme:
    """One kind of keys: what its names look like, and what the machine must have, told without any key.

    A third party adds one by an object of a class of its own, derived from this one, under the entry-point group
    `ksecret.backends`, by the scheme's name. Its module imports no SDK, starts no program and touches no network: every
    command that meets such a KeyRef loads it, and texts of hostile files come to its methods.
    """

    name: str
    """What a KeyRef's URI starts with: small letters and digits."""
    title: str
    """The field's name for such keys, for people."""
    example: str
    """What stands behind `name:`, for hints."""
    cost: int
    """Milliseconds, about, until a first DEK is unwrapped: a keyset's cheapest members are tried first."""
    secrets: tuple[str, ...] = ()
    """Environment variables that no other program is handed. (Those of ours, `KSECRET_…`, never are.)"""
    passphrase: str = ""
    """The environment variable that may hold a passphrase for its keys; empty where they have none."""
    has_prompt: bool = False
    """Whether its backend asks for passphrases itself, where it is told none."""
    has_default: bool = False
    """Whether `name:default` stands for a key of the caller's own: its backend is an `abilities.HasDefault`."""
    has_identities: bool = False
    """Whether the caller's own key is what it is sealed to by default: its backend is an `abilities.HasIdentities`."""
    is_local: bool = False
    """Whether its private keys are on this machine, so that listing them asks nobody else."""
    names_owners: bool = True
    """Whether its backend may know who holds a key; else none is made to be asked."""
    has_profiles: bool = False
    """Whether a policy may name the profile of credentials that uses a key."""
    sops_list: str = ""
    """What SOPS calls a list of such keys; empty where it has none."""
    sops_field: str = ""
    """The field with a key's name in an entry of such a list in `.sops.yaml`; empty where an entry is a text."""
    sops_flat: str = ""
    """What a rule of `.sops.yaml` without groups calls such a list, where that differs."""
    sops_group: str = ""
    """What a group of keys in `.sops.yaml` calls it, where that differs."""
    sops_option: str = ""
    """What sops's command line calls it, where that differs by more than dashes."""
    sops_variable: str = ""
    """The environment variable that names such keys to SOPS, parted by commas."""

    def backend(self, settings: Settings) -> Backend:
        """Return the backend for a run. Imports its module only now."""
        raise NotImplementedError

    def parse(self, text: str) -> KeyRef:
        """Return the canonical KeyRef of a URI's text after `name:`: the only spelling that backends meet.

        Raises KeyRefError, which never shows the text: it may be key material by mistake. What this gives back
        unchanged, backends may be trusted with.
        """
        raise NotImplementedError

    def verify(self, ref: KeyRef) -> None:
        """Raise KeyRefError for a slip in a canonical KeyRef that can be told offline, as by a checksum."""

    def is_bare(self, text: str) -> bool:
        """Tell whether a text is a name of such a key that stands by itself, without `name:`.

        A plug-in is asked only about texts with a colon, a slash or a space in them.
        """
        return False

    def leaves_version(self, ref: KeyRef) -> bool:
        """Tell whether a name leaves it open which version of a key is meant, for the newest when it is sealed to.

        Its backend is an `abilities.Resolves` then. Files state versions only.
        """
        return False

    def unversioned(self, ref: KeyRef) -> KeyRef:
        """Return the name that leaves it open which version of that key is meant; its own where the kind has none.

        Texts that `parse` never saw come here too.
        """
        return ref

    def home(self, ref: KeyRef) -> str:
        """Return what fails as one with that key, as a region or a host; empty where all keys of the kind do.

        Texts that `parse` never saw come here too.
        """
        return ""

    def sops_entry(self, ref: KeyRef) -> dict[str, str]:
        """Return the fields that name a key in an entry of a group in `.sops.yaml`; none where an entry is a text."""
        return {self.sops_field: ref.id} if self.sops_field else {}

    def version(self, wrapped: bytes) -> str:
        """Return the version of the key that a DEK was wrapped by, as far as what was wrapped tells; else empty."""
        return ""

    def installed(self) -> Installed:
        """Return whether what the backend needs is on this machine. Imports nothing of it."""
        return Installed(True, "built in")


class Settings(Record):
    """The facts that a run tells its backends. Each takes what concerns it."""

    environ: Mapping[str, str]
    passphrase: Callable[[str], bytes | None]
    """Asked with what is to be unlocked, the scheme first ("age identity …", "pgp"); None where nobody can tell it."""
    keyring: str = ""
    """gpg: the public keyring's file, in place of the default one."""
    require_signature: bool = False
    """gpg: refuse a wrapped DEK without a good signature."""
    principals: Mapping[str, Principal] = {}
    """aws: KeyRef → who uses it, in place of whom the environment says."""
    warn: Callable[[str], None] = lambda _: None
    """Told, once each, of what works and should not stay so: a line without a value in it."""
    starts_plugins: bool = False
    """age: start the programs of plug-ins that the user allows, which may ask for a touch or a PIN on the terminal."""
    signs: bool = True
    """gpg: sign what is wrapped, where there is a key to sign with."""
    meanwhile: Callable[[], None] = lambda: None
    """Called while another program works, for what is to be done afterwards anyway."""
    named_only: bool = False
    """age, gpg: unwrap by the key that the KeyRef names, and by no other one that is here: whoever asks may use that
    one only, and could have written its name beside what is wrapped under another."""
    watches: bool = True
    """age: look for every DEK whether files of identities were replaced, as Kubernetes replaces those of a mounted
    Secret. A command ends before that."""
    sessions: dict[Principal, Any] | None = None
    """aws: those of this run, which its backends share, whatever else differs in their settings."""


class Backend(Protocol):
    """One home of KEKs, which its `Scheme` makes for a run.

    An instance serves one run, from several threads: it may keep clients, identities and unlocked agents, never a DEK.
    Importing its module and making it must start no process and touch no network. One whose `forks` is true goes
    on in copies of this process (os.fork), which share no connection with it.
    """

    jobs: int
    """How many DEKs are worth unwrapping at a time, from as many threads."""

    def wrap(self, ref: KeyRef, dek: bytes, context: Mapping[str, str]) -> bytes:
        """The DEK (32 bytes) wrapped under `ref`; `context` is authenticated with it where the backend can.

        Raises KeyRefError for a key that can't encrypt (expired, revoked, unknown), BackendError for a failure.
        """
        ...

    def unwrap(self, ref: KeyRef, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        """The DEK again. Raises KeyNotHeldError where this machine has not got the key, BackendError for a failure."""
        ...

    def describe(self, ref: KeyRef) -> str:
        """Tell who or what the key is, for people, from what this machine knows offline; "" where it knows nothing."""
        ...


class Place(Record):
    """A place where identities are looked for, and what was found there, for people."""

    name: str
    """A variable's name, or a file's path."""
    found: str
    """`not set`, `no such file`, `1 identity`, `behind a passphrase`, or what is wrong with it."""
    hint: str = ""
    usable: int = 0
    """How many identities of it can be used without asking for a passphrase."""
    is_bad: bool = False
    """Whether something in it can't be used."""
    is_absent: bool = False
