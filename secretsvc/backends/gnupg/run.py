"""Running gpg: its pipes, its time limit, and the status lines in which it tells programs what happened.

os.posix_spawn is used directly, because importing subprocess takes longer than gpg takes to decrypt a
message. Everything secret goes through pipes: no argument, variable or file ever holds a DEK or a passphrase.
"""

from __future__ import annotations

import fcntl
import os
import select
from time import monotonic

from secretsvc import patience, programs
from secretsvc.errors import BackendError, BackendUnavailableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

MAX_ANSWER = 1 << 20
"""Bytes that gpg may write to each of its pipes: a listing of one key with many user ids fits many times."""

_MOMENT = 0.25
"""Seconds between two looks at whether anybody still waits for gpg."""

_PREFIX = b"[GNUPG:] "

# The child's descriptors: 0 the input, 1 the output, 2 the status lines (so nothing else may be written
# there), 3 the answers to its questions.
_ARGUMENTS = ("--batch", "--no-tty", "--status-fd", "2", "--logger-file", "/dev/null")
_ARGUMENTS_ASKING = ("--pinentry-mode", "loopback", "--command-fd", "3")

_UNWANTED = frozenset(("NEED_PASSPHRASE_SYM", "GET_LINE", "GET_BOOL"))
"""Questions that are never to be answered, nor to reach a person: gpg is stopped."""


class NoPassphraseError(Exception):
    """gpg needs a passphrase, and the callable that was to give it has none."""


class GpgAnswer:
    """An answer of gpg's: `output`, the bytes of its standard output, and its status lines in their order; `home`: in
    which GNUPGHOME, "" for the default one.

    A status line is a keyword and its arguments, still percent-escaped (GnuPG, doc/DETAILS, "Format of
    the --status-fd output").
    """

    def __init__(self, output: bytes, lines: Sequence[Sequence[str]], home: str = "") -> None:
        self.output = output
        self.home = home
        self._lines = lines

    def has(self, keyword: str) -> bool:
        """Tell whether there is a line with that keyword."""
        return any(line[0] == keyword for line in self._lines)

    def words(self, keyword: str) -> list[Sequence[str]]:
        """The arguments of each line with that keyword."""
        return [line[1:] for line in self._lines if line[0] == keyword]

    def order(self, keywords: Collection[str]) -> list[str]:
        """Return those of the keywords that came, as often and in the order in which they did."""
        return [line[0] for line in self._lines if line[0] in keywords]

    def error_code(self, *places: str) -> int:
        """libgpg-error's code, without its source, of the first ERROR or FAILURE line from one of `places`; else 0."""
        for line in self._lines:
            if line[0] in ("ERROR", "FAILURE") and len(line) > 2 and line[1] in places and line[2].isdigit():
                return int(line[2]) & 0xFFFF
        return 0


def find(environ: Mapping[str, str]) -> str:
    """The path of gpg, from PATH. Raises BackendUnavailableError where it is not installed."""
    path = programs.find("gpg", environ) if hasattr(os, "posix_spawn") else ""
    if path:
        return path
    raise BackendUnavailableError(
        "gpg was not found on the PATH",
        hint="install GnuPG 2.2 or later: apt install gnupg, dnf install gnupg2, apk add gnupg, or brew install gnupg",
    )


def run(
    program: str,
    arguments: Sequence[str],
    *,
    environ: Mapping[str, str],
    limit: float,
    data: bytes = b"",
    passphrase: Callable[[], bytes | None] | None = None,
    most: int = MAX_ANSWER,
    meanwhile: Callable[[], None] | None = None,
) -> GpgAnswer:
    """One run of gpg with `data` as its input, ended after `limit` seconds, or where it says more than `most` bytes.

    With `passphrase`, gpg asks it, and nobody else, when the agent needs one; the time that it takes does not
    count. `meanwhile` is called once gpg has its input. Raises NoPassphraseError where the passphrase is asked and
    returns None or nothing, and BackendError where gpg can't be started, takes too long or says too much. It is killed
    where nobody waits for it any more. Whether gpg did what it was asked to is in the answer.
    """
    call = _Call(data, passphrase, most)
    try:
        call.start(program, arguments, environ)
        if meanwhile:
            meanwhile()
        call.converse(limit)
    finally:
        call.end()
    return GpgAnswer(bytes(call.output), call.lines, environ.get("GNUPGHOME", ""))


def _pipe() -> tuple[int, int]:
    """A pipe's reading and writing end, both above 3, so that no end is in the way of the child's descriptors."""
    low = os.pipe()
    try:
        read = fcntl.fcntl(low[0], fcntl.F_DUPFD_CLOEXEC, 4)
        try:
            return read, fcntl.fcntl(low[1], fcntl.F_DUPFD_CLOEXEC, 4)
        except OSError:
            os.close(read)
            raise
    finally:
        for descriptor in low:
            os.close(descriptor)


