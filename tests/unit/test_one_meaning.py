"""One meaning per name: a class's name stands once, but for roles that several folders fill alike."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

import secretsvc

ROOT = Path(secretsvc.__file__).parent
ALIKE = {
    "Connection": "to a KMS, one for each",
    "Dek": "a data key as its format uses it",
    "Edit": "of a manifest's characters, or of a document's bytes",
    "Envelope": "as its format writes it",
    "Keyring": "what operations need, and the library's, which is one",
    "Member": "of a mapping, and a document's that is its format's own",
    "Opened": "a Secret, or a document",
    "Plan": "how a Secret, or a document, is to be sealed",
}


def homes() -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(ROOT.rglob("*.py")):
        for name in re.findall(r"(?m)^class ([A-Za-z]\w*)", path.read_text(encoding="utf-8")):
            found[name].append(str(path.relative_to(ROOT)))
    return found


def test_a_class_s_name_stands_once_or_for_a_role_that_each_folder_fills() -> None:
    twice = {name: where for name, where in homes().items() if len(where) > 1 and name not in ALIKE}
    assert not twice


@pytest.mark.parametrize("name", ALIKE)
def test_an_exception_is_one_still(name: str) -> None:
    assert len(homes()[name]) > 1


def test_no_module_s_name_stands_twice_for_different_things_in_one_layer() -> None:
    """`keys.py` once stood for a command, a keyring, keysets and the names of entries."""
    assert [str(path.relative_to(ROOT)) for path in ROOT.rglob("keys.py")] == ["cli/verbs/keys.py"]


def test_what_a_folder_s_own_module_names_is_no_module_in_it() -> None:
    """Importing that module would put it in the name's place, whenever somebody does."""
    for path in ROOT.rglob("__init__.py"):
        package = ".".join(path.parent.relative_to(ROOT.parent).parts)
        own = {name for node in ast.parse(path.read_text(encoding="utf-8")).body for name in _bound(node, package)}
        inside = {one.stem for one in path.parent.glob("*.py")} | {
            one.parent.name for one in path.parent.glob("*/*.py")
        }
        assert not own & inside, path


def _bound(node: ast.stmt, package: str) -> list[str]:
    """The names that a statement binds, but for modules of that package."""
    if isinstance(node, ast.Import) or (isinstance(node, ast.ImportFrom) and node.module != package):
        return [one.asname or one.name.partition(".")[0] for one in node.names]
    return [node.name] if isinstance(node, ast.FunctionDef | ast.ClassDef) else []
