"""Benchmarks' figures against their bars."""

from __future__ import annotations

import pytest

from benchmarks.bars import BARS, Verdicts


@pytest.mark.parametrize(
    ("name", "part", "scale", "slack", "holds"),
    [
        ("age/sops", 1.0, 1.0, 1.0, True),
        ("age/sops", 1.01, 1.0, 1.0, False),
        ("age/sops", 1.4, 1.0, 1.5, True),
        ("age: two", 1.0, 1.0, 1.0, True),
        ("age: two", 0.99, 1.0, 1.0, False),
        ("age: two", 0.7, 1.0, 1.5, True),
        ("age: two", 0.6, 0.6, 1.0, True),
    ],
)
def test_a_bar_holds_or_is_missed(
    name: str, part: float, scale: float, slack: float, holds: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """`part`: the figure, in bars."""
    verdicts = Verdicts(slack)
    verdicts.tell(name, BARS[name].limit * part, scale)
    assert verdicts.held == holds
    assert (" holds " if holds else " MISSES ") in capsys.readouterr().out


def test_one_missed_bar_is_remembered() -> None:
    verdicts = Verdicts()
    verdicts.tell("check", 99)
    verdicts.tell("check", 0)
    assert not verdicts.held


def test_goals_are_no_easier_than_bars() -> None:
    for bar in BARS.values():
        assert bar.goal >= bar.limit if bar.at_least else bar.goal <= bar.limit
