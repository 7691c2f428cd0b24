"""The backends of one run, found by scheme and made when first needed."""

from __future__ import annotations

from _thread import allocate_lock

from secretsvc import patience
from secretsvc.backends import WITH_IDENTITIES, complete, every, find, names, split
from secretsvc.errors import (
    RESTORE_HINT,
    AlteredError,
    BackendError,
    KeyNotHeldError,
    KeyRefError,
    KsecretError,
    NoKeyError,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from secretsvc.backends.abilities import HasIdentities
    from secretsvc.backends.base import Backend, Scheme, Settings
    from secretsvc.keyref import KeyRef, Principal, WrappedKey


class Backends:
    """Wraps and unwraps DEKs by KeyRef. Keeps each backend for the run, and never a DEK."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings if settings.sessions is not None else settings._replace(sessions={})
        self._made: dict[str, Backend] = {}
        self._signed: Backends | None = None
        self._unsigned: Backends | None = None
        self._with_principals: dict[tuple[tuple[str, Principal], ...], Backends] = {}
        self._lock = allocate_lock()

    def backend(self, scheme: str) -> Backend:
        """The backend for a scheme. Raises KeyRefError for one that is not known."""
        with self._lock:
            if scheme not in self._made:
                self._made[scheme] = _scheme(scheme).backend(self._settings)
            return self._made[scheme]

    @property
    def jobs(self) -> int:
        """Return how many files are worth working on at a time, for the backends that this run has needed so far."""
        own = max((backend.jobs for backend in self._made.values()), default=1)
        return max(own, self._signed.jobs if self._signed else 1, *(one.jobs for one in self._with_principals.values()))

    @property
    def forks(self) -> bool:
        """Tell whether the backends needed so far, and those of own keys, go on in forked processes."""
        own = map(self.backend, WITH_IDENTITIES)
        known = all(getattr(backend, "forks", False) for backend in (*self._made.values(), *own))
        return known and all(one.forks for one in (self._signed, *self._with_principals.values()) if one)

    def signed(self) -> Backends:
        """The same keys, but what PGP keys wrap must be signed, and a good signature is demanded of it."""
        if self._settings.require_signature:
            return self
        with self._lock:
            self._signed = self._signed or Backends(self._settings._replace(require_signature=True))
            return self._signed

    def unsigned(self) -> Backends:
        """The same keys, but what PGP keys wrap is not signed: who lacks the signer's key takes it for broken."""
        with self._lock:
            self._unsigned = self._unsigned or Backends(self._settings._replace(require_signature=False, signs=False))
            return self._unsigned

    def with_principals(self, principals: Mapping[str, Principal]) -> Backends:
        """The same keys, but those of AWS KMS that are named there (KeyRef → who uses it) used by these."""
        if dict(principals) == dict(self._settings.principals):
            return self
        with self._lock:
            wanted = tuple(sorted(principals.items()))
            if wanted not in self._with_principals:
                self._with_principals[wanted] = Backends(self._settings._replace(principals=dict(principals)))
            return self._with_principals[wanted]

    def role(self, ref: KeyRef) -> str:
        """Return the IAM role that the key is used in, as a policy says; "" for none."""
        principal = self._settings.principals.get(str(ref))
        return principal.role if principal else ""

    def parse(self, text: str) -> KeyRef:
        """The canonical KeyRef of what a person writes: a URI, or a name that needs no scheme.

        One that leaves a key's version open becomes the newest one's, which its home is asked for. Raises KeyRefError,
        and BackendError where that is asked.
        """
        ref = self.parse_held(text)
        scheme = _scheme(ref.scheme)
        if scheme.leaves_version(ref):
            from secretsvc.backends.abilities import Resolves

            with _Naming(ref):
                backend = self.backend(scheme.name)
                return backend.resolve(ref) if isinstance(backend, Resolves) else ref
        return ref

    def parse_held(self, text: str) -> KeyRef:
        """The same, for a key that something is sealed to: a version that is left open stays so. Raises KeyRefError."""
        written = split(complete(text))
        scheme = _scheme(written.scheme)
        if written.id.strip() == "default" and scheme.has_default:
            from secretsvc.backends.abilities import HasDefault

            backend = self.backend(scheme.name)
            if isinstance(backend, HasDefault):
                return backend.default_ref()
        ref = scheme.parse(written.id)
        scheme.verify(ref)
        return ref

    def with_identities(self) -> Iterator[tuple[str, HasIdentities]]:
        """The backends, by scheme, that know where the caller's own keys are."""
        from secretsvc.backends.abilities import HasIdentities

        for scheme in every():
            if scheme.has_identities:
                backend = self.backend(scheme.name)
                if isinstance(backend, HasIdentities):
                    yield scheme.name, backend

    def own_ref(self) -> KeyRef | None:
        """The KeyRef of the first of the caller's own keys; None where there is none.

        Raises BackendError where what there is can't be used.
        """
        return next(filter(None, (backend.own_ref() for _, backend in self.with_identities())), None)

    def wrap(self, ref: KeyRef, dek: bytes, context: Mapping[str, str]) -> bytes:
        """The DEK wrapped under `ref`. Raises KeyRefError or BackendError, which name the key."""
        with _Naming(ref):
            _check(ref)
            backend = self.backend(ref.scheme)
            return backend.wrap(ref, dek, context)

    def rewrap(self, keys: Iterable[WrappedKey], dek: Callable[[], bytes]) -> tuple[WrappedKey, ...]:
        """The same DEK wrapped anew under each of these KEKs.

        Where a backend does that itself, the DEK stays with it. Elsewhere `dek` is asked for it, and must have made
        sure that the keyset is the sealed one: a DEK would be wrapped for whoever added their key to it by hand.
        Raises as `unwrap` and `wrap`, and what `dek` raises.
        """
        from secretsvc.backends.abilities import Rewraps

        fresh = []
        for key in keys:
            patience.check()
            with _Naming(key.ref):
                backend = self._member(key.ref)
                if isinstance(backend, Rewraps):
                    wrapped = backend.rewrap(key.ref, _wrapped(key), key.context)
                else:
                    wrapped = backend.wrap(key.ref, dek(), key.context)
            fresh.append(key._replace(wrapped=wrapped, source=""))
        return tuple(fresh)

    def unwrap(self, keys: Iterable[WrappedKey]) -> bytes:
        """The DEK by the first of the keys that gives it.

        Raises, with every key's own reason: AlteredError or BackendError where one failed in that way, else NoKeyError.
        """
        failures: list[tuple[str, KsecretError]] = []
        for key in sorted(keys, key=lambda key: _order(str(key.ref))):
            patience.check()
            try:
                return self._member(key.ref).unwrap(key.ref, _wrapped(key), key.context)
            except (AlteredError, BackendError, KeyRefError, NoKeyError) as error:
                failures.append((str(key.ref), error))
        raise _summary(failures)

    def describe(self, uri: str) -> str:
        """Return who holds that key, as far as this machine knows offline; "" where it does not, or has no backend."""
        try:
            ref = split(uri)
            return self._member(ref).describe(ref) if _scheme(ref.scheme).names_owners else ""
        except KsecretError:
            return ""

    def opens(self, refs: Iterable[KeyRef]) -> bool | None:
        """Tell, without the network, whether a key of that keyset is on this machine; None where nobody can."""
        from secretsvc.backends.abilities import KnowsHeld

        members = sorted(((self.backend(ref.scheme), ref) for ref in refs), key=lambda member: _order(str(member[1])))
        answers = []
        for backend, ref in members:
            answers.append(backend.holds(ref) if isinstance(backend, KnowsHeld) else None)
            if answers[-1]:
                return True
        return None if None in answers else False

    def _member(self, ref: KeyRef) -> Backend:
        """The one way from a file's KeyRef to a backend, whose scheme's `parse` gives it back unchanged.

        Raises KeyRefError for a kind of keys that has no backend here; AlteredError for every other text, whether a
        file, a request or a plug-in supplied it.
        """
        backend = self.backend(ref.scheme)
        try:
            _check(ref)
        except KeyRefError as error:
            what = f"the name of its key is none: {error.message}"
            raise AlteredError(what, hint=RESTORE_HINT) from None
        return backend


def _scheme(name: str) -> Scheme:
    """Return the kind of keys of that name. Raises KeyRefError."""
    scheme = find(name)
    if not scheme:
        known = ", ".join(names())
        raise KeyRefError(f"no backend for keys that start with {name}:", hint=f"the ones installed here: {known}")
    return scheme


def _check(ref: KeyRef) -> None:
    """Raises KeyRefError unless it is a KeyRef that its scheme's own `parse` gives back unchanged."""
    if _scheme(ref.scheme).parse(ref.id) != ref:
        raise KeyRefError(f"that is not how ksecret spells a key of the kind {ref.scheme}:")


class _Naming:
    """Errors that name the key. A new one each time: a backend may raise what it remembers, and callers add a file."""

    def __init__(self, ref: KeyRef | str) -> None:
        self._ref = ref

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, KsecretError):
            raise type(error)(error.message, reasons=error.reasons, hint=error.hint, key_ref=str(self._ref)) from error


def _order(uri: str) -> tuple[float, str]:
    scheme = find(uri.partition(":")[0])
    return (scheme.cost if scheme else float("inf"), uri)


def _wrapped(key: WrappedKey) -> bytes:
    if not key.wrapped:
        raise AlteredError("its wrapped data key is not base64", hint=RESTORE_HINT)
    return key.wrapped


def _summary(failures: list[tuple[str, KsecretError]]) -> KsecretError:
    """One error for a keyset none of whose members worked: of the gravest kind among theirs."""
    kinds: tuple[type[KsecretError], ...] = (BackendError, AlteredError)
    gravest = next((kind for kind in kinds if any(isinstance(error, kind) for _, error in failures)), NoKeyError)
    if len(failures) == 1:
        uri, error = failures[0]
        kind = type(error) if gravest is not NoKeyError else KeyNotHeldError
        return kind(f"{uri}: {error.message}", hint=error.hint, key_ref=uri)
    reasons = tuple(f"{uri}: {error.message}" for uri, error in failures)
    hint = next((error.hint for _, error in failures if error.hint), "")
    return gravest("none of its keys could be used here", reasons=reasons, hint=hint)
