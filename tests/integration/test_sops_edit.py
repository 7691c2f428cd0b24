"""Files that SOPS sealed, edited as text: only what was changed differs, and the real sops opens what comes of it."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

import pytest

from secretsvc.backends.base import Settings
from secretsvc.backends.registry import Backends
from secretsvc.document import kinds
from secretsvc.errors import InputError, ManifestError, RepeatedError, UsageError
from secretsvc.formats.sops import sealing
from secretsvc.formats.sops.metadata import MEMBER
from secretsvc.keyref import KeyRef, KeysetChange
from secretsvc.operations import documents
from secretsvc.operations.documents import edit as document_edit
from secretsvc.operations.request import ANY_TIME, Request
from tests.sops_support import IDENTITY, NOW, RECIPIENT, by_sops, sops
from tests.sops_trees import TREES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEYRING = Backends(Settings({"KSECRET_AGE_KEY": IDENTITY, "XDG_CONFIG_HOME": "/nonexistent"}, lambda _: None))
REQUEST = Request(KeysetChange((), (), ()), lambda *_: (), "", NOW)
VALUES = """\
# of the database
db:
  user: admin-of-all   # inline
  port: 5432
  hosts: [a, b]
  list:
  - one
  # of two
  - two
  - deep: x
  pem: |
    line one
    line two
  zip: "00123"
ratio: 1.5
on: true
"""
JSON = '{\n\t"a": "x",\n\t"n": 1,\n\t"l": [\n\t\t"y",\n\t\t"z"\n\t]\n}\n'
DOTENV = "# c\nA=x\nB=y\nLONG=one\\ntwo\n"
INI = "; of s\n[s]\nb = x\nc = y ; why\n\n[t]\nd = z\n"
CLEAR = {"v.yaml": VALUES, "v.json": JSON, "v.env": DOTENV, "v.ini": INI}


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Files that the real sops sealed."""
    folder = tmp_path_factory.mktemp("theirs")
    for name, text in CLEAR.items():
        (folder / name).write_text(text)
    return {name: by_sops(folder / name) for name in CLEAR}


def edited(data: bytes, name: str, change: Callable[[str], str], request: Request = REQUEST) -> bytes:
    tree = documents.find(data, name)
    assert tree
    draft = document_edit.open_draft(tree, request, KEYRING)
    typed = change(draft.shown.decode())
    assert typed.encode() != draft.shown
    made = document_edit.seal_document_draft(draft, typed.encode(), request, KEYRING).data
    again = documents.find(made, name)
    assert again
    back = kinds.read(tree.document.kind, documents.open_file(again, KEYRING).data, MEMBER)
    meant = kinds.read(tree.document.kind, typed.encode(), MEMBER)
    assert [leaf.path for leaf in back.leaves] == [leaf.path for leaf in meant.leaves]
    assert sealing.same((leaf.value for leaf in back.leaves), (leaf.value for leaf in meant.leaves))
    return made


def differing(before: bytes, after: bytes) -> list[str]:
    """The lines that came and went, without what is sealed in them, and but for the MAC and its time."""
    found = difflib.unified_diff(before.decode().splitlines(), after.decode().splitlines(), n=0, lineterm="")
    lines = [re.sub(r"ENC\[[^]]*\]", "E", line) for line in found if not line.startswith(("---", "+++", "@@"))]
    return [line for line in lines if not re.search(r'\b(sops_)?(mac|lastmodified)["\s]*[:=]', line)]


def in_sops(data: bytes, name: str, folder: Path) -> bytes:
    (folder / name).write_bytes(data)
    done = sops("decrypt", folder / name)
    assert not done.returncode, done.stderr.decode()
    return done.stdout


