"""What hostile bodies cost the service: how late its event loop is meanwhile, and how long a worker works.

    python -m benchmarks.hostile_service [FAMILY …]

Each family at the largest body that the service takes by default, and at thirds of it until nothing is refused for its
size alone, against a real `ksecret serve`; `/livez` is asked every 20 ms meanwhile. Its answer may be 50 ms late on a
machine that does nothing else, and a body may cost 2 s of processor time.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.hostile import FAMILIES
from benchmarks.hostile_requests import REQUESTS
from benchmarks.probe import PAUSE, Probe
from benchmarks.service import cpu_seconds
from secretsvc.api.settings import Limits
from tests.service import YAML, Service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

LATE_MS, WORK_SECONDS = 50.0, 2.0
MOST = Limits().body_bytes
LEAST = 16 * 1024


class Sent(NamedTuple):
    """A request that was made to cost."""

    path: str
    kind: str
    body: bytes


class Cost(NamedTuple):
    """What one of them did."""

    status: int
    late_ms: float
    cpu_seconds: float
    refused_for_size: bool


def cost(service: Service, sent: Sent) -> Cost:
    """The least of up to three times that it is sent: a machine that other work shares has slow moments of its own."""
    found = _cost(service, sent)
    for _ in range(2):
        if found.late_ms > LATE_MS:
            found = min(found, _cost(service, sent), key=lambda one: one.late_ms)
    return found


def _cost(service: Service, sent: Sent) -> Cost:
    """Sends it and waits for its answer."""
    cpu = cpu_seconds(service.process.pid)
    with Probe(service.connect()) as probe:
        time.sleep(2 * PAUSE)
        answer = service.post(sent.path, sent.body, kind=sent.kind)
        time.sleep(2 * PAUSE)
    told = answer.body[:2000]
    return Cost(
        answer.status,
        probe.worst * 1000,
        cpu_seconds(service.process.pid) - cpu,
        answer.status == 413
        or any(word in told for word in (b"more ", b"larger ", b"longer ", b"at most ", b"bring in")),
    )


def requests() -> dict[str, Callable[[int], Sent]]:
    """By name: every manifest to encrypt and to verify, and bodies of other kinds to what takes them."""

    def manifest(make: Callable[[int], bytes], path: str) -> Callable[[int], Sent]:
        return lambda size: Sent(path, YAML, make(size)[:MOST])

    found: dict[str, Callable[[int], Sent]] = {}
    for name, make in FAMILIES.items():
        for path in ("/v1/encrypt", "/v1/verify"):
            found[f"{name} {path}"] = manifest(make, path)
    for name, made in REQUESTS.items():
        found[name] = lambda size, made=made: Sent(*made(size))  # type: ignore[misc]
    return found


def costs(
    service: Service, make: Callable[[int], Sent], most: int = MOST, least: int = LEAST
) -> Iterator[tuple[int, Cost]]:
    """At the largest size, and at thirds until one is not refused for its size."""
    size = most - 4096
    while size >= least:
        found = cost(service, make(size))
        yield size, found
        if not found.refused_for_size:
            return
        size //= 3


def honest(service: Service) -> dict[str, Sent]:
    """The dearest that is nobody's fault: as many entries, Secrets and bytes as are taken, sealed, and worked on."""
    found: dict[str, Sent] = {}
    for name in ("keys", "secrets", "long-value"):
        size = 90 * 60 if name == "secrets" else 1_000_000 if name == "long-value" else 130_000
        sealed = service.post("/v1/encrypt", FAMILIES[name](size))
        if sealed.status != 200:
            raise RuntimeError(f"{name}: {sealed.body[:300]!r}")
        for path in ("decrypt", "verify", "rotate", "inspect"):
            found[f"sealed {name} /v1/{path}"] = Sent(f"/v1/{path}", YAML, sealed.body)
        values = {**{f"k{at:06}": None for at in range(50)}, **{f"n{at:06}": "new" for at in range(50)}}
        body = {"manifest": sealed.body.decode(), "values": values if name == "keys" else {"a": "new"}, "secret": ""}
        body["secret"] = "s000001" if name == "secrets" else ""
        found[f"sealed {name} /v1/set"] = Sent("/v1/set", "application/json", json.dumps(body).encode())
    return found


def run(names: Sequence[str], late_ms: float = LATE_MS, work_seconds: float = WORK_SECONDS) -> list[str]:
    """Prints a line for each family; gives the ones that miss a bar."""
    missed = []
    with TemporaryDirectory() as folder, Service(Path(folder)) as service:
        fixed = {name: (lambda _size, sent=sent: sent) for name, sent in honest(service).items()}
        for name, make in {**requests(), **fixed}.items():
            if names and not any(wanted in name for wanted in names):
                continue
            found = list(costs(service, make))
            late = max(one.late_ms for _, one in found)
            work = max(one.cpu_seconds for _, one in found)
            off = late > late_ms or work > work_seconds
            missed += [name] if off else []
            size, last = found[-1]
            said = f"{name:40} {late:7.1f} ms late {work:6.2f} s of work   {last.status} at {size:8} bytes"
            print(f"{said}{'   MISSED' if off else ''}", flush=True)
    return missed


def main() -> None:
    """Prints the figures; exit code 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("family", nargs="*", help="only those whose names have this in them")
    missed = run(parser.parse_args().family)
    print(json.dumps({"missed": missed}))
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
