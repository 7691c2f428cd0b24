"""The keys of a Secret: which names Kubernetes takes, and that each comes once."""

from __future__ import annotations

import re

from secretsvc.errors import InputError
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Warn = Callable[[str], None]
    """Is told of what kubectl passes over without a word. Never told a value."""

MAX_KEY_BYTES = 253

_KEY = r"[-._a-zA-Z0-9]+"
_ENV_KEY = r"[-._a-zA-Z][-._a-zA-Z0-9]*"


class NewEntry(Record):
    """One entry to be, and where it is from, as messages say it: flag, then file and line, or the flag's number."""

    key: str
    value: bytes
    flag: str
    file: str = ""
    line: int = 0

    @property
    def origin(self) -> str:
        place = f" {self.file}" if self.file else ""
        return f"{self.flag}{place}{f', line {self.line}' if self.line else ''}"

    def error(self, message: str, hint: str = "") -> InputError:
        return InputError(f"{self.flag}: {message}", hint=hint, file=self.file, line=self.line)

    def __repr__(self) -> str:
        return f"NewEntry({self.origin}, masked)"


def complaints(key: str, *, env: bool = False) -> list[str]:
    """List what Kubernetes has against a key's name (design KUBECTL, section 2; `env`: section 3.4, 9)."""
    found = []
    if not env and len(key.encode(errors="surrogateescape")) > MAX_KEY_BYTES:
        found.append(f"it must be no more than {MAX_KEY_BYTES} bytes")
    if not re.fullmatch(_ENV_KEY if env else _KEY, key):
        found.append(
            "it must consist of letters, digits, '-', '_' or '.'" + (", and not start with a digit" if env else "")
        )
    if key == ".":
        found.append("it must not be '.'")
    elif key.startswith(".."):
        found.append("it must not start with '..'")
    return found


def collect(items: Iterable[NewEntry]) -> dict[str, bytes]:
    """The entries by key, in the order given.

    Raises InputError for a key that Kubernetes refuses or that is there already. The message never shows the key: what
    stands before an `=` may be the secret itself.
    """
    data: dict[str, bytes] = {}
    origins: dict[str, str] = {}
    for item in items:
        found = complaints(item.key)
        if found:
            raise item.error(f"not a valid key name for a Secret: {'; '.join(found)}", "say KEY=… with another name")
        if item.key in data:
            raise item.error(f"another key by that name already exists, from {origins[item.key]}")
        data[item.key] = item.value
        origins[item.key] = item.origin
    return data
