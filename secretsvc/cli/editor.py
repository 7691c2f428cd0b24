"""The user's editor: which it is, how it is kept from leaving copies, and running it."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from contextlib import contextmanager
from shutil import which

from secretsvc import programs
from secretsvc.backends import secrets
from secretsvc.errors import UsageError
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import ExitStack
    from typing import TextIO

    from secretsvc.files.private_folder import Folder

_VIM = ("vim", "nvim", "gvim", "vimx", "mvim")
_VIM_QUIET = (
    "-n",  # no swap file
    "-i",  # no viminfo or shada
    "NONE",
    "-c",
    "silent! set noswapfile nobackup nowritebackup noundofile | silent! set nofixendofline",
)
_RETURNS_AT_ONCE = ("code", "code-insiders", "codium", "cursor", "subl", "zed")
_PATIENCE = 5.0
"""Seconds that an editor has to end after it was told to."""


class Editor(Record):
    """The words of its command, without the file."""

    words: list[str]

    @property
    def name(self) -> str:
        return os.path.basename(self.words[0])


class Streams(Record):
    """Descriptors that the editor gets as standard input and output; None: those of this process."""

    stdin: int | None
    stdout: int | None


def terminal(stack: ExitStack, *, piped: bool, printed: bool) -> tuple[Streams, TextIO | None]:
    """The editor's streams, and where somebody answers questions; None where nobody is.

    `piped`, `printed`: the manifest comes from standard input, goes to standard output, and so the editor is at
    `/dev/tty` in its place, or has nothing to read where there is no terminal.
    """
    if not (piped or printed):
        return Streams(None, None), _answering(sys.stdin)
    try:
        descriptor = os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        descriptor = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    answers = stack.enter_context(os.fdopen(descriptor))
    return (
        Streams(descriptor if piped else None, descriptor if printed else None),
        _answering(answers if piped else sys.stdin),
    )


def _answering(stream: TextIO) -> TextIO | None:
    return stream if stream.isatty() and sys.stderr.isatty() else None


def find_editor(environ: Mapping[str, str]) -> Editor:
    """`VISUAL`, else `EDITOR` (they may hold arguments), else vi, else nano. Raises UsageError."""
    for variable in ("VISUAL", "EDITOR"):
        if environ.get(variable, "").strip():
            return _named(variable, environ[variable], environ)
    for name in ("vi", "nano"):
        if path := programs.find(name, environ):
            return Editor([path])
    raise UsageError("no editor was found", hint='set EDITOR, such as EDITOR=nano or EDITOR="code --wait"')


def _named(variable: str, text: str, environ: Mapping[str, str]) -> Editor:
    try:
        words = shlex.split(text)
    except ValueError:
        raise UsageError(f"{variable} has a quote that is not closed") from None
    path = _path(words[0], environ) if words else ""
    if not path:
        raise UsageError(f"the editor that {variable} names is not found", hint="name one that is installed")
    editor = Editor([path, *words[1:]])
    if editor.name in _RETURNS_AT_ONCE and not {"-w", "--wait"} & set(words):
        raise UsageError(
            f"{editor.name} returns before anything is edited", hint=f'set {variable}="{editor.name} --wait"'
        )
    return editor


def _path(word: str, environ: Mapping[str, str]) -> str:
    """A word with a slash is a path already, which the user chose."""
    return which(word) or "" if os.sep in word else programs.find(word, environ)


def run_editor(editor: Editor, path: str, folder: Folder, streams: Streams) -> int:
    """Runs it on a file and waits; its exit code, negative for a signal. Raises UsageError where it can't be run.

    Ctrl-C is the editor's business meanwhile. Where this process is told to end, so is the editor.
    """
    command = [editor.words[0], *_keep_quiet(editor, folder), *editor.words[1:], path]
    with _deaf_to_the_keyboard():
        try:
            child = subprocess.Popen(  # noqa: S603 (the user's own editor)
                command,
                stdin=streams.stdin,
                stdout=streams.stdout,
                env=_environment(editor, folder),
                umask=0o077,
                pass_fds=(folder.lock,),
            )
        except OSError as error:
            raise UsageError(f"the editor {editor.name} can't be run: {error.strerror}") from error
        try:
            return child.wait()
        except BaseException:
            _end(child)
            raise


def _keep_quiet(editor: Editor, folder: Folder) -> list[str]:
    """Options that keep it from writing copies anywhere else, and from adding a last line break."""
    if _is_vim(editor):
        return [*_VIM_QUIET, *(["-f"] if editor.name.startswith(("gvim", "mvim")) else [])]
    if editor.name == "nano":
        return ["-L", "-C", folder.path]  # backups, where its settings want them, go where they are removed
    return []


def _environment(editor: Editor, folder: Folder) -> dict[str, str]:
    """Vi, nano and what they call have their temporary files in the private folder too."""
    never = secrets()
    own = {name: text for name, text in programs.environment(os.environ).items() if name not in never}
    return own | {"TMPDIR": folder.path} if _stem(editor) in (*_VIM, "vi", "ex", "nano") else own


def _stem(editor: Editor) -> str:
    return editor.name.partition(".")[0]


def _is_vim(editor: Editor) -> bool:
    if _stem(editor) in _VIM:
        return True
    if _stem(editor) not in ("vi", "ex"):
        return False
    try:  # other kinds of vi refuse vim's options
        told = subprocess.run(  # noqa: S603 (the user's own editor)
            [editor.words[0], "--version"],
            env=programs.environment(os.environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return told.stdout.startswith((b"VIM - Vi IMproved", b"NVIM"))


@contextmanager
def _deaf_to_the_keyboard() -> Iterator[None]:
    """Ctrl-C and Ctrl-backslash reach the editor too, which is in the same process group.

    A handler that does nothing, rather than SIG_IGN, which the editor would inherit.
    """
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGQUIT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
