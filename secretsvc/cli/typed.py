"""A value from standard input: what is piped in, or what somebody types at a terminal, where it is not shown."""

from __future__ import annotations

import os
import sys

from secretsvc.cli.report import printable
from secretsvc.errors import UsageError
from secretsvc.files.workspace import standard_input
from secretsvc.generators.sources import without_line_break

MOST_TYPED = 4095
"""Bytes of one line that a terminal hands on; it drops those behind (termios(3), canonical mode)."""


def typed_or_piped(what: str) -> bytes:
    """All of it but one line break at the end, which `echo` and the Enter key bring along.

    `what`: what a terminal asks for. Raises UsageError, FileError.
    """
    return _typed(what) if sys.stdin.isatty() else without_line_break(standard_input())


def _typed(what: str) -> bytes:
    import warnings
    from getpass import GetPassWarning, getpass

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", GetPassWarning)  # getpass would go on, and show what is typed
            typed = os.fsencode(getpass(printable(f"{what} (what you type is not shown): ")))
    except KeyboardInterrupt:
        print(file=sys.stderr)  # the shell's prompt is to stand on a line of its own
        raise
    except GetPassWarning:
        raise UsageError("this terminal can't hide what is typed", hint="pipe it in, or name a file") from None
    except EOFError:
        typed = b""
    except UnicodeError:
        raise UsageError("what was typed is no text in this terminal's encoding", hint="name a file") from None
    if not typed:
        raise UsageError("nothing was typed", hint="pipe an empty value in where that is what you want")
    if len(typed) >= MOST_TYPED:
        raise UsageError(
            f"a terminal hands on {MOST_TYPED} bytes of a line and drops the rest", hint="pipe it in, or name a file"
        )
    return typed
