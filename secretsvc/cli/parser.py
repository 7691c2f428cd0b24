"""argparse with the words' rules of kubectl (pflag): options anywhere, and an option's value is whatever word follows.

argparse and not click: click's import alone costs a cold decrypt a quarter more (docs/adr/0005-argparse.md).
"""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any, NoReturn

from secretsvc.errors import UsageError, nearest


class Parser(argparse.ArgumentParser):
    """One command's options. Wrong usage raises UsageError instead of ending the process."""

    takes_dashes = True
    """Whether words behind `--` count; to kubectl's generators they do not."""

    def __init__(self, prog: str, summary: str, examples: str = "") -> None:
        self._by_word: dict[str, argparse.Action] = {}
        self._takes_command = False
        super().__init__(
            prog=prog,
            description=summary,
            epilog=f"examples:\n{examples}" if examples else None,
            # A fixed width, because argparse imports shutil to ask the terminal for its own, help or no help.
            formatter_class=partial(argparse.RawDescriptionHelpFormatter, width=110),
            allow_abbrev=False,
        )

    def add_argument(self, *names: Any, **options: Any) -> argparse.Action:
        """As argparse's; remembers the option's words."""
        action = super().add_argument(*names, **options)
        self._by_word.update(dict.fromkeys(action.option_strings, action))
        return action

    def add_command(self, metavar: str) -> None:
        """Keeps the words behind `--` apart as `args.command`: they are another program's."""
        self._takes_command = True
        self.usage = f"%(prog)s [OPTIONS] FILE... -- {metavar}"

    def parse(self, words: list[str]) -> argparse.Namespace:
        """The options' values. Raises UsageError, which never shows a value."""
        if not self._takes_command:
            return self.parse_args(self._sorted(words))
        at = words.index("--") if "--" in words else len(words)
        return self.parse_args(self._sorted(words[:at]), argparse.Namespace(command=words[at + 1 :]))

    def error(self, message: str) -> NoReturn:
        """What argparse calls when it gives up."""
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
