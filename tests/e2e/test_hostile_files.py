"""The benchmark of hostile files, in small: processor time and memory of the real commands."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FAMILIES = ("merged-items", "merged-annotations", "kubesec-lines", "flow-list", "broken-kinds")


@pytest.mark.alone
def test_no_command_misses_a_bar_on_a_file_that_was_made_to_cost() -> None:
    """In a small process of its own: a child's peak of memory counts that of whoever started it."""
    words = [sys.executable, "-m", "benchmarks.hostile", "--small", *FAMILIES]
    done = subprocess.run(
        words, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(done.stdout.splitlines()) == 1 + 8 * len(FAMILIES) + 1
