"""A process that has imported `ksecret` and forks for every run, as starting from nothing takes most of a run's time.

What it forks is what a console script would be: arguments, environment, folder, streams and exit code are a run's own,
and it ends as `entry_point` does. Only modules are there already: one run in six, at night each, starts from nothing
(cli.py).
"""

from __future__ import annotations

import atexit
import os
import pickle
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    Words = Sequence[str | bytes]

LONGEST = 100_000
"""Bytes of arguments and environment that fit into one message."""
READ_AT_THE_START = ("LC_", "LANG", "PYTHON", "COVERAGE", "OPENSSL", "TZ")
"""What an interpreter and its libraries look at once: who sets one of these gets a process of their own."""


def start(words: Words, stdin: bytes, cwd: Path, environ: Mapping[str, str]) -> tuple[int, bytes, bytes]:
    """Exit code, standard output and standard error of any program; kills what takes a minute."""
    done = subprocess.run(words, input=stdin, capture_output=True, cwd=cwd, env=environ, check=False, timeout=60)
    return done.returncode, done.stdout, done.stderr


def run(words: Words, stdin: bytes, cwd: Path, environ: Mapping[str, str]) -> tuple[int, bytes, bytes]:
    """The same of `ksecret`, forked where nothing but modules would be found as by a start."""
    request = pickle.dumps((words, str(cwd), dict(environ)))
    if len(request) > LONGEST or not _as_usual(environ):
        return start(words, stdin, cwd, environ)
    pipes = [os.pipe() for _ in range(3)]
    (theirs_in, in_), (out, theirs_out), (err, theirs_err) = pipes
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as asked:
        asked.settimeout(60)
        asked.connect(_server())
        socket.send_fds(asked, [request], [theirs_in, theirs_out, theirs_err])
        for ours in (theirs_in, theirs_out, theirs_err):
            os.close(ours)
        return _communicated(asked, stdin, in_, out, err)


def _communicated(asked: socket.socket, stdin: bytes, in_: int, out: int, err: int) -> tuple[int, bytes, bytes]:
    read: dict[int, bytes] = {}

    def reading(stream: int) -> None:
        with open(stream, "rb") as opened:
            read[stream] = opened.read()

    readers = [threading.Thread(target=reading, args=(stream,)) for stream in (out, err)]
    for reader in readers:
        reader.start()
    with suppress(BrokenPipeError), open(in_, "wb", buffering=0) as opened:
        while stdin:
            stdin = stdin[opened.write(stdin) :]
    pid = int(asked.recv(100))
    try:
        code = int(asked.recv(100))
    except TimeoutError:
        os.kill(pid, signal.SIGKILL)
        raise
    finally:
        for reader in readers:
            reader.join()
    return code, read[out], read[err]


def _as_usual(environ: Mapping[str, str]) -> bool:
    usual = {name: text for name, text in os.environ.items() if name.startswith("PYTHON")} | {"LC_ALL": "C.UTF-8"}
    return {name: text for name, text in environ.items() if name.startswith(READ_AT_THE_START)} == usual


@cache
def _server() -> bytes:
    """The address of a server that ends with this process."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind("")  # Linux gives it an address that is no file
        listener.listen()
        process = subprocess.Popen(
            [sys.executable, __file__, str(listener.fileno())],
            stdin=subprocess.PIPE,
            pass_fds=[listener.fileno()],
            env={name: text for name, text in os.environ.items() if not name.startswith("COVERAGE")}
            | {"LC_ALL": "C.UTF-8"},
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


def _import_everything() -> None:
    """Every module but the service's; what needs an SDK imports it inside functions."""
    import secretsvc

    for found in pkgutil.walk_packages(secretsvc.__path__, "secretsvc."):
        if not found.name.startswith(("secretsvc.api", "secretsvc.__main__")):
            import_module(found.name)


if __name__ == "__main__":
    sys.path.pop(0)  # this folder, which no console script has
    _import_everything()
    Server(socket.socket(fileno=int(sys.argv[1]))).serve()
