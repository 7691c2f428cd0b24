"""What files cost that were made to cost: each family at n, 2n, 4n … bytes, given to the real commands.

`python -m benchmarks.hostile [--small] [FAMILY…]`; exits 1 where a bar is missed. A command is a child process, whose
processor time and peak memory the kernel counts. Bars (docs/limits.md): twice the bytes take at most 2.5 × the time of
a command that started already; no file takes more than 5 s, nor more memory than the floor and 20 × its bytes, those
that the command writes included.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from itertools import pairwise
from math import log2
from pathlib import Path
from typing import NamedTuple

from benchmarks.common import KSECRET, Bench
from benchmarks.hostile_bodies import FAMILIES

__all__ = ["FAMILIES"]

SIZES = (50_000, 150_000, 250_000, 500_000, 1_000_000, 2_000_000, 8_000_000)
SMALL = (500_000, 1_000_000)
GROWTH_BAR, SECONDS_BAR, BYTES_BAR = 2.5, 5.0, 20.0
FLOOR = 128 * 1000**2
"""Bytes of memory for the interpreter, its libraries, and the nodes that any file may have."""
TOO_LITTLE = 0.15
"""Seconds. Growth is told of times beyond this only: below, the start of a process is all that they tell."""
PATIENCE = 60.0
COMMANDS = {
    "check": ["check"],
    "inspect": ["inspect"],
    "verify": ["verify"],
    "decrypt": ["decrypt"],
    "encrypt": ["encrypt"],
    "textconv": ["git", "textconv"],
}
CHANGES = {
    "set": ["set", "{}", "a=other", "-o", "-"],
    "unset": ["unset", "{}", "a", "-o", "-"],
    "rename": ["rename", "{}", "--name=other", "--namespace=prod", "-o", "-"],
    "edit": ["edit", "{}", "-o", "-"],
    "merge": ["git", "merge", "{}", "{}", "{}", "a.yaml"],
}
SEALED = {"opened": ["decrypt"], "rotated": ["rotate"]} | CHANGES
"""Commands on what `encrypt` made of a file, where it made something of it. `{}`: the file, else it comes last."""
EDITOR = """#!/bin/sh
sed -i '0,/\\<a: [^,}]*/s//a: bm90LWE=/' "$1"
echo '# by hand' >> "$1"
"""
"""Changes a value and what is in the clear."""


class Cost(NamedTuple):
    """Of one command on one file."""

    size: int
    """Bytes of the file, or of what the command wrote where that is more."""
    seconds: float
    """Processor time, the process's start included."""
    memory: int
    """Bytes, at the peak."""


class Verdict(NamedTuple):
    """Of one command on one family."""

    growth: float
    """The most that twice the bytes have multiplied the time by; 0 where all took too little to tell."""
    worst: Cost
    """Of the run that took longest."""
    largest: Cost
    """Of the run that took the most memory for its size."""

    @property
    def missed(self) -> list[str]:
        """The bars that it missed."""
        over = self.largest.memory > FLOOR + BYTES_BAR * self.largest.size
        bars = {"growth": self.growth > GROWTH_BAR, "seconds": self.worst.seconds > SECONDS_BAR, "memory": over}
        return [name for name, is_missed in bars.items() if is_missed]


def write(path: Path, family: str, size: int) -> None:
    """Writes a body from another process, so that this one stays small: a child's peak counts its parent's."""
    pid = os.fork()
    if not pid:
        try:
            path.write_bytes(FAMILIES[family](size))
        finally:
            os._exit(0)
    os.waitpid(pid, 0)


def cost(bench: Bench, command: list[str], path: Path) -> Cost:
    """One run, stopped where it takes too long."""
    words = [word.replace("{}", str(path)) for word in (command if "{}" in command else [*command, "{}"])]
    with (bench.folder / "written.yaml").open("wb") as out:
        child = subprocess.Popen(
            [KSECRET, *words], stdout=out, stderr=subprocess.DEVNULL, cwd=bench.folder, env=bench.environ
        )
        timer = threading.Timer(PATIENCE, child.kill)
        timer.start()
        _, _, used = os.wait4(child.pid, 0)
        child.returncode = 0  # it is waited for
        timer.cancel()
        written = os.fstat(out.fileno()).st_size
    return Cost(max(path.stat().st_size, written), used.ru_utime + used.ru_stime, used.ru_maxrss * 1024)


def judge(costs: list[Cost], start: float) -> Verdict:
    """`costs`: of files each of which is larger than the one before; `start`: of a command with nothing to do."""
    growth = 0.0
    for one, next_one in pairwise(costs):
        before, after = one.seconds - start, max(next_one.seconds - start, 0.0)  # less than nothing is noise
        if before > TOO_LITTLE and next_one.size > one.size:
            growth = max(growth, (after / before) ** (1 / max(1.0, log2(next_one.size / one.size))))
    largest = max(costs, key=lambda one: one.memory - BYTES_BAR * one.size)
    return Verdict(growth, max(costs, key=lambda one: one.seconds), largest)


def measure(bench: Bench, family: str, sizes: tuple[int, ...], commands: dict[str, list[str]]) -> dict[str, Verdict]:
    """Every command on files of one family."""
    path, sealed = bench.folder / "hostile.yaml", bench.folder / "sealed.yaml"
    empty = bench.folder / "empty.yaml"
    empty.write_text("kind: Secret\n")
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    for size in sizes:
        write(path, family, size)
        for name, command in commands.items():
            if not costs[name] or costs[name][-1].seconds < PATIENCE / 2:
                costs[name].append(cost(bench, command, sealed if name in SEALED else path))
            if name == "encrypt":
                (bench.folder / "written.yaml").replace(sealed)
    return {name: judge(found, cost(bench, commands[name], empty).seconds) for name, found in costs.items()}


def main(
    families: list[str], sizes: tuple[int, ...] = SIZES, commands: dict[str, list[str]] = COMMANDS | SEALED
) -> int:
    """Measures, prints, and gives the exit code. `commands`: those on sealed files come after `encrypt`."""
    missed = 0
    with tempfile.TemporaryDirectory(prefix="ks") as folder:
        bench = Bench(Path(folder))
        editor = bench.folder / "editor"
        editor.write_text(EDITOR)
        editor.chmod(0o700)
        bench.environ |= {"KSECRET_KEY": f"age:{bench.recipient}", "VISUAL": str(editor)}
        (bench.folder / ".ksecret.yaml").write_text(f"version: 1\nrules:\n- keys: ['age:{bench.recipient}']\n")
        print(f"{'family':24} {'command':9} {'growth':>6} {'seconds':>8}  {'MB at':>9} MB")
        for family in families or FAMILIES:
            for name, verdict in measure(bench, family, sizes, commands).items():
                largest = verdict.largest
                missed += len(verdict.missed)
                told = f"  MISSED: {', '.join(verdict.missed)}" if verdict.missed else ""
                print(
                    f"{family:24} {name:9} {verdict.growth:6.2f} {verdict.worst.seconds:8.2f}"
                    f" {largest.memory / 1e6:6.0f} {largest.size / 1e6:4.1f}{told}",
                    flush=True,
                )
    print("all bars hold" if not missed else f"{missed} bars MISSED")
    return 1 if missed else 0


if __name__ == "__main__":
    words = sys.argv[1:]
    sys.exit(main([word for word in words if word != "--small"], SMALL if "--small" in words else SIZES))
