"""Paths of rules: SOPS's `path_regex` as gitignore-style patterns, and the other way, where both fit the same files.

Only shapes that people write are taken: a pattern that would fit other files would seal them to other people.
"""

from __future__ import annotations

import re

from secretsvc.errors import InputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from secretsvc.files.globs import Glob

_ATOM = re.compile(
    r"(?P<any>\.\*)|(?P<name>\[\^/\](?P<times>[*+]))|(?P<sign>\.)|\\(?P<escaped>[^A-Za-z0-9])"
    r"|\((?:\?:)?(?P<choice>[^()\\\[\].*+?{}^$]*(?:\\\.[^()\\\[\].*+?{}^$]*)*)\)|(?P<plain>[^\\\[\](){}.*+?^$|])"
)
_SPECIAL = re.compile(r"[*?\[\]\\]")
_MOST = 64
"""Patterns that one may become."""

_ANY, _NAME, _SOME, _SIGN = range(4)
"""Any text, part of a name, the same but not nothing, one sign."""


def globs_of(regexp: str) -> list[str]:
    """Return gitignore-style patterns that together fit the same paths as a Go pattern that is looked for in them.

    They fit all that is in a folder of such a name, too, as every rule's does. Raises InputError where there are none;
    the pattern is not repeated.
    """
    body = regexp.removeprefix("^").removesuffix("$") if not regexp.endswith("\\$") else regexp.removeprefix("^")
    is_start, is_end = regexp.startswith("^"), regexp.endswith("$") and not regexp.endswith("\\$")
    found = []
    for atoms in _readings(body):
        whole = [*([] if is_start else [_ANY]), *atoms, *([] if is_end else [_ANY])]
        found += _spelled(whole)
        if len(found) > _MOST:
            raise _refused()
    return list(dict.fromkeys(found))


def _refused() -> InputError:
    hint = "write the patterns for these files yourself: words, .*, [^/]*, (a|b), ? and anchors are taken"
    return InputError("its path_regex has no like among gitignore's patterns", hint=hint)


def _readings(body: str) -> Iterator[list[str | int]]:
    """Yield the sequences that a pattern stands for: one for each way through its choices. Raises InputError."""
    pieces: list[list[list[str | int]]] = []
    at = 0
    while at < len(body):
        atom = _ATOM.match(body, at)
        if not atom:
            raise _refused()
        at = atom.end()
        choices = _choices(atom)
        if body[at : at + 1] == "?" and len(choices) == 1 and atom.lastgroup in ("plain", "escaped"):
            at, choices = at + 1, [*choices, []]
        pieces.append(choices)
        if body[at : at + 1] in ("*", "+", "?", "{"):
            raise _refused()
    count = 1
    for choices in pieces:
        count *= len(choices)
    if count > _MOST:
        raise _refused()
    from itertools import product

    for chosen in product(*pieces):
        yield [atom for piece in chosen for atom in piece]


def _choices(atom: re.Match[str]) -> list[list[str | int]]:
    if atom["any"]:
        return [[_ANY]]
    if atom["name"]:
        return [[_NAME if atom["times"] == "*" else _SOME]]
    if atom["sign"]:
        return [[_SIGN]]
    if atom["choice"] is not None:
        return [list(word.replace("\\.", ".")) for word in atom["choice"].split("|")]
    return [[atom["escaped"] or atom["plain"]]]


def _spelled(atoms: list[str | int]) -> list[str]:
    """Return the patterns for one sequence."""
    made = [""]
    for number, atom in enumerate(atoms):
        is_last = number == len(atoms) - 1
        if atom == _ANY and number and atoms[number - 1] == _ANY:
            continue
        at_start = all(not text or text.endswith("/") for text in made)
        if atom == _ANY and at_start:
            made = [f"{text}**" if is_last else f"{text}**/*" for text in made]
        elif atom == _ANY:  # what is inside a folder that fits, fits too
            made = [f"{text}*" for text in made] + ([] if is_last else [f"{text}*/**/*" for text in made])
        elif isinstance(atom, int):
            made = [text + {_NAME: "*", _SOME: "?*", _SIGN: "?"}[atom] for text in made]
        else:
            made = [text + _SPECIAL.sub(r"\\\g<0>", atom) for text in made]
    if any(text in ("", "/") or "//" in text or text.startswith("/") for text in made):
        raise _refused()
    return [_short(text) for text in made]


def _short(text: str) -> str:
    """The pattern as people write it: `*.yaml` for `**/*.yaml`; a slash before a name that counts at the top only."""
    bare = text.removeprefix("**/")
    if bare != text and "/" not in bare:
        text = bare
    elif "/" not in text and text != "**":
        text = f"/{text}"
    return f"\\{text}" if text[:1] in ("#", "!") else text


def regexp_of(glob: Glob) -> str:
    """Return a Go pattern that fits the same paths as a rule's gitignore-style one, all inside of folders included."""
    text = "^"
    for number, name in enumerate(glob.names):
        is_last = number == len(glob.names) - 1
        if name is None:
            text += "" if is_last else "(?:.*/)?"
        else:
            text += _of_name(name.plain) + ("" if is_last else "/")
    if glob.names[-1] is None:
        return text
    return text + ("/" if glob.folders_only else "(?:/|$)")


def _of_name(plain: str) -> str:
    """A name's pattern, as fnmatch has it, in Go's words."""
    made, at = "", 0
    while at < len(plain):
        sign = plain[at]
        end = plain.find("]", at + 2 + (plain[at + 1 : at + 2] == "!")) if sign == "[" else -1
        if end >= 0:
            inside = plain[at + 1 : end]
            turned = inside.startswith("!")
            listed = re.sub(r"[\\\[\]^&~|]", r"\\\g<0>", inside.removeprefix("!"))
            made += f"[^/{listed}]" if turned else f"[{listed}]"
            at = end
        elif sign == "*":
            made += "[^/]*"
        elif sign == "?":
            made += "[^/]"
        else:
            made += re.sub(r"[.^$*+?()\[\]{}|\\]", r"\\\g<0>", sign)
        at += 1
    return made
