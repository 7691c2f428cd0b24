"""The audit log on a real disk: restarts, crashes, several writers, rotation, and what can't be written."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import subprocess
import sys
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from secretsvc.api.audit import log
from secretsvc.api.audit.chain import verify
from secretsvc.api.audit.log import AuditLog
from secretsvc.api.audit.sinks import FileSink, StdoutSink
from secretsvc.api.health import Health
from secretsvc.api.problems import RefusedError
from secretsvc.api.transport.draining import Draining
from tests.e2e.cli import Person

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

START = {"event": "start"}


def event(number: int) -> dict[str, object]:
    return {"event": "outcome", "number": number}


def findings(*paths: Path) -> list[str]:
    heads: Mapping[str, str] = {}
    found = []
    for path in paths:
        with path.open("rb") as stream:
            verified = verify(stream, heads)
        found += [f"{path.name}:{one.line}: {one.said}" for one in verified.findings]
        heads = verified.heads
    return found


def test_the_chain_goes_on_over_restarts(tmp_path: Path) -> None:
    path = tmp_path / "audit"
    for number in range(5):
        sink = FileSink(str(path), START)
        sink.write([event(number)])
        sink.write([event(number), event(number)])
    assert path.read_bytes().count(b"\n") == 5 * 4
    assert findings(path) == []
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_line_that_a_crash_left_torn_is_kept_and_said(tmp_path: Path) -> None:
    path = tmp_path / "audit"
    FileSink(str(path), START).write([event(1)])
    os.truncate(path, path.stat().st_size - 10)
    sink = FileSink(str(path), START)
    sink.write([event(2)])
    sink.write([event(3)])
    assert findings(path) == []
    assert b'"torn":true' in path.read_bytes()
    os.truncate(path, path.stat().st_size - 10)
    assert findings(path) == ["audit:5: the last line is torn"]


def test_several_processes_share_one_chain(tmp_path: Path) -> None:
    path = tmp_path / "audit"
    code = (
        "import sys\nfrom secretsvc.api.audit.sinks import FileSink\n"
        "sink = FileSink(sys.argv[1], {'event': 'start'})\n"
        "for number in range(200): sink.write([{'event': 'outcome', 'number': number}])\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, str(path)]) for _ in range(4)]
    assert [process.wait(60) for process in running] == [0] * 4
    assert path.read_bytes().count(b"\n") == 4 * 201
    assert findings(path) == []


def test_a_file_that_was_rotated_goes_on_in_the_next(tmp_path: Path) -> None:
    path, old = tmp_path / "audit", tmp_path / "audit.1"
    one, two = FileSink(str(path), START), FileSink(str(path), START)
    one.write([event(1)])
    two.write([event(2)])
    path.rename(old)
    one.write([event(3)])
    two.write([event(4)])
    assert old.read_bytes().count(b"\n") == 4
    assert findings(old, path) == []
    person = Person(tmp_path, identity=False)
    assert person.ok("audit", "verify", str(old), str(path)).out.count(b"all sound") == 2
    alone = person.run("audit", "verify", str(path))
    assert (alone.code, "does not begin a log" in alone.err) == (1, True)


def test_what_cannot_be_written_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "audit"
    sink = FileSink(str(path), START)
    sink.write([event(1)])
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 20, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            sink.write([event(2), event(3)])
        assert path.read_bytes() == before
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    sink.write([event(4)])
    assert findings(path) == []


def test_standard_output_has_a_chain_for_each_process(tmp_path: Path) -> None:
    path = tmp_path / "out"
    with path.open("wb") as out:
        sinks = [StdoutSink(START, out.fileno()) for _ in range(2)]
        for number in range(3):
            for sink in sinks:
                sink.write([event(number)])
    assert findings(path) == []


_SLOWLY_READ = """\
import sys
from secretsvc.api.audit.sinks import StdoutSink
sink = StdoutSink({'event': 'start'})
for number in range(60):
    sink.write([{'event': 'intent', 'secrets': ['x' * size]} for size in (10, 20_000, 100_000, 3000)])
