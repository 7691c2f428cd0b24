"""Kinds of keys that other distributions bring, by an entry point (docs/backends/another.md)."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points

from secretsvc.backends.base import Installed, Scheme
from secretsvc.errors import BackendUnavailableError
from secretsvc.keyref import KeyRef

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from secretsvc.backends.base import Backend, Settings

GROUP = "ksecret.backends"
"""The entry-point group that they are in: name → an object of type `Scheme`."""


class BrokenScheme(Scheme):
    """Stands for a plug-in that can't be loaded. Its keys' names are taken as they stand, and open nothing."""

    title, example, cost = "", "…", 1_000_000

    def __init__(self, name: str, module: str) -> None:
        self.name = name
        self._module = module

    def backend(self, settings: Settings) -> Backend:
        raise BackendUnavailableError(self._said, hint=self._hint)

    def parse(self, text: str) -> KeyRef:
        return KeyRef(self.name, text)

    def installed(self) -> Installed:
        return Installed(False, self._said, self._hint)

    @property
    def _said(self) -> str:
        return f"the plug-in for keys that start with {self.name}: can't be loaded"

    @property
    def _hint(self) -> str:
        return f"install again, or remove, the distribution that has the entry point {self._module}"


def find(name: str) -> Scheme | None:
    """Load one. One that fails stands for a kind that is not installed, so that other keys still open."""
    point = found().get(name)
    if not point:
        return None
    try:
        scheme = point.load()
    except Exception:  # somebody else's module may raise anything
        return BrokenScheme(point.name, point.value)
    return scheme if isinstance(scheme, Scheme) and scheme.name == point.name else BrokenScheme(point.name, point.value)


@cache
def found() -> Mapping[str, EntryPoint]:
    """Find the entry points, once in a process. Of two of a name the one that is found first."""
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=GROUP):
        found.setdefault(point.name, point)
    return found
