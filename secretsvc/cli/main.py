"""`ksecret`: finds the command, runs it, and turns what went wrong into one line, a hint and an exit code."""

from __future__ import annotations

import gc
import io
import os
import sys

from secretsvc import core_dumps
from secretsvc.cli.commands import find
from secretsvc.errors import KsecretError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

INTERRUPTED = 130
_WORDS_OF_SOPS = "sops"
"""No command of ours: behind it stand the words of another program, by its rules."""


def entry_point() -> NoReturn:
    """The console script."""
    _leave_with()


def entry_point_of_sops() -> NoReturn:
    """The console script that has sops's own words."""
    _leave_with(_WORDS_OF_SOPS)


def _leave_with(*words: str) -> NoReturn:
    """Run the command line behind these words. Leaves by `os._exit`, which spares a start tearing down every module."""
    core_dumps.forbid()
    _occupy_closed_streams()
    gc.set_threshold(100_000)  # nothing is garbage yet; looking for it takes a twentieth of a start
    code = main([*words, *sys.argv[1:]])
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError as error:
        code = code or _report_unwritten(error)
    os._exit(code)


def _occupy_closed_streams() -> None:
    """A closed standard stream becomes one that fails, so that no file that is opened later takes its number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            os.open(os.devnull, os.O_RDONLY if name == "stdout" else os.O_WRONLY)
            setattr(sys, name, os.fdopen(number, "w" if number else "r"))
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # file names may hold what the encoding lacks


def main(words: list[str]) -> int:
    """Runs one command line and gives its exit code (design CLI, "Exit codes")."""
    if "_ARGCOMPLETE" in os.environ:
        from secretsvc.cli import completion

        completion.complete()
    debug = "--debug" in words[: words.index("--")] if "--" in words else "--debug" in words
    try:
        return _told(words, debug=debug)
    except BrokenPipeError:  # whoever read the output has gone; nobody is left to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 7
    except OSError as error:
        return _report_unwritten(error)
    except MemoryError:
        print("ksecret: there is not enough memory for it", file=sys.stderr)
        return 7
    except KeyboardInterrupt:
        return INTERRUPTED
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else 0


def _told(words: list[str], *, debug: bool) -> int:
    """Raises OSError where nothing can be told."""
    try:
        return _dispatch(words)
    except KsecretError as error:
        from secretsvc.cli.report import report

        report(error, debug=debug)
        return error.exit_code


def _command_first(words: list[str]) -> list[str]:
    """The words with the options that may stand before a command behind it, where its parser reads them.

    `--server` is read there by its long name, which is nothing else in any command.
    """
    moved: list[str] = []
    left = words
    while len(left) > 1:
        name, equals, value = left[0].partition("=")
        if left[0] == "--debug":
            moved, left = [*moved, name], left[1:]
        elif name == "--server" and equals:
            moved, left = [*moved, "--ksecret-server", value], left[1:]
        elif name == "--server" and len(left) > 2:
            moved, left = [*moved, "--ksecret-server", left[1]], left[2:]
        else:
            break
    return [*left[:1], *moved, *left[1:]]


def _dispatch(words: list[str]) -> int:
    words = _command_first(words)
    name = words[0] if words else "--help"
    if name in ("--help", "-h", "help"):
        return _help(words[1:])
    if name == "--version":
        from secretsvc import __version__

        print(f"ksecret {__version__}")
        return 0
    if words == ["--debug"]:
        return _help([])
    if name == _WORDS_OF_SOPS:
        from secretsvc.cli.sops_words import verbs

        return verbs.run(words[1:])
    command = find(name)
    from secretsvc.cli.parser import parsing

    parser, rest, run = parsing(command, words[1:])
    return run(parser.parse(rest))


def _help(words: list[str]) -> int:
    if words:
        return _dispatch([words[0] if words[0] == _WORDS_OF_SOPS else find(words[0]), *words[1:], "--help"])
    from secretsvc.cli.overview import overview

    print(overview())
    return 0


def _report_unwritten(error: OSError) -> int:
    try:
        print(f"ksecret: can't write the output: {error.strerror}", file=sys.stderr)
    except OSError:  # it may have been standard error itself
        return 7
    return 7
