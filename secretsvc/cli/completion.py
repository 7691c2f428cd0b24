"""`ksecret completion`, and the answer when a shell asks for one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from secretsvc.cli.parser import Parser

SHELLS = ("bash", "zsh", "fish")

EXAMPLES = """\
  source <(ksecret completion bash)       in ~/.bashrc
  ksecret completion zsh > "${fpath[1]}/_ksecret"
  ksecret completion fish > ~/.config/fish/completions/ksecret.fish"""


def add_arguments(parser: Parser) -> None:
    """The options."""
    parser.add_argument("shell", choices=SHELLS, help="the shell to complete in")


def run(args: argparse.Namespace) -> int:
    """Prints the script; the exit code."""
    from argcomplete.shell_integration import shellcode

    print(shellcode(["ksecret"], shell=args.shell))
    return 0


def complete() -> None:
    """Answers the shell (argcomplete's protocol) and ends the process."""
    import argparse

    import argcomplete

    from secretsvc.cli.commands import COMMANDS, load
    from secretsvc.cli.parser import Parser

    root = argparse.ArgumentParser(prog="ksecret")
    commands = root.add_subparsers(parser_class=Parser)
    for name, about in COMMANDS.items():
        load(name).add_arguments(commands.add_parser(name, aliases=about.aliases, summary=about.summary))
    argcomplete.autocomplete(root, default_completer=_files)  # type: ignore[arg-type]  # a function will do, its docs say


def _files(prefix: str, **_: object) -> list[str]:
    """The files whose names begin so. Argcomplete's own way would be a bash, with the word in its script."""
    import os
    from glob import escape, glob

    return [path + os.sep * os.path.isdir(path) for path in glob(f"{escape(prefix)}*")]
