"""Signals and what must not be left behind: temporary files, and folders with clear text."""

from __future__ import annotations

import signal
from contextlib import contextmanager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from signal import pthread_sigmask
else:
    try:  # what `signal` makes 45 members of an enum of at the end of every block: 60 µs for each file that is written
        from _signal import pthread_sigmask
    except ImportError:  # it is CPython's own
        from signal import pthread_sigmask

_ENDS_NOTHING = ("CHLD", "CONT", "URG", "WINCH", "INFO", "STOP", "TSTP", "TTIN", "TTOU", "PIPE", "XFSZ")
"""Signals that tell or stop a process; Python ignores the last two."""
_CANT_WAIT = ("KILL", "ILL", "TRAP", "BUS", "FPE", "SEGV", "SYS")
"""Kill, and faults of the program, after which it can't go on."""

ENDING = frozenset(signal.valid_signals()) - {
    getattr(signal, f"SIG{name}") for name in (*_ENDS_NOTHING, *_CANT_WAIT) if hasattr(signal, f"SIG{name}")
}
"""Every signal that ends a process which does nothing about it (signal(7)), where something can be done about it."""


@contextmanager
def undisturbed() -> Iterator[set[int]]:
    """Signals that end a process wait until the block ends: none comes between making a thing and having it removed.

    Gives the mask that held before.
    """
    before = pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        yield set(before)
    finally:
        pthread_sigmask(signal.SIG_SETMASK, before)


def end_tidily() -> None:
    """Let them raise SystemExit with 128 + N, so that all is cleared away as after Ctrl-C."""

    def interrupt(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    for number in ENDING - {signal.SIGINT}:  # that raises KeyboardInterrupt already
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup
            signal.signal(number, interrupt)
