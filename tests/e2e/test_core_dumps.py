"""Core dumps: none of what holds values, and the user's own command has the limit that they set."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.cli import BIN, KSECRET, MARK, Person
from tests.e2e.editing import MEMORY, Writer
from tests.e2e.test_service_processes import children
from tests.service import Service
from tests.support import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

HARD = resource.getrlimit(resource.RLIMIT_CORE)[1]
_PATTERN = Path("/proc/sys/kernel/core_pattern")
IN_FOLDER = _PATTERN.exists() and not _PATTERN.read_text().startswith(("|", "/", "@"))

pytestmark = pytest.mark.skipif(HARD == 0 or not _PATTERN.exists(), reason="no core dumps on this machine at all")


@pytest.fixture(autouse=True)
def dumping() -> Iterator[None]:
    """As after `ulimit -c` with the most that is allowed."""
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (HARD, HARD))
    yield
    resource.setrlimit(resource.RLIMIT_CORE, before)


@pytest.fixture
def me(tmp_path: Path) -> Iterator[Writer]:
    writer = Writer(tmp_path)
    yield writer
    shutil.rmtree(writer.memory)


def soft(pid: int | str) -> str:
    """The limit that is in force, as the kernel tells it."""
    lines = Path(f"/proc/{pid}/limits").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith("Max core file size")]
    return line.split()[4]


def leaves_no_core(pid: int, folder: Path) -> None:
    """Killed by a fault, with the limit taken off again by somebody: it can't be dumped at all."""
    wait_until(lambda: soft(pid) == "0")  # `exec` is about to take it back when its command has begun
    resource.prlimit(pid, resource.RLIMIT_CORE, (HARD, HARD))
    os.kill(pid, signal.SIGSEGV)
    wait_until(lambda: not Path(f"/proc/{pid}/limits").exists() or not Path(f"/proc/{pid}/cmdline").read_bytes())
    assert [path.name for path in folder.rglob("*") if path.name.startswith("core")] == []


@pytest.mark.skipif(not IN_FOLDER, reason="core dumps of this machine go elsewhere")
def test_this_machine_dumps_what_does_not_defend_itself(tmp_path: Path) -> None:
    """Else the other tests would tell nothing."""
    process = subprocess.Popen(["sleep", "60"], cwd=tmp_path)
    process.send_signal(signal.SIGSEGV)
    process.wait()
    assert [path.name.partition(".")[0] for path in tmp_path.iterdir()] == ["core"]


@pytest.mark.skipif(not os.path.isdir(MEMORY), reason="this system has no memory file system")
def test_edit_and_its_editor_leave_none(me: Writer) -> None:
    me.write_sealed("a.yaml")
    me.editor(f'cat /proc/self/limits > $NOTES/limits; sed -i "s/password: .*/password: \\"{MARK}/" $1')
    running = me.start("edit", "a.yaml")
    running.read("[Y/n]")
    (line,) = [line for line in me.note("limits").splitlines() if line.startswith("Max core file size")]
    assert line.split()[4] == "0"
    leaves_no_core(running.process.pid, me.work)
    running.end()


@pytest.mark.parametrize("more", [[], ["--files"]])
def test_the_users_command_has_the_limit_that_it_would_have_had(me: Writer, more: list[str]) -> None:
    me.write_sealed("a.yaml")
    for limit in (HARD, 4096, 0):
        resource.setrlimit(resource.RLIMIT_CORE, (limit, HARD))
        ran = me.ok("exec", *more, "a.yaml", "--", "sh", "-c", "ulimit -S -c; ulimit -H -c")
        own = subprocess.run(["sh", "-c", "ulimit -S -c; ulimit -H -c"], capture_output=True, check=True)
        assert ran.out == own.stdout


def test_exec_itself_leaves_none_while_its_command_runs(me: Writer) -> None:
    me.write_sealed("a.yaml")
    process = subprocess.Popen(
        [KSECRET, "exec", "--files", "a.yaml", "--", "sh", "-c", "echo ready; sleep 60"],
        cwd=me.work,
        env=me.environ,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout
    assert process.stdout.readline() == b"ready\n"
    try:
        leaves_no_core(process.pid, me.work)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


@pytest.mark.parametrize("workers", [1, 2])
def test_the_service_leaves_none(tmp_path: Path, workers: int) -> None:
    service = Service(tmp_path, "--workers", str(workers))
    with service:
        assert soft(service.process.pid) == "0"
        if workers > 1:
            for pid in children(service.process.pid):
                assert soft(pid) == "0"
                wait_until(lambda pid=pid: f"Started server process [{pid}]" in service.log.read_text())  # type: ignore[misc]
                leaves_no_core(pid, tmp_path)
        resource.prlimit(service.process.pid, resource.RLIMIT_CORE, (HARD, HARD))
        service.process.send_signal(signal.SIGSEGV)
        service.process.wait()
    assert list(tmp_path.glob("core*")) == []


def test_a_command_starts_without_and_so_does_the_generator(tmp_path: Path) -> None:
    """Stopped before they do anything: by a named pipe that nobody writes to."""
    me = Person(tmp_path)
    os.mkfifo(me.work / "a.yaml")
    for words in ([KSECRET, "decrypt", "a.yaml"], [os.path.join(BIN, "ksecret-krm"), "a.yaml"]):
        process = subprocess.Popen(words, cwd=me.work, env=me.environ, stderr=subprocess.DEVNULL)
        try:
            wait_until(lambda pid=process.pid: soft(pid) == "0")  # type: ignore[misc]
        finally:
            process.kill()
            process.wait()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_standard_input_by_its_path_goes_on_working_for_who_is_not_root(tmp_path: Path) -> None:
    """A process that can't be dumped has its own `/proc/self` as root's."""
    code = (
        "import os, sys\nfrom secretsvc.core_dumps import keep_memory_private\nos.setuid(65534)\n"
        "read, written = os.pipe()\nos.write(written, b'arrived')\nos.close(written)\nos.dup2(read, 0)\n"
        "keep_memory_private()\nsys.stdout.write(open('/dev/stdin').read())"
    )
    ran = Person(tmp_path).run("-c", code, program=sys.executable)
    assert ran == (0, b"arrived", "")
