"""The REST service: requests per second, p50 and p99, and processor time for encrypt and decrypt of a small Secret.

    python -m benchmarks.service [--requests 3000] [--concurrency 16]

With age, and with each KMS emulator in a process of its own; with one worker and with two; and the workers' memory.
What it does at three times of that is told by `python -m benchmarks.overload`. What the web layer costs is
what a request costs that passes all of it and asks for no operation (GET /v1/keys); its bar is half of an encrypt.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from benchmarks.common import MANIFEST, verdict
from benchmarks.load import load, percentile, prepared
from tests.emulators.aws import ENVIRON, KEY
from tests.service import Service, token

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).parent.parent
GCP = "projects/p/locations/europe-west1/keyRings/ring/cryptoKeys/key"
TICK = os.sysconf("SC_CLK_TCK")


def emulator(stack: ExitStack, *words: str) -> str:
    """Starts one, and gives the first URL that it prints."""
    running = stack.enter_context(
        subprocess.Popen([sys.executable, "-u", "-m", *words], stdout=subprocess.PIPE, cwd=ROOT, text=True)
    )
    stack.callback(running.terminate)
    assert running.stdout
    for line in running.stdout:
        if "http://" in line:
            return "http://" + line.partition("http://")[2].split()[0]
    raise RuntimeError("the emulator does not start")


def family(pid: int) -> Iterator[int]:
    """The process and its children."""
    yield pid
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            if parent == pid:
                yield int(entry.name)


def cpu_seconds(pid: int) -> float:
    """User and system time of the service."""
    stats = [Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split() for one in family(pid)]
    return sum(int(stat[11]) + int(stat[12]) for stat in stats) / TICK


def waited(pid: int) -> tuple[float, float]:
    """Seconds that the process's threads were on a core, and seconds that they could have been and waited for one."""
    stats = [path.read_text().split() for path in Path(f"/proc/{pid}/task").glob("*/schedstat")]
    return sum(int(stat[0]) for stat in stats) / 1e9, sum(int(stat[1]) for stat in stats) / 1e9


def memory(pid: int) -> str:
    """Resident memory of the largest of its processes, in MiB."""
    sizes = [int(re.findall(r"VmRSS:\s+(\d+)", Path(f"/proc/{one}/status").read_text())[0]) for one in family(pid)]
    return f"{max(sizes) / 1024:.0f} MiB"


def measure(service: Service, requests: Sequence[bytes], given: argparse.Namespace) -> tuple[str, float]:
    """A line about these requests, and their processor time in milliseconds each."""
    load(service.port, requests, given.requests // 10, given.concurrency)
    cpu, began = cpu_seconds(service.process.pid), time.perf_counter()
    replies = load(service.port, requests, given.requests, given.concurrency)
    took, cpu = time.perf_counter() - began, (cpu_seconds(service.process.pid) - cpu) / given.requests * 1000
    failed = sum(reply.status != 200 for reply in replies)
    p50, p99 = (percentile(replies, part) * 1000 for part in (0.5, 0.99))
    told = f"{given.requests / took:7.0f}/s   p50 {p50:6.1f} ms   p99 {p99:6.1f} ms   CPU {cpu:5.2f} ms"
    return f"{told}{f'   {failed} FAILED' if failed else ''}", cpu


def run(workers: int, environ: dict[str, str], given: argparse.Namespace) -> bool:
    """Every backend with that many workers; whether the bar holds."""
    with TemporaryDirectory() as folder:
        service = Service(Path(folder), **environ)
        service.config["listen"]["workers"] = workers
        with service:
            manifest = MANIFEST.format(number=1).encode()
            encrypting, at_start = 0.0, memory(service.process.pid)
            for name, key in (("age", service.ref), ("aws", f"aws:{KEY}"), ("gcp", f"gcp:{GCP}")):
                sealed = service.sealed(manifest, key=key)
                clear = [prepared("POST", f"/v1/encrypt?key={key}", token("root"), manifest)]
                told, cpu = measure(service, clear, given)
                encrypting = encrypting or cpu
                print(f"{workers} worker{'s'[: workers - 1]:1} {name} encrypt  {told}")
                told, _ = measure(service, [prepared("POST", "/v1/decrypt", token("root"), sealed)], given)
                print(f"{workers} worker{'s'[: workers - 1]:1} {name} decrypt  {told}")
            told, web = measure(service, [prepared("GET", "/v1/keys", token("root"), b"")], given)
            print(f"{workers} worker{'s'[: workers - 1]:1} no operation {told}")
            print(f"a worker has {at_start} at the start, {memory(service.process.pid)} after this")
            return verdict("web layer, in percent of an encrypt with age", web / encrypting * 100, 50)


def main() -> None:
    """Prints the figures; exit code 1 where the bar is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--requests", type=int, default=3000)
    parser.add_argument("--concurrency", type=int, default=16)
    given = parser.parse_args()
    with ExitStack() as stack:
        aws = emulator(stack, "tests.emulators.aws", "--stub")
        gcp = emulator(stack, "tests.emulators.gcp", "--key", GCP)
        environ = {**ENVIRON, "AWS_ENDPOINT_URL_KMS": aws, "KSECRET_GCP_KMS_ENDPOINT": gcp}
        holds = [run(workers, environ, given) for workers in (1, 2)]
    sys.exit(0 if all(holds) else 1)


if __name__ == "__main__":
    main()