"""


@pytest.mark.parametrize("blocking", [True, False])
def test_several_processes_tear_no_line_of_one_standard_output_that_is_read_slowly(
    tmp_path: Path, blocking: bool
) -> None:
    path = tmp_path / "out"
    read, written = os.pipe()
    os.set_blocking(written, blocking)
    running = [subprocess.Popen([sys.executable, "-c", _SLOWLY_READ], stdout=written) for _ in range(3)]
    os.close(written)
    with path.open("wb") as out:
        while data := os.read(read, 5000):
            out.write(data)
    os.close(read)
    assert [process.wait(60) for process in running] == [0] * 3
    assert findings(path) == []
    assert path.read_bytes().count(b"\n") == 3 * (1 + 60 * 4)


def test_a_writer_of_standard_output_that_is_killed_tears_no_line_of_the_others(tmp_path: Path) -> None:
    code = (
        "from secretsvc.api.audit.sinks import StdoutSink\nsink = StdoutSink({'event': 'start'})\n"
        "for _ in range(int(__import__('sys').argv[1])): sink.write([{'event': 'x', 'secrets': ['x' * 3000]}] * 20)\n"
    )
    read, written = os.pipe()
    killed = subprocess.Popen([sys.executable, "-c", code, "1000"], stdout=written)
    began = os.read(read, 100)  # it has begun, and soon waits for room
    other = subprocess.Popen([sys.executable, "-c", code, "5"], stdout=written)
    os.close(written)
    time.sleep(0.3)
    killed.kill()
    killed.wait()
    path = tmp_path / "out"
    with os.fdopen(read, "rb") as rest:
        path.write_bytes(began + rest.read())
    assert other.wait(60) == 0
    assert findings(path) == []
    assert path.read_bytes().count(b"\n") > 101


def test_standard_output_that_took_half_a_line_is_said_to_be_torn(tmp_path: Path) -> None:
    path = tmp_path / "out"
    with path.open("wb") as out:
        sink = StdoutSink(START, out.fileno())
        sink.write([event(1)])
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 20, hard))
        try:
            with pytest.raises(OSError, match="too large"):
                sink.write([event(2), event(3)])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        sink.write([event(4)])
    assert findings(path) == []
    assert path.read_bytes().count(b'"torn":true') == 1


def test_a_copy_of_a_file_that_several_write_has_its_lines_in_its_order(tmp_path: Path) -> None:
    path, copy = tmp_path / "audit", tmp_path / "copy"

    def write(sink: FileSink) -> None:
        for number in range(50):
            sink.write([event(number)])

    with copy.open("wb") as out:
        sinks = [FileSink(str(path), START, out.fileno()) for _ in range(4)]
        with ThreadPoolExecutor() as pool:
            list(pool.map(write, sinks))
    assert copy.read_bytes() == path.read_bytes()
    assert findings(copy) == []


class Slow:
    """A sink that takes its time, or fails."""

    def __init__(self, seconds: float = 0.0, error: OSError | None = None) -> None:
        self.seconds, self.error = seconds, error
        self.batches: list[int] = []

    def write(self, events: Sequence[Mapping[str, object]]) -> bytes:
        time.sleep(self.seconds)
        if self.error:
            raise self.error
        self.batches.append(len(events))
        return b""


def test_those_that_wait_share_one_flush() -> None:
    sink = Slow(0.05)

    async def many() -> None:
        log = AuditLog(sink, 5.0, lambda: None)
        await asyncio.gather(*(log.write({"number": number}) for number in range(50)))

    asyncio.run(many())
    assert sum(sink.batches) == 50
    assert len(sink.batches) <= 3


@pytest.mark.parametrize("sink", [Slow(1.0), Slow(error=OSError(28, "No space left on device"))])
def test_a_line_that_is_not_there_in_time_is_refused(sink: Slow) -> None:
    failed: list[int] = []

    async def one() -> Any:
        log = AuditLog(sink, 0.1, lambda: failed.append(1))
        with pytest.raises(RefusedError, match="nothing is done without it") as caught:
            await log.write({})
        assert not log.works
        return caught.value.kind.status

    assert asyncio.run(one()) == 503
    assert failed == [1]


class Blocked:
    """A sink that takes nothing until it is told to."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.taken: list[Mapping[str, object]] = []

    def write(self, events: Sequence[Mapping[str, object]]) -> bytes:
        assert self.opened.wait(30)
        self.taken += events
        return b""


