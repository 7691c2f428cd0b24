"""What `git log -p` costs with ksecret's textconv: each conversion is a process of its own.

`python -m benchmarks.git_log [COMMITS]` (100 of two files); exits 1 where a bar is missed (benchmarks/bars.py).
Conversions are counted by a run with a script in ksecret's place. Git's own share is that of `--no-textconv`.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.bars import PYTHON as PYTHON_CPU
from benchmarks.bars import Verdicts, median
from benchmarks.common import KSECRET, MANIFEST, PYTHON, Bench, in_memory

FILES = 2


def main(commits: int = 100) -> int:
    """Measures, prints, and gives the exit code."""
    verdicts = Verdicts()
    with in_memory() as name:
        bench = Bench(Path(name))
        repository = history(bench, commits)
        log = ["git", "-C", str(repository), "log", "-p"]
        counted = conversions(bench, log)
        plain = bench.once([*log, "--no-textconv"])
        without = bench.once([*log[:3], "-c", "diff.ksecret.cachetextconv=false", *log[3:]])
        first, again = bench.once(log), bench.once(log)
        start = median(bench.once([PYTHON, "-I", "-c", "pass"]).cpu for _ in range(11))
    print(f"{commits} commits of {FILES} files: {counted} conversions")
    for what, cost in (("--no-textconv", plain), ("not kept", without), ("first", first), ("again", again)):
        print(f"git log -p, {what:14} {cost.wall:7.2f} s, CPU {cost.cpu:.2f}")
    verdicts.tell("git: cpu", (without.cpu - plain.cpu) / counted * 1e3, start * 1e3 / PYTHON_CPU)
    verdicts.tell("git: again", again.wall)
    return 0 if verdicts.held else 1


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
    script = bench.folder / "counting"
    script.write_text(f'#!/bin/sh\necho >> {told}\ncat "$1"\n')
    script.chmod(0o755)
    own = ("-c", f"diff.ksecret.textconv={script}", "-c", "diff.ksecret.cachetextconv=false")
    bench.run([*log[:3], *own, *log[3:]])
    return len(told.read_text().splitlines())


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:2])))
