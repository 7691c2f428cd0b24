"""The service under more than it can do, and under tokens that nobody gave out.

    python -m benchmarks.overload [--seconds 5] [--times 3] [--tokens 5000] [--tls] [--only-anew]

What it can do is measured first: encrypts with age, 16 at a time, one worker, default limits. Then an open loop offers
`--times` as many (its first second, in which callers connect, counts for itself), and in turn `--tokens` requests a
second with tokens of each kind that is refused, beside the 16 honest callers: over 2,000 connections that stay open,
which the service keeps waiting, so that it takes fewer than are offered; and with a connection for each, over TLS if
`--tls` says so, which is for the figure alone: a handshake costs several times of what a refusal does, here and there.
Everybody is on one machine, so it wants two cores that have nothing else to do. The generator and who asks after health
are processes of their own; the generator tells how late it was itself, and the service's threads how much of their time
they waited for a core: what that is more than a fifth or so tells of the machine.
"""

from __future__ import annotations

import argparse
import json
import ssl
import sys
import threading
import time
from base64 import urlsafe_b64encode
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from benchmarks.common import MANIFEST, verdict
from benchmarks.load import load, prepared
from benchmarks.open_loop import Offering, offered
from benchmarks.probe import Kubelet
from benchmarks.service import cpu_seconds, waited
from tests.issuer import Issuer, certificate
from tests.service import Service, token

if TYPE_CHECKING:
    from benchmarks.open_loop import Offered

CALLERS = 16
SERVED, SERVED_MS, LIVE_MS, REFUSED_MS, HONEST = 80, 1000, 100, 100, 50
"""Percent of what it can do at least, and milliseconds at most; percent of the honest callers' rate at least."""
_READY_EVERY = 0.25


class Ready:
    """Asks `/readyz` again and again, in a thread of its own."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self.not_ready = 0

    def __enter__(self) -> Ready:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()

    def _ask(self) -> None:
        while not self._ends.wait(_READY_EVERY):
            self.not_ready += self._service.get("/readyz", "").status != 200


def capacity(service: Service, seconds: float) -> float:
    """Encrypts a second, by callers that wait for one before they ask for the next, 200 together over a connection."""
    requests = [prepared("POST", "/v1/encrypt", token("root"), MANIFEST.format(number=0).encode())]
    count, began = 0, time.perf_counter()
    while (took := time.perf_counter() - began) < seconds:
        replies = load(service.port, requests, 200, CALLERS, tls=service.context)
        count += sum(reply.status == 200 for reply in replies)
    return count / took


class Share:
    """How much of the time that the service's threads could have worked they waited for a core."""

    def __init__(self, service: Service) -> None:
        self._pid = service.process.pid
        self._before = waited(self._pid)

    def __str__(self) -> str:
        worked, idled = (now - before for now, before in zip(waited(self._pid), self._before, strict=True))
        return f"the service waited for a core {idled / (worked + idled) * 100:.0f} % of its time"


def told(name: str, found: Offered, probe: Kubelet, share: Share) -> None:
    """Prints what became of the requests."""
    statuses = ", ".join(
        f"{status}: {found.per_second(status):.0f}/s p50 {found.within(status, 0.5) * 1000:.0f} "
        f"p99 {found.within(status, 0.99) * 1000:.0f} most {found.within(status, 1) * 1000:.0f} ms"
        for status in sorted(found.taken)
    )
    late = f"the generator was {found.late * 1000:.0f} ms late at most"
    unsent = f"; {found.unsent} found no free connection" if found.unsent else ""
    print(
        f"{name}, {found.rate:.0f}/s: {statuses}{unsent}; /livez {probe.worst * 1000:.0f} ms at most; {late}; {share}",
        flush=True,
    )


def overload(service: Service, can: float, given: argparse.Namespace) -> list[bool]:
    """An open loop of encrypts."""
    request = prepared("POST", "/v1/encrypt", token("root"), MANIFEST.format(number=0).encode())
    with Kubelet(service) as probe, Ready(service) as ready:
        share = Share(service)
        found = offered(service.port, [request], can * given.times, given.seconds)
    told(f"{given.times:g} times of it", found, probe, share)
    return [
        verdict("served, in percent of what it can do", found.per_second("200") / can * 100, SERVED, at_least=True),
        verdict("p99 of what is served, ms", found.within("200", 0.99) * 1000, SERVED_MS),
        verdict("answers in the first second at most, ms", found.first * 1000, SERVED_MS),
        verdict("p99.9 of refusals, ms", found.within("503", 0.999) * 1000, REFUSED_MS),
        verdict("/livez at most, ms", probe.worst * 1000, LIVE_MS),
        verdict("/readyz other than 200", ready.not_ready, 0),
        verdict("answers other than 200 and 503, and none", len(set(found.taken) - {"200", "503"}), 0),
        verdict("requests that found no free connection", found.unsent, 0),
    ]


