"""Kinds of keys that other distributions bring, by an entry point (docs/backends/another.md)."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points

from secretsvc.backends.base import BrokenScheme, Scheme

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

GROUP = "ksecret.backends"
"""The entry-point group that they are in: name → an object of type `Scheme`."""


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
