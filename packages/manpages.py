"""Man pages, made of what the commands declare to their parsers, so that a page says what `--help` does.

    python -m packages.manpages FOLDER       # writes them all, below man1 and man5

Nothing but the standard library is imported: a build has no more.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packages import roff
from secretsvc import __version__
from secretsvc.cli.commands import COMMANDS, GROUPS, load
from secretsvc.cli.parser import parsing
from secretsvc.cli.sops_words.verbs import VERBS

if TYPE_CHECKING:
    from secretsvc.cli.arguments import Argument, Declared
    from secretsvc.cli.commands import Command

SCHEMA = Path(__file__).parents[1] / "docs" / "ksecret-yaml.schema.json"

EXIT_CODES = {
    0: "done",
    1: "verify found something altered, or check something to mend",
    2: "wrong usage",
    3: "not a manifest, not sealed, or sealed already",
    4: "no key could open it",
    5: "altered, or moved to another place",
    6: "a backend failed",
    7: "reading or writing failed",
}
VARIABLES = {
    "KSECRET_KEYS": "KEYREFs to seal to where no .ksecret.yaml says, separated by commas",
    "KSECRET_FORMAT": "format of what is sealed anew where --format does not say: ksecret, kubesec or sops",
    "KSECRET_AGE_KEY": "an age identity",
    "KSECRET_AGE_KEY_FILE": "a file of age identities, one a line, or with an SSH private key",
    "KSECRET_AGE_PASSPHRASE": "unlocks an age identity or SSH key",
    "KSECRET_GPG_PASSPHRASE": "unlocks a PGP key",
    "KSECRET_SERVER": "a ksecret service that is to open and seal, as a URL",
    "KSECRET_SERVER_CA": "the only authority to trust for it, a file in PEM",
    "KSECRET_TOKEN": "the token to show it",
    "KSECRET_TOKEN_FILE": "a file with that token",
    "NO_COLOR": "no colours, whatever its value",
}


def pages(date: str) -> dict[str, str]:
    """Return every page's text, under its path below a manual's folder (`man1/ksecret.1`); date: YYYY-MM-DD."""
    made = {"man1/ksecret.1": _overview(date), "man5/ksecret.yaml.5": _policy(date)}
    made |= {f"man1/ksecret-{command}.1": _command(command, date) for command in COMMANDS}
    return made | {"man1/ksecret-krm.1": _krm(date), "man1/ksecret-sops.1": _sops(date)}


def _head(name: str, section: int, date: str, summary: str, synopsis: list[str]) -> str:
    """A page's beginning. `apropos` goes by the line below NAME; a synopsis is roff."""
    title = roff.title(name, section, date, f"ksecret {__version__}")
    named = f"{roff.heading('NAME')}{roff.escaped(name)} \\- {roff.escaped(summary)}\n"
    lines = "\n.br\n".join(synopsis)
    return f"{title}{named}{roff.heading('SYNOPSIS')}{lines}\n" if synopsis else title + named


def _overview(date: str) -> str:
    text = _head("ksecret", 1, date, "encrypt the values of Kubernetes Secret manifests", [_OVERALL])
    text += roff.heading("DESCRIPTION") + roff.prose(
        "Encrypts only the values of Kubernetes Secret manifests, and leaves every other byte of the file alone. "
        "Whoever holds one of a Secret's keys opens it: an age identity or an SSH key, a PGP key, a key of AWS KMS or "
        "Google Cloud KMS. Each command has a page of its own: man ksecret-encrypt."
    )
    text += roff.heading("COMMANDS")
    for title, group in GROUPS.items():
        text += f".SS {roff.escaped(title)}\n"
        text += roff.terms({roff.bold(name): _summary(about) for name, about in group.items()})
    text += roff.heading("OPTIONS") + roff.terms(
        {
            roff.bold("--debug"): "show tracebacks (never values)",
            f"{roff.bold('--server')} {roff.italic('URL')}": "let a ksecret service do it",
            roff.bold("--version"): "print the version",
            roff.bold("--help"): "list the commands; behind a command, its options",
        }
    )
    text += roff.heading("ENVIRONMENT") + roff.terms({roff.bold(name): said for name, said in VARIABLES.items()})
    text += roff.heading("FILES") + roff.terms(
        {
            roff.italic(".ksecret.yaml"): "whom the files in and below its folder are sealed to: ksecret.yaml(5)",
            roff.italic("~/.config/ksecret/age.key"): "your own age identity, which ksecret init makes",
        }
    )
    pages = [f"ksecret-{name}" for name in COMMANDS] + ["ksecret-krm", "ksecret-sops"]
    return text + _exit_codes() + _see_also([*pages, "ksecret.yaml"])


