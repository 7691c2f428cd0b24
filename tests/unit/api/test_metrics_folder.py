"""What killed services leave of their workers' metrics is removed by the next that starts, and nothing else is."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

import pytest

from secretsvc.api import metrics_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(autouse=True)
def environ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(metrics_folder.VARIABLE, "")


def left(parent: Path, name: str = "ksecret-metrics-left") -> Path:
    """A folder as a killed service leaves it."""
    made = parent / name
    made.mkdir()
    (made / "lock").touch()
    (made / "counter_7.db").write_bytes(b"\0" * 100)
    return made


def test_what_a_killed_service_left_is_removed_and_what_one_that_runs_has_stays(tmp_path: Path) -> None:
    of_the_dead = left(tmp_path)
    first = metrics_folder.make(str(tmp_path))
    assert not of_the_dead.exists()
    assert metrics_folder.make(str(tmp_path)) != first
    assert os.listdir(first) == ["lock"], "whoever made it is there"


def of_another_name(parent: Path) -> Path:
    return left(parent, "somebody-elses")


def new(parent: Path) -> Path:
    made = left(parent)
    (made / "lock").unlink()
    return made


def behind_a_link(parent: Path) -> Path:
    made = left(parent, "elsewhere")
    (parent / "ksecret-metrics-link").symlink_to(made)
    return made


def with_a_link_for_a_lock(parent: Path) -> Path:
    made = new(parent)
    (parent / "lock").touch()
    (made / "lock").symlink_to(parent / "lock")
    return made


def with_a_pipe_for_a_lock(parent: Path) -> Path:
    made = new(parent)
    os.mkfifo(made / "lock")
    return made


def a_file(parent: Path) -> Path:
    made = parent / "ksecret-metrics-file"
    made.touch()
    return made


def another_users(parent: Path) -> Path:
    if os.getuid():
        pytest.skip("only root can give files away")
    made = left(parent)
    for path in (made, made / "lock"):
        os.chown(path, 12345, -1)
    return made


@pytest.mark.parametrize(
    "make",
    [of_another_name, new, behind_a_link, with_a_link_for_a_lock, with_a_pipe_for_a_lock, a_file, another_users],
)
def test_what_is_not_known_to_be_nobodys_stays(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    kept = make(tmp_path)
    metrics_folder.make(str(tmp_path))
    assert kept.exists()


def test_a_folder_that_a_worker_still_holds_stays_when_its_parent_is_gone(tmp_path: Path) -> None:
    of_a_worker = left(tmp_path)
    with (of_a_worker / "lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        metrics_folder.make(str(tmp_path))
        assert of_a_worker.exists()
    metrics_folder.make(str(tmp_path))
    assert not of_a_worker.exists()


def test_what_a_killed_worker_had_under_way_counts_no_more(tmp_path: Path) -> None:
    folder = metrics_folder.make(str(tmp_path))
    for name in ("gauge_livesum_7.db", "gauge_livesum_77.db", "counter_7.db"):
        (tmp_path / folder / name).touch()
    metrics_folder.forget(7)
    assert sorted(os.listdir(folder)) == ["counter_7.db", "gauge_livesum_77.db", "lock"]
    metrics_folder.remove()
    assert not os.path.exists(folder)
