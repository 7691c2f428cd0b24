"""How long 1,000 small sealed manifests take to open in one process, against `sops decrypt` in a loop.

`python -m benchmarks.bulk [age|aws|gcp …]` (all three); exits 1 where a bar is missed. Needs the `dev` extra.
Both are the real programs: sops is the executable inside its wheel, not the wheel's Python script. It is timed on
about 100 files, in three rounds with ours in turn, and extrapolated by its median, since what it costs is a process and
a call per file. The KMSs are the tests' own, in processes of their own, and answer after 20 ms.
Bars: age 18 × and AWS 12 × faster than sops; Google 80 % of jobs / latency, until the processor is the limit.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.common import KSECRET, PYTHON, Bench, verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

LATENCY = 0.02
BUSY = 0.8
"""Part of one core from which on the processor is the limit, since Python works on one thing at a time."""
ARN = "arn:aws:kms:eu-west-1:111122223333:key/11111111-2222-3333-4444-555555555555"
RESOURCE = "projects/p/locations/global/keyRings/r/cryptoKeys/k"


def main(what: list[str], files: int = 1000, sops_runs: int = 100) -> int:
    """Measures, prints, and gives the exit code."""
    held = []
    for name in what or ["age", "aws", "gcp"]:
        with tempfile.TemporaryDirectory(prefix="ks") as folder:
            held.append({"age": _age, "aws": _aws, "gcp": _gcp}[name](Bench(Path(folder)), files, sops_runs))
    return 0 if all(held) else 1


def _age(bench: Bench, files: int, sops_runs: int) -> bool:
    ratio = _against_sops(bench, f"age:{bench.recipient}", ["--age", bench.recipient], files, sops_runs)
    return verdict("age: sops loop / ksecret decrypt -r", ratio, 18, at_least=True)


def _aws(bench: Bench, files: int, sops_runs: int) -> bool:
    bench.environ |= {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "eu-west-1"}
    with server(bench, "tests.emulators.aws", "--stub", "--latency", str(LATENCY)):
        ratio = _against_sops(bench, f"aws:{ARN}", ["--kms", ARN], files, sops_runs)
    return verdict("aws: sops loop / ksecret decrypt -r", ratio, 12, at_least=True)


def _gcp(bench: Bench, files: int, _sops_runs: int) -> bool:
    held = []
    with server(bench, "tests.emulators.gcp", "--latency", str(LATENCY), "--key", RESOURCE):
        (warm,) = bench.manifests(1)
        bench.seal_with_ksecret(warm, key=f"gcp:{RESOURCE}")
        start = min(bench.seconds([KSECRET, "decrypt", str(warm)]) for _ in range(3))
        folder = _sealed(bench, f"gcp:{RESOURCE}", files)
        for jobs in (8, 16, 32):
            command = [KSECRET, "decrypt", "-r", "--jobs", str(jobs), folder]
            wall, cpu = min(bench.cpu_seconds(command) for _ in range(3))
            rate, busy = files / (wall - start), cpu / wall
            print(f"gcp: {jobs} jobs: {rate:.0f} files/s without the start, the processor {busy:.0%} busy with them")
            if busy <= BUSY:
                name = f"gcp: {jobs} jobs: part of jobs / {LATENCY} s"
                held.append(verdict(name, rate / (jobs / LATENCY), 0.8, at_least=True))
    return all(held)


def _against_sops(bench: Bench, key: str, sops_key: list[str], files: int, sops_runs: int) -> float:
    """How many times as long a loop of sops takes: medians of three rounds, in which both run in turn."""
    folder = _sealed(bench, key, files)
    (path,) = bench.manifests(1)
    bench.seal_with_sops(path, *sops_key)
    ours, theirs = [], []
    for _ in range(3):
        ours.append(bench.seconds([KSECRET, "decrypt", "-r", folder]))
        theirs += [bench.seconds([bench.sops, "decrypt", str(path)]) for _ in range(max(1, sops_runs // 3))]
    opened, loop = statistics.median(ours), statistics.median(theirs) * files
    print(f"{key[:3]}: ksecret decrypt -r,    {files} files: {opened:6.2f} s (median of 3)")
    print(f"sops decrypt in a loop, {files} files: {loop:6.2f} s (from the median of {len(theirs)})")
    return loop / opened


def _sealed(bench: Bench, key: str, files: int) -> str:
    """A folder with that many sealed manifests."""
    folder = str(bench.manifests(files)[0].parent)
    seal = bench.seconds([KSECRET, "encrypt", "-i", "-r", "-k", key, folder])
    print(f"{key[:3]}: ksecret encrypt -i -r, {files} files: {seal:6.2f} s")
    return folder


@contextmanager
def server(bench: Bench, *module: str) -> Iterator[None]:
    """A KMS of the tests in a process of its own, which prints what to put in the environment, its address last."""
    command = [PYTHON, "-u", "-m", *module]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            name = ""
            while "ENDPOINT" not in name:
                name, _, value = process.stdout.readline().strip().removeprefix("export ").partition("=")
                bench.environ[name] = value
            yield
        finally:
            process.terminate()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
