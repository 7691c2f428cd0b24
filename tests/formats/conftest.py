"""The formats that the tests here are about: every one, and a toy that is none of ours."""

from __future__ import annotations

import pytest

from secretsvc import formats
from tests.formats import toy


@pytest.fixture(autouse=True)
def _with_the_toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(formats.TABLE, "toy", toy.ROW)


@pytest.fixture(params=["ksecret", "kubesec", "toy"])
def name(request: pytest.FixtureRequest) -> str:
    """A format's."""
    return str(request.param)
