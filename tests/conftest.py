"""Hypothesis profiles and fixtures for every folder."""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import HealthCheck, settings

from tests.support import Lock, new_lock

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest_plugins = [
    "tests.integration.gnupg_support",
    "tests.e2e.kubesec_people",
]  # its homes with keys are made once for all files

_SLOW_TO_DRAW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]

# What is derandomized finds nothing that it has not found the day before: the nights look for more.
settings.register_profile(
    "ci", max_examples=50, deadline=None, derandomize=True, database=None, suppress_health_check=_SLOW_TO_DRAW
)
settings.register_profile(
    "nightly", max_examples=2000, deadline=None, database=None, suppress_health_check=_SLOW_TO_DRAW, print_blob=True
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


COUNTED = 4
PROCESSES = "COVERAGE_PROCESS_CONFIG"
TRACERS = pytest.StashKey["Tracers"]()


class Tracers(NamedTuple):
    """What has coverage see the lines that run: in this thread, in those that begin later, and in processes."""

    own: Any
    threads: Any
    processes: str | None

    @classmethod
    def taken(cls) -> Tracers:
        """Stop coverage; `put_back` goes on with it."""
        tracers = cls(sys.gettrace(), threading.gettrace(), os.environ.pop(PROCESSES, None))
        sys.settrace(None)
        threading.settrace(None)  # type: ignore[arg-type]
        return tracers

    def put_back(self) -> None:
        sys.settrace(self.own)
        threading.settrace(self.threads)
        if self.processes:
            os.environ[PROCESSES] = self.processes


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes() -> None:
    """Keep coverage from counting in workers by itself, too: it would count what is not to be counted."""
    os.environ.pop(PROCESSES, None)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> Iterator[None]:
    """Have coverage count in chosen tests only: elsewhere it triples the time of pytest's own work as well.

    In a worker it ends the count that pytest-cov begins before it knows that it is one, and never ends.
    """
    plugin = session.config.pluginmanager.getplugin("_cov")
    controller = plugin and plugin.cov_controller
    if controller and hasattr(session.config, "workerinput"):
        controller.cov.stop()
    yield
    if controller:
        session.config.stash[TRACERS] = Tracers.taken()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave uncounted all but the first of a test's cases and one in COUNTED, no made-up ones.

    Of processes one in six is counted: tests/e2e/forks.py, `counted`.
    """
    cases: Counter[str] = Counter()
    for item in items:
        name = item.nodeid.partition("[")[0]
        if cases[name] % COUNTED or getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
            item.add_marker("uncounted")
        cases[name] += 1


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    tracers = item.config.stash.get(TRACERS, None)
    if tracers and not item.get_closest_marker("uncounted"):
        tracers.put_back()
        try:
            return (yield)
        finally:
            Tracers.taken()
    return (yield)


def pytest_collection() -> None:
    """Collect 14,000 tests without looking for garbage on the way, a fifth of the time."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Keep the tests themselves out of the garbage collector's way: it took an eighth of a run to look through them."""
    gc.enable()
    gc.collect()
    gc.freeze()


@pytest.fixture
def lock() -> Lock:
    """A new age identity and what it opens."""
    return new_lock()
