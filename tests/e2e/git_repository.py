"""A Git repository with a sealed file in it, and two branches that part from `main`."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from tests.e2e.cli import MARK, Person, b64, member

if TYPE_CHECKING:
    from collections.abc import Callable

FILE = "secret.yaml"
CONFIG = """\
[user]
name = Test
email = test@example.com
[init]
defaultBranch = main
[maintenance]
auto = false
"""
"""The last saves a process of each commit and merge."""
SETUP = ("git", "setup", "*.yaml", "*.json")
CLEAR = f"""\
# for the shop
apiVersion: v1
kind: Secret
metadata:
  name: db
  namespace: prod
  labels:
    app: shop
data:
  one: {b64(f"one {MARK}")}
  two: {b64(f"two {MARK}")}   # behind
  # above three
  three: {b64(f"three {MARK}")}
stringData:
  url: "{MARK}"
  key: |
    {MARK}
    line
"""


@cache
def set_up() -> Path:
    """A repository with the drivers and nothing else, made once: setting them up writes no key and no place."""
    folder = Path(tempfile.mkdtemp(prefix="ks"))
    atexit.register(shutil.rmtree, folder)
    me = Person(folder)
    me.ok("init", "-q", "-b", "main", ".", program="git", GIT_CONFIG_GLOBAL=os.devnull, GIT_CONFIG_NOSYSTEM="1")
    me.ok(*SETUP, GIT_CONFIG_GLOBAL=os.devnull, GIT_CONFIG_NOSYSTEM="1")
    return me.work


class Repository:
    """In the person's work folder, with the drivers set up unless `plain`."""

    def __init__(self, me: Person, clear: str = CLEAR, name: str = FILE, *, plain: bool = False) -> None:
        self.me = me
        self.name = name
        config = me.home / "gitconfig"
        config.write_text(CONFIG)
        me.environ |= {"GIT_CONFIG_GLOBAL": str(config), "GIT_CONFIG_NOSYSTEM": "1", "GIT_EDITOR": "true"}
        if plain or any(me.work.iterdir()):
            self.ok("init", "-q")
            if not plain:
                me.ok(*SETUP)
        else:
            shutil.copytree(set_up(), me.work, dirs_exist_ok=True)
        self.path = me.write_sealed(name, clear.encode()) if clear else me.write(name, b"")
        self.commit()

    def git(self, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        environment = self.me.environ | environ
        done = subprocess.run(["git", *words], cwd=self.me.work, env=environment, capture_output=True)
        out, err = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        assert MARK not in err
        return subprocess.CompletedProcess(words, done.returncode, out, err)

    def ok(self, *words: str, **environ: str) -> str:
        done = self.git(*words, **environ)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    def commit(self, message: str = "x") -> None:
        self.ok("add", "-A")
        self.ok("commit", "-q", "-m", message)

    def on(self, branch: str, change: Callable[[], object], start: str = "main") -> None:
        """A branch with one commit."""
        self.ok("checkout", "-q", "-b", branch, start)
        change()
        self.commit(branch)

    def merged(self, ours: Callable[[], object], theirs: Callable[[], object]) -> subprocess.CompletedProcess[str]:
        """Each change on a branch of its own, and theirs merged into ours."""
        self.on("ours", ours)
        self.on("theirs", theirs)
        self.ok("checkout", "-q", "ours")
        return self.git("merge", "-q", "theirs", "-m", "merged")

    @property
    def text(self) -> str:
        return self.path.read_bytes().decode()

    def replace(self, old: str, new: str) -> None:
        """In the sealed text; what is in the clear then is sealed."""
        text = self.text
        assert text.count(old) == 1, text
        self.path.write_bytes(text.replace(old, new).encode())
        self.me.run("encrypt", "-i", "--", self.name)

    def set(self, key: str, value: str) -> None:
        """A new value, as text under `data`, in the token's place."""
        self.replace(member(self.text.replace("\r", "").encode(), key).partition(" ")[0], b64(f"{value} {MARK}"))

    def add(self, after: str, key: str, value: str) -> None:
        """A new entry on the line after that of another."""
        line = next(line for line in self.text.splitlines(keepends=True) if line.strip().startswith(f"{after}:"))
        indent = line[: len(line) - len(line.lstrip())]
        end = line[len(line.rstrip("\r\n")) :]
        self.replace(line, f"{line}{indent}{key}: {b64(f'{value} {MARK}')}{end}")

    def remove(self, key: str) -> None:
        """An entry of one line."""
        (line,) = (line for line in self.text.splitlines(keepends=True) if line.strip().startswith(f"{key}:"))
        self.path.write_bytes(self.text.replace(line, "").encode())

    def rotate(self) -> None:
        """A new data key."""
        self.me.ok("rotate", "--", self.name)

    def clear(self) -> str:
        return self.me.ok("decrypt", "--", self.name).out.decode()


def changed(**values: str) -> str:
    """CLEAR with other values under `data`; an empty one takes the line away."""
    text = CLEAR
    for key, value in values.items():
        line = next(line for line in CLEAR.splitlines(keepends=True) if line.startswith(f"  {key}:"))
        old = line.split()[1]
        text = text.replace(line, line.replace(old, b64(f"{value} {MARK}")) if value else "")
    return text


def with_added(text: str, after: str, *entries: tuple[str, str]) -> str:
    """The clear text with entries after that of another key."""
    line = next(line for line in text.splitlines(keepends=True) if line.startswith(f"  {after}:"))
    return text.replace(line, line + "".join(f"  {key}: {b64(f'{value} {MARK}')}\n" for key, value in entries))
