"""Who most of these tests are about, and a service for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.cli import Person
from tests.emulators.fake_service import TOKEN, FakeService
from tests.support import new_lock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def me(tmp_path: Path) -> Person:
    """Somebody with an age identity, in a folder of their own."""
    return Person(tmp_path)


@pytest.fixture
def service() -> Iterator[FakeService]:
    """A stand-in for ksecret's service, where a file has none of its own."""
    with FakeService(new_lock()) as running:
        yield running


@pytest.fixture
def job(tmp_path: Path, service: FakeService) -> Person:
    """A CI job: a token, and no key of any kind."""
    person = Person(tmp_path, "job", identity=False)
    person.environ |= {"KSECRET_SERVER": service.url, "KSECRET_TOKEN": TOKEN}
    return person
