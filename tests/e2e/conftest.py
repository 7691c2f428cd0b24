"""Who most of these tests are about."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.cli import Person

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def me(tmp_path: Path) -> Person:
    """Somebody with an age identity, in a folder of their own."""
    return Person(tmp_path)
