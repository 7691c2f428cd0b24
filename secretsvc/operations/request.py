"""A request to the sealing operations, and the changes of values that go with one."""

from __future__ import annotations

import time

from secretsvc.errors import KeyRefError
from secretsvc.keyref import MOST_KEYS, divided, refuse_flattening
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from secretsvc.formats.base import Trust
    from secretsvc.keyref import Keyset, KeysetChange
    from secretsvc.manifest.model import Secret

ANY_TIME = "~"
"""For `rotate_before`: later than every time, so that every DEK is replaced."""


def stated(seconds: float | None = None) -> str:
    """State a time, in seconds since the epoch (default: now), as envelopes do: UTC, RFC 3339, whole seconds."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


class Request(Record):
    """A request: how Secrets are to be sealed."""

    change: KeysetChange
    default_keys: Callable[[Secret, str], Keyset]
    """The keyset for a Secret that has none yet, in the format of that name; asked for only then."""
    scope: str
    """`strict`, `namespace`, `any`; empty: as it was, and strict where it was not sealed before."""
    created: str
    """The time to write for a new DEK: UTC, RFC 3339, seconds."""
    format: str = ""
    """For what is not sealed yet: a name of `formats`; empty: as its parent, else the default."""
    rotate_before: str = ""
    """A DEK made before that time gets replaced, and so does one that does not say."""
    trust: Trust | None = None
    """Asked whether a file without a fitting MAC is to get one; None: such a file is refused."""

    blind: bool = False
    """Whoever asks may not open: nothing that they see may depend on what tokens hold, be it a refusal or a token that
    is the same again."""

    keyset_of: Callable[[Secret], Keyset] | None = None
    """The keyset that a Secret is to have, whatever it has now."""
    allow_repeated: bool = False
    """Whether a value may stand in what stays clear, too."""

    tell_keyset: Callable[[Secret, Keyset], None] = lambda *_: None
    """Told of each keyset that a Secret is sealed to and was not before."""

    renews: Callable[[Secret], bool] = lambda _: False
    """Whether every change of that Secret is to make a new DEK, which nobody knows who knew the old one."""

    def rotates(self, created: str) -> bool:
        """Tell whether a DEK made then (empty: nobody knows) is to be replaced."""
        return created < self.rotate_before

    def wanted(self, held: Keyset, secret: Secret, format_: str = "") -> Keyset:
        """The keyset that follows from the one held so far (empty where there is none, and `format_` is to come).

        Raises KeyRefError.
        """
        wanted = self._wanted(held, secret, format_)
        if sum(map(len, divided(wanted)[0])) > MOST_KEYS:
            raise KeyRefError(f"{secret.label} would be sealed to more than {MOST_KEYS} keys", hint="name fewer keys")
        return wanted

    def _wanted(self, held: Keyset, secret: Secret, format_: str) -> Keyset:
        if self.keyset_of:
            return self.keyset_of(secret)
        if not any(self.change):
            return held or self.default_keys(secret, format_)
        if self.change.exact:
            refuse_flattening(len(divided(held)[0]), len(divided(self.change.exact)[0]))
        return self.change.applied(held if held or self.change.exact else self.default_keys(secret, format_))


class Changes(Record):
    """The changes of a Secret. Values that are None are to go."""

    values: Mapping[str, bytes | None] = {}
    """Wherever the key is now; new ones where `prefer_text` says, else in the field that is there (`patch`)."""
    prefer_text: bool = False
    """Whether new ones go under `stringData`."""
    data: Mapping[str, bytes | None] = {}
    string_data: Mapping[str, str | None] = {}
    metadata: Mapping[str, str] = {}
    """`name` and `namespace`."""
    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}

    def __repr__(self) -> str:
        return "Changes(masked)"