def bad_tokens(issuer: Issuer) -> dict[str, list[str]]:
    """By kind; of those whose signature is looked at, several."""

    def unsigned(**claims: object) -> str:
        parts = ({"alg": "RS256", "kid": "rsa"}, issuer.claims(**claims))
        return ".".join(
            [*(urlsafe_b64encode(json.dumps(one).encode()).decode().rstrip("=") for one in parts), "A" * 342]
        )

    return {
        "unknown static token": [token("nobody")],
        "JWT of an unknown issuer": [unsigned(iss="https://other.example", pad="x" * 2000)],
        "JWT of 15 KB": [unsigned(iss="https://other.example", pad="x" * 11000)],
        "JWT with a bad signature": [unsigned(sub=str(number)) for number in range(100)],
    }


def flood(service: Service, name: str, tokens: list[str], given: argparse.Namespace, *, anew: bool) -> list[bool]:
    """Bad tokens beside honest callers."""
    can = capacity(service, given.seconds)
    requests = [prepared("POST", "/v1/encrypt", bad, b"") for bad in tokens]
    began, cpu = time.perf_counter(), cpu_seconds(service.process.pid)
    tls = service.context is not None
    Offering(service.port, requests, given.tokens, 4, anew=anew, tls=tls).end()
    share = (cpu_seconds(service.process.pid) - cpu) / (time.perf_counter() - began) * 100
    with Kubelet(service) as probe, Kubelet(service, service.health_port) as apart:
        waits = Share(service)
        offering = Offering(service.port, requests, given.tokens, given.seconds + 2, anew=anew, tls=tls)
        time.sleep(1)
        honest = capacity(service, given.seconds)
        found = offering.end()
    told(f"{name} (alone they take {share:.0f} % of a core)", found, probe, waits)
    return [
        verdict("honest callers, in percent of their rate", honest / can * 100, HONEST, at_least=True),
        verdict("/livez at most, ms", probe.worst * 1000, LIVE_MS),
        verdict("/livez at most at the port for probes, each over a new connection, ms", apart.worst * 1000, LIVE_MS),
        verdict("tokens that got in", len(set(found.taken) - {"401", "503", "none"}), 0),
    ]


def main() -> None:
    """Prints the figures; exit code 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--times", type=float, default=3)
    parser.add_argument("--tokens", type=float, default=5000)
    parser.add_argument("--tls", action="store_true", help="over TLS, without bars: a connection for each bad token")
    parser.add_argument("--only-anew", action="store_true", help="nothing but a connection for each bad token")
    given = parser.parse_args()
    with TemporaryDirectory() as folder, Issuer() as issuer:
        service = Service(Path(folder))
        (Path(folder) / "jwks.json").write_text(json.dumps(issuer.jwks()))
        known = {"name": "ci", "issuer": issuer.url, "audience": "ksecret", "jwksFile": "jwks.json"}
        service.config["issuers"] = [known]
        service.config["listen"]["healthPort"] = 0
        if given.tls:
            pem = str(certificate(Path(folder) / "server.pem"))
            service.config["listen"] |= {"tlsCert": pem, "tlsKey": pem}
            service.context = ssl.create_default_context(cafile=pem)
        holds = []
        with service:
            capacity(service, 1)
            can = capacity(service, given.seconds)
            print(f"it can do {can:.0f} encrypts a second", flush=True)
            if not (given.only_anew or given.tls):
                holds += overload(service, can, given)
                for name, tokens in bad_tokens(issuer).items():
                    holds += flood(service, name, tokens, given, anew=False)
            holds += flood(service, "unknown static token, a connection for each", [token("nobody")], given, anew=True)
    sys.exit(0 if given.tls or all(holds) else 1)


if __name__ == "__main__":
    main()
