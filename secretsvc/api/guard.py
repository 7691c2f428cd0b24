"""The keyring of one request: only the keys that its caller may use, each call timed, and no call after its end."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from secretsvc.api.homes import Homes
from secretsvc.api.problems import FORBIDDEN, TIMEOUT, RefusedError
from secretsvc.backends import names
from secretsvc.errors import BackendError, BackendUnavailableError, KsecretError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from secretsvc.api.metrics import Metrics
    from secretsvc.backends.registry import Backends
    from secretsvc.keyref import KeyRef

    Permitted = Mapping[frozenset[str], frozenset[str]]
    """Keyset, as KeyRefs → those of them that may be used to open it."""


class Watch:
    """What the event loop is told of a thread at work, and the thread of the event loop."""

    def __init__(self, homes: Homes | None = None) -> None:
        self._homes = homes or Homes()
        self._uris: Collection[str] = ()
        self.began = 0.0
        """When the backend call began that runs now (time.monotonic); 0 where none does."""
        self.abandoned = False
        """Nobody waits for the result any more."""

    def check(self) -> None:
        """Raises RefusedError where nobody waits."""
        if self.abandoned:
            raise RefusedError(TIMEOUT, "given up")

    def called_for(self, seconds: float) -> bool:
        """Whether a call of a backend has been under way for longer than that."""
        began = self.began
        return bool(began) and time.monotonic() - began > seconds

    @contextmanager
    def call(self, uris: Collection[str]) -> Iterator[None]:
        """Around one call of a backend, with these keys. Raises as `check`: what hangs makes no second call."""
        self.check()
        self._uris, self.began = uris, time.monotonic()
        try:
            yield
        except BackendUnavailableError:
            self._homes.failed(uris)
            raise
        else:
            self._homes.worked(uris)
        finally:
            self.began = 0.0

    def abandon(self) -> None:
        """Nobody waits any more, for it took too long."""
        self.abandoned = True
        if self.began:
            self._homes.failed(self._uris)


class Guard:
    """A `Keyring` for one request. A DEK that it unwraps is kept until the request ends, for its second step."""

    def __init__(
        self,
        backends: Backends,
        watch: Watch,
        metrics: Metrics,
        uris: frozenset[str],
        permitted: Permitted,
        *,
        held: dict[object, bytes] | None = None,
    ) -> None:
        """`uris`: the KeyRefs that the request was found to need, and may use."""
        self._backends = backends
        self._watch = watch
        self._metrics = metrics
        self._uris = uris
        self._permitted = permitted
        self._held: dict[object, bytes] = {} if held is None else held

    def wrap(self, ref: KeyRef, dek: bytes, context: Mapping[str, str]) -> bytes:
        """As `Backends.wrap`. Raises RefusedError for a key that the request was not planned to use."""
        self._check([str(ref)])
        with self._call("wrap", [str(ref)]):
            return self._backends.wrap(ref, dek, context)

    def unwrap(self, keys: Mapping[str, str], context: Mapping[str, str]) -> bytes:
        """As `Backends.unwrap`, by those keys only that the caller may use."""
        allowed = self._permitted.get(frozenset(keys), frozenset())
        keys = {uri: wrapped for uri, wrapped in keys.items() if uri in allowed}
        which = (frozenset(keys.items()), frozenset(context.items()), id(self._backends))
        if which not in self._held:
            with self._call("unwrap", keys):
                self._held[which] = self._backends.unwrap(keys, context)
        return self._held[which]

    def rewrap(self, keys: Mapping[str, str], context: Mapping[str, str], dek: Callable[[], bytes]) -> dict[str, str]:
        """As `Backends.rewrap`. Raises as `wrap`."""
        self._check(keys)
        secret = dek()  # a call of its own, and the seal is looked at in any case
        with self._call("rewrap", keys):
            return self._backends.rewrap(keys, context, lambda: secret)

    def signed(self) -> Guard:
        """As `Backends.signed`."""
        return Guard(self._backends.signed(), self._watch, self._metrics, self._uris, self._permitted, held=self._held)

    def _check(self, uris: Iterable[str]) -> None:
        """Plans see to this; here it is seen to that operations keep to them."""
        if not self._uris.issuperset(uris):
            raise RefusedError(FORBIDDEN, "a key that the request was not found to need")

    @contextmanager
    def _call(self, operation: str, uris: Collection[str]) -> Iterator[None]:
        label, began = schemes(uris), time.perf_counter()
        result = "error"
        try:
            with self._watch.call(uris):
                yield
            result = "ok"
        except KsecretError as error:
            result = "unavailable" if isinstance(error, BackendError) else "refused"
            raise
        finally:
            self._metrics.operations.labels(operation, label, result).inc()
            self._metrics.kms_seconds.labels(operation, label).observe(time.perf_counter() - began)


def schemes(uris: Iterable[str]) -> str:
    """The schemes of a keyset as a metric's label: of kinds that are installed, since a file may name any others."""
    found, known = {uri.partition(":")[0] for uri in uris}, names()
    return "+".join([*(name for name in known if name in found), *(["other"] if found - {*known} else [])])
