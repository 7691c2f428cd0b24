"""JSON, dotenv, INI and files of any bytes with the real sops: it opens what we seal, and we open what it sealed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pyrage
import pytest

from secretsvc.document import kinds
from secretsvc.errors import ManifestError
from secretsvc.formats.sops import sealing
from secretsvc.formats.sops.metadata import MEMBER, fields_of
from secretsvc.keyref import KeyRef, WrappedKey
from secretsvc.operations import documents
from tests.sops_support import IDENTITY, NOW, RECIPIENT, by_sops, sops

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from secretsvc.document.base import Leaf

FILES = {
    "words.env": b"# head\nA=1\nexport B='x #y' \nC=\n\nD=a\\nb\n#\nE=\xff\xfe\nA=again",
    "crlf.env": b"A=1\r\nB=x\r\n",
    "words.ini": b'; head\nk = v\n[a]\n# c\nx = "a b"\ny: `r#w`\n[a]\nz = `1\n  2` ; inline\n[b]\nu = \xc3\xbc\n',
    "bare.ini": b"[s]\nk=v",
    "types.json": b'{"a": 1.5, "b": {"c": ["x", null, 2, true, -0.5, 1000]}, "": {}, "d": "\xc3\xa9\\n", "e": [[]]}\n',
    "tabs.json": b'{\n\t"a": {\n\t\t"b": -9223372036854775808\n\t},\n\t"a": "twice"\n}\n',
    "any": b"\x00\xffhello\n",
    "text.txt": b'{"data": "x"}\n',
    "empty.bin": b"",
}


def wanted(leaves: Iterable[Leaf]) -> list[tuple[object, ...]]:
    """What both must hold. SOPS 3.11 takes each number in JSON for a float, and drops some comments in INI."""
    return [
        (leaf.path, "number" if leaf.value.kind in ("int", "float") else leaf.value.kind, leaf.value.text)
        for leaf in leaves
        if leaf.value.kind != "comment"
    ]


def sealed(name: str, data: bytes, **rule: str) -> bytes:
    dek = os.urandom(32)
    wrapped = bytes(pyrage.encrypt(dek, [pyrage.x25519.Recipient.from_str(RECIPIENT)]))
    entry = fields_of(WrappedKey(KeyRef("age", RECIPIENT), wrapped), NOW)
    document = kinds.read(kinds.kind_of(name), data, MEMBER)
    plan = sealing.Plan(dek, {"age": [entry], "version": "3.13.3", **rule}, NOW)
    return sealing.seal_document(document, [leaf.value for leaf in document.leaves], plan)


class Held:
    """A keyring that holds the identity."""

    def unwrap(self, keys: Iterable[WrappedKey]) -> bytes:
        (key,) = keys
        return bytes(pyrage.decrypt(key.wrapped, [pyrage.x25519.Identity.from_str(IDENTITY)]))


def opened(data: bytes, name: str) -> bytes:
    tree = documents.find(data, name)
    assert tree
    return documents.open_file(tree, Held()).data  # type: ignore[arg-type]


@pytest.mark.parametrize("name", FILES)
def test_what_we_seal_opens_in_sops_and_comes_back_to_the_byte(name: str, tmp_path: Path) -> None:
    ours = sealed(name, FILES[name])
    assert opened(ours, name) == FILES[name]
    (tmp_path / name).write_bytes(ours)
    done = sops("decrypt", tmp_path / name)
    assert not done.returncode, done.stderr.decode()
    kind = kinds.kind_of(name)
    both = (kinds.read(kind, data, MEMBER).leaves for data in (done.stdout, FILES[name]))
    first, second = map(wanted, both)
    assert first == second


@pytest.mark.parametrize("name", FILES)
def test_what_sops_sealed_opens_as_it_does_there(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(FILES[name])
    theirs = by_sops(tmp_path / name)
    (tmp_path / name).write_bytes(theirs)
    kind = kinds.kind_of(name)
    there = sops("decrypt", tmp_path / name).stdout
    here = opened(theirs, name)
    assert wanted(kinds.read(kind, here, MEMBER).leaves) == wanted(kinds.read(kind, there, MEMBER).leaves)
    assert kinds.kind_of_sealed(theirs, MEMBER) == kind


@pytest.mark.parametrize(
    ("data", "name", "match"),
    [
        (b"sops_mac=ENC[AES256_GCM,\nnothing\n", "x", "without `=`"),
        (b"[sops]\nmac = ENC[AES256_GCM,\nnothing\n", "x", "without `=` or `:`"),
    ],
)
def test_a_sealed_file_that_is_broken_is_told_as_what_it_is(data: bytes, name: str, match: str) -> None:
    with pytest.raises(ManifestError, match=match):
        documents.find(data, name)


def test_the_kind_of_a_sealed_file_is_that_of_its_name_else_what_it_looks_like() -> None:
    whole, tree = sealed("any", b"x"), sealed("a.json", b'{"a": 1}')
    found = [
        kinds.kind_of_sealed(data, MEMBER, name) for data in (whole, tree) for name in ("a.json", "a.yaml", "a.txt", "")
    ]
    assert found == ["json", "yaml", "binary", "binary", "json", "yaml", "json", "json"]
