"""Everything goes wrong in turns, each for an instant here; `python -m benchmarks.chaos` takes its time."""

from __future__ import annotations

import pytest

from benchmarks import chaos


@pytest.mark.uncounted
def test_nothing_is_answered_wrongly_nor_lost_while_everything_fails_in_turns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(chaos, "SHORTEST", 0.3)
    monkeypatch.setattr(chaos, "CALLERS", 4)
    held = chaos.run(1)
    assert held, capsys.readouterr().out
