"""A look whether anybody still waits for the work at hand: taken wherever that is done piece by piece.

For a command, somebody always does. The service's threads are told when their caller has gone or their time is up.
"""

from __future__ import annotations

try:
    from _thread import _local as local  # what `threading` has, whose import takes a start longer than most modules
except ImportError:
    from threading import local

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class _Thread(local):
    """What `check` calls in each thread."""

    ask: Callable[[], None] | None = None


_thread = _Thread()


def check() -> None:
    """Returns while somebody waits. Raises what the `Asking` around it has for nobody."""
    ask = _thread.ask
    if ask:
        ask()


class Asking:
    """Has `check` call `ask`, in this thread and until the end of the block."""

    def __init__(self, ask: Callable[[], None]) -> None:
        self._ask = ask

    def __enter__(self) -> None:
        self._before = _thread.ask
        _thread.ask = self._ask

    def __exit__(self, *_: object) -> None:
        _thread.ask = self._before
