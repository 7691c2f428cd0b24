"""What the parser gives ends where a command begins: below it there are typed values, and nobody writes into either."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import secretsvc.cli
from secretsvc.cli.options import Server, Targets, Unlocking
from secretsvc.cli.sealing import SealingOptions

FOLDER = Path(str(secretsvc.cli.__file__)).parent
MODULES = sorted(FOLDER.rglob("*.py"))
PARSERS = {"completion.py", "options.py", "parser.py", "recipients.py"}
"""Beside commands: what makes the parser's values, and what reads them."""


def named(path: Path) -> str:
    return str(path.relative_to(FOLDER))


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_nobody_writes_into_what_the_parser_gave_nor_asks_for_what_may_be_missing(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        written = isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
        assert not (written and ast.unparse(node.value) == "args"), f"line {node.lineno}"
        is_asked = isinstance(node, ast.Call) and ast.unparse(node.func) == "getattr" and len(node.args) == 3
        assert not (is_asked and ast.unparse(node.args[0]) == "args"), f"line {node.lineno}"


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_only_commands_see_what_the_parser_gave(path: Path) -> None:
    names = {node.id for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Name)}
    assert "Namespace" not in names or path.parent.name == "verbs" or path.name in PARSERS


@pytest.mark.parametrize("value", [Targets(("a.yaml",)), Unlocking(), Server(), SealingOptions()], ids=repr)
def test_typed_options_are_frozen(value: tuple[object, ...]) -> None:
    with pytest.raises(AttributeError, match="can't set attribute"):
        setattr(value, value._fields[0], "other")  # type: ignore[attr-defined]


def test_a_passphrase_is_not_shown() -> None:
    assert "hunter2" not in repr(Unlocking("ring.kbx", "hunter2", "file"))


@pytest.mark.parametrize(
    ("targets", "in_place"),
    [
        (Targets(("a.yaml",)), True),
        (Targets(("a.yaml",), output="b.yaml"), False),
        (Targets(("a.yaml", "-")), False),
        (Targets(("a.yaml",), in_place=True, output="b.yaml"), True),
    ],
)
def test_some_commands_change_their_files_unless_told_where_to(targets: Targets, in_place: bool) -> None:
    assert targets.in_place_by_default().in_place is in_place
