"""`ksecret exec`: a program with the values in its environment or in files in memory, as if nothing stood before it."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.cli import KSECRET, MANIFEST, MARK, NOT_YAML, PASSWORD, URL, USER, Person, b64

if TYPE_CHECKING:
    from collections.abc import Iterator

SHM = Path("/dev/shm")
SHOW = "import json, os; print(json.dumps(dict(os.environ)))"
SIGNALS = [
    *(signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGWINCH),
    *(signal.SIGALRM, signal.SIGIO, signal.SIGPWR, signal.SIGRTMIN),
]
TLS = f"""\
apiVersion: v1
kind: Secret
metadata: {{name: tls}}
data:
  tls.crt: {b64(b"cert-" + MARK.encode())}
  tls.key: {b64(bytes(range(256)) + MARK.encode())}
""".encode()


@pytest.fixture
def memory(me: Person) -> Iterator[Path]:
    """The user's own folder in memory, in which nothing is left behind by the test."""
    if not SHM.is_dir():
        pytest.skip("no /dev/shm on this machine")
    folder = Path(tempfile.mkdtemp(prefix="runtime-", dir=SHM))
    me.environ["XDG_RUNTIME_DIR"] = str(folder)
    left = None
    try:
        yield folder
        left = list(folder.iterdir())
    finally:
        shutil.rmtree(folder)
    assert left == []


def manifest(name: str, **entries: str | bytes) -> bytes:
    rows = "".join(f"  {key.replace('__', '.')}: {b64(value)!r}\n" for key, value in entries.items())
    return f"apiVersion: v1\nkind: Secret\nmetadata:\n  name: {name}\ndata:\n{rows}".encode()


def environment(me: Person, *words: str, **environ: str) -> dict[str, str]:
    """The environment that a program gets."""
    found: dict[str, str] = json.loads(me.ok("exec", *words, "--", sys.executable, "-c", SHOW, **environ).out)
    return found


def test_each_value_is_in_the_environment_decoded(me: Person) -> None:
    me.write_sealed("a.yaml")
    found = environment(me, "a.yaml", KEPT="1")
    assert (found["username"], found["password"], found["url"]) == (USER, PASSWORD, URL)
    assert found["KEPT"] == "1"
    assert found["HOME"] == str(me.home)
    assert me.names() == ["a.yaml"]


def test_bytes_arrive_as_they_are(me: Person) -> None:
    raw = bytes(range(1, 256)) + MARK.encode()
    me.write_sealed("a.yaml", manifest("a", raw=raw, empty=""))
    script = "import os, sys; sys.stdout.buffer.write(os.environb[b'raw'] + b'|' + os.environb[b'empty'])"
    assert me.ok("exec", "a.yaml", "--", sys.executable, "-c", script).out == raw + b"|"


def test_string_data_wins_over_data_of_the_same_key(me: Person) -> None:
    me.write_sealed("a.yaml", manifest("a", key=f"old-{MARK}") + f"stringData:\n  key: new-{MARK}\n".encode())
    assert environment(me, "a.yaml")["key"] == f"new-{MARK}"


def test_what_opens_the_file_is_not_passed_on(me: Person) -> None:
    me.write_sealed("a.yaml")
    me.key_file.unlink()
    found = environment(
        me, "a.yaml", KSECRET_AGE_KEY=me.identity, KSECRET_AGE_PASSPHRASE=MARK, KSECRET_GPG_PASSPHRASE=MARK
    )
    assert found["password"] == PASSWORD
    assert not [name for name in found if name.startswith("KSECRET_")]


def test_only_what_is_asked_for(me: Person) -> None:
    me.write_sealed("a.yaml")
    found = environment(me, "--only", "password", "a.yaml", "--only=url")
    assert (found["password"], found["url"]) == (PASSWORD, URL)
    assert "username" not in found
    assert "no Secret here has the key nothing" in me.fails(2, "exec", "--only", "nothing", "a.yaml", "--", "true")