_OVERALL = f"{roff.bold('ksecret')} {roff.italic('COMMAND')} [{roff.italic('OPTIONS')}] [{roff.italic('FILE')}...]"


def _summary(about: Command) -> str:
    return f"{about.summary} (also {', '.join(about.aliases)})" if about.aliases else about.summary


def _command(command: str, date: str) -> str:
    parser = parsing(command, []).parser
    actions: dict[str, str] = getattr(load(command), "ACTIONS", {})
    about = COMMANDS[command]
    text = _head(f"ksecret-{command}", 1, date, about.summary, [_synopsis(parser)])
    if about.aliases:
        aliases = ", ".join(f"ksecret {alias}" for alias in about.aliases)
        text += roff.heading("DESCRIPTION") + roff.prose(f"Also called as {aliases}.")
    if actions:
        listed = {roff.bold(f"{command} {name}"): said for name, said in actions.items()}
        text += roff.heading("ACTIONS") + roff.terms(listed)
    plain = {_word(argument): argument.help for argument in parser.plain if argument.dest != "action"}
    if plain:
        text += roff.heading("ARGUMENTS") + roff.terms(plain)
    shown = [argument for argument in parser.arguments if argument.option_strings and not argument.is_hidden]
    text += roff.heading("OPTIONS") + roff.terms({_option(one): one.help.replace("%%", "%") for one in shown})
    if parser.examples:
        text += roff.heading("EXAMPLES") + roff.examples(parser.examples)
    ends = roff.prose("That of the program behind --; 126 or 127 where it can't run.") if parser.command else ""
    return text + _exit_codes(ends) + _see_also(["ksecret", "ksecret.yaml"])


def _synopsis(parser: Declared) -> str:
    plain = [argument for argument in parser.plain if not argument.is_hidden]
    words = [roff.bold(parser.prog), f"[{roff.italic('OPTIONS')}]", *map(_repeated, plain)]
    if parser.command:
        words += [roff.bold("--"), roff.italic(parser.command)]
    return " ".join(words)


def _repeated(argument: Argument) -> str:
    """A word by how often it may stand."""
    forms = {"*": "[{}...]", "+": "{}...", "?": "[{}]"}
    return forms.get(str(argument.nargs), "{}").format(_word(argument))


def _word(argument: Argument) -> str:
    """What stands for an argument's or an option's value."""
    if argument.choices and not argument.metavar:
        return "|".join(map(roff.bold, argument.choices))
    return roff.italic(argument.metavar or argument.dest.upper())


def _option(argument: Argument) -> str:
    """An option's words, with its value behind each."""
    value = "" if argument.nargs == 0 else f" {_word(argument)}"
    if argument.nargs == "?":  # only `--name=VALUE` gives it one
        value = f"[={_word(argument)}]"
    return ", ".join(f"{roff.bold(word)}{value}" for word in argument.option_strings)


def _exit_codes(before: str = "") -> str:
    codes = {roff.bold(str(code)): said for code, said in EXIT_CODES.items()}
    return roff.heading("EXIT STATUS") + before + roff.terms(codes)


def _see_also(names: list[str]) -> str:
    listed = ",\n".join(f"{roff.bold(name)}({5 if name.endswith('.yaml') else 1})" for name in names)
    return f"{roff.heading('SEE ALSO')}{listed}\n"


