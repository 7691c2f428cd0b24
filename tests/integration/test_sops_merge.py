"""Merges of files that SOPS sealed, value by value: what comes out, the real sops opens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from secretsvc.backends.base import Settings
from secretsvc.backends.registry import Backends
from secretsvc.errors import NoKeyError
from secretsvc.keyref import KeysetChange
from secretsvc.operations import document_changes, documents
from secretsvc.operations.document_merge import Tools, merge_files
from secretsvc.operations.patch import Changes
from secretsvc.operations.request import Request
from secretsvc.programs.git import merge_hunks, merge_lines
from tests.sops_support import IDENTITY, by_sops, sops

if TYPE_CHECKING:
    from pathlib import Path

    from secretsvc.operations.keyring import Keyring
    from secretsvc.operations.merge import Outcome

KEYRING = Backends(Settings({"KSECRET_AGE_KEY": IDENTITY, "XDG_CONFIG_HOME": "/nonexistent"}, lambda _: None))
LATER = "2026-05-06T07:08:09Z"
CLEAR = {
    "values.yaml": "# of it\ndb:\n  user: admin   # inline\n  port: 5432\n  hosts:\n  - a\n  - b\n  last: z\n",
    "values.json": '{\n\t"db": {\n\t\t"user": "admin",\n\t\t"port": 5432,\n\t\t"last": "z"\n\t}\n}\n',
    "app.env": "# of it\nUSER=admin\nPORT=5432\nLAST=z\n",
    "app.ini": "[db]\nuser = admin\nport = 5432\nlast = z\n",
}
NAMES = {
    "values.yaml": ("db.user", "db.port", "db.last", "db.new", "db.other"),
    "values.json": ("db.user", "db.port", "db.last", "db.new", "db.other"),
    "app.env": ("USER", "PORT", "LAST", "NEW", "OTHER"),
    "app.ini": ("db.user", "db.port", "db.last", "db.new", "db.other"),
}


def no_keyring() -> Keyring:
    raise NoKeyError("none of its keys is here")


@pytest.fixture(params=CLEAR)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def base(name: str, tmp_path: Path) -> bytes:
    return sealed(name, tmp_path)


def sealed(name: str, tmp_path: Path, clear: str = "") -> bytes:
    path = tmp_path / name
    path.write_text(clear or CLEAR[name])
    return by_sops(path)


def set_(data: bytes, name: str, **values: str | None) -> bytes:
    """With these values, given by their number's word in NAMES, or by their paths with `__` for a point."""
    tree = documents.find(data, name)
    assert tree
    words = {word.replace("__", "."): value.encode() if value is not None else None for word, value in values.items()}
    request = Request(KeysetChange((), (), ()), lambda *_: (), "", LATER)
    return document_changes.set_values(tree, Changes(words), request, KEYRING).data


def merged(base: bytes, ours: bytes, theirs: bytes, name: str, *, key: bool = True) -> Outcome:
    tools = Tools(merge_lines, merge_hunks, (lambda: KEYRING) if key else no_keyring, LATER)
    return merge_files(base, ours, theirs, name, tools)


def in_sops(data: bytes, name: str, tmp_path: Path) -> str:
    (tmp_path / f"made-{name}").write_bytes(data)
    done = sops("decrypt", tmp_path / f"made-{name}")
    assert not done.returncode, done.stderr.decode()
    return done.stdout.decode()


def test_values_side_by_side_are_merged_and_sops_opens_it(base: bytes, name: str, tmp_path: Path) -> None:
    user, port, last, new, other = NAMES[name]
    ours = set_(base, name, **{user: "root", new: "mine"})
    theirs = set_(base, name, **{port: "1", last: None, other: "yours"})
    outcome = merged(base, ours, theirs, name)
    assert outcome.conflicts == []
    clear = in_sops(outcome.data, name, tmp_path)
    assert [word in clear for word in ("root", "5432", "mine", "yours", "admin")] == [True, False, True, True, False]
    assert "z" not in clear.replace("yours", "")
    tokens = {line for line in outcome.data.splitlines() if b"ENC[" in line and b"mac" not in line}
    assert len(tokens - {*ours.splitlines(), *theirs.splitlines()}) <= 1  # a comma of JSON's beside it
