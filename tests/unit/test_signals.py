"""Signals that wait, and signals that end the process as Ctrl-C does."""

from __future__ import annotations

from signal import SIG_IGN, SIGHUP, SIGTERM, Signals, getsignal, raise_signal, signal
from typing import TYPE_CHECKING

import pytest

from secretsvc.signals import end_tidily, undisturbed

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    handlers = {number: getsignal(number) for number in (SIGHUP, SIGTERM)}
    yield
    for number, handler in handlers.items():
        signal(number, handler)


@pytest.mark.parametrize("number", [SIGHUP, SIGTERM])
def test_they_end_the_process_by_an_exception(number: Signals) -> None:
    end_tidily()
    with pytest.raises(SystemExit, match=str(128 + number)):
        raise_signal(number)


def test_nohup_is_respected() -> None:
    signal(SIGHUP, SIG_IGN)
    end_tidily()
    raise_signal(SIGHUP)
    assert getsignal(SIGHUP) == SIG_IGN


def test_they_wait_for_the_end_of_the_block() -> None:
    done = []

    def work() -> None:
        with undisturbed():
            raise_signal(SIGTERM)
            done.append("all")

    end_tidily()
    with pytest.raises(SystemExit, match="143"):
        work()
    assert done == ["all"]