EDITS: dict[str, tuple[str, str, str, list[str]]] = {
    "a value": ("v.yaml", "admin-of-all", "root", ["-    user: E", "+    user: E"]),
    "a number": ("v.yaml", "port: 5432", "port: 5433", ["-    port: E", "+    port: E"]),
    "a number that becomes a text": ("v.yaml", "port: 5432", "port: none", ["-    port: E", "+    port: E"]),
    "a new key": ("v.yaml", "    port", "    new: n\n    port", ["+    new: E"]),
    "a key at the end": ("v.yaml", '"on": true\n', '"on": true\nlast: l\n', ["+last: E"]),
    "a key that goes": ("v.yaml", "ratio: 1.5\n", "", ["-ratio: E"]),
    "the last key goes": ("v.yaml", '\n"on": true\n', "\n", ['-"on": E']),
    "a new item": ("v.yaml", "        - two\n", "        - two\n        - three\n", ["+        - E"]),
    "an item that goes": ("v.yaml", "        - two\n", "", ["-        - E"]),
    "a block's line": ("v.yaml", "line two", "line 2", ["-    pem: E", "+    pem: |", "+      E"]),
    "a comment": ("v.yaml", "# inline", "# other", ["-    #E", "+    #E"]),
    "a new comment": ("v.yaml", "    port", "    # new\n    port", ["+    #E"]),
    "a comment that goes": ("v.yaml", "# of the database\n", "", ["-#E"]),
    "a blank line": ("v.yaml", "ratio:", "\nratio:", ["+"]),
    "JSON, a value": ("v.json", '"x"', '"xx"', ['-\t"a": "E",', '+\t"a": "E",']),
    "JSON, a key at the end": ("v.json", "\t]\n", '\t],\n\t"c": 2.5\n', ['+\t"c": "E",']),
    "JSON, an item": ("v.json", '"z"', '"w"', ['-\t\t"E"', '+\t\t"E"']),
    "dotenv, a value": ("v.env", "A=x", "A=xx", ["-A=E", "+A=E"]),
    "dotenv, a line at the end": ("v.env", "two\n", "two\nC=z\n", ["+C=E"]),
    "dotenv, a line that goes": ("v.env", "B=y\n", "", ["-B=E"]),
    "dotenv, a comment": ("v.env", "# c\n", "# d\n", ["-#E", "+#E"]),
    "INI, a value": ("v.ini", "= x", "= xx", ["-b = E", "+b = E"]),
    "INI, a key": ("v.ini", "b = x\n", "b = x\ne = w\n", ["+e = E"]),
    "INI, a key at the end": ("v.ini", "d = z\n", "d = z\ne = w\n", ["+e = E"]),
}


@pytest.mark.parametrize("what", EDITS)
def test_only_what_was_changed_differs(what: str, theirs: dict[str, bytes], tmp_path: Path) -> None:
    name, old, new, lines = EDITS[what]

    def change(text: str) -> str:
        assert text.count(old) == 1, text
        return text.replace(old, new)

    made = edited(theirs[name], name, change)
    assert differing(theirs[name], made) == lines
    in_sops(made, name, tmp_path)


def tokens(data: bytes) -> list[bytes]:
    return re.findall(rb"ENC\[[^]]*\]", data)


def test_a_key_that_is_renamed_and_what_moves_within_a_list_keep_what_they_can(
    theirs: dict[str, bytes], tmp_path: Path
) -> None:
    data = theirs["v.yaml"]
    moved = edited(
        data, "v.yaml", lambda text: text.replace("        - one\n", "").replace("two\n", "two\n        - one\n", 1)
    )
    assert set(tokens(data)[:-1]) <= set(tokens(moved))
    renamed = edited(data, "v.yaml", lambda text: text.replace("db:", "other:"))
    assert not set(tokens(data)[1:11]) & set(tokens(renamed))  # each is bound to its path
    assert b"user: admin-of-all" in in_sops(renamed, "v.yaml", tmp_path)
    clear = edited(data, "v.yaml", lambda text: text.replace("ratio:", "ratio_unencrypted:"))
    assert b"ratio_unencrypted: 1.5\n" in clear
    again = edited(clear, "v.yaml", lambda text: text.replace("ratio_unencrypted:", "ratio:"))
    assert differing(clear, again) == ["-ratio_unencrypted: 1.5", "+ratio: E"]


DOCUMENTS = "a: x\n---\n# two\nb: v\nc: z\n---\nd: w\n"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a: x\n", "a: xx\n"),
        ("a: x\n", "a: x\nn: new\n"),
        ("c: z\n", ""),
        ("d: w\n", "d: w\n---\ne: v\n"),
        ("a: x\n---\n", ""),
        ("---\nd: w\n", ""),
        ("# two\nb: v\nc: z\n---\n", ""),
        ("---\n# two\nb: v\nc: z\n", ""),
        ("a: x\n---\n# two\n", ""),
    ],
)
def test_documents_of_a_file_change_come_and_go(old: str, new: str, tmp_path: Path) -> None:
    path = tmp_path / "d.yaml"
    path.write_text(DOCUMENTS)
    data = by_sops(path)
    made = edited(data, "d.yaml", lambda text: text.replace(old, new))
    in_sops(made, "d.yaml", tmp_path)
    kept = [
        line for line in data.splitlines() if re.match(rb"[abcd]: ENC", line) and not line.startswith(old[:1].encode())
    ]
    assert sum(line in made.splitlines() for line in kept) >= len(kept) - 2
    assert made.count(b"\n    mac: ") == made.count(b"\n---") + 1


