"""A command's arguments, as it declares them in argparse's terms, and the values that a command line has for them."""

from __future__ import annotations

from secretsvc.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, NoReturn


_WITHOUT_VALUE = ("store_true", "help", "append_const")


class Arguments:
    """The values of a command line, each under its argument's name."""

    def __init__(self, **values: object) -> None:
        vars(self).update(values)

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...


class Argument:
    """An argument as it is declared, in the terms of argparse's `add_argument`."""

    def __init__(self, names: tuple[str, ...], declared: dict[str, Any]) -> None:
        self.option_strings = names if names[0].startswith("-") else ()
        self.dest: str = declared.get("dest") or _name(names)
        self.action: str = declared.get("action", "store")
        self.nargs: str | int | None = declared.get("nargs", 0 if self.action in _WITHOUT_VALUE else None)
        self.const = declared.get("const")
        self.default = declared.get("default", False if self.action == "store_true" else None)
        self.type: Callable[[str], Any] = declared.get("type", str)
        self.choices: tuple[str, ...] = tuple(declared.get("choices", ()))
        self.metavar: str | None = declared.get("metavar")
        self.help: str = declared.get("help", "")
        self.is_hidden = False
        """Whether help and completion leave it out."""


def _name(names: tuple[str, ...]) -> str:
    long = next((name for name in names if name.startswith("--")), names[0])
    return long.lstrip("-").replace("-", "_")


class Declared:
    """One command's arguments, as they are declared."""

    takes_dashes = True
    """Whether words behind `--` are read: `kubectl create` drops them, and so does `ksecret create`."""

    def __init__(self, prog: str, summary: str, examples: str = "", actions: Mapping[str, str] | None = None) -> None:
        self.prog = prog
        self.summary = summary
        self.examples = examples
        self.actions = actions or {}
        self.command = ""
        """What stands in help for another program's words; empty where the command starts none."""
        self.arguments: list[Argument] = []
        self.defaults: dict[str, Any] = {}
        self._by_word: dict[str, Argument] = {}
        self.add_argument("-h", "--help", action="help", help="show this help message and exit")

    def add_argument(self, *names: str, **declared: Any) -> None:
        """Declare an argument as to argparse."""
        argument = Argument(names, declared)
        if "default" not in declared and argument.dest in self.defaults:
            argument.default = self.defaults[argument.dest]
        self.arguments.append(argument)
        self._by_word.update(dict.fromkeys(argument.option_strings, argument))

    def set_defaults(self, **values: Any) -> None:
        """Give values of arguments that a command line does not have: of those declared later, or not at all."""
        self.defaults |= values

    def add_command(self, metavar: str) -> None:
        """Keeps the words behind `--` apart as `args.command`: they are another program's."""
        self.command = metavar

    def tell_of(self, name: str) -> None:
        """Takes an action's name from before what is said of its options, where help is about that action alone."""
        for argument in self.arguments:
            argument.help = argument.help.removeprefix(f"{name}: ")

    def hide(self, dests: set[str]) -> None:
        """Leaves options, by their names among the arguments, out of help and completion."""
        for argument in self.arguments:
            argument.is_hidden = argument.is_hidden or argument.dest in dests

    @property
    def options(self) -> Mapping[str, Argument]:
        """Every option, by each of its words."""
        return self._by_word

    @property
    def plain(self) -> list[Argument]:
        """The arguments that take words which are no options, in their order."""
        return [argument for argument in self.arguments if not argument.option_strings]

    def error(self, message: str) -> NoReturn:
        """Raise UsageError with a hint."""
        raise UsageError(message, hint=f"{self.prog} --help tells more")