def test_names_are_made_to_fit(me: Person) -> None:
    me.write_sealed("a.yaml", TLS)
    message = me.fails(2, "exec", "a.yaml", "--", "true")
    assert "not names of environment variables: tls.crt, tls.key" in message
    assert "--upper" in message
    assert environment(me, "--upper", "--only", "tls.crt", "a.yaml")["TLS_CRT"] == f"cert-{MARK}"
    me.write_sealed("b.yaml", manifest("b", **{"1st": MARK}))
    assert "1ST" in me.fails(2, "exec", "--upper", "b.yaml", "--", "true")
    assert environment(me, "--upper", "--prefix", "MY_", "b.yaml")["MY_1ST"] == MARK


def test_a_name_that_stands_for_two_values_is_refused(me: Person) -> None:
    me.write_sealed("a.yaml")
    me.write_sealed("b.yaml", manifest("b", password=MARK))
    message = me.fails(2, "exec", "a.yaml", "b.yaml", "--", "true")
    assert "password is there twice, in a.yaml:11 and b.yaml:6" in message
    me.write_sealed("c.yaml", manifest("c", a__b=MARK, A_B=MARK))
    assert "A_B is there twice" in me.fails(2, "exec", "--upper", "c.yaml", "--", "true")


def test_a_nul_byte_is_refused_by_name(me: Person) -> None:
    me.write_sealed("a.yaml", manifest("a", good=MARK, raw=b"a\0" + MARK.encode()))
    message = me.fails(3, "exec", "a.yaml", "--", "touch", "ran")
    assert message.startswith("ksecret: a.yaml:7: the value of raw has a NUL byte in it")
    assert me.names() == ["a.yaml"]


@pytest.mark.parametrize("more", [[], ["--files"]])
def test_one_file_that_does_not_open_and_nothing_runs(me: Person, tmp_path: Path, more: list[str]) -> None:
    me.write_sealed("a.yaml")
    me.write("bad.yaml", NOT_YAML + b"# ksecret\n")
    stranger = Person(tmp_path, "stranger").write_sealed("theirs.yaml", manifest("x", k=MARK))
    ran = me.run("exec", *more, "bad.yaml", "a.yaml", stranger.name, "gone.yaml", "--", "touch", "ran")
    assert (ran.code, ran.out) == (7, b"")
    for name in ("bad.yaml:", "theirs.yaml:", "gone.yaml:"):
        assert f"ksecret: {name}" in ran.err
    assert "ran" not in me.names()
    me.write("clear.yaml")
    assert "no Secret in it is sealed" in me.fails(3, "exec", *more, "clear.yaml", "--", "touch", "ran")
    assert "ran" not in me.names()


@pytest.mark.parametrize("more", [[], ["--files"]])
def test_output_and_exit_code_are_the_commands_alone(me: Person, memory: Path, more: list[str]) -> None:
    me.write_sealed("a.yaml")
    script = "read line; echo $line $1; echo err >&2; exit 37"
    ran = me.run("exec", *more, "a.yaml", "--", "sh", "-c", script, "sh", "--only", stdin=b"input\n")
    assert ran == (37, b"input --only\n", "err\n")
    assert me.run("exec", *more, "a.yaml", "--", "sh", "-c", "kill -KILL $$").code in (-9, 128 + 9)


@pytest.mark.parametrize("more", [[], ["--files"]])
def test_a_command_that_can_not_be_run(me: Person, memory: Path, more: list[str]) -> None:
    me.write_sealed("a.yaml")
    me.write("not-executable")
    assert "no-such-program: not found" in me.fails(127, "exec", *more, "a.yaml", "--", "no-such-program")
    assert "can't be run: Permission denied" in me.fails(126, "exec", *more, "a.yaml", "--", "./not-executable")
    for words in (["a.yaml"], ["a.yaml", "--"], ["a.yaml", "true"]):
        assert "no command to run" in me.fails(2, "exec", *more, *words)
    assert "no file named" in me.fails(2, "exec", *more, "--", "true")


