"""What the tests of the client share: a stand-in for the service, and a client of it."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from secretsvc.client.remote import Remote
from tests.emulators.fake_service import TOKEN, FakeService
from tests.support import new_lock

if TYPE_CHECKING:
    from collections.abc import Iterator

CLEAR = b"apiVersion: v1\nkind: Secret\nmetadata:\n  name: a\nstringData:\n  k: v\n"
YAML = "application/yaml"
ENVIRON = {"KSECRET_TOKEN": TOKEN}


@pytest.fixture
def service() -> Iterator[FakeService]:
    with FakeService(new_lock()) as running:
        yield running


@pytest.fixture
def client(service: FakeService) -> Iterator[Remote]:
    with closing(Remote(service.url, ENVIRON)) as made:
        yield made


def sealed_by(client: Remote) -> bytes:
    return client.post("/v1/encrypt", CLEAR, media=YAML)
