"""The keyring of one request: only the keys that its caller may use, each call timed, and no call after its end."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from secretsvc.api.metrics import schemes
from secretsvc.api.problems import FORBIDDEN, RefusedError
from secretsvc.errors import BackendError, KsecretError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from secretsvc.api.attempts import Attempt
    from secretsvc.api.metrics import Metrics
    from secretsvc.backends.registry import Backends
    from secretsvc.keyref import KeyRef, WrappedKey

    Permitted = Mapping[frozenset[str], frozenset[str]]
    """Keyset, as KeyRefs → those of them that may be used to open it."""


class CallerKeyring:
    """A `Keyring` for one request. A DEK that it unwraps is kept until the request ends, for its second step."""

    def __init__(
        self,
        backends: Backends,
        attempt: Attempt,
        metrics: Metrics,
        uris: frozenset[str],
        permitted: Permitted,
        *,
        held: dict[object, bytes] | None = None,
    ) -> None:
        """`uris`: the KeyRefs that the request was found to need, and may use."""
        self._backends = backends
        self._attempt = attempt
        self._metrics = metrics
        self._uris = uris
        self._permitted = permitted
        self._held: dict[object, bytes] = {} if held is None else held

    def wrap(self, ref: KeyRef, dek: bytes, context: Mapping[str, str]) -> bytes:
        """Wrap a DEK, as `Backends.wrap`. Raises RefusedError for a key that the request was not planned to use."""
        self._check([str(ref)])
        with self._call("wrap", [str(ref)]):
            return self._backends.wrap(ref, dek, context)

    def unwrap(self, keys: Iterable[WrappedKey]) -> bytes:
        """Unwrap a DEK, as `Backends.unwrap`, by those keys only that the caller may use."""
        listed = tuple(keys)
        allowed = self._permitted.get(frozenset(str(key.ref) for key in listed), frozenset())
        usable = [key for key in listed if str(key.ref) in allowed]
        contexts = tuple(tuple(sorted(key.context.items())) for key in usable)
        which = (frozenset((key.ref, key.wrapped) for key in usable), contexts, id(self._backends))
        if which not in self._held:
            with self._call("unwrap", [str(key.ref) for key in usable]):
                self._held[which] = self._backends.unwrap(usable)
        return self._held[which]

    def rewrap(self, keys: Iterable[WrappedKey], dek: Callable[[], bytes]) -> tuple[WrappedKey, ...]:
        """Wrap the same DEK anew, as `Backends.rewrap`. Raises as `wrap`."""
        listed = tuple(keys)
        uris = [str(key.ref) for key in listed]
        self._check(uris)
        secret = dek()  # a call of its own, and the seal is looked at in any case
        with self._call("rewrap", uris):
            return self._backends.rewrap(listed, lambda: secret)

    def role(self, _ref: KeyRef) -> str:
        """Return none: a service follows no roles."""
        return ""

    def signed(self) -> CallerKeyring:
        """Return one that demands signatures, as `Backends.signed`."""
        return CallerKeyring(
            self._backends.signed(), self._attempt, self._metrics, self._uris, self._permitted, held=self._held
        )

    def unsigned(self) -> CallerKeyring:
        """Return one that signs nothing, as `Backends.unsigned`."""
        return CallerKeyring(
            self._backends.unsigned(), self._attempt, self._metrics, self._uris, self._permitted, held=self._held
        )

    def _check(self, uris: Iterable[str]) -> None:
        """Refuse a key that the plan does not have: plans ask the rules, and operations keep to plans."""
        if not self._uris.issuperset(uris):
            raise RefusedError(FORBIDDEN, "a key that the request was not found to need")

    @contextmanager
    def _call(self, operation: str, uris: Collection[str]) -> Iterator[None]:
        label, began = schemes(uris), time.perf_counter()
        result = "error"
        try:
            with self._attempt.call(uris):
                yield
            result = "ok"
        except KsecretError as error:
            result = "unavailable" if isinstance(error, BackendError) else "refused"
            raise
        finally:
            self._metrics.operations.labels(operation, label, result).inc()
            self._metrics.kms_seconds.labels(operation, label).observe(time.perf_counter() - began)
