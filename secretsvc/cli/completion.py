"""`ksecret completion`, and the answer when a shell asks for one."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import NoReturn

    from secretsvc.cli.arguments import Arguments
    from secretsvc.cli.parser import Parser

SHELLS = ("bash", "zsh", "fish")

EXAMPLES = """\
  source <(ksecret completion bash)       in ~/.bashrc; `kubectl ksecret` is completed by kubectl's own script
  ksecret completion zsh > "${fpath[1]}/_ksecret"
  ksecret completion fish > ~/.config/fish/completions/ksecret.fish"""


def add_arguments(parser: Parser) -> None:
    """The options."""
    parser.add_argument("shell", choices=SHELLS, help="the shell to complete in")


def run(args: Arguments) -> int:
    """Prints the script; the exit code."""
    print(script(args.shell))
    return 0


def script(shell: str) -> str:
    """Return what makes a shell ask `ksecret` for completions."""
    from argcomplete.shell_integration import shellcode

    return str(shellcode(["ksecret"], shell=shell))


def complete() -> None:
    """Answers the shell (argcomplete's protocol) and ends the process."""
    import argparse

    import argcomplete

    root = argparse.ArgumentParser(prog="ksecret", add_help=False)
    words = root.add_argument("words", nargs=argparse.REMAINDER)
    words.completer = _answer  # type: ignore[attr-defined]  # argcomplete's way to be told
    argcomplete.autocomplete(root, always_complete_options=False)


def _answer(prefix: str, parsed_args: argparse.Namespace, **_: object) -> dict[str, str]:
    from secretsvc.cli.candidates import candidates

    words = list(getattr(parsed_args, "words", None) or [])
    name, equals, typed = prefix.partition("=")
    if equals and words[-1:] == [name]:  # argcomplete hands on the option of `--option=va` as a word of its own
        words.pop()
    found = candidates(words, prefix)
    option = f"{name}=" if equals and name.startswith("--") else ""
    files = _files(typed if option else prefix) if found.files else []
    return found.words | {option + path: "" for path in files}


def kubectl_entry_point() -> NoReturn:
    """`kubectl_complete-ksecret WORD… PREFIX`: a candidate a line, behind a tab what it is, then `:DIRECTIVE`.

    So kubectl asks its plugins (KEP 2379, "Shell Completion Support"); the directive is cobra's ShellCompDirective,
    a sum of 2 for no space behind the word and 4 for no names of files.
    """
    import sys

    from secretsvc.cli.candidates import candidates

    *words, prefix = sys.argv[1:] or [""]
    found = candidates(words, prefix)
    for word, about in found.words.items():
        print(f"{word}\t{about}" if about else word)
    unended = any(word.endswith("=") for word in found.words)
    print(f":{2 * unended + 4 * (not found.files)}")
    sys.exit(0)


def _files(prefix: str) -> list[str]:
    """The files whose names begin so. Argcomplete's own way would be a bash, with the word in its script."""
    import os
    from glob import escape, glob

    return [path + os.sep * os.path.isdir(path) for path in glob(f"{escape(prefix)}*")]
