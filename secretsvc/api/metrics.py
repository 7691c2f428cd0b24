"""Counters and times for Prometheus. No label ever holds a Secret's name, a namespace, a KeyRef or a caller."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from secretsvc import __version__
from secretsvc.backends import names

if TYPE_CHECKING:
    from collections.abc import Iterable

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """Counters of one process; with PROMETHEUS_MULTIPROC_DIR set, shown summed over all workers."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self.requests = Counter(
            "ksecret_http_requests", "HTTP requests", ["path", "method", "status"], registry=registry
        )
        self._requests: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._unknown: dict[str, Counter] = {}
        self.seconds = Histogram(
            "ksecret_http_request_duration_seconds",
            "Time from a request's headers to its answer's end",
            ["path"],
            buckets=_BUCKETS,
            registry=registry,
        )
        self.operations = Counter(
            "ksecret_crypto_operations",
            "Wraps and unwraps of data keys",
            ["operation", "backend", "result"],
            registry=registry,
        )
        self.kms_seconds = Histogram(
            "ksecret_kms_request_duration_seconds",
            "Time of one call of a backend",
            ["operation", "backend"],
            buckets=_BUCKETS,
            registry=registry,
        )
        self._auth_failures = Counter(
            "ksecret_auth_failures", "Requests whose caller is not known", ["reason"], registry=registry
        )
        self.denials = Counter("ksecret_denials", "Operations that no rule allows", ["operation"], registry=registry)
        self.audit_failures = Counter(
            "ksecret_audit_write_failures", "Audit lines that could not be written", registry=registry
        )
        self.running = Gauge(
            "ksecret_operations_running",
            "Operations at work, by schemes of keys",
            ["backend"],
            multiprocess_mode="livesum",
            registry=registry,
        )
        info = Gauge("ksecret_build_info", "Always 1", ["version"], multiprocess_mode="max", registry=registry)
        info.labels(__version__).set(1)

    def answered(self, path: str, method: str, status: int, seconds: float) -> None:
        """Count a request."""
        which = path, method, status
        if which not in self._requests:  # to look for labels costs more than to count
            self._requests[which] = self.requests.labels(path, method, str(status)), self.seconds.labels(path)
        counter, times = self._requests[which]
        counter.inc()
        times.observe(seconds)

    def unauthenticated(self, reason: str) -> None:
        """Count a request whose caller is not known."""
        if reason not in self._unknown:
            self._unknown[reason] = self._auth_failures.labels(reason)
        self._unknown[reason].inc()

    def text(self) -> bytes:
        """Return the exposition format, version 0.0.4."""
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return generate_latest(self._registry)
        summed = CollectorRegistry()
        MultiProcessCollector(summed)  # type: ignore[no-untyped-call]
        return generate_latest(summed)


def schemes(uris: Iterable[str]) -> str:
    """Return a keyset's schemes as a label: of kinds that are installed, since a file may name any others."""
    found, known = {uri.partition(":")[0] for uri in uris}, names()
    labels = [name for name in known if name in found]
    if not found.issubset(known):
        labels.append("other")
    return "+".join(labels)
