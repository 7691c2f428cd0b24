"""The benchmark of hostile files, in small: processor time and memory of the real commands."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.hostile import CHANGES

ROOT = Path(__file__).parents[2]
FAMILIES = ("merged-items", "merged-annotations", "kubesec-lines", "flow-list", "broken-kinds")
COMMANDS = {"encrypt": ["encrypt"]} | CHANGES
CLEAR = ["clear-mappings"]


@pytest.mark.alone
def test_no_command_misses_a_bar_on_a_file_that_was_made_to_cost() -> None:
    """In a small process of its own: a child's peak of memory counts that of whoever started it."""
    words = [sys.executable, "-m", "benchmarks.hostile", "--small", *FAMILIES]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(done.stdout.splitlines()) == 1 + 12 * len(FAMILIES) + 1


def test_no_command_takes_more_memory_than_20_times_the_bytes_that_encrypt_sealed() -> None:
    """Not even those that read a text time and again: of each, one tree is in memory at a time."""
    judge = f"from benchmarks import hostile; hostile.main({CLEAR!r}, (1_500_000,), {COMMANDS!r})"
    done = subprocess.run(
        [sys.executable, "-c", judge], cwd=ROOT, capture_output=True, text=True, check=True, timeout=300
    )
    told = done.stdout.splitlines()
    assert len(told) == 1 + len(COMMANDS) * len(CLEAR) + 1
    assert not [line for line in told if "MISSED" in line and "memory" in line]
