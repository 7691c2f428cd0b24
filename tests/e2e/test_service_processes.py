"""The service's processes: workers that come back, that follow their parent, and an end that is announced."""

from __future__ import annotations

import os
import signal
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e.cli import MANIFEST
from tests.service import Service
from tests.support import wait_until


def children(pid: int) -> set[int]:
    """The workers among its children (Python's resource tracker is another)."""
    found = set()
    for entry in Path("/proc").iterdir():
        try:
            stat = (entry / "stat").read_text().rpartition(")")[2].split() if entry.name.isdigit() else []
            if stat and int(stat[1]) == pid and stat[0] != "Z" and b"spawn_main" in (entry / "cmdline").read_bytes():
                found.add(int(entry.name))
        except OSError:
            continue
    return found


def test_health_is_told_to_who_asks_by_head_too(tmp_path: Path) -> None:
    with Service(tmp_path) as service:
        for path in ("/livez", "/readyz", "/healthz"):
            answer = service.send("HEAD", path)
            assert (answer.status, answer.body) == (200, b"")
        assert service.send("HEAD", "/metrics").status == 401


def test_a_worker_that_dies_is_replaced_and_workers_follow_their_parent(tmp_path: Path) -> None:
    service = Service(tmp_path, "--workers", "2")
    with service:
        before = children(service.process.pid)
        assert len(before) == 2
        os.kill(min(before), signal.SIGKILL)
        wait_until(lambda: len(children(service.process.pid)) == 2 and min(before) not in children(service.process.pid))
        for _ in range(10):
            assert service.post("/v1/decrypt", service.sealed(MANIFEST)).body == MANIFEST
        assert b'path="/v1/decrypt",status="200"} 10.0' in service.get("/metrics").body, "summed over workers"
        left = children(service.process.pid)
        service.process.kill()
        service.process.wait()
        wait_until(lambda: not any(Path(f"/proc/{pid}/cmdline").exists() and pid in alive() for pid in left))


def alive() -> set[int]:
    """Every process that is not a zombie."""
    found = set()
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "stat").read_text().rpartition(")")[2].split()[0] != "Z":
                found.add(int(entry.name))
        except OSError:
            continue
    return found


@pytest.mark.parametrize("words", [(), ("--workers", "2")], ids=["one", "workers"])
def test_sighup_ends_it_in_good_order_unless_it_is_ignored(tmp_path: Path, words: tuple[str, ...]) -> None:
    with Service(tmp_path, *words) as service:
        service.process.send_signal(signal.SIGHUP)
        assert service.process.wait(10) == 0
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup leaves it to what it starts
    try:
        service = Service(tmp_path, *words).start()
    finally:
        signal.signal(signal.SIGHUP, before)
    with service:
        service.process.send_signal(signal.SIGHUP)
        time.sleep(0.7)
        assert service.get("/livez", "").status == 200


def test_an_end_is_announced_before_it_comes(tmp_path: Path) -> None:
    service = Service(tmp_path)
    service.config["listen"]["stopDelay"] = 1.0
    with service, closing(service.connect()) as kept:
        kept.request("GET", "/livez")
        kept.getresponse().read()
        service.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        ready = service.get("/readyz", "")
        assert (ready.status, ready.json()["status"]) == (503, "stopping")
        assert service.post("/v1/encrypt", MANIFEST).headers["connection"] == "close"
        kept.request("GET", "/livez")
        answer = kept.getresponse()
        assert (answer.status, answer.getheader("connection")) == (200, "close")
        answer.read()
        assert service.process.wait(10) == 0
