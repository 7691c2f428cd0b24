"""Whether a thousand files, ten thousand and a hundred thousand cost the same time a file, and how much memory at most.

`python -m benchmarks.scale [FILES…]`; exits 1 where a bar is missed (benchmarks/bars.py). `--shards N [FILES]` has N
processes rotate one tree at the same time, a core each at most; exits 1 where a file was not rotated once.

In memory (tmpfs), with small Secrets sealed to age. Time is that of `verify -r` and `rotate -r`, less that of one file.
Memory is that of all processes together at its peak, each page counted once (Linux, `Pss` in /proc/PID/smaps_rollup),
in `decrypt -r` too, which keeps all that it opens until it knows that every file opens.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.bars import Verdicts, cores
from benchmarks.common import KSECRET, Bench, in_memory

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZES = (1_000, 10_000, 100_000)

TIMED = {"verify": ("verify", "-r"), "rotate": ("rotate", "-r")}

PARENT, WORKER = 60, 30
"""MiB."""

_EVERY = 0.05
"""Seconds between two looks at memory."""


def main(sizes: tuple[int, ...] = SIZES) -> int:
    """Measures, prints, and gives the exit code."""
    verdicts = Verdicts()
    times: dict[str, list[float]] = {name: [] for name in TIMED}
    most = 0.0
    for size in sizes:
        with in_memory() as name:
            bench = Bench(Path(name))
            folder = bench.manifests(size)[0].parents[1]
            peak, workers = peak_of(bench, "encrypt", "-i", "-r", "-k", f"age:{bench.recipient}", str(folder))
            for command, words in TIMED.items():
                one = bench.once([KSECRET, *words[:1], f"{folder}/000/000000.yaml"])
                cost = min(bench.once([KSECRET, *words, str(folder)]) for _ in range(3))
                wall, cpu = ((all_ - first) / size for all_, first in zip(cost, one, strict=True))
                times[command].append(wall)
                print(f"{command:8} {size:7} files: {wall * 1e3:.3f} ms a file, CPU {cpu * 1e3:.3f} ms")
            for words in (("decrypt", "-r"), ("rotate", "-r")):
                found, forked = peak_of(bench, *words, str(folder))
                print(f"{words[0]:8} {size:7} files: {found:.0f} MiB in 1 + {forked} processes")
                peak, workers = max(peak, found), max(workers, forked)
            most = max(most, peak / (PARENT + WORKER * workers))
    for command, taken in times.items():
        print(f"{command}:")
        verdicts.tell("scale: time", max(taken) / min(taken))
    verdicts.tell("scale: memory", most)
    print(f"({cores()} cores)")
    return 0 if verdicts.held else 1


def shards(count: int, files: int = 10_000) -> int:
    """Measures all shards at once, as pods that share a volume are; the exit code."""
    with in_memory() as name:
        bench = Bench(Path(name))
        folder = bench.manifests(files)[0].parents[1]
        bench.run([KSECRET, "encrypt", "-i", "-r", "-k", f"age:{bench.recipient}", str(folder)])
        reports = [bench.folder / f"{part}.jsonl" for part in range(count)]
        before, start = os.times(), time.perf_counter()
        running = [
            subprocess.Popen(
                [KSECRET, "rotate", "-r", "--jobs", "1", "--shard", f"{part}/{count}", "--report", report, folder],
                env=bench.environ,
                stderr=subprocess.DEVNULL,
            )
            for part, report in enumerate(reports)
        ]
        failed = any([process.wait() for process in running])
        wall, after = time.perf_counter() - start, os.times()
        entries = [json.loads(line) for report in reports for line in report.read_text().splitlines()]
    done = Counter(entry["file"] for entry in entries if entry.get("outcome") == "rotated")
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    print(f"{count} shards of {files} files: {wall:.1f} s, CPU {cpu / files * 1e3:.3f} ms a file ({cores()} cores)")
    once = len(done) == done.total() == files
    print("each file once" if once else f"{len(done)} files, {done.total()} times")
    return 0 if once and not failed else 1


def peak_of(bench: Bench, *words: str) -> tuple[float, int]:
    """MiB that a run of ksecret has at most, its workers included, and how many workers those are."""
    peak, workers, ended = 0.0, 0, threading.Event()

    def look(pid: int) -> None:
        nonlocal peak, workers
        while not ended.wait(_EVERY):
            family = [pid, *_children(pid)]
            workers = max(workers, len(family) - 1)
            peak = max(peak, sum(map(_megabytes, family)))

    with subprocess.Popen(
        [KSECRET, *words], env=bench.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        looking = threading.Thread(target=look, args=(process.pid,))
        looking.start()
        process.wait()
        ended.set()
        looking.join()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    return peak, workers


def _children(pid: int) -> Iterator[int]:
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            yield from map(int, Path(f"/proc/{pid}/task/{task}/children").read_text().split())
    except OSError:
        return


def _megabytes(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


if __name__ == "__main__":
    if sys.argv[1:2] == ["--shards"]:
        sys.exit(shards(*map(int, sys.argv[2:])))
    sys.exit(main(tuple(map(int, sys.argv[1:])) or SIZES))
