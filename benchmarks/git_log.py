"""What `git log -p` costs with ksecret's textconv: each conversion is a process of its own.

`python -m benchmarks.git_log [COMMITS]` (100 of two files); exits 1 where a bar is missed (benchmarks/bars.py).
Conversions are counted by a run with a script in ksecret's place. What one costs is the median of pieces of the log, of
which each is taken in turn with `--no-textconv`, which is Git's own share, and with starts of Python.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.bars import PYTHON as PYTHON_CPU
from benchmarks.bars import Verdicts, median
from benchmarks.common import KSECRET, MANIFEST, PYTHON, Bench, in_memory

FILES = 2
PIECE = 5
"""Commits of a piece: a quarter of a second, in which a machine is as quick or slow as in the starts beside it."""
STARTS = 5
"""Of Python, before and behind each piece, one after the other as conversions are."""


def main(commits: int = 100) -> int:
    """Measures, prints, and gives the exit code."""
    verdicts = Verdicts()
    with in_memory() as name:
        bench = Bench(Path(name))
        repository = history(bench, commits)
        log = ["git", "-C", str(repository), "log", "-p"]
        counted = conversions(bench, log)
        each, start = conversion(bench, log, commits)
        first, again = bench.once(log), bench.once(log)
    print(f"{commits} commits of {FILES} files: {counted} conversions; Python's start {start:.2f} ms of CPU")
    for what, cost in (("first", first), ("again", again)):
        print(f"git log -p, {what:14} {cost.wall:7.2f} s, CPU {cost.cpu:.2f}")
    verdicts.tell("git: cpu", each, start / PYTHON_CPU)
    verdicts.tell("git: again", again.wall)
    return 0 if verdicts.held else 1


def conversion(bench: Bench, log: list[str], commits: int) -> tuple[float, float]:
    """Milliseconds of CPU of a conversion that is not kept, and of Python's start in the same moments."""
    python = [PYTHON, "-I", "-c", "pass"]
    costs: list[float] = []
    starts: list[float] = []
    for newest in range(0, commits - PIECE, PIECE):  # the first commit adds files: fewer conversions
        piece = [*log, f"HEAD~{newest + PIECE}..HEAD~{newest}"]
        own = [*piece[:3], "-c", "diff.ksecret.cachetextconv=false", *piece[3:]]
        starts += (bench.once(python).cpu * 1e3 for _ in range(STARTS))
        with_ours = bench.once(own).cpu - bench.once([*piece, "--no-textconv"]).cpu
        costs.append(with_ours / conversions(bench, piece) * 1e3)
        starts += (bench.once(python).cpu * 1e3 for _ in range(STARTS))
    return median(costs), median(starts)


def history(bench: Bench, commits: int) -> Path:
    """A repository in which each commit rotates sealed files, set up as `ksecret git setup` does."""
    root = bench.folder / "repository"
    root.mkdir()
    git = ["git", "-C", str(root)]
    bench.run([*git, "init", "-q"])
    for name, text in (("user.name", "bench"), ("user.email", "bench@example.org"), ("commit.gpgsign", "false")):
        bench.run([*git, "config", name, text])  # Git needs a name for what it keeps, too
    paths = [root / f"{number}.yaml" for number in range(FILES)]
    for number, path in enumerate(paths):
        path.write_text(MANIFEST.format(number=number))
    bench.seal_with_ksecret(*paths)
    subprocess.run([KSECRET, "git", "setup"], cwd=root, env=bench.environ, check=True, capture_output=True)
    for number in range(commits):
        if number:
            bench.run([KSECRET, "rotate", *map(str, paths)])
        bench.run([*git, "add", "-A"])
        bench.run([*git, "commit", "-q", "-m", f"commit {number}"])
    return root


def conversions(bench: Bench, log: list[str]) -> int:
    """How many of them a log makes."""
    told = bench.folder / "conversions"
    told.unlink(missing_ok=True)
    script = bench.folder / "counting"
    script.write_text(f'#!/bin/sh\necho >> {told}\ncat "$1"\n')
    script.chmod(0o755)
    own = ("-c", f"diff.ksecret.textconv={script}", "-c", "diff.ksecret.cachetextconv=false")
    bench.run([*log[:3], *own, *log[3:]])
    return len(told.read_text().splitlines())


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:2])))
