"""Signals that wait, and signals that end the process as Ctrl-C does."""

from __future__ import annotations

import signal as documented
from signal import SIG_IGN, SIGHUP, SIGTERM, Signals, getsignal, raise_signal, signal, valid_signals
from typing import TYPE_CHECKING

import pytest

from secretsvc.files import signals
from secretsvc.files.signals import Undisturbed, end_tidily

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    handlers = {number: getsignal(number) for number in valid_signals()}
    yield
    for number, handler in handlers.items():
        if getsignal(number) is not handler:
            signal(number, handler)


ENDING = [
    *("HUP", "QUIT", "ABRT", "USR1", "USR2", "ALRM", "TERM", "STKFLT"),
    *("XCPU", "VTALRM", "PROF", "IO", "PWR", "RTMIN", "RTMAX"),
]
"""Those that end a process that does nothing about them (signal(7)), but for those of faults."""


@pytest.mark.parametrize("number", [Signals[f"SIG{name}"] for name in ENDING])
def test_they_end_the_process_by_an_exception(number: Signals) -> None:
    end_tidily()
    with pytest.raises(SystemExit, match=str(128 + number)):
        raise_signal(number)


def test_what_ends_nothing_still_ends_nothing() -> None:
    end_tidily()
    for name in ("CHLD", "CONT", "URG", "WINCH", "PIPE"):
        raise_signal(Signals[f"SIG{name}"])


def test_nohup_is_respected() -> None:
    signal(SIGHUP, SIG_IGN)
    end_tidily()
    raise_signal(SIGHUP)
    assert getsignal(SIGHUP) == SIG_IGN


@pytest.mark.parametrize("number", [SIGTERM, Signals.SIGQUIT, Signals.SIGALRM, Signals.SIGRTMIN])
@pytest.mark.parametrize("way", [signals.signal, documented], ids=["private", "documented"])
def test_they_wait_for_the_end_of_the_block(number: Signals, way: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    done = []
    monkeypatch.setattr(signals, "signal", way)

    def work() -> None:
        with Undisturbed():
            raise_signal(number)
            done.append("all")

    end_tidily()
    with pytest.raises(SystemExit, match=str(128 + number)):
        work()
    assert done == ["all"]
