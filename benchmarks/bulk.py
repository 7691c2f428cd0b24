"""How long 1,000 small manifests take, against `sops decrypt` in a loop.

`python -m benchmarks.bulk [age|sops|aws|gcp|azure|vault|rotate …]` (all of them; `sops`: files in SOPS's format, sealed
by us, which both open); exits 1 where a bar is missed (benchmarks/bars.py). Needs the `dev` extra. Both are the real
programs: sops is the executable inside its wheel, not the wheel's Python script. It is timed on about 100 files, in
rounds with ours in turn, and extrapolated by its median, since what it costs is a process and a call per file. The
KMSs are the tests' own, in processes of their own, and answer after 20 ms. Processor time a file is what a run takes
over a run of one file. Azure's key is an AES key of a Managed HSM: by RSA, the emulator would take more of the cores
than what is measured.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.bars import PYTHON as PYTHON_CPU
from benchmarks.bars import Verdicts, cores, median, two_loops
from benchmarks.common import KSECRET, PYTHON, Bench, cpu_of, in_memory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.common import Cost

SOPS_RUNS = 20
"""In each round."""
LATENCY = 0.02
BUSY = 0.8
"""Part of the cores that may be used from which on the processor is the limit."""
ARN = "arn:aws:kms:eu-west-1:111122223333:key/11111111-2222-3333-4444-555555555555"
AWS_ENVIRON = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "eu-west-1"}
START = [PYTHON, "-I", "-c", "pass"]
TRANSIT = "transit/keys/k"
AZURE = f"https://demo.managedhsm.azure.net/keys/demo/{'0' * 32}"
RESOURCE = "projects/p/locations/global/keyRings/r/cryptoKeys/k"


def main(what: list[str], files: int = 1000, rounds: int = 5, slack: float = 1.0) -> int:
    """Measures, prints, and gives the exit code. `slack`: how many times as bad as its bar a figure may be."""
    verdicts = Verdicts(slack)
    for name in what or list(KINDS):
        with in_memory() as folder:
            KINDS[name](Bench(Path(folder)), verdicts, files, rounds)
    return 0 if verdicts.held else 1


def _age(bench: Bench, verdicts: Verdicts, files: int, rounds: int) -> None:
    folder = _sealed(bench, f"age:{bench.recipient}", files)
    theirs = _for_sops(bench, "--age", bench.recipient)
    _against_sops(bench, verdicts, folder, theirs, kind="age", files=files, rounds=rounds)


def _sops(bench: Bench, verdicts: Verdicts, files: int, rounds: int) -> None:
    paths = bench.manifests(files)
    folder = str(paths[0].parents[1])
    sealing = ["--format", "sops", "--encrypted-regex", "^(data|stringData)$", "-k", f"age:{bench.recipient}"]
    bench.once([KSECRET, "encrypt", "-i", *sealing, *map(str, paths)])
    theirs = [bench.sops, "decrypt", _first(folder)]
    _against_sops(bench, verdicts, folder, theirs, kind="sops", files=files, rounds=rounds)


def _against_sops(
    bench: Bench, verdicts: Verdicts, folder: str, theirs: list[str], *, kind: str, files: int, rounds: int
) -> None:
    """Opens the folder by one process and by all cores, in turn with sops, which opens one file: for bars `KIND: …`."""
    commands = {
        "python": START,
        "one file": [KSECRET, "decrypt", _first(folder)],
        "one process": [KSECRET, "decrypt", "-r", "--jobs", "1", folder],
        "all cores": [KSECRET, "decrypt", "-r", folder],
    }
    free = two_loops()
    wall, cpu, sops = _in_turn(bench, commands, theirs, rounds)
    print(f"{kind}: two busy loops get {free:.2f} × as much done as one")
    by_one = (cpu["one process"] - cpu["one file"]) / (files - 1) * 1e3
    verdicts.tell(f"{kind}: cpu", by_one, cpu["python"] * 1e3 / PYTHON_CPU)
    verdicts.tell(f"{kind}: one", sops * files / wall["one process"])
    if cores() > 1:
        free = min(free, two_loops())
        verdicts.tell(f"{kind}: two", sops * files / wall["all cores"], free / 2)
    if cores() > 1 and kind == "age":
        start = wall["one file"]
        gained = (wall["one process"] - start) / (wall["all cores"] - start)
        verdicts.tell("age: cores", gained / free if cores() == 2 else gained / 2)


def _aws(bench: Bench, verdicts: Verdicts, files: int, rounds: int) -> None:
    bench.environ |= AWS_ENVIRON
    with server(bench, "tests.emulators.aws", "--stub", "--latency", str(LATENCY)):
        folder = _sealed(bench, f"aws:{ARN}", files)
        theirs = _for_sops(bench, "--kms", ARN)
        commands = {
            "python": START,
            "one file": [KSECRET, "decrypt", _first(folder)],
            "all cores": [KSECRET, "decrypt", "-r", folder],
        }
        wall, cpu, sops = _in_turn(bench, commands, theirs, rounds)
    verdicts.tell(
        "aws: cpu", (cpu["all cores"] - cpu["one file"]) / (files - 1) * 1e3, cpu["python"] * 1e3 / PYTHON_CPU
    )
    verdicts.tell("aws: sops", sops * files / wall["all cores"])


def _gcp(bench: Bench, verdicts: Verdicts, files: int, rounds: int) -> None:
    _by_latency(bench, verdicts, files, rounds, kind="gcp", key=RESOURCE, processes=1)


def _vault(bench: Bench, verdicts: Verdicts, files: int, rounds: int) -> None:
    _by_latency(bench, verdicts, files, rounds, kind="vault", key=TRANSIT)


def _by_latency(
    bench: Bench,
    verdicts: Verdicts,
    files: int,
    rounds: int,
    *,
    kind: str,
    key: str,
    made: str = "",
    processes: int = 0,
) -> None:
    """Opens the folder by more and more jobs, for as long as the cores are not the limit.

    `made`: what makes the key. `processes`: as many as share the work, each of which keeps one core busy at most, since
    Python works on one thing at a time; 0: one for each core. The emulator has the same cores.
    """
    with server(bench, f"tests.emulators.{kind}", "--latency", str(LATENCY), "--key", made or key) as emulator:
        folder = _sealed(bench, f"{kind}:{key}", files)
        start = min(bench.once([KSECRET, "decrypt", _first(folder)]) for _ in range(rounds))
        for jobs in (4, 8, 16, 32):
            command = [KSECRET, "decrypt", "-r", "--jobs", str(jobs), folder]
            before = cpu_of(emulator)
            whole = min(bench.once(command) for _ in range(rounds))
            theirs = (cpu_of(emulator) - before) / rounds / files
            wall, ours, ideal = whole.wall - start.wall, (whole.cpu - start.cpu) / files, jobs / LATENCY
            busy = max(ideal * ours / (processes or cores()), ideal * (ours + theirs) / cores())
            print(f"{kind}: {jobs} jobs: {files / wall:.0f} files/s without the start, of {ideal:.0f};", end=" ")
            print(
                f"ms of CPU a file {ours * 1e3:.2f}, the emulator's {theirs * 1e3:.2f}: {ideal:.0f} a second", end=" "
            )
            print(f"would keep what they may use {busy:.0%} busy")
            if busy <= BUSY:
                verdicts.tell(kind, files / wall / ideal)


def _azure(bench: Bench, verdicts: Verdicts, files: int, rounds: int) -> None:
    _by_latency(bench, verdicts, files, rounds, kind="azure", key=AZURE, made=AZURE.partition("/keys/")[2])


def _rotate(bench: Bench, verdicts: Verdicts, files: int, rounds: int) -> None:
    folder = _sealed(bench, f"age:{bench.recipient}", files)
    commands = {
        "python": START,
        "one file": [KSECRET, "rotate", _first(folder)],
        "one process": [KSECRET, "rotate", "-r", "--jobs", "1", folder],
        "all cores": [KSECRET, "rotate", "-r", folder],
    }
    wall, cpu, _ = _in_turn(bench, commands, [], rounds)
    print(f"rotate: {wall['one process'] / files * 1e3:.2f} ms a file by one process")
    print(f"rotate: {wall['all cores'] / files * 1e3:.2f} ms a file by all cores")
    verdicts.tell(
        "rotate: cpu", (cpu["one process"] - cpu["one file"]) / (files - 1) * 1e3, cpu["python"] * 1e3 / PYTHON_CPU
    )


KINDS = {"age": _age, "sops": _sops, "aws": _aws, "gcp": _gcp, "azure": _azure, "vault": _vault, "rotate": _rotate}


def _in_turn(
    bench: Bench, commands: dict[str, list[str]], theirs: list[str], rounds: int
) -> tuple[dict[str, float], dict[str, float], float]:
    """Wall and processor seconds of each command, and wall seconds of one run of sops: medians."""
    costs: dict[str, list[Cost]] = {}
    sops: list[float] = []
    for _ in range(rounds):
        for name, command in commands.items():
            costs.setdefault(name, []).append(bench.once(command))
        sops += [bench.once(theirs).wall for _ in range(SOPS_RUNS if theirs else 0)]
    for name, taken in costs.items():
        fastest = min(cost.wall for cost in taken)
        print(
            f"{' '.join(commands[name][1:-1])[:24]:24} {name:12} {median(cost.wall for cost in taken):7.3f} s,"
            f" the fastest {fastest:.3f}; CPU {median(cost.cpu for cost in taken):.3f}"
        )
    if sops:
        print(f"{'sops decrypt':24} {'one file':12} {median(sops):7.4f} s")
    wall = {name: median(cost.wall for cost in taken) for name, taken in costs.items()}
    return wall, {name: median(cost.cpu for cost in taken) for name, taken in costs.items()}, median(sops or [0.0])


def _sealed(bench: Bench, key: str, files: int) -> str:
    """A folder with that many sealed manifests."""
    folder = str(bench.manifests(files)[0].parents[1])
    cost = bench.once([KSECRET, "encrypt", "-i", "-r", "-k", key, folder])
    print(f"encrypt -i -r, {key[:3]}, {files} files: {cost.wall:.2f} s, CPU {cost.cpu:.2f}")
    return folder


def _first(folder: str) -> str:
    return f"{folder}/000/000000.yaml"


def _for_sops(bench: Bench, *key: str) -> list[str]:
    """How sops opens one such manifest."""
    (path,) = bench.manifests(1)
    bench.seal_with_sops(path, *key)
    return [bench.sops, "decrypt", str(path)]


_LAST = ("KSECRET_KEYS", "VAULT_TOKEN")
"""Names of what Azure's emulator and Vault's print last."""


@contextmanager
def server(bench: Bench, *module: str) -> Iterator[int]:
    """A KMS of the tests in a process of its own, whose number it gives.

    It prints what to put in the environment, its address last.
    """
    command = [PYTHON, "-u", "-m", *module]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            name = ""
            while "ENDPOINT" not in name and name not in _LAST:
                name, _, value = process.stdout.readline().strip().removeprefix("export ").partition("=")
                bench.environ[name] = value
            yield process.pid
        finally:
            process.terminate()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
