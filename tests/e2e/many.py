"""Somebody with many files, and a ksecret that has worker processes for a few of them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from tests.e2e.cli import MANIFEST, Person, Ran

if TYPE_CHECKING:
    from pathlib import Path

FILES = 40

FEWER = """
import os, sys, threading, time
from secretsvc.cli import batch, main, workers

batch.FEW, workers.FILES, workers._CHUNK = 8, 4, 2
workers._cores = lambda: 3
fork, parent, worked = os.fork, os.getpid(), batch.Batch._work

def forked():
    assert threading.active_count() == 1
    pid = fork()
    if pid:
        with open(os.environ["FORKS"], "a") as stream:
            print(pid, file=stream)
    return pid

def work(*rest):
    done = worked(*rest)
    {each}
    return done

os.fork, batch.Batch._work = forked, work
{before}
main.entry_point()
"""
"""ksecret with limits at which few files take three worker processes, wherever it runs."""


class Many(Person):
    """Somebody with many files, and a ksecret that has worker processes for them."""

    def __init__(self, folder: Path, name: str = "me") -> None:
        super().__init__(folder, name)
        self.forks = folder / "forks"
        self.environ["FORKS"] = str(self.forks)

    def command(self, *words: str, each: str = "pass", before: str = "") -> list[str]:
        """`each`: is done after a file; `before`: before anything."""
        return [sys.executable, "-c", FEWER.format(each=each, before=before), *words]

    def many(self, *words: str, each: str = "pass", before: str = "", stdin: bytes = b"", **environ: str) -> Ran:
        program, *rest = self.command(*words, each=each, before=before)
        return self.run(*rest, program=program, stdin=stdin, **environ)

    def workers(self) -> list[int]:
        return list(map(int, self.forks.read_text().split())) if self.forks.exists() else []

    def path(self, number: int) -> Path:
        return self.work / f"d/{number:02}.yaml"

    def write_clear(self) -> None:
        for number in range(FILES):
            self.write(f"d/{number:02}.yaml", clear(number))

    def write_all_sealed(self) -> None:
        for number in range(FILES):
            self.write_sealed(f"d/{number:02}.yaml", clear(number))

    def temporary(self) -> list[Path]:
        return [path for path in self.work.rglob("*") if ".ksecret-" in path.name]

    def inodes(self) -> set[tuple[int, int]]:
        """Number and inode of each file, which is another one once it was changed."""
        return {(number, self.path(number).stat().st_ino) for number in range(FILES)}

    def is_whole(self, number: int) -> bool:
        return self.lock.open_(self.path(number).read_bytes()) == clear(number)


def clear(number: int) -> bytes:
    return MANIFEST.replace(b"name: db", f"name: db-{number}".encode())
