"""Another program in ksecret's place, or beside it, with its exit code and signals passed on.

Exit codes are a shell's (POSIX.1-2017, Shell Command Language, section 2.8.2): 126 can't be run, 127 not found,
128 + N ended by signal N.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from contextlib import contextmanager

from secretsvc import core_dumps, programs
from secretsvc.backends import secrets
from secretsvc.errors import FileError
from secretsvc.files.signals import ENDING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import NoReturn

_IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)
"""Python starts by ignoring these, and a child would go on doing so."""

_PASSED_ON = ENDING | {signal.SIGWINCH}

_OF_THE_TERMINAL = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGWINCH)


class _NotRunError(FileError):
    """The program can't be run."""

    exit_code = 126


class _NotFoundError(FileError):
    """There is no such program."""

    exit_code = 127


def environment(more: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """This process's environment for the user's own command: no secret of a backend's in it, and more variables."""
    ours, never = programs.environment(os.environ, calls_ksecret=True), secrets()
    return {os.fsencode(name): os.fsencode(text) for name, text in ours.items() if name not in never} | dict(more)


def find(name: str) -> str:
    """The path of a program that is on PATH. Raises FileError."""
    path = programs.find(name, os.environ)
    if not path:
        raise not_started(name, FileNotFoundError())
    return path


def become(command: list[str], environ: Mapping[bytes, bytes]) -> NoReturn:
    """This process goes on as that program: same process id, so nothing is left to pass on. Raises FileError."""
    sys.stdout.flush()
    sys.stderr.flush()
    for number in _IGNORED_BY_PYTHON:
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvpe(command[0], command, environ)  # noqa: S606 - what the user asked for
    except OSError as error:
        raise not_started(command[0], error) from error


@contextmanager
def signals_held() -> Iterator[set[signal.Signals]]:
    """Signals wait from here on, until `run` passes them on or the block ends. Gives the mask that held before."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # who started us may have it ignored, and then children get lost
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _PASSED_ON | {signal.SIGCHLD})
    try:
        yield {signal.Signals(number) for number in before}
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def run(command: list[str], environ: Mapping[bytes, bytes], mask: set[signal.Signals]) -> int:
    """Runs the program to its end, within `signals_held`; its exit code. Raises FileError.

    Linux only: elsewhere there is no folder in memory either, which both callers ask for first.
    """
    if sys.platform != "linux":
        raise _NotRunError(f"{command[0]}: can't be run: only Linux tells which signal came from where")
    try:
        with core_dumps.AsStarted():
            child = os.posix_spawnp(command[0], command, environ, setsigmask=mask, setsigdef=_IGNORED_BY_PYTHON)
    except OSError as error:
        raise not_started(command[0], error) from error
    while True:
        came = signal.sigwaitinfo(_PASSED_ON | {signal.SIGCHLD})
        if came.si_signo == signal.SIGCHLD:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else 128 - code
        elif came.si_code <= 0 or came.si_signo not in _OF_THE_TERMINAL:
            # sent by a process, or an alarm that was set before; what the terminal sends, it sends to the child as well
            os.kill(child, came.si_signo)


def not_started(program: str, error: OSError) -> FileError:
    """The error for a program that could not be started."""
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return _NotFoundError(f"{program}: not found")
    too_large = "a value is too large for an environment; ksecret exec --files puts values in files"
    hint = too_large if error.errno == errno.E2BIG else ""
    return _NotRunError(f"{program}: can't be run: {error.strerror}", hint=hint)
