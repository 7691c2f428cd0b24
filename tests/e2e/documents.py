"""The command lines that README.md, CONTRIBUTING.md, docs/ and each command's help show, and a shell to run them in."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

import secretsvc
from secretsvc.cli.commands import COMMANDS, load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.cli import Person

ROOT = Path(secretsvc.__file__).parent.parent
PAGES = {
    str(path.relative_to(ROOT)): path.read_text()
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("deploy/**/*.md")]
}
FENCE = re.compile(r"(?m)^```(\w*)\n(.*?)^```$", re.DOTALL)
SHELL = ("console", "sh")
PROGRAM = re.compile(r"(?:\$ +)?(?:[A-Z_]+=(?:\"[^\"]*\"|\S*) )*(?:ksecret|kubectl|git|source|docker|helm|pipx?)\b")
TYPED = "not-a-secret-typed"
"""What every command finds on standard input."""
JOINTS = {"|", "||", "&&", ";", "&", "(", ")"}


class Ran(NamedTuple):
    """A command line, its exit code, and what it said on standard error."""

    line: str
    code: int
    err: str


def blocks(page: str) -> list[tuple[str, str]]:
    """The fenced blocks of a page: language and text."""
    return FENCE.findall(PAGES[page])


def command_blocks(page: str) -> list[list[str]]:
    """What each of its shell blocks tells to type, continued lines as one."""
    found = []
    for language, text in blocks(page):
        if language in SHELL and not text.startswith("#!"):
            whole = text.replace("\\\n", "\\\0")
            typed = re.findall(r"(?m)^\$ (.*)$" if language == "console" else r"(?m)^([^#\n].*)$", whole)
            found.append([line.replace("\\\0", "\\\n") for line in typed])
    return found


def help_lines(command: str) -> list[str]:
    """The examples in the help of a command, without what is said of them."""
    lines = (re.split(r"\s{2,}", line.strip())[0] for line in load(command).EXAMPLES.splitlines())
    return [line for line in lines if PROGRAM.match(line)]


def all_lines() -> Iterator[tuple[str, str]]:
    """Every command line anywhere, with where it stands: typed ones, jobs' and hooks', and those in the help."""
    for page in PAGES:
        yield from ((page, line) for lines in command_blocks(page) for line in lines)
        for language, text in blocks(page):
            if language == "yaml":
                yield from ((page, line) for found in yaml.safe_load_all(text) for line in _scripts(found))
            if language == "groovy":
                yield from ((page, line) for line in re.findall(r"sh '([^']+)'", text))
            if language == "sh" and text.startswith("#!"):
                yield from ((page, line) for line in text.splitlines() if line and not line.startswith("#"))
    for command in COMMANDS:
        yield from ((f"ksecret {command} --help", line) for line in help_lines(command))


def _scripts(found: Any) -> Iterator[str]:
    """The shell lines in a CI's or pre-commit's YAML."""
    if isinstance(found, list):
        for item in found:
            yield from _scripts(item)
    elif isinstance(found, dict):
        for name, value in found.items():
            if name in ("run", "script", "entry"):
                yield from value if isinstance(value, list) else value.splitlines()
            else:
                yield from _scripts(value)


def inline(page: str) -> list[str]:
    """The commands of ksecret that stand between backticks in a page's text and tables."""
    text = FENCE.sub("", PAGES[page])
    return re.findall(r"`(ksecret [a-z-][^`]*)`", text.replace("\n", " "))


def calls(line: str) -> list[list[str]]:
    """The words of every call of ksecret in a command line."""
    lexer = shlex.shlex(line.replace("$(", "( ").replace("<(", "( "), posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    found: list[list[str]] = [[]]
    redirected = False
    for word in lexer:
        if word in JOINTS:
            found.append([])
        elif word in ("<", ">", ">>"):
            redirected = True
        elif redirected:
            redirected = False
        else:
            found[-1].append(word)
    return [words for call in found if (words := _without_prefix(call)) and words[0] == "ksecret" and len(words) > 1]


def _without_prefix(words: list[str]) -> list[str]:
    while words and (words[0] == "exec" or re.match(r"[A-Z_]+=", words[0])):
        words = words[1:]
    if words[:2] == ["kubectl", "ksecret"]:
        words = words[1:]
    return words


def run_in_order(person: Person, typed: list[list[str]], folder: Path) -> list[Ran]:
    """Runs blocks of lines in one bash: exported variables stay, and each block begins in the work folder."""
    (folder / "typed").write_text(f"{TYPED}\n")
    script, lines = "set -o pipefail\n", []
    for block in typed:
        script += f"cd {person.work}\n"
        for line in block:
            here = folder / str(len(lines))
            here.write_text(line + "\n")
            script += f'eval "$(cat {here})" <{folder}/typed >{here}.out 2>{here}.err; echo $? >{here}.code\n'
            lines.append(line)
    done = subprocess.run(["bash", "-c", script], env=person.environ, capture_output=True, text=True, timeout=170)
    assert (done.returncode, done.stderr) == (0, ""), done
    return [
        Ran(line, int((folder / f"{number}.code").read_text()), (folder / f"{number}.err").read_text())
        for number, line in enumerate(lines)
    ]
