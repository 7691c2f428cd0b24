"""`encrypt -i -r` over a tree, ended at any moment: every file is the old one or the new one, and opens."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from secretsvc.backends.base import Settings
from secretsvc.backends.registry import Backends
from secretsvc.operations.open import open_manifest
from tests.e2e.cli import KSECRET, MANIFEST, MARKS, Person, is_sealed
from tests.support import NIGHT, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILES = 300 if NIGHT else 150
KILLS = int(os.environ.get("KSECRET_TEST_KILLS", "4"))
ENDS = 4

AFTER_THE_CALL = """
import os, signal, sys
from secretsvc.cli.main import main

call, number, after = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
real, left = getattr(os, call), [after]

def arrives_as_it_returns(path, *rest, **more):
    done = real(path, *rest, **more)
    if ".ksecret-" in str(path):
        left[0] -= 1
        if left[0] == 0:
            signal.raise_signal(number)
    return done

setattr(os, call, arrives_as_it_returns)
sys.exit(main(["encrypt", "-i", "-r", "--jobs", "1", "d"]))
"""


class Tree:
    """A folder of Secrets, each with a name of its own."""

    def __init__(self, me: Person) -> None:
        self.me = me
        self.folder = me.work / "d"
        for number in range(FILES):
            me.write(f"d/{number % 7}/{number:03}.yaml", self.clear(number))
        environ = me.environ | {"KSECRET_AGE_KEY": me.identity, "XDG_CONFIG_HOME": os.devnull}
        self.keyring = Backends(Settings(environ, lambda what: None))

    @staticmethod
    def clear(number: int) -> bytes:
        return MANIFEST.replace(b"name: db", f"name: db-{number}".encode())

    def path(self, number: int) -> Path:
        return self.folder / f"{number % 7}/{number:03}.yaml"

    def reset(self) -> None:
        for path in self.folder.rglob("*"):
            if path.is_file():
                path.unlink()
        for number in range(FILES):
            self.path(number).write_bytes(self.clear(number))

    def temporary(self) -> set[Path]:
        return {path for path in self.folder.rglob("*") if ".ksecret-" in path.name}

    def sealed(self, *, sample: int = 1) -> int:
        """How many are sealed; AssertionError for a file that is neither the old one nor one that opens to it.

        `sample`: only every so-manieth is opened.
        """
        count = 0
        for number in range(FILES):
            data = self.path(number).read_bytes()
            if data != self.clear(number):
                assert is_sealed(data)
                assert number % sample or open_manifest(data, self.keyring).data == self.clear(number)
                count += 1
        return count

    def start(self, *options: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [KSECRET, "encrypt", "-i", "-r", *options, "d"],
            cwd=self.me.work,
            env=self.me.environ,
            stderr=subprocess.PIPE,
        )

    def killed_at(self, count: int) -> None:
        """Ended by `kill -9` as soon as that many files are seen sealed: a time would hit none on another machine."""
        last = sorted(map(self.path, range(FILES)))[count - 1]
        size = last.stat().st_size
        with self.start() as process:
            wait_until(lambda: last.stat().st_size != size, 60, every=0.001)
            process.kill()
            process.communicate(timeout=60)  # its workers end what they are at

    def ended_by(self, number: int, after: float, *options: str) -> tuple[int, str]:
        with self.start(*options) as process:
            time.sleep(after)
            process.send_signal(number)
            _, err = process.communicate(timeout=60)
        text = err.decode()
        assert not any(mark in text for mark in [*MARKS, "Traceback"])
        return process.returncode, text

    def duration(self) -> float:
        started = time.monotonic()
        with self.start() as process:
            process.communicate(timeout=60)
        assert process.returncode == 0
        assert self.sealed(sample=10) == FILES
        return time.monotonic() - started


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(Person(tmp_path))


def moments(duration: float, count: int) -> Iterator[float]:
    """Random moments, one in each of `count` equal parts of the run."""
    for part in range(count):
        yield duration * (part + random.random()) / count


def test_after_kill_9_every_file_is_the_old_or_the_new_one_and_a_rerun_completes(tree: Tree) -> None:
    counts = []
    for part in range(KILLS):
        tree.reset()
        tree.killed_at(1 + FILES * part // KILLS)
        counts.append(tree.sealed())
        left = tree.temporary()
        assert len(left) <= 1
        tree.me.ok("encrypt", "-i", "-r", "d")
        assert tree.sealed(sample=10) == FILES
        assert tree.temporary() == left
    assert len({count for count in counts if 0 < count < FILES}) >= KILLS // 2, counts


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("jobs", ["1", "4"])
def test_a_signal_that_asks_to_end_leaves_no_temporary_file(tree: Tree, number: int, jobs: str) -> None:
    duration = tree.duration()
    for moment in moments(duration * 0.8, ENDS):
        tree.reset()
        code, _ = tree.ended_by(number, 0.1 + moment, "--jobs", jobs)
        assert code in (-number, 128 + number, 0)
        assert tree.temporary() == set()
        tree.sealed(sample=5)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("call", ["open", "rename"])
def test_a_signal_that_arrives_as_a_call_returns_is_no_exception(tree: Tree, call: str, number: int) -> None:
    """Python runs the handler as soon as the system call is back, before anything is known of its result."""
    ran = subprocess.run(
        [sys.executable, "-c", AFTER_THE_CALL, call, str(int(number)), "5"],
        cwd=tree.me.work,
        env=tree.me.environ,
        capture_output=True,
        timeout=60,
    )
    assert tree.temporary() == set()
    assert tree.sealed() in (4, 5)
    assert ran.returncode in (128 + number, -number)
    assert b"can't be written" not in ran.stderr
