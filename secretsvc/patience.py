"""Whether anybody still waits for the work at hand: asked wherever that is done piece by piece.

For a command, somebody always does. The service's threads are told when their caller has gone or their time is up.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_asked: ContextVar[Callable[[], None] | None] = ContextVar("patience", default=None)


def check() -> None:
    """Returns while somebody waits. Raises what the `asking` around it has for nobody."""
    ask = _asked.get()
    if ask:
        ask()


@contextmanager
def asking(ask: Callable[[], None]) -> Iterator[None]:
    """Has `check` call `ask`, in this thread and until the end of the block."""
    before = _asked.set(ask)
    try:
        yield
    finally:
        _asked.reset(before)
