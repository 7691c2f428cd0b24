"""A process that has imported `ksecret` and forks for every run, as starting from nothing takes most of a run's time.

What it forks is what a console script would be: arguments, environment, folder, streams and exit code are a run's own,
and it ends as `entry_point` does. Only modules are there already: one run in 12, at night each, starts from nothing.
"""

from __future__ import annotations

import atexit
import os
import pickle
import pkgutil
import resource
import select
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple, NoReturn
from zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    Words = Sequence[str | bytes]

STARTED = 1 if os.environ.get("HYPOTHESIS_PROFILE") == "nightly" else 12
COUNTED = 6
"""One in so many."""
CORE = resource.getrlimit(resource.RLIMIT_CORE)
"""A limit that `ksecret` looks at as it is imported."""
LONGEST = 100_000
"""Bytes of arguments and environment that fit into one message."""
READ_AT_THE_START = ("LC_", "LANG", "PYTHON", "COVERAGE", "OPENSSL", "TZ")
"""What an interpreter and its libraries look at once: who sets one of these gets a process of their own."""


class Ended(NamedTuple):
    """Exit code, or minus a signal's number, and what was written."""

    code: int
    out: bytes
    err: bytes


def from_nothing(words: Words) -> bool:
    """Whether these are among the one in STARTED that a new interpreter runs."""
    return _number(words) % STARTED == 0


def counted(words: Words) -> bool:
    """Whether these are among the one in COUNTED in which coverage counts: it takes thrice as long."""
    return _number(words) % COUNTED == 1


def _number(words: Words) -> int:
    return crc32(repr([word for word in words if "/" not in str(word)]).encode())


def measuring() -> dict[str, str]:
    """What has coverage count in a process."""
    return {name: text for name, text in os.environ.items() if name.startswith("COVERAGE_")}


def start(words: Words, stdin: bytes, cwd: Path, environ: Mapping[str, str]) -> Ended:
    """Any program as a process of its own; kills what takes a minute."""
    done = subprocess.run(words, input=stdin, capture_output=True, cwd=cwd, env=environ, check=False, timeout=60)
    return Ended(done.returncode, done.stdout, done.stderr)


def run(words: Words, stdin: bytes, cwd: Path, environ: Mapping[str, str], *, count: bool) -> Ended:
    """The same of `ksecret`, forked."""
    pipes = [os.pipe() for _ in range(3)]
    (theirs_in, in_), (out, theirs_out), (err, theirs_err) = pipes
    forked = Forked(words, cwd, environ, [theirs_in, theirs_out, theirs_err], count=count)
    for theirs in (theirs_in, theirs_out, theirs_err):
        os.close(theirs)
    read: dict[int, bytes] = {}

    def reading(stream: int) -> None:
        with open(stream, "rb") as opened:
            read[stream] = opened.read()

    readers = [threading.Thread(target=reading, args=(stream,)) for stream in (out, err)]
    for reader in readers:
        reader.start()
    try:
        with suppress(BrokenPipeError), open(in_, "wb", buffering=0) as opened:
            while stdin:
                stdin = stdin[opened.write(stdin) :]
        code = forked.wait(60)
    except subprocess.TimeoutExpired:
        forked.kill()
        raise
    finally:
        for reader in readers:
            reader.join()
    return Ended(code, read[out], read[err])


def can_fork(words: Words, environ: Mapping[str, str]) -> bool:
    """Whether a fork of the server would find what a start finds."""
    usual = {name: text for name, text in os.environ.items() if name.startswith("PYTHON")} | {"LC_ALL": "C.UTF-8"}
    told = {name: text for name, text in environ.items() if name.startswith(READ_AT_THE_START)}
    as_usual = told == usual and resource.getrlimit(resource.RLIMIT_CORE) == CORE
    return as_usual and len(pickle.dumps((words, dict(environ)))) < LONGEST


