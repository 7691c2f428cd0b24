"""The benchmark of hostile files, in small: processor time and memory of the real commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.common import Bench
from benchmarks.hostile import COMMANDS, measure

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.alone
@pytest.mark.parametrize("family", ["merged-items", "kubesec-lines", "flow-list", "broken-kinds"])
def test_no_command_misses_a_bar_on_a_file_that_was_made_to_cost(family: str, tmp_path: Path) -> None:
    commands = {name: COMMANDS[name] for name in ("check", "inspect", "textconv")}
    verdicts = measure(Bench(tmp_path), family, (500_000, 1_000_000), commands)
    assert {name: verdict.missed for name, verdict in verdicts.items()} == {name: [] for name in commands}
