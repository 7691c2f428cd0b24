"""argparse in place of `parser.py`'s own reading: for help, and for lines that it is to say what is wrong with."""

from __future__ import annotations

import argparse

from secretsvc.cli.arguments import Arguments, Declared

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from secretsvc.cli.arguments import Argument

_WIDTH = 100
"""Columns of help that goes to no terminal."""
_NARROWEST, _WIDEST = 40, 120
"""Columns: longer lines are hard to read."""


def read(parser: Declared, given: list[tuple[Argument, str | None]], others: list[str]) -> Arguments:
    """The values of a line whose words are sorted. Raises UsageError; prints help, and SystemExit then."""
    options = [
        option.option_strings[-1] if value is None else f"{option.option_strings[-1]}={value}"
        for option, value in given
    ]
    return _Argparse(parser).parse_args([*options, *(["--"] if others else []), *others], Arguments())


def help_width() -> int:
    """Width of help: that of the terminal, or what `COLUMNS` says, up to 120 columns."""
    from shutil import get_terminal_size

    return min(max(get_terminal_size((_WIDTH, 24)).columns, _NARROWEST), _WIDEST)


class _Argparse(argparse.ArgumentParser):
    """A command's arguments as they are declared. Wrong usage raises UsageError instead of ending the process."""

    def __init__(self, parser: Declared) -> None:
        self._parser = parser
        longest = max(map(len, parser.actions), default=0)
        listed = "".join(f"  {parser.prog} {action:{longest}}  {about}\n" for action, about in parser.actions.items())
        super().__init__(
            prog=parser.prog,
            description=parser.summary,
            epilog=(f"each with a --help of its own:\n{listed}\n" if listed else "")
            + (f"examples:\n{parser.examples}" if parser.examples else ""),
            usage=f"%(prog)s [OPTIONS] FILE... -- {parser.command}" if parser.command else None,
            formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, width=help_width()),
            allow_abbrev=False,
            add_help=False,
        )
        self.set_defaults(**parser.defaults)
        for argument in parser.arguments:
            self._declare(argument)

    def _declare(self, argument: Argument) -> None:
        names = argument.option_strings or (argument.dest,)
        about = argparse.SUPPRESS if argument.is_hidden else argument.help
        declared: dict[str, Any] = {"help": about, "action": argument.action}
        if argument.option_strings:
            declared["dest"] = argument.dest
        if argument.action == "append_const":
            declared["const"] = argument.const
        if argument.nargs != 0:
            declared |= {
                "nargs": argument.nargs,
                "const": argument.const,
                "type": argument.type,
                "choices": argument.choices or None,
                "metavar": argument.metavar,
                "default": argument.default,
            }
        self.add_argument(*names, **declared)

    def error(self, message: str) -> NoReturn:
        """Raise UsageError: argparse calls this when it gives up."""
        # argparse would print the word, and it may be a secret.
        if message.startswith("unrecognized"):
            message = "a word too many"
        elif ": invalid choice: " not in message and ": invalid " in message:
            message = f"{message.partition(': invalid ')[0]}: not a value that it takes"
        elif ": invalid choice: " in message:
            message = f"{message.partition(': invalid choice: ')[0]}: choose {message.rpartition('(choose ')[2][:-1]}"
        self._parser.error(message)
