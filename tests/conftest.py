"""Hypothesis profiles and fixtures for every folder."""

from __future__ import annotations

import gc
import os
from collections import Counter

import pytest
from hypothesis import HealthCheck, settings

from tests.support import Lock, new_lock

pytest_plugins = [
    "tests.integration.gnupg_support",
    "tests.e2e.kubesec_people",
]  # its homes with keys are made once for all files

_SLOW_TO_DRAW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]

settings.register_profile(
    "ci", max_examples=100, deadline=None, derandomize=True, database=None, suppress_health_check=_SLOW_TO_DRAW
)
settings.register_profile(
    "nightly", max_examples=2000, deadline=None, database=None, suppress_health_check=_SLOW_TO_DRAW, print_blob=True
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


COUNTED = 4


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have coverage count the first of a test's cases and one in COUNTED, no made-up ones: it takes thrice as long.

    Of processes one in six is counted: tests/e2e/forks.py, `counted`.
    """
    cases: Counter[str] = Counter()
    for item in items:
        name = item.nodeid.partition("[")[0]
        if cases[name] % COUNTED or getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
            item.add_marker(pytest.mark.no_cover)
        cases[name] += 1


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes() -> None:
    """Keep coverage from counting in workers by itself, too: it would count what is not to be counted."""
    os.environ.pop("COVERAGE_PROCESS_CONFIG", None)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """End the count that pytest-cov begins in a worker before it knows that it is one, and never ends."""
    plugin = session.config.pluginmanager.getplugin("_cov")
    if hasattr(session.config, "workerinput") and plugin and plugin.cov_controller:
        plugin.cov_controller.cov.stop()


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