class Forked:
    """A run of `ksecret`, with what tests use of subprocess.Popen."""

    def __init__(
        self, words: Words, cwd: Path, environ: Mapping[str, str], streams: Sequence[int], *, count: bool
    ) -> None:
        """`streams`: standard input, output and error; `count`: coverage counts in it, where that counts at all."""
        self.returncode: int | None = None
        self._told = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._told.connect(_server(service="serve" in words[1:2], count=count and bool(measuring())))
        socket.send_fds(self._told, [pickle.dumps((words, str(cwd), dict(environ)))], streams)
        self.pid = int(self._told.recv(100))

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, or minus the signal's number. Raises TimeoutExpired as Popen does."""
        if self.returncode is None:
            self._told.settimeout(timeout)
            try:
                self.returncode = int(self._told.recv(100))
            except (TimeoutError, BlockingIOError) as error:
                raise subprocess.TimeoutExpired("ksecret", timeout or 0) from error
            self._told.close()
        return self.returncode

    def poll(self) -> int | None:
        """The exit code, or None before the end."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Sends it, unless the run has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


@cache
def _server(*, service: bool, count: bool) -> bytes:
    """The address of a server that ends with this process.

    `service`: one with the service's modules; `count`: one in which coverage counts, and in what it forks.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind("")  # Linux gives it an address that is no file
        listener.listen()
        environ = {name: text for name, text in os.environ.items() if count or name not in measuring()}
        process = subprocess.Popen(
            [sys.executable, __file__, str(listener.fileno()), *map(str, CORE), *["service"] * service],
            stdin=subprocess.PIPE,
            pass_fds=[listener.fileno()],
            env=environ | {"LC_ALL": "C.UTF-8"},
        )
        atexit.register(process.communicate)  # which closes its standard input
        address = listener.getsockname()
        assert isinstance(address, bytes)
        return address


class Server:
    """Forks for whoever connects to `listener`, until its standard input is closed."""

    def __init__(self, listener: socket.socket) -> None:
        self.listener = listener
        self.waiting: dict[int, socket.socket] = {}
        self.ended, woken = os.pipe2(os.O_NONBLOCK)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(woken)

    def serve(self) -> None:
        while True:
            ready, _, _ = select.select([0, self.ended, self.listener], [], [])
            if 0 in ready:
                return
            if self.ended in ready:
                os.read(self.ended, 1000)
                self._tell()
            if self.listener in ready:
                self._fork()

    def _tell(self) -> None:
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                with self.waiting.pop(ended[0]) as asked, suppress(OSError):
                    asked.send(b"%d" % os.waitstatus_to_exitcode(ended[1]))

    def _fork(self) -> None:
        asked, _ = self.listener.accept()
        request, streams, _, _ = socket.recv_fds(asked, 2 * LONGEST, 3)
        pid = os.fork()
        if not pid:
            _become(*pickle.loads(request), streams)
        for stream in streams:
            os.close(stream)
        self.waiting[pid] = asked
        with suppress(OSError):
            asked.send(b"%d" % pid)


def _become(words: Words, cwd: str, environ: Mapping[str, str], streams: list[int]) -> NoReturn:
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        os.closerange(3, 256)
        for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
            was = getattr(sys, f"__{name}__")
            opened = open(was.fileno(), mode, 1 if name == "stderr" else -1, was.encoding, was.errors, "\n")  # noqa: SIM115
            setattr(sys, name, opened)
            setattr(sys, f"__{name}__", opened)
        os.chdir(cwd)
        sys.argv = [os.fsdecode(word) for word in words]
        os.environ.clear()
        os.environ.update(environ)
        import_module("secretsvc.cli.main").entry_point()
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(1)


def _import_everything(*, service: bool) -> None:
    """Every module, but the service's only for services; what needs an SDK imports it inside functions."""
    import secretsvc

    for found in pkgutil.walk_packages(secretsvc.__path__, "secretsvc."):
        if found.name != "secretsvc.__main__" and (service or not found.name.startswith("secretsvc.api")):
            import_module(found.name)


def _save_what_was_counted() -> None:
    """Write down what coverage saw of the import: else each fork would, eight times what its own run takes."""
    if counting := "coverage" in sys.modules and import_module("coverage").Coverage.current():
        counting.save()


if __name__ == "__main__":
    sys.path.pop(0)  # this folder, which no console script has
    resource.setrlimit(resource.RLIMIT_CORE, (int(sys.argv[2]), int(sys.argv[3])))
    _import_everything(service="service" in sys.argv)
    _save_what_was_counted()
    Server(socket.socket(fileno=int(sys.argv[1]))).serve()
