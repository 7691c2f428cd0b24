"""Candidates for the next word of a command line, for shells. Asks no backend; reads are bounded."""

from __future__ import annotations

import os
import stat

from secretsvc.cli.commands import COMMANDS, find
from secretsvc.cli.parser import parsing
from secretsvc.cli.verbs.create_options import KIND_NAME, KINDS
from secretsvc.errors import KsecretError
from secretsvc.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secretsvc.cli.arguments import Argument
    from secretsvc.cli.parser import SoFar

MOST_BYTES = 1024 * 1024
"""Limit for a file whose entries are offered: Kubernetes takes no larger Secret."""

_ROOT = {
    "--help": "list the commands",
    "--version": "print the version",
    "--debug": "show tracebacks (never values)",
    "--server": "let a ksecret service do it",
}


class Candidates(Record):
    """The words, each with a line about it, which may be empty; and whether a file's name may stand there."""

    words: dict[str, str]
    files: bool = False


_NONE = Candidates({})
_FILES = Candidates({}, files=True)


def candidates(words: list[str], prefix: str) -> Candidates:
    """List what may stand behind these words (without the program's name) where `prefix` is typed. Never raises."""
    try:
        found = _of_command(words, prefix)
    except (KsecretError, OSError, ValueError, RecursionError):
        return _NONE
    fitting = {word: about for word, about in found.words.items() if word.startswith(prefix) and word.isprintable()}
    return Candidates(fitting, found.files)


def _of_command(words: list[str], prefix: str) -> Candidates:
    while words and words[0] in ("--debug", "help", "--help", "-h"):
        words = words[1:]
    if not words:
        return Candidates(_ROOT if prefix.startswith("-") else {name: one.summary for name, one in COMMANDS.items()})
    command = find(words[0])
    parser, rest, _ = parsing(command, words[1:])
    so_far = parser.so_far(rest)
    if so_far is None:  # behind `--`, where another program's words are
        return _FILES
    if so_far.waiting:
        return _values(so_far.waiting, so_far, prefix)
    if not prefix.startswith("-"):
        return _plain(command, parser.plain, so_far)
    name, equals, _ = prefix.partition("=")
    if equals and name in parser.options:
        found = _values(parser.options[name], so_far, prefix.removeprefix(f"{name}="))
        return Candidates({f"{name}={word}": about for word, about in found.words.items()}, found.files)
    return Candidates({word: _about(option) for word, option in parser.options.items() if not option.is_hidden})


def _about(action: Argument) -> str:
    return action.help.replace("%%", "%")


def _values(option: Argument, so_far: SoFar, prefix: str) -> Candidates:
    """Values of an option."""
    if option.choices:
        return Candidates(dict.fromkeys(map(str, option.choices), ""))
    shown = str(option.metavar or "")
    if "KEYREF" in shown:
        sign = prefix[:1] if prefix.startswith("+") else ""
        return Candidates({sign + ref: about for ref, about in _key_refs(so_far).items()}, files="PATH" in shown)
    return _FILES if any(word in shown for word in ("FILE", "PATH")) else _NONE


def _plain(command: str, plain: list[Argument], so_far: SoFar) -> Candidates:
    """Words that are no options."""
    typed = so_far.plain
    if not typed and plain and plain[0].choices:
        from secretsvc.cli.commands import load

        about = getattr(load(command), "ACTIONS", {})
        return Candidates({str(word): about.get(word, "") for word in plain[0].choices})
    if command == "create":
        return Candidates(KINDS) if not typed and plain[0].metavar == KIND_NAME else _NONE
    if command in ("get", "set", "unset") and typed:
        return _entries(command, typed[0], so_far)
    return _FILES


def _entries(command: str, file: str, so_far: SoFar) -> Candidates:
    """The names of a file's entries: to print one, to set one by `NAME=`, to take away those not named yet."""
    if command == "get" and len(so_far.plain) > 1:
        return _NONE
    from secretsvc.manifest.reader import read

    named = {word.partition("=")[0] for word in so_far.plain[1:]}
    wanted = so_far.values.get("secret", "")
    end = "=" if command == "set" else ""
    found = {}
    for secret in read(_content(file)).secrets:
        if wanted in ("", secret.name, secret.label):
            found.update({entry.key + end: secret.label for entry in secret.entries if entry.key not in named})
    return Candidates(found)


def _content(path: str) -> bytes:
    """A regular file's bytes; none where it is larger. Raises OSError."""
    with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            return b""
        data = stream.read(MOST_BYTES + 1)
    return data if len(data) <= MOST_BYTES else b""


def _key_refs(so_far: SoFar) -> dict[str, str]:
    """The names and KeyRefs of the policy for the first file that is named, else for this folder, and KSECRET_KEYS."""
    from secretsvc.policy.policies import Policies

    listed = os.environ.get("KSECRET_KEYS", "").replace("\n", ",").split(",")
    found = {ref.strip(): "KSECRET_KEYS" for ref in listed if ref.strip()}
    policy = Policies().find(next((word for word in so_far.plain if os.path.exists(word)), "any"))
    if policy:
        people = policy.content.people
        found.update({name: f"people of {policy.source}" for name in people})
        found.update({key: people.name(key) or policy.source for rule in policy.content.rules for key in rule.keys})
    return found
