"""A manifest, and somebody else than root to read and write it."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

NOBODY = 65534
ROOT = os.geteuid() == 0
MANIFEST = b"apiVersion: v1\nkind: Secret\nmetadata:\n  name: a\nstringData:\n  a: text\n"
needs_root = pytest.mark.skipif(not ROOT, reason="only root can become somebody else")


@contextmanager
def as_nobody() -> Iterator[None]:
    """Without root's power to pass over permissions."""
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
