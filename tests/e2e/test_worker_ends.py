"""Worker processes that end too soon, and runs of several processes that are ended: every file stays whole."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.e2e.many import FILES, Many
from tests.support import wait_until

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def me(tmp_path: Path) -> Many:
    return Many(tmp_path)


def test_a_worker_that_dies_costs_its_own_files_an_error_and_no_others(me: Many) -> None:
    me.write_all_sealed()
    dies = "if rest[-1].path == 'd/13.yaml' and os.getpid() != parent: os.kill(os.getpid(), 9)"
    ran = me.many("rotate", "-r", "d", each=dies)
    failed = re.findall(
        r"ksecret: d/(\d\d)\.yaml: the process that was to work on it was ended by SIGKILL\n"
        r"  it is whole, whether changed or not: run again\n",
        ran.err,
    )
    # From the second file on, chunks of two go to three workers in turn, and the last three files one by one: d/13 is
    # the first of the seventh chunk.
    assert failed == [f"{at:02}" for at in range(13, 37) if (at - 1) // 2 % 3 == 0] + ["37"]
    assert ran.err.endswith(f"ksecret: {FILES - len(failed)} rotated, 0 unchanged, {len(failed)} failed\n")
    assert ran.code == 7
    assert all(map(me.is_whole, range(FILES)))
    again = me.many("rotate", "-r", "d")
    assert again.err == f"ksecret: {FILES} rotated, 0 unchanged, 0 failed\n"


def test_a_worker_that_is_killed_as_it_writes_leaves_no_temporary_file(me: Many) -> None:
    me.write_all_sealed()
    dies = """
opened = os.open

def killed(path, *rest, **more):
    done = opened(path, *rest, **more)
    if ".ksecret-" in str(path) and os.getpid() != parent:
        os.kill(os.getpid(), 9)
    return done

os.open = killed
"""
    ran = me.many("decrypt", "-i", "-r", "d", before=dies)
    assert ran.code == 7
    assert ran.err.count("was ended by SIGKILL") == FILES - 1
    assert me.temporary() == []
    assert all(map(me.is_whole, range(1, FILES)))


def test_a_worker_in_which_something_breaks_says_so_and_its_files_fail(me: Many) -> None:
    me.write_all_sealed()
    breaks = "if rest[-1].path == 'd/13.yaml': 1 / 0"
    program, *rest = me.command("verify", "-r", "d", each=breaks)
    done = subprocess.run([program, *rest], cwd=me.work, env=me.environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 7
    assert "ZeroDivisionError" in done.stderr
    assert "ksecret: d/13.yaml: the process that was to work on it was ended\n" in done.stderr
    assert done.stdout.count("all sound") > FILES / 2


def started(me: Many, *words: str) -> subprocess.Popen[bytes]:
    """A run in which each file takes a while, at a moment when its workers have changed some."""
    before = me.inodes()
    process = subprocess.Popen(
        me.command(*words, each="time.sleep(0.4)"),
        cwd=me.work,
        env=me.environ,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    wait_until(lambda: len(me.inodes() - before) > 4, 60, every=0.005)
    assert len(me.workers()) == 3
    return process


@pytest.mark.parametrize(
    ("number", "everybody", "code"),
    [
        (signal.SIGTERM, False, 143),
        (signal.SIGTERM, True, 143),
        (signal.SIGINT, False, 130),
        (signal.SIGINT, True, 130),
        (signal.SIGHUP, True, 129),
        (signal.SIGKILL, False, -9),
    ],
)
def test_a_signal_ends_all_of_them_soon_and_every_file_is_whole(
    me: Many, number: int, everybody: bool, code: int
) -> None:
    """`everybody`: as the terminal does, which signals all processes of a group."""
    me.write_all_sealed()
    before = me.inodes()
    with started(me, "rotate", "-r", "d") as process:
        (os.killpg if everybody else os.kill)(process.pid, number)
        _, said = process.communicate(timeout=30)  # until nobody has standard error any more
        assert process.returncode == code
    assert b"Traceback" not in said
    assert b"ended by" not in said
    assert len(me.inodes() - before) < FILES - 10, "they went on without their parent"
    assert me.temporary() == []
    assert all(map(me.is_whole, range(FILES)))


def test_where_nothing_is_written_a_signal_ends_all_of_them_too(me: Many) -> None:
    me.write_all_sealed()
    command = me.command("verify", "-r", "d", each="time.sleep(0.05)")
    with subprocess.Popen(
        command, cwd=me.work, env=me.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        wait_until(lambda: len(me.workers()) == 3, 60, every=0.005)
        process.terminate()
        _, said = process.communicate(timeout=30)  # until nobody has standard error any more
    assert (process.returncode, said) == (-signal.SIGTERM, b"")


def test_an_interrupted_run_of_many_processes_is_gone_on_with(me: Many) -> None:
    me.write_all_sealed()
    with started(me, "rotate", "-r", "--report", "run.jsonl", "d") as process:
        process.terminate()
        process.communicate(timeout=30)
    assert 0 < (me.work / "run.jsonl").read_text().count('"rotated"') < FILES
    ran = me.many("rotate", "-r", "--report", "run.jsonl", "d")
    assert ran.code == 0
    assert "going on with the run" in ran.err
    assert all(map(me.is_whole, range(FILES)))


def test_the_reader_of_a_pipe_may_leave(me: Many) -> None:
    me.write_all_sealed()
    command = me.command(
        "verify", "-r", "d", each="time.sleep(0.02)", before="sys.stdout.reconfigure(line_buffering=True)"
    )
    with subprocess.Popen(
        command, cwd=me.work, env=me.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 7
