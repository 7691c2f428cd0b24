"""The generators neither print nor exit nor look at the command line, and only one module opens files."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import secretsvc.generators

MODULES = sorted(Path(str(secretsvc.generators.__file__)).parent.glob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_no_module_does_the_command_lines_work(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not names & {"print", "exit", "quit", "input"}
    assert not imported & {"sys", "argparse", "logging"}
    assert "open" not in names or path.name == "sources.py"


def test_every_module_is_looked_at() -> None:
    assert len(MODULES) >= 14
