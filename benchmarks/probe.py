"""Asks `/livez` again and again: in a thread, or in a process of its own, as a kubelet is one.

    python -m benchmarks.probe HOST PORT [--anew] [--ca FILE]

asks until its standard input ends, and prints the seconds that an answer took at most. A thread waits for the others of
its process as well, which is most of what it would tell beside callers that keep a core busy.
"""

from __future__ import annotations

import argparse
import ssl
import subprocess
import sys
import threading
import time
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from tests.service import Service

PAUSE = 0.02
ROOT = Path(__file__).parent.parent


class Probe:
    """Asks in a thread of its own."""

    def __init__(self, connection: HTTPConnection, *, anew: bool = False) -> None:
        """`anew`: over a new connection each time."""
        self._connection = connection
        self._anew = anew
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self.worst = 0.0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()
        self._connection.close()

    def _ask(self) -> None:
        while not self._ends.wait(PAUSE):
            self.ask()

    def ask(self) -> None:
        """Asks once."""
        began = time.perf_counter()
        self._connection.request("GET", "/livez")
        self._connection.getresponse().read()
        if self._anew:
            self._connection.close()
        self.worst = max(self.worst, time.perf_counter() - began)


class Kubelet:
    """Asks in a process of its own."""

    def __init__(self, service: Service, port: int = 0) -> None:
        """`port`: asks there, without TLS, over a new connection each time; else over one that is kept."""
        certificate = service.config["listen"].get("tlsCert", "")
        secured = ["--ca", certificate] if certificate and not port else []
        more = ["--anew"] if port else secured
        self._command = [sys.executable, "-m", "benchmarks.probe", service.host, str(port or service.port), *more]
        self.worst = 0.0

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
        assert self._process.stdout
        self._process.stdout.readline()  # it has begun
        return self

    def __exit__(self, *_: object) -> None:
        self.worst = float(self._process.communicate()[0])


def main() -> None:
    """The process."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("--anew", action="store_true")
    parser.add_argument("--ca")
    given = parser.parse_args()
    connection = HTTPConnection(given.host, given.port, timeout=60)
    if given.ca:
        context = ssl.create_default_context(cafile=given.ca)
        connection = HTTPSConnection(given.host, given.port, timeout=60, context=context)
    with Probe(connection, anew=given.anew) as probe:
        print("asking", flush=True)
        sys.stdin.read()
    print(probe.worst)


if __name__ == "__main__":
    main()
