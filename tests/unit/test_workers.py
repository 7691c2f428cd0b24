"""What crosses from a worker process to its parent, and how many workers a run has."""

from __future__ import annotations

import marshal
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from secretsvc import errors
from secretsvc.backends.base import Settings
from secretsvc.backends.registry import Backends
from secretsvc.cli import workers
from secretsvc.cli.child import find
from secretsvc.errors import KsecretError

if TYPE_CHECKING:
    from pathlib import Path

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, KsecretError)]


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_arrives_with_its_class_and_all_its_fields(kind: type[KsecretError]) -> None:
    error = kind("what", reasons=("a", "b"), hint="do", file="\udcff.yaml", line=7, entry="data/a", key_ref="age:x")
    error.ends_run = not kind.ends_run
    arrived = workers.unpacked(*marshal.loads(marshal.dumps(workers.packed(error))))
    assert type(arrived) is kind
    assert vars(arrived) == vars(error)
    assert arrived.args == error.args


def test_an_error_of_a_commands_own_arrives_as_the_one_that_it_is_a_kind_of() -> None:
    with pytest.raises(errors.FileError, match="not found") as told:
        find("no-such-program")
    assert type(workers.unpacked(*workers.packed(told.value))) is errors.FileError


@pytest.mark.parametrize(
    ("code", "said"), [(-9, " by SIGKILL"), (143, " by SIGTERM"), (-40, ""), (1, ""), (0, ""), (128, "")]
)
def test_a_worker_is_said_to_be_ended_by_what_ended_it(code: int, said: str) -> None:
    assert workers._by(code) == said


@pytest.mark.parametrize(
    ("cores", "quota", "files", "most", "count"),
    [
        (8, "max 100000\n", 10_000, 0, 8),
        (8, "200000 100000\n", 10_000, 0, 2),
        (8, "150000 100000\n", 10_000, 0, 2),
        (8, "50000 100000\n", 10_000, 0, 0),
        (8, "", 10_000, 0, 8),
        (64, "", 10_000, 0, 16),
        (1, "", 10_000, 0, 0),
        (8, "", 299, 0, 2),
        (8, "", 199, 0, 0),
        (8, "", 10_000, 3, 3),
    ],
)
def test_there_are_as_many_as_cores_quota_files_and_jobs_allow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cores: int, quota: str, files: int, most: int, count: int
) -> None:
    path = tmp_path / "cpu.max"
    if quota:
        path.write_text(quota)
    monkeypatch.setattr(workers, "_CPU_QUOTA", str(path))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    assert workers._count(files, most) == count


@pytest.mark.parametrize("count", [2, 3, 4, 8])
@pytest.mark.parametrize("kinds", [1, 2, 3, 4])
@pytest.mark.parametrize("files", [400, 999, 1024])
def test_workers_have_equal_shares_also_where_files_of_some_kinds_take_turns(
    count: int, kinds: int, files: int
) -> None:
    team = workers._Team(range(files), int, lambda: 1, workers.Kept)  # type: ignore[arg-type]
    shares = [list(team._share(number, count)) for number in range(count)]
    assert sorted(item for share in shares for item in share) == list(range(files))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
    for kind in range(kinds):
        of_it = [sum(item % kinds == kind for item in share) for share in shares]  # type: ignore[operator]
        assert max(of_it) - min(of_it) <= 12, of_it


def test_elsewhere_than_on_linux_there_is_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers.sys, "platform", "darwin")  # type: ignore[attr-defined]
    assert workers._count(10_000, 0) == 0


@pytest.mark.parametrize(
    ("scheme", "forks"), [("age", True), ("pgp", True), ("aws", True), ("gcp", False), ("vault", True)]
)
def test_no_process_is_copied_that_uses_grpc(scheme: str, forks: bool, tmp_path: Path) -> None:
    """It has threads of its own."""
    backends = Backends(Settings({"HOME": str(tmp_path)}, lambda what: None))
    assert backends.forks
    backends.signed().backend(scheme)
    assert backends.forks is forks


FOUND = """
class Found:
    on_disk = False
    def packed(self): return ()
    @classmethod
    def unpacked(cls): return cls()
"""


def test_a_signal_at_a_workers_very_end_does_not_lead_it_back_into_what_its_parent_was_at() -> None:
    """A parent ends those who are done by a signal, too, which may come as they leave."""
    script = f"""{FOUND}
import os, signal
from secretsvc.cli import workers

leave, parent = os._exit, os.getpid()

def leave_meanwhile(code):
    os.kill(os.getpid(), signal.SIGTERM)
    for _ in range(100):
        pass  # time for a handler
    leave(code)

os._exit = leave_meanwhile

workers._cores = lambda: 2
try:
    done = list(workers.in_order(range(500), lambda _: Found(), lambda: 1, lambda: True, kind=Found))
finally:
    print("parent" if os.getpid() == parent else "worker", flush=True)
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout == "parent\n"


def test_a_signal_that_comes_while_workers_start_ends_those_that_have() -> None:
    """It is let through where a fork ends, before anybody waits for results."""
    script = f"""{FOUND}
import os, signal, time
from secretsvc.cli import workers
from secretsvc.files import signals

signals.end_tidily()
fork, parent = os.fork, os.getpid()

def fork_and_be_ended():
    pid = fork()
    if pid:
        os.kill(parent, signal.SIGTERM)
    return pid

os.fork = fork_and_be_ended

workers._cores = lambda: 2
def work(number):
    if os.getpid() != parent:
        time.sleep(0.2)
    return Found()
try:
    list(workers.in_order(range(500), work, lambda: 1, lambda: True, kind=Found))
except SystemExit as end:
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        print("ended by", end.code, "with no child left", flush=True)
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout == "ended by 143 with no child left\n"