def test_a_value_too_large_for_an_environment(me: Person) -> None:
    me.write_sealed("a.yaml", manifest("a", big=MARK * 30_000))
    message = me.fails(126, "exec", "a.yaml", "--", "true")
    assert "ksecret exec --files" in message


@pytest.mark.parametrize("more", [[], ["--files"]])
def test_the_command_ignores_and_blocks_no_signal_for_ksecrets_sake(me: Person, memory: Path, more: list[str]) -> None:
    me.write_sealed("a.yaml")
    own = ["grep", "-E", "SigIgn|SigBlk", "/proc/self/status"]

    def signals(status: bytes) -> list[int]:
        # Signals 32 and 33 are the C library's own, and ignored by whatever it starts with posix_spawn.
        return [int(line.split()[1], 16) & ~0x180000000 for line in status.splitlines()]

    plain = subprocess.run(own, capture_output=True, check=True).stdout
    assert signals(me.ok("exec", *more, "a.yaml", "--", *own).out) == signals(plain)


def test_files_are_private_and_in_memory_and_gone_afterwards(me: Person, memory: Path) -> None:
    me.write_sealed("a.yaml", TLS)
    script = 'stat -c "%a %n" "$KSECRET_FILES" "$KSECRET_FILES"/*; cat "$KSECRET_FILES/tls.key"; env | grep -c cert-'
    ran = me.run("exec", "--files", "a.yaml", "--", "sh", "-c", script)
    modes, _, rest = ran.out.partition(b"tls.key\n")
    folder = modes.split()[1].decode()
    assert os.path.dirname(folder) == str(memory)
    assert modes.split()[0::2] == [b"700", b"600", b"600"]
    assert rest == bytes(range(256)) + MARK.encode() + b"0\n"
    assert not os.path.exists(folder)


def test_files_that_the_command_adds_go_too(me: Person, memory: Path) -> None:
    me.write_sealed("a.yaml")
    script = 'cd "$KSECRET_FILES" && mkdir sub && cp password sub/ && chmod 500 sub && exit 3'
    assert me.run("exec", "--files", "a.yaml", "--", "sh", "-c", script).code == 3


@pytest.mark.parametrize("runtime", ["", "{work}"], ids=["none", "on a disk"])
def test_where_the_user_has_no_folder_in_memory_the_systems_is_taken(me: Person, memory: Path, runtime: str) -> None:
    me.write_sealed("a.yaml")
    place = runtime.format(work=me.work)
    ran = me.ok("exec", "--files", "a.yaml", "--", "sh", "-c", "echo $KSECRET_FILES", XDG_RUNTIME_DIR=place)
    assert ran.out.startswith(f"{SHM}/ksecret-".encode())
    assert not os.path.exists(ran.out.strip())


def test_no_folder_in_memory_no_files(me: Person) -> None:
    me.write_sealed("a.yaml")
    code = (
        "import sys; from secretsvc.cli import main; from secretsvc.files import private_folder\n"
        "private_folder._file_system = lambda device: 'ext4'\n"
        "sys.exit(main.main(sys.argv[1:]))"
    )
    words = ["-c", code, "exec", "--files", "a.yaml", "--", "touch", "ran"]
    ran = me.run(*words, program=sys.executable)
    assert (ran.code, ran.out) == (7, b"")
    assert "no folder in memory (tmpfs)" in ran.err
    assert me.names() == ["a.yaml"]