def test_a_file_of_any_bytes_is_edited_as_these(tmp_path: Path) -> None:
    (tmp_path / "a.key").write_bytes(b"\xff\x00 any")
    tree = documents.find(by_sops(tmp_path / "a.key"), "a.key")
    assert tree
    draft = document_edit.open_draft(tree, REQUEST, KEYRING)
    assert draft.shown == b"\xff\x00 any"
    made = document_edit.seal_document_draft(draft, b"other \xfe\n", REQUEST, KEYRING).data
    assert in_sops(made, "a.key", tmp_path) == b"other \xfe\n"
    assert len(made.splitlines()) == len(tree.document.data.splitlines())


REGEX = (
    "apiVersion: v1\nkind: Secret\nmetadata:\n  name: app\nstringData:\n  password: hunter2-and-more\n  pin: '1234'\n"
)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "stringData:",
            "stringdata:",
            r"stringdata\.password, which stays in the clear, holds the sealed value of stringData",
        ),
        ("  name: app\n", "  name: hunter2-and-more\n", r"metadata\.name, which stays in the clear, holds"),
        ("stringData:\n", "# aHVudGVyMi1hbmQtbW9yZQ==\nstringData:\n", "a comment, which stays in the clear, holds"),
        ("kind: Secret\n", 'kind: Secret\n# pin: "1234"\n', "a line that held a sealed value is a comment now"),
    ],
)
def test_a_slip_leaves_no_sealed_value_in_the_clear(old: str, new: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(REGEX)
    data = by_sops(path, "--encrypted-regex", "^(data|stringData)$")

    def change(text: str) -> str:
        return text.replace(old, new)

    with pytest.raises(RepeatedError, match=said) as caught:
        edited(data, "s.yaml", change)
    assert caught.value.line
    made = edited(data, "s.yaml", change, REQUEST._replace(allow_repeated=True))
    assert new.strip().encode().split(b"\n")[0] in made
    edited(data, "s.yaml", lambda text: text.replace("name: app", "name: other"))


@pytest.mark.parametrize(
    ("name", "text", "error", "said"),
    [
        ("v.yaml", "a: x\nsops: {}\n", ManifestError, "a member sops stands in it"),
        ("v.yaml", "a: x\n---\nsops: {}\n", ManifestError, "a member sops stands in it"),
        ("v.env", "A=x\nsops_mac=x\n", ManifestError, "a member sops stands in it"),
        ("v.yaml", "# nothing\n", InputError, "no value is left"),
        ("v.json", "{}", InputError, "no value is left"),
        ("v.yaml", "a: ENC[AES256_GCM,data:x\n", ManifestError, "a is a token of SOPS's"),
        ("v.yaml", "a: [\n", ManifestError, "."),
        ("v.yaml", "1: x\n", ManifestError, "a key that is no text"),
        ("v.env", "A=x\nB\n", ManifestError, "a line without `=`"),
    ],
)
def test_what_could_not_be_sealed_is_refused(
    name: str, text: str, error: type[Exception], said: str, theirs: dict[str, bytes]
) -> None:
    tree = documents.find(theirs[name], name)
    assert tree
    draft = document_edit.open_draft(tree, REQUEST, KEYRING)
    with pytest.raises(error, match=said):
        document_edit.seal_document_draft(draft, text.encode(), REQUEST, KEYRING)


def test_an_edit_may_make_a_new_data_key_but_no_other_keys(theirs: dict[str, bytes], tmp_path: Path) -> None:
    made = edited(
        theirs["v.yaml"], "v.yaml", lambda text: text.replace("one", "eins"), REQUEST._replace(rotate_before=ANY_TIME)
    )
    assert not set(tokens(theirs["v.yaml"])) & set(tokens(made))
    assert b"- eins\n" in in_sops(made, "v.yaml", tmp_path)
    tree = documents.find(made, "v.yaml")
    assert tree
    other = REQUEST._replace(change=KeysetChange((), (KeyRef("age", RECIPIENT),), ()))
    with pytest.raises(UsageError, match="does not change while it is edited"):
        document_edit.open_draft(tree, other, KEYRING)


@pytest.mark.parametrize("name", TREES)
def test_any_tree_is_edited_at_its_ends(name: str) -> None:
    from tests.sops_support import sealed

    data = sealed(TREES[name].encode())
    tree = documents.find(data, "t.yaml")
    assert tree
    draft = document_edit.open_draft(tree, REQUEST, KEYRING)
    bom = draft.shown[: 3 * draft.shown.startswith(b"\xef\xbb\xbf")]
    typed = bom + b"# above\n" + draft.shown.removeprefix(bom)
    made = document_edit.seal_document_draft(draft, typed, REQUEST, KEYRING).data
    macs = re.findall(rb'mac"?: "?(ENC\[[^]]*\])', data)
    assert set(tokens(data)) - set(macs) <= set(tokens(made))
