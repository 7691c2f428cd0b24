"""argparse with the words' rules of kubectl (pflag): options anywhere, and an option's value is whatever word follows.

argparse and not click: click's import alone costs a cold decrypt a quarter more (docs/adr/0005-argparse.md).
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, NoReturn

from secretsvc.cli.commands import COMMANDS, load
from secretsvc.errors import UsageError, nearest
from secretsvc.record import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_WIDTH = 100
"""Columns of help that goes to no terminal."""
_NARROWEST, _WIDEST = 40, 120
"""Columns: longer lines are hard to read."""


def help_width() -> int:
    """Width of help: that of the terminal, or what `COLUMNS` says, up to 120 columns."""
    from shutil import get_terminal_size  # asked for help only: its import takes longer than a start's bar bears

    return min(max(get_terminal_size((_WIDTH, 24)).columns, _NARROWEST), _WIDEST)


class Parsing(Record):
    """A command line's parser, its words, and what runs it."""

    parser: Parser
    words: list[str]
    run: Callable[[argparse.Namespace], int]


def parsing(command: str, words: list[str]) -> Parsing:
    """Make the parser of the words behind a command: where the first is an action of it, with its options only."""
    module = load(command)
    actions: Mapping[str, str] = getattr(module, "ACTIONS", {})
    action = words[0] if words and words[0] in actions else ""
    name = f"ksecret {command} {action}".rstrip()
    examples = "\n".join(line for line in module.EXAMPLES.splitlines() if not action or name in line)
    summary = actions[action] if action else COMMANDS[command].summary
    parser = Parser(name, summary, examples, {} if action else actions)
    parser.add_argument("--debug", action="store_true", help="show tracebacks (never values)")
    if actions:
        module.add_arguments(parser, action)
        parser.tell_of(action)
    else:
        module.add_arguments(parser)
    return Parsing(parser, words[1:] if action else words, module.run)


class SoFar(Record):
    """A command line that is not whole yet."""

    plain: list[str]
    """The words that are neither options nor their values."""
    values: dict[str, str]
    """Values by the option's name in the namespace."""
    waiting: argparse.Action | None
    """The option whose value comes next."""