def started(me: Person, *words: str) -> subprocess.Popen[bytes]:
    """A run of which the command has printed its first line."""
    process = subprocess.Popen(
        [KSECRET, "exec", *words], cwd=me.work, env=me.environ, stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout
    assert process.stdout.readline() == b"ready\n"
    return process


@pytest.mark.parametrize("more", [[], ["--files"]])
@pytest.mark.parametrize("number", SIGNALS)
def test_signals_reach_the_command(me: Person, memory: Path, number: signal.Signals, more: list[str]) -> None:
    me.write_sealed("a.yaml")
    code = (
        f"import signal, sys\nsignal.pthread_sigmask(signal.SIG_BLOCK, [{int(number)}])\n"
        f"print('ready', flush=True)\nsignal.sigwait([{int(number)}])\nprint('got it', flush=True)\nsys.exit(5)"
    )
    process = started(me, *more, "a.yaml", "--", sys.executable, "-c", code)
    process.send_signal(number)
    out, _ = process.communicate(timeout=30)
    assert (process.returncode, out) == (5, b"got it\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM])
def test_a_signal_that_ends_the_command_takes_the_files_away(me: Person, memory: Path, number: signal.Signals) -> None:
    me.write_sealed("a.yaml")
    process = started(me, "--files", "a.yaml", "--", "sh", "-c", "echo ready; exec sleep 60")
    assert [path.name for path in memory.glob("*/password")] == ["password"]
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == 128 + number


@pytest.mark.parametrize("more", [[], ["--files"]])
def test_an_alarm_that_was_set_before_rings_for_the_command(me: Person, memory: Path, more: list[str]) -> None:
    """As `perl -e 'alarm 60; exec @ARGV' ksecret exec …` sets a time limit."""
    me.write_sealed("a.yaml")
    code = "import os, signal, sys\nsignal.alarm(2)\nos.execv(sys.argv[1], sys.argv[1:])"
    ran = me.run("-c", code, KSECRET, "exec", *more, "a.yaml", "--", "sleep", "20", program=sys.executable)
    assert ran.code in (-signal.SIGALRM, 128 + signal.SIGALRM)


def test_what_kill_9_left_is_removed_by_the_next_run_unless_it_is_in_use(me: Person, memory: Path) -> None:
    me.write_sealed("a.yaml")
    process = started(me, "--files", "a.yaml", "--", "sh", "-c", "echo ready; exec sleep 60")
    process.kill()
    process.wait()
    (left,) = memory.iterdir()
    try:
        me.ok("exec", "--files", "a.yaml", "--", "true")
        assert [path.name for path in left.glob("password")] == ["password"]  # the command still runs
    finally:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()  # until the command, which has standard output too, has gone
    me.ok("exec", "--files", "a.yaml", "--", "true")
    assert not left.exists()


def test_ctrl_c_on_a_terminal_reaches_the_command_once(me: Person, memory: Path) -> None:
    me.write_sealed("a.yaml")
    code = (
        "import os, signal, time\n"
        "came, told = os.pipe()\nos.set_blocking(told, False)\n"
        "signal.set_wakeup_fd(told)\n"  # a byte for each, even where Python calls the handler once for two
        "signal.signal(signal.SIGINT, lambda *_: None)\n"
        "print('ready', flush=True)\nend = time.monotonic() + 3\n"
        "while time.monotonic() < end: time.sleep(0.05)\n"
        "print('interrupts:', len(os.read(came, 100)), flush=True)"
    )
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(me.work)
        os.execve(KSECRET, [KSECRET, "exec", "--files", "a.yaml", "--", sys.executable, "-c", code], me.environ)
    seen = b""
    while b"ready" not in seen:
        seen += os.read(terminal, 1000)
    for _ in range(10):  # two at once may arrive as one, on a busy machine these too, but never more than were sent
        os.write(terminal, b"\x03")
        time.sleep(0.1)
    deadline = time.monotonic() + 20
    while not (found := re.search(rb"interrupts: (\d+)\r\n", seen)) and time.monotonic() < deadline:
        seen += os.read(terminal, 1000)
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert found
    assert 0 < int(found[1]) <= 10
    assert os.waitstatus_to_exitcode(status) == 0


def test_the_sealed_file_may_come_from_standard_input(me: Person) -> None:
    sealed = me.write_sealed("a.yaml").read_bytes()
    assert me.ok("exec", "-", "--", "printenv", "password", stdin=sealed).out == f"{PASSWORD}\n".encode()
    assert "once only" in me.fails(2, "exec", "-", "-", "--", "true", stdin=sealed)


def test_options_that_do_not_go_together(me: Person) -> None:
    me.write_sealed("a.yaml", MANIFEST)
    assert "named like their keys" in me.fails(2, "exec", "--files", "--upper", "a.yaml", "--", "true")
