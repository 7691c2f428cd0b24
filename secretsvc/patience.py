"""A look whether anybody still waits for the work at hand: taken wherever that is done piece by piece.

For a command, somebody always does. The service's threads are told when their caller has gone or their time is up.
"""

from __future__ import annotations

from contextvars import ContextVar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Token

_asked: ContextVar[Callable[[], None] | None] = ContextVar("patience", default=None)


def check() -> None:
    """Returns while somebody waits. Raises what the `Asking` around it has for nobody."""
    ask = _asked.get()
    if ask:
        ask()


class Asking:
    """Has `check` call `ask`, in this thread and until the end of the block."""

    def __init__(self, ask: Callable[[], None]) -> None:
        self._ask = ask
        self._before: Token[Callable[[], None] | None]

    def __enter__(self) -> None:
        self._before = _asked.set(self._ask)

    def __exit__(self, *_: object) -> None:
        _asked.reset(self._before)
