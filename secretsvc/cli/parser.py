"""A command line's words by the rules of kubectl (pflag): options anywhere, and a value is whatever word follows.

Commands declare their arguments as they would to argparse. Lines with nothing but declared options and files in them
are read here; `argparsing.py` has argparse read all others, and write help, from the same declarations: its import
takes longer than a small file (docs/adr/0005-argparse.md).
"""

from __future__ import annotations

from secretsvc.cli.arguments import Arguments, Declared
from secretsvc.cli.commands import COMMANDS, load
from secretsvc.errors import UsageError, nearest
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from secretsvc.cli.arguments import Argument


class Parsing(Record):
    """A command line's parser, its words, and what runs it."""

    parser: Parser
    words: list[str]
    run: Callable[[Arguments], int]


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
    """Values by the option's name among the arguments."""
    waiting: Argument | None
    """The option whose value comes next."""


class Parser(Declared):
    """Reads the words. Wrong usage raises UsageError."""

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
            option, value = self._last_option(word)
            if not option or option.nargs is not None:
                continue
            if not (value or left):
                return so_far._replace(waiting=option)
            so_far.values[option.dest] = value or left.pop()
        return so_far

    def _last_option(self, word: str) -> tuple[Argument | None, str]:
        """The option in a word that may take a value, and the value that it has there."""
        if word.startswith("--"):
            name, _, value = word.partition("=")
            return self._by_word.get(name), value
        for index, letter in enumerate(word[1:], 2):
            option = self._by_word.get(f"-{letter}")
            if option and option.nargs != 0:
                return option, word[index:].removeprefix("=")
        return None, ""

    def parse(self, words: list[str]) -> Arguments:
        """The arguments' values. Raises UsageError, which never shows a value."""
        at = words.index("--") if self.command and "--" in words else len(words)
        given, others = self._sorted(words[:at])
        found = self._read(given, others)
        if not found:
            from secretsvc.cli.argparsing import read

            found = read(self, given, others)
        if self.command:
            vars(found)["command"] = words[at + 1 :]
        return found

    def _read(self, given: list[tuple[Argument, str | None]], others: list[str]) -> Arguments | None:
        """The values; None for a line that argparse is to read, with what it says of mistakes."""
        plain = self.plain
        if len(plain) > 1 or (plain[0].nargs != "*" if plain else others):
            return None
        values = dict(self.defaults)  # where two arguments share a name, the first one's default counts
        values |= {argument.dest: argument.default for argument in reversed(self.arguments) if argument.dest != "help"}
        values |= {argument.dest: others for argument in plain}
        for option, text in given:
            if option.action == "help":
                return None
            try:
                value = option.const if text is None else option.type(text)
            except (TypeError, ValueError):
                return None
            if option.choices and value not in option.choices:
                return None
            values[option.dest] = _put(option.action, values[option.dest], value)
        return Arguments(**values)

    def _sorted(self, words: list[str]) -> tuple[list[tuple[Argument, str | None]], list[str]]:
        """The options, each with its value (None for one that takes none), and the words that are no options."""
        given: list[tuple[Argument, str | None]] = []
        others: list[str] = []
        left = list(reversed(words))
        while left:
            word = left.pop()
            if word == "--":
                others += reversed(left) if self.takes_dashes else ()
                break
            if word.startswith("--"):
                name, equals, value = word.partition("=")
                given.append(self._option(name, value if equals else None, left))
            elif word.startswith("-") and len(word) > 1:
                given += self._short_options(word[1:], left)
            else:
                others.append(word)
        return given, others

    def _option(self, name: str, value: str | None, left: list[str]) -> tuple[Argument, str | None]:
        option = self._by_word.get(name)
        if option is None and name == "--ksecret-server":  # what `ksecret --server URL COMMAND` becomes
            self.error("--server does not go with this command: nothing of it is done by a service")
        if option is None and self.command:
            hint = f"if it is for the program that is run, put it after --: {self.prog} FILE -- {self.command}"
            raise UsageError(f"unknown option {name}{nearest(name, self._by_word)}", hint=hint)
        if option is None:
            self.error(f"unknown option {name}{nearest(name, self._by_word)}")
        if option.nargs == 0:
            if value is not None:
                self.error(f"option {name} takes no value")
            return option, None
        if value is None and option.nargs == "?":  # pflag's NoOptDefVal: only `--name=VALUE` gives it one
            return option, str(option.const)
        if value is None:
            if not left:
                self.error(f"option {name} needs a value")
            value = left.pop()
        if value == "--":  # argparse would drop it
            self.error(f"option {name} needs a value")
        return option, value

    def _short_options(self, letters: str, left: list[str]) -> list[tuple[Argument, str | None]]:
        found: list[tuple[Argument, str | None]] = []
        for index, letter in enumerate(letters):
            option = self._by_word.get(f"-{letter}")
            rest = letters[index + 1 :]
            if option is not None and option.nargs != 0:
                return [*found, self._option(f"-{letter}", rest.removeprefix("=") if rest else None, left)]
            found.append(self._option(f"-{letter}", None, left))
        return found


def _put(action: str, before: Any, value: Any) -> Any:
    """Return what an option's value becomes, as argparse's actions of these names have it."""
    if action == "store_true":
        return True
    if action in ("append", "append_const"):
        return [*(before or ()), value]
    return [*(before or ()), *value] if action == "extend" else value
