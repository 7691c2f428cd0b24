"""The benchmark of hostile files, in small: processor time and memory of the real commands."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from benchmarks.hostile import CHANGES, SEALED, SMALL
from benchmarks.hostile import COMMANDS as OF_CLEAR_FILES
from tests.support import NIGHT

if TYPE_CHECKING:
    from collections.abc import Collection

ROOT = Path(__file__).parents[2]
FAMILIES = {name: SMALL for name in ("merged-items", "kubesec-lines", "flow-list", "broken-kinds")}
FAMILIES["merged-annotations"] = (250_000, 500_000)  # costs most; the half shows its growth as well
COMMANDS = {"encrypt": ["encrypt"]} | CHANGES
CLEAR = ["clear-mappings"]


@pytest.mark.timeout(660)
@pytest.mark.parametrize("family", FAMILIES)
def test_no_command_misses_a_bar_on_a_file_that_was_made_to_cost(family: str) -> None:
    """Processor time counts, which others at work make longer by some tenths: what missed is tried twice more.

    Before a change lands each family goes through a third of the commands, in turns; at night through all.
    """
    every = [name for name in OF_CLEAR_FILES | SEALED if name != "encrypt"]
    some = every if NIGHT else every[list(FAMILIES).index(family) % 3 :: 3]
    left = {"encrypt", *some}
    for _ in range(3):
        left = missed(family, left)
    assert not left


def missed(family: str, names: Collection[str]) -> set[str]:
    """Those of the commands that miss a bar, told by a small process: a child's peak of memory counts its parent's."""
    if not names:
        return set()
    made = {"encrypt", *names}  # which makes what the others read
    commands = {name: words for name, words in (OF_CLEAR_FILES | SEALED).items() if name in made}
    asked = f"[{family!r}], {FAMILIES[family]}, {commands!r}"
    judge = f"from benchmarks import hostile; raise SystemExit(hostile.main({asked}))"
    done = subprocess.run(
        [sys.executable, "-c", judge], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )
    print(done.stdout)
    lines = done.stdout.splitlines()
    assert len(lines) == 1 + len(commands) + 1, done.stderr
    found = {line.split()[1] for line in lines[1:-1] if "MISSED" in line}
    assert bool(found) == bool(done.returncode)
    return found & set(names)


def test_no_command_takes_more_memory_than_20_times_the_bytes_that_encrypt_sealed() -> None:
    """Not even those that read a text time and again: of each, one tree is in memory at a time."""
    judge = f"from benchmarks import hostile; hostile.main({CLEAR!r}, (1_500_000,), {COMMANDS!r})"
    done = subprocess.run(
        [sys.executable, "-c", judge], cwd=ROOT, capture_output=True, text=True, check=True, timeout=300
    )
    told = done.stdout.splitlines()
    assert len(told) == 1 + len(COMMANDS) * len(CLEAR) + 1
    assert not [line for line in told if "MISSED" in line and "memory" in line]
