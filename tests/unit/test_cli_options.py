"""What the parser gives ends where a command begins: below it there are typed values, and nobody writes into either."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import secretsvc.cli
from secretsvc.cli.options import Server, Targets, Unlocking
from secretsvc.cli.sealing import SealingOptions
from secretsvc.cli.verbs.create_options import BasicAuthOptions, BootstrapOptions, Wanted

FOLDER = Path(str(secretsvc.cli.__file__)).parent
MODULES = sorted(FOLDER.rglob("*.py"))
PARSERS = {"completion.py", "create_options.py", "options.py", "parser.py", "recipients.py"}
"""Beside commands: what makes the parser's values, and what reads them."""
TURNED = {"run", "_listening", "changed_file"}
"""Functions of commands that turn them into typed values."""


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


@pytest.mark.parametrize("path", [path for path in MODULES if path.name not in PARSERS], ids=named)
def test_only_what_turns_it_into_typed_values_sees_what_the_parser_gave(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef) and "Namespace" in ast.unparse(node.args):
            assert (path.parent.name, node.name in TURNED) == ("verbs", True), node.name


def test_options_of_create_show_no_value() -> None:
    for options in (BasicAuthOptions("me", "hunter2", None), BootstrapOptions("hunter2", *[None] * 4)):
        assert "hunter2" not in repr(options)
        assert "hunter2" not in repr(Wanted("kind", "name", "", {}, {}, False, False, options))


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