def _ready(poll: select.poll, deadline: float, limit: float) -> list[int]:
    """The descriptors that something can be done with. Raises BackendError where none is by the deadline."""
    while True:
        patience.check()
        left = max(0.0, deadline - monotonic())
        ready = poll.poll(min(left, _MOMENT) * 1000)
        if ready:
            return [descriptor for descriptor, _ in ready]
        if left <= _MOMENT:
            raise BackendError(
                f"gpg gave no answer within {limit:.0f} seconds", hint="it may wait for a pinentry or a smart card"
            )


class _Call:
    """One run of gpg: the process, our ends of its pipes, and what has come out of them."""

    def __init__(self, data: bytes, passphrase: Callable[[], bytes | None] | None, most: int) -> None:
        self.output = bytearray()
        self.lines: list[list[str]] = []
        self._data = data
        self._most = most
        self._passphrase = passphrase
        self._pid = 0
        self._stopped = False
        self._finished = False
        self._heard = b""
        self._open: set[int] = set()

    def start(self, program: str, arguments: Sequence[str], environ: Mapping[str, str]) -> None:
        """Starts gpg, and hands it as much of its input as its pipe takes. Raises BackendUnavailableError."""
        asking = _ARGUMENTS_ASKING if self._passphrase else ()
        try:
            # The ends that gpg reads from stay open here too, so that writing can't raise SIGPIPE.
            child_input, self._input = self._new_pipe()
            self._result, child_result = self._new_pipe()
            self._status, child_status = self._new_pipe()
            child_command, self._command = self._new_pipe() if asking else (-1, -1)
            ends = [(child_input, 0), (child_result, 1), (child_status, 2), (child_command, 3)]
            self._pid = os.posix_spawn(
                program,
                ["gpg", *_ARGUMENTS, *asking, *arguments],
                environ,
                file_actions=[(os.POSIX_SPAWN_DUP2, end, number) for end, number in ends if end >= 0],
            )
        except OSError as error:
            raise BackendUnavailableError(f"gpg can't be started: {error.strerror}") from error
        self._close(child_result)
        self._close(child_status)
        os.set_blocking(self._input, False)
        if self._feed():
            self._close(self._input)

    def converse(self, limit: float) -> None:
        """Feeds gpg the rest, reads from it and answers it until it has closed both of its outputs. Raises as `run`."""
        poll = select.poll()
        poll.register(self._result, select.POLLIN)
        poll.register(self._status, select.POLLIN)
        if self._data:
            poll.register(self._input, select.POLLOUT)
        listening = {self._result, self._status}
        deadline, heard = monotonic() + limit, 0
        while listening and not self._stopped:
            for descriptor in _ready(poll, deadline, limit):
                if descriptor == self._input:
                    if self._feed():
                        poll.unregister(descriptor)
                        self._close(descriptor)
                elif not (chunk := os.read(descriptor, 65536)):
                    poll.unregister(descriptor)
                    listening.discard(descriptor)
                elif descriptor == self._result:
                    self.output += chunk
                else:
                    heard += len(chunk)
                    if self._hear(chunk):
                        deadline = monotonic() + limit
            if max(len(self.output), heard) > self._most:
                raise BackendError("gpg's answer is too long")
        self._finished = not listening

    def end(self) -> None:
        """Closes the pipes and waits for gpg, which is killed unless it had closed its outputs."""
        for descriptor in tuple(self._open):
            self._close(descriptor)
        if not self._pid:
            return
        try:
            # A process that somebody else has waited for raises here, before its number could be another's.
            if not self._finished and os.waitpid(self._pid, os.WNOHANG) == (0, 0):
                os.kill(self._pid, 9)
                os.waitpid(self._pid, 0)
            elif self._finished:
                os.waitpid(self._pid, 0)
        except ChildProcessError:
            pass

    def _new_pipe(self) -> tuple[int, int]:
        ends = _pipe()
        self._open.update(ends)
        return ends

    def _close(self, descriptor: int) -> None:
        self._open.discard(descriptor)
        os.close(descriptor)

    def _feed(self) -> bool:
        """Writes what the pipe takes of the input; True when all of it is written."""
        if self._data:
            self._data = self._data[os.write(self._input, self._data[:65536]) :]
        return not self._data

    def _hear(self, chunk: bytes) -> bool:
        """Takes in status lines; True when a question was answered meanwhile."""
        *complete, self._heard = (self._heard + chunk).split(b"\n")
        asked = False
        for raw in complete:
            line = raw[len(_PREFIX) :].decode("utf-8", "replace").split() if raw.startswith(_PREFIX) else []
            if not line:
                continue
            self.lines.append(line)
            if line[0] in _UNWANTED:
                self._stopped = True
                break
            if line[0] == "GET_HIDDEN" and self._passphrase:
                self._reply(self._passphrase())
                asked = True
        return asked

    def _reply(self, passphrase: bytes | None) -> None:
        """Answers the question for a passphrase; its first line counts, as with gpg's --passphrase-fd."""
        first = (passphrase or b"").partition(b"\n")[0].removesuffix(b"\r")
        if not first:
            raise NoPassphraseError
        os.write(self._command, first + b"\n")
