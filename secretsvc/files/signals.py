"""Signals and what must not be left behind: temporary files, and folders with clear text."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Iterable
else:
    try:  # what `signal` makes enums of: that takes a run over many files 3 ms, and 60 µs for each that is written
        import _signal as signal
    except ImportError:  # it is CPython's own
        import signal

_ENDS_NOTHING = ("CHLD", "CONT", "URG", "WINCH", "INFO", "STOP", "TSTP", "TTIN", "TTOU", "PIPE", "XFSZ")
"""Signals that tell or stop a process; Python ignores the last two."""
_CANT_WAIT = ("KILL", "ILL", "TRAP", "BUS", "FPE", "SEGV", "SYS")
"""Kill, and faults of the program, after which it can't go on."""

ENDING = frozenset(signal.valid_signals()) - {
    getattr(signal, f"SIG{name}") for name in (*_ENDS_NOTHING, *_CANT_WAIT) if hasattr(signal, f"SIG{name}")
}
"""Every signal that ends a process which does nothing about it (signal(7)), where something can be done about it."""


class Undisturbed:
    """Signals that end a process wait until the block ends: none comes between making a thing and having it removed.

    Gives the mask that held before.
    """

    def __enter__(self) -> set[int]:
        self._before = hold()
        return self._before

    def __exit__(self, *_: object) -> None:
        let_through(self._before)


def hold() -> set[int]:
    """Have signals that end a process wait. Gives the mask that held before, for `let_through`."""
    return set(signal.pthread_sigmask(signal.SIG_BLOCK, ENDING))


def let_through(mask: Iterable[int]) -> None:
    """Have only those wait that waited before."""
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def end_tidily() -> None:
    """Let them raise SystemExit with 128 + N, so that all is cleared away as after Ctrl-C."""

    def interrupt(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    _handle(ENDING - {signal.SIGINT}, interrupt)  # that raises KeyboardInterrupt already


def end_once() -> None:
    """Let the first of them raise SystemExit, and those after it do nothing."""

    def interrupt(number: int, _frame: object) -> None:
        for other in ENDING:
            signal.signal(other, signal.SIG_IGN)
        raise SystemExit(128 + number)

    _handle(ENDING, interrupt)


def _handle(numbers: Iterable[int], handler: Callable[[int, object], None]) -> None:
    for number in numbers:
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup
            signal.signal(number, handler)


def ask_to_end(process: int) -> None:
    """Send it SIGTERM, where it is still there."""
    try:  # noqa: SIM105 - a run imports contextlib for nothing else
        os.kill(process, signal.SIGTERM)
    except ProcessLookupError:
        pass
