"""Somebody who edits: with scripts as editors, on a terminal, with a folder in memory that must be empty after."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING

import pyrage
import pytest

from tests.e2e.cli import KSECRET, MARKS, Person

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MEMORY = "/dev/shm"
WITH_A_TERMINAL = (
    "import fcntl, os, sys, termios; os.setsid(); fcntl.ioctl(2, termios.TIOCSCTTY, 0); "
    "os.execv(sys.argv[1], sys.argv[1:])"
)
SOON = 20.0
"""Seconds that anything may take that a test waits for."""


class Writer(Person):
    """A Person whose private folders are made in `memory`, and whose temporary files in `temporary`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.memory = tempfile.mkdtemp(prefix="ksecret-test-", dir=MEMORY)
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self.notes = folder / "notes"
        self.notes.mkdir()
        self.environ |= {
            "XDG_RUNTIME_DIR": self.memory,
            "TMPDIR": str(self.temporary),
            "NOTES": str(self.notes),
            "TERM": "xterm",
        }
        self.environ.pop("VISUAL", None)

    def editor(self, script: str, name: str = "editor") -> None:
        """Has that shell script as editor; `$1` is the file, `$NOTES` a folder for what it has to tell."""
        path = self.home / name
        path.write_text(f"#!/bin/sh\nset -e\n{script}\n")
        path.chmod(0o755)
        self.environ["EDITOR"] = str(path)

    def note(self, name: str) -> str:
        return (self.notes / name).read_text()

    def left(self) -> list[str]:
        """What stands in the folder in memory."""
        return sorted(os.listdir(self.memory))

    def start(self, *words: str, program: str = KSECRET) -> Running:
        return Running(self, [program, *words])


@pytest.fixture
def me(tmp_path: Path) -> Iterator[Writer]:
    """Somebody who edits and leaves nothing in memory."""
    writer = Writer(tmp_path)
    try:
        yield writer
        assert writer.left() == []
    finally:
        shutil.rmtree(writer.memory)


class Running:
    """A `ksecret` at work on a terminal of its own."""

    def __init__(self, who: Person, words: list[str]) -> None:
        self.seen = b""
        self._leader, terminal = os.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-c", WITH_A_TERMINAL, *words],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            cwd=who.work,
            env=who.environ,
        )
        os.close(terminal)

    def type(self, text: str) -> None:
        os.write(self._leader, text.encode())

    def read(self, wanted: str) -> None:
        """Waits until that is on the screen."""
        self._until(lambda: wanted.encode() in self.seen, f"{wanted!r} on the screen")

    def wait_for(self, path: Path) -> None:
        self._until(path.exists, f"{path.name}")

    def end(self) -> tuple[int, str]:
        """Its exit code and all that was on the screen."""
        self._until(lambda: self.process.poll() is not None, "the end")
        self._drain(0)
        os.close(self._leader)
        return self.process.returncode, self.seen.decode()

    def _until(self, true: Callable[[], bool], what: str) -> None:
        last = time.monotonic() + SOON
        while not true():
            self._drain(0.05)
            if time.monotonic() > last:
                self.process.kill()
                self.process.wait()
                raise AssertionError(f"waited in vain for {what}; on the screen: {self.seen!r}")

    def _drain(self, seconds: float) -> None:
        while select.select([self._leader], [], [], seconds)[0]:
            try:
                data = os.read(self._leader, 65536)
            except OSError:
                data = b""
            if not data:
                time.sleep(seconds)
                return
            self.seen += data


def another_key() -> str:
    """A KeyRef that nobody in the test can open."""
    return f"age:{pyrage.x25519.Identity.generate().to_public()}"


def nothing_secret(screen: str) -> bool:
    return not any(mark in screen for mark in (*MARKS, "Traceback"))
