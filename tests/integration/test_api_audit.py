"""The audit log on a real disk: restarts, crashes, several writers, rotation, and what can't be written."""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from secretsvc.api.audit import AuditLog
from secretsvc.api.audit_chain import verify
from secretsvc.api.audit_sinks import FileSink, StdoutSink
from secretsvc.api.problems import RefusedError
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
        "import sys\nfrom secretsvc.api.audit_sinks import FileSink\n"
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
