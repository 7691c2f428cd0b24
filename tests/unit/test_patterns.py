"""No regular expression in the package takes long over a long text, whatever stands in it."""

from __future__ import annotations

import ast
import importlib
import re
from functools import cache
from pathlib import Path
from time import process_time
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

import secretsvc
from secretsvc.patterns import pattern as late_pattern

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

ROOT = Path(secretsvc.__file__).parent
LATE = type(late_pattern(""))
METHODS = ("fullmatch", "match", "search", "sub", "split", "findall", "finditer")
STARTS = [
    *("", "kind:", "data:", "# kubesec:a:", "# kubesec:mac:", "{{", "{{/*", "ksecret.v1.", "ENC[AES256_GCM,data:"),
    *("!", "|", "\\", "#", "S\\\n", "arn:aws:kms:", "projects/a/", "-", "a:", '"', "1", "AAAAAAAAAAAAAAAA."),
]
PARTS = [
    *(
        " ",
        "\t",
        "\n",
        " \n",
        "\r",
        "-",
        "- ",
        '"',
        "'",
        "`",
        "{",
        "{{",
        "}",
        "a",
        "a ",
        "0",
        "0_",
        ".",
        ".a",
        ":",
        "a:",
    ),
    *(
        "!a ",
        "!",
        "\\",
        "\\\n",
        "#",
        "# ",
        "/",
        "=",
        "A",
        "AAAA.",
        "(",
        "kind:!",
        "kind: !",
        "data:",
        "S\\\n",
        "%",
        "a/",
    ),
]
SECONDS = 0.05
LENGTH = 12_000
"""Bytes. What looks at each place of a text from each other place takes 0.13 seconds for so many, or more."""
SHORTER = 8
"""How often shorter texts are that are tried first. What takes SECONDS for LENGTH takes its share of them, by the
square at the least, for one of these.
"""


class Used(NamedTuple):
    """A pattern, and whether it is tried at one place of a text only: at every place it costs more."""

    pattern: str | bytes
    anchored: bool


def patterns() -> Iterator[tuple[str, Used]]:
    """Each that a module compiles, and each that is written where it is used."""
    for path in sorted(ROOT.rglob("*.py")):
        name = "secretsvc." + ".".join(path.relative_to(ROOT).with_suffix("").parts)
        source = path.read_text()
        if not ("import re\n" in source or "import pattern\n" in source) or name.endswith("__main__"):
            continue
        module = importlib.import_module(name.removesuffix(".__init__"))
        calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
        words = [ast.unparse(call.func).rpartition(".") for call in calls]
        for word, found in vars(module).items():
            if isinstance(found, LATE):
                found = re.compile(*vars(found)["_source"])  # noqa: PLW2901
            if isinstance(found, re.Pattern):
                methods = {method for owner, _, method in words if owner == word}
                yield f"{name}.{word}", Used(found.pattern, methods <= {"match", "fullmatch"} and bool(methods))
        for call, (owner, _, method) in zip(calls, words, strict=True):
            if owner == "re" and method in METHODS:
                for pattern in told(module, call.args[0]):
                    yield f"{name}:{call.lineno}", Used(pattern, method in ("match", "fullmatch"))


def told(module: ModuleType, node: ast.expr) -> Iterator[str | bytes]:
    try:
        yield eval(compile(ast.Expression(node), "", "eval"), vars(module))  # our own source
    except NameError:  # made of a function's own variables
        return


FOUND = dict(patterns())


def test_patterns_are_found_at_all() -> None:
    assert len(FOUND) > 50


@cache
def text_of(start: str, part: str, length: int) -> str:
    return start + part * (length // len(part)) + "\x01"


def taken(used: Used, text: str) -> float:
    """Seconds of the processor for all that the package may do with it."""
    pattern: re.Pattern[Any] = re.compile(used.pattern)
    subject = text.encode() if isinstance(used.pattern, bytes) else text
    before = process_time()
    pattern.fullmatch(subject)
    if not used.anchored:
        sum(1 for _ in pattern.finditer(subject))
    return process_time() - before


@pytest.mark.parametrize("place", FOUND)
def test_a_pattern_takes_no_longer_than_a_text_is_long(place: str) -> None:
    used = FOUND[place]
    for start in STARTS:
        for part in PARTS:
            if taken(used, text_of(start, part, LENGTH // SHORTER)) > SECONDS / SHORTER**2:
                took = taken(used, text_of(start, part, LENGTH))
                assert took < SECONDS, f"{start!r}, then many {part!r}"


def test_a_pattern_that_takes_longer_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FOUND, "slow", Used(r"(?: |yy)+x", anchored=False))
    with pytest.raises(AssertionError, match="then many ' '"):
        test_a_pattern_takes_no_longer_than_a_text_is_long("slow")