class Parser(argparse.ArgumentParser):
    """One command's options. Wrong usage raises UsageError instead of ending the process."""

    takes_dashes = True
    """Whether words behind `--` are read: `kubectl create` drops them, and so does `ksecret create`."""

    def __init__(self, prog: str, summary: str, examples: str = "", actions: Mapping[str, str] | None = None) -> None:
        self._by_word: dict[str, argparse.Action] = {}
        self._takes_command = False
        self._metavar = ""
        self._width = _WIDTH
        longest = max(map(len, actions or ()), default=0)
        listed = "".join(f"  {prog} {action:{longest}}  {about}\n" for action, about in (actions or {}).items())
        super().__init__(
            prog=prog,
            description=summary,
            epilog=(f"each with a --help of its own:\n{listed}\n" if listed else "")
            + (f"examples:\n{examples}" if examples else ""),
            formatter_class=self._formatter,
            allow_abbrev=False,
        )

    def _formatter(self, prog: str) -> argparse.HelpFormatter:
        # With a width, because argparse imports shutil to ask the terminal for its own, help or no help.
        return argparse.RawDescriptionHelpFormatter(prog, width=self._width)

    def format_help(self) -> str:
        """Format help as argparse does, at the terminal's width."""
        self._width = help_width()
        return super().format_help()

    def add_argument(self, *names: Any, **options: Any) -> argparse.Action:
        """Add an argument as argparse does, and remember its words."""
        action = super().add_argument(*names, **options)
        self._by_word.update(dict.fromkeys(action.option_strings, action))
        return action

    def add_command(self, metavar: str) -> None:
        """Keeps the words behind `--` apart as `args.command`: they are another program's."""
        self._takes_command = True
        self._metavar = metavar
        self.usage = f"%(prog)s [OPTIONS] FILE... -- {metavar}"

    def tell_of(self, name: str) -> None:
        """Takes an action's name from before what is said of its options, where help is about that action alone."""
        for action in self._actions:
            action.help = (action.help or "").removeprefix(f"{name}: ")

    def hide(self, dests: set[str]) -> None:
        """Leaves options, by their names in the namespace, out of help and completion."""
        for action in self._actions:
            if action.dest in dests:
                action.help = argparse.SUPPRESS

    def hides(self, option: argparse.Action) -> bool:
        """Tell whether it is one of those."""
        return option.help == argparse.SUPPRESS

    @property
    def options(self) -> Mapping[str, argparse.Action]:
        """Every option, by each of its words."""
        return self._by_word

    @property
    def plain(self) -> list[argparse.Action]:
        """The arguments that take words which are no options, in their order."""
        return [action for action in self._actions if not action.option_strings]

    def so_far(self, words: list[str]) -> SoFar | None:
        """Read words as `parse` would, where more are to come; None behind `--`. Wrong ones are passed over."""
        so_far = SoFar([], {}, None)
        left = list(reversed(words))
        while left:
            word = left.pop()
            if word == "--":
                return None
            if not word.startswith("-") or len(word) == 1:
                so_far.plain.append(word)
                continue
            action, value = self._last_option(word)
            if not action or action.nargs is not None:
                continue
            if not (value or left):
                return so_far._replace(waiting=action)
            so_far.values[action.dest] = value or left.pop()
        return so_far

    def _last_option(self, word: str) -> tuple[argparse.Action | None, str]:
        """The option in a word that may take a value, and the value that it has there."""
        if word.startswith("--"):
            name, _, value = word.partition("=")
            return self._by_word.get(name), value
        for index, letter in enumerate(word[1:], 2):
            action = self._by_word.get(f"-{letter}")
            if action and action.nargs != 0:
                return action, word[index:].removeprefix("=")
        return None, ""

    def parse(self, words: list[str]) -> argparse.Namespace:
        """The options' values. Raises UsageError, which never shows a value."""
        if not self._takes_command:
            return self.parse_args(self._sorted(words))
        at = words.index("--") if "--" in words else len(words)
        return self.parse_args(self._sorted(words[:at]), argparse.Namespace(command=words[at + 1 :]))

    def error(self, message: str) -> NoReturn:
        """Raise UsageError: argparse calls this when it gives up."""
        # argparse would print the word, and it may be a secret.
        if message.startswith("unrecognized"):
            message = "a word too many"
        elif ": invalid choice: " not in message and ": invalid " in message:
            message = f"{message.partition(': invalid ')[0]}: not a value that it takes"
        elif ": invalid choice: " in message:
            message = f"{message.partition(': invalid choice: ')[0]}: choose {message.rpartition('(choose ')[2][:-1]}"
        raise UsageError(message, hint=f"{self.prog} --help tells more")

    def _sorted(self, words: list[str]) -> list[str]:
        """Options first, each with its value in one word, then `--`, then the rest."""
        options: list[str] = []
        others: list[str] = []
        left = list(reversed(words))
        while left:
            word = left.pop()
            if word == "--":
                others += reversed(left) if self.takes_dashes else ()
                break
            if word.startswith("--"):
                name, equals, value = word.partition("=")
                options.append(self._option(name, value if equals else None, left))
            elif word.startswith("-") and len(word) > 1:
                options += self._short_options(word[1:], left)
            else:
                others.append(word)
        return [*options, *(["--"] if others else []), *others]

    def _option(self, name: str, value: str | None, left: list[str]) -> str:
        action = self._by_word.get(name)
        if action is None and name == "--ksecret-server":  # what `ksecret --server URL COMMAND` becomes
            self.error("--server does not go with this command: nothing of it is done by a service")
        if action is None and self._takes_command:
            hint = f"if it is for the program that is run, put it after --: {self.prog} FILE -- {self._metavar}"
            raise UsageError(f"unknown option {name}{nearest(name, self._by_word)}", hint=hint)
        if action is None:
            self.error(f"unknown option {name}{nearest(name, self._by_word)}")
        if action.nargs == 0:
            if value is not None:
                self.error(f"option {name} takes no value")
            return name
        if value is None and action.nargs == "?":  # pflag's NoOptDefVal: only `--name=VALUE` gives it one
            value = str(action.const)
        if value is None:
            if not left:
                self.error(f"option {name} needs a value")
            value = left.pop()
        if value == "--":  # argparse would drop it
            self.error(f"option {name} needs a value")
        return f"{action.option_strings[-1]}={value}"

    def _short_options(self, letters: str, left: list[str]) -> list[str]:
        found: list[str] = []
        for index, letter in enumerate(letters):
            action = self._by_word.get(f"-{letter}")
            rest = letters[index + 1 :]
            if action is not None and action.nargs != 0:
                return [*found, self._option(f"-{letter}", rest.removeprefix("=") if rest else None, left)]
            found.append(self._option(f"-{letter}", None, left))
        return found