class Event(dict[str, object]):
    """One that tells whether it is still there."""


async def _refused(log: AuditLog, number: int = 0) -> float:
    """How many seconds a refusal took."""
    began = time.monotonic()
    with pytest.raises(RefusedError, match="nothing is done without it"):
        await log.write({"number": number})
    return time.monotonic() - began


def test_what_a_blocked_log_was_given_is_dropped_when_it_is_given_up() -> None:
    sink, there = Blocked(), []

    async def leave(log: AuditLog) -> None:
        """As a caller who does not wait: cancelled before the time is over."""
        held = [Event(number=number) for number in range(100)]
        there.extend(map(weakref.ref, held))
        writing = [asyncio.create_task(log.write({"held": one})) for one in held]
        await asyncio.sleep(0.05)
        for one in writing:
            one.cancel()
        await asyncio.gather(*writing, return_exceptions=True)

    async def main() -> None:
        log = AuditLog(sink, 0.3, lambda: None)
        first = asyncio.create_task(_refused(log))
        await asyncio.sleep(0.1)
        await leave(log)
        await first
        await asyncio.sleep(0.4)
        gc.collect()
        assert [one() for one in there if one()] == []
        assert max(await asyncio.gather(*(_refused(log) for _ in range(100)))) < 0.1, "nobody waits for what is stuck"
        sink.opened.set()
        await asyncio.sleep(0.1)
        await log.write({"number": 7})
        assert log.works

    asyncio.run(main())
    assert [one["number"] for one in sink.taken] == [0, 7]


def test_only_so_many_lines_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "_ROOM", 10)
    sink = Blocked()

    async def main() -> list[float]:
        log = AuditLog(sink, 1.0, lambda: None)
        waiting = [asyncio.create_task(_refused(log))]
        await asyncio.sleep(0.2)  # that one is being written
        waiting += [asyncio.create_task(_refused(log)) for _ in range(30)]
        return list(await asyncio.gather(*waiting))

    took = asyncio.run(main())
    sink.opened.set()
    assert sum(one < 0.5 for one in took) == 20


def test_health_does_not_queue_behind_a_blocked_log() -> None:
    sink = Blocked()

    async def main() -> None:
        log = AuditLog(sink, 2.0, lambda: None)
        health = Health(None, None, log, Draining(), [])  # type: ignore[arg-type]
        began = time.monotonic()
        states = await asyncio.gather(*(health.state() for _ in range(20)))
        assert time.monotonic() - began < 1.0
        assert {(ready, str(state["audit"])) for ready, state in states} == {(False, "failing")}
        sink.opened.set()
        await asyncio.sleep(0.1)
        assert (await health.state())[0]

    asyncio.run(main())
    assert sink.taken == [{"time": sink.taken[0]["time"], "event": "probe"}]


def test_the_command_finds_what_was_done_to_a_log(tmp_path: Path) -> None:
    path = tmp_path / "audit"
    FileSink(str(path), START).write([event(number) for number in range(9)])
    person = Person(tmp_path, identity=False)
    sound = person.ok("audit", "verify", str(path)).out.decode()
    head = sound.rpartition(": ")[2].strip()
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:4] + lines[5:]))
    removed = person.run("audit", "verify", str(path))
    assert (removed.code, f"{path}:5: does not follow the line before it" in removed.err) == (1, True)
    path.write_bytes(b"".join(lines[:8]))
    assert person.run("audit", "verify", str(path)).code == 0
    cut = person.run("audit", "verify", "--contains", head, str(path))
    assert (cut.code, "removed from the end" in cut.err) == (1, True)
    path.write_bytes(b"".join(lines))
    person.ok("audit", "verify", "--contains", head, str(path))
    assert person.run("audit", "verify", "nowhere").code == 7
    assert person.run("audit", "look").code == 2
