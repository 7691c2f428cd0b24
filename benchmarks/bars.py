"""The bars that figures are held to, as data, and what two cores are worth while they are taken.

Ratios are medians of runs that take turns, so a slow moment meets all alike. Processor time (`cpu`) holds while others
use the machine; wall time hardly does. Bars for two cores are scaled by what two busy loops get at the same time, bars
in milliseconds of CPU by what Python's own start takes then, which tells how quick the machine is.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable


class Bar(NamedTuple):
    """A figure's bar: at most so much, or at least."""

    what: str
    limit: float
    goal: float
    """What is gone on for where it is in reach."""
    at_least: bool = False


BARS = {
    # One file. Wall time, but for what says CPU.
    "age/sops": Bar("cold age decrypt / sops decrypt", 1.5, 1.2),
    "age/python": Bar("cold age decrypt / python -I -c pass", 2.3, 2.05),
    "textconv/python": Bar("git textconv / python", 1.5, 1.25),
    "inspect/python": Bar("inspect of one file / python", 1.8, 1.5),
    "check/python": Bar("check of one file / python", 1.7, 1.4),
    "sops file/sops": Bar("cold decrypt of SOPS's file / sops decrypt", 1.95, 1.6),
    "rsa3072": Bar("PGP, RSA 3072: what it takes over age / gpg -d", 1.0, 1.0),
    "cv25519": Bar("PGP, cv25519: what it takes over age / gpg -d", 1.0, 1.0),
    "aws": Bar("AWS KMS: client and call, ms of CPU", 25, 23),
    # A thousand files.
    "age: cpu": Bar("age: ms of CPU a file", 0.48, 0.43),
    "age: one": Bar("age: sops loop / decrypt -r by one process", 38, 41, at_least=True),
    "age: two": Bar("age: sops loop / decrypt -r by two cores", 60, 70, at_least=True),
    "age: cores": Bar("age: two cores over one / two busy loops", 0.85, 1.0, at_least=True),
    "aws: cpu": Bar("AWS KMS at 20 ms: ms of CPU a file", 2.0, 1.6),
    "aws: sops": Bar("AWS KMS at 20 ms: sops loop / decrypt -r", 28, 35, at_least=True),
    "gcp": Bar("Cloud KMS at 20 ms: part of jobs / latency", 0.8, 0.9, at_least=True),
    "azure": Bar("Azure Key Vault at 20 ms: part of jobs / latency", 0.8, 0.9, at_least=True),
    "vault": Bar("Vault at 20 ms: part of jobs / latency", 0.8, 0.9, at_least=True),
    "rotate: cpu": Bar("rotate -r in tmpfs: ms of CPU a file", 1.1, 0.9),
    "check": Bar("check of 5,000 files, seconds", 0.4, 0.25),
    "report": Bar("report on 5,000 sealed Secrets, seconds", 2.0, 1.5),
    # A thousand files that sops sealed.
    "sops: cpu": Bar("SOPS's files, age: ms of CPU a file", 0.62, 0.56),
    "sops: one": Bar("SOPS's files: sops loop / decrypt -r by one process", 29, 32, at_least=True),
    "sops: two": Bar("SOPS's files: sops loop / decrypt -r by two cores", 46, 54, at_least=True),
    # Git.
    "git: cpu": Bar("a conversion inside git log -p, ms of CPU", 18, 15),
    "git: again": Bar("git log -p again, by Git's cache, seconds", 0.2, 0.1),
    # From a thousand files to a hundred thousand.
    "scale: time": Bar("time a file, the slowest over the quickest", 1.2, 1.1),
    "scale: memory": Bar("peak memory / (60 MiB and 30 a worker)", 1.0, 0.8),
}


PYTHON = 11.0
"""Milliseconds of CPU that `python -I -c pass` took where bars in milliseconds of CPU were set."""

SOPS = 1.7
"""What sops's start took there, in Python's. More tells that mapping a program's pages is dear on this machine."""

READ = 0.115
"""Seconds of CPU in which Python read the five thousand files of `benchmarks.check` there."""


class Verdicts:
    """Prints figures against their bars, and remembers whether all held.

    `slack`: how many times as bad a figure may be, as a test allows that is not to fail for a busy machine.
    """

    def __init__(self, slack: float = 1.0) -> None:
        self._slack = slack
        self.held = True

    def tell(self, name: str, figure: float, scale: float = 1.0) -> None:
        """One figure. `scale`: part of the bar that can be had of this machine."""
        bar = BARS[name]
        slack = 1 / self._slack if bar.at_least else self._slack
        limit = bar.limit * scale * slack
        holds = figure >= limit if bar.at_least else figure <= limit
        word = "at least" if bar.at_least else "at most"
        verdict = "holds" if holds else "MISSES"
        print(f"{bar.what:52} {figure:8.2f}   {verdict:6} ({word} {limit:.3g}, goal {bar.goal * scale:.3g})")
        self.held = self.held and holds


_LOOP = "for _ in range(6_000_000): pass"
"""Some two tenths of a second."""


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def two_loops(rounds: int = 3) -> float:
    """How many times as much two busy loops get done as one: 2 where two cores are free."""
    return statistics.median(2 * _seconds(1) / _seconds(2) for _ in range(rounds))


def _seconds(loops: int) -> float:
    start = perf_counter()
    running = [subprocess.Popen([sys.executable, "-I", "-c", _LOOP]) for _ in range(loops)]
    for process in running:
        process.wait()
    return perf_counter() - start


def median(values: Iterable[float]) -> float:
    """Their median."""
    return statistics.median(values)