def _krm(date: str) -> str:
    program, config = roff.bold("ksecret-krm"), roff.italic("CONFIGURATION")
    text = _head("ksecret-krm", 1, date, "generator of opened Secrets for kustomize", [program, f"{program} {config}"])
    text += roff.heading("DESCRIPTION") + roff.prose(
        "kustomize calls it, as a KRM function (a ResourceList on standard input, one on standard output), or as a "
        "legacy exec plugin with the path of a configuration, in the kustomization's folder. The configuration is of "
        "apiVersion ksecret.dev/v1alpha1, kind KsecretGenerator, with a list of sealed manifests as files; "
        "ksecret kustomize makes kustomize find it."
    )
    said = "LoadRestrictionsNone lets files lie outside of the kustomization's folder, as kustomize's --load-restrictor"
    text += roff.heading("ENVIRONMENT") + roff.terms({roff.bold("KSECRET_LOAD_RESTRICTOR"): said})
    codes = {
        roff.bold("0"): "every listed file was opened",
        roff.bold("1"): "one was not, and nothing is printed of any",
    }
    return text + roff.heading("EXIT STATUS") + roff.terms(codes) + _see_also(["ksecret", "ksecret-kustomize"])


def _sops(date: str) -> str:
    program, options, file = roff.bold("ksecret-sops"), f"[{roff.italic('OPTIONS')}]", roff.italic("FILE")
    synopsis = [
        f"{program} {roff.italic('VERB')} {options} {file}",
        f"{program} {roff.bold('-d')}|{roff.bold('-e')} {options} {file}",
    ]
    text = _head("ksecret-sops", 1, date, "the command line of sops, on ksecret's operations", synopsis)
    text += roff.heading("DESCRIPTION") + roff.prose(
        "Takes the words of sops, and ends with its exit codes, for scripts, hooks and plugins that call it. "
        "ksecret sops is the same. What differs on purpose is told in docs/sops.md."
    )
    listed = {roff.bold(verb): " ".join(f"--{name}" for name in names) for verb, (_, names) in VERBS.items()}
    return text + roff.heading("VERBS") + roff.terms(listed) + _see_also(["ksecret"])


def _policy(date: str) -> str:
    """The page of .ksecret.yaml, from its JSON Schema."""
    schema = json.loads(SCHEMA.read_text())
    text = _head("ksecret.yaml", 5, date, "which keys Kubernetes Secrets are sealed to, for ksecret", [])
    text += roff.heading("DESCRIPTION") + roff.prose(
        "A file of the name .ksecret.yaml says for its folder and those below, up to one that has its own, whom "
        "Secrets are sealed to. Of its rules the first that fits a Secret counts. Other fields than these are errors."
    )
    text += roff.heading("FIELDS") + roff.terms(_fields(schema["properties"]))
    text += roff.heading("FIELDS OF A RULE") + roff.terms(_fields(schema["definitions"]["rule"]["properties"]))
    keys = schema["definitions"]["key"]["examples"]
    text += roff.heading("KEYS") + ".EX\n" + "".join(f"{roff.escaped(key)}\n" for key in keys) + ".EE\n"
    text += roff.heading("EXAMPLE") + ".EX\n"
    text += "".join(f"{roff.escaped(line)}\n" for line in _POLICY.splitlines()) + ".EE\n"
    return text + _see_also(["ksecret", "ksecret-keys", "ksecret-check"])


_POLICY = """\
version: 1
people:
  alice: age:age1...
rules:
  - path: prod/**
    keys: [alice, aws:arn:aws:kms:eu-west-1:123456789012:alias/prod]
  - keys: [alice]
rotation:
  maxAge: 90d"""


def _fields(properties: dict[str, Any], above: str = "") -> dict[str, str]:
    """Every field by its path, with what the schema says of it."""
    found: dict[str, str] = {}
    for name, schema in properties.items():
        path = f"{above}{name}"
        if "description" in schema:
            found[roff.bold(path)] = schema["description"]
        found |= _fields(schema.get("properties", {}), f"{path}.")
    return found


def write(folder: Path, timestamp: int) -> list[Path]:
    """Write every page below a folder, dated by seconds since 1970; their paths below it."""
    date = time.strftime("%Y-%m-%d", time.gmtime(timestamp))
    made = pages(date)
    for path, text in made.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return list(map(Path, made))


if __name__ == "__main__":
    from os import environ

    write(Path(sys.argv[1]), int(environ.get("SOURCE_DATE_EPOCH") or time.time()))
