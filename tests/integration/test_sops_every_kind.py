"""What SOPS's format promises in a file of every kind: bytes that stay, what is refused, and what nobody notices."""

from __future__ import annotations

import os
import re
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from secretsvc.cli.main import main
from secretsvc.document import kinds
from secretsvc.errors import AlteredError
from secretsvc.formats.sops.metadata import MEMBER
from tests.integration.test_sops_kinds import opened, sealed
from tests.sops_support import IDENTITY, NOW
from tests.support import spoilt

if TYPE_CHECKING:
    from pathlib import Path

    from secretsvc.document.base import Document, Edit

RULE = {"encrypted_regex": "^secret"}
CLEAR = {
    "a.yaml": b"# top\nsecret_a: one\nsecret_b:  'two'  \nplain: three\nother: four\n\nlast: x\n",
    "a.json": b'{\n   "secret_a": "one",\n   "secret_b":"two",\n   "plain": "three",\n   "other": "four"\n}\n',
    "a.env": b"# top\nsecret_a=one\nsecret_b='two'\nplain=three\nother=four\n\nlast=x\n",
    "a.ini": b"; top\n[s]\nsecret_a = one\nsecret_b=two\nplain : three\nother = four\n\n[t]\nlast = x\n",
}
SEALED = {name: sealed(name, data, **RULE) for name, data in CLEAR.items()} | {"a.bin": sealed("a.bin", b"\0one")}
TOKEN = re.compile(r"ENC\[AES256_GCM,data:(.*?),iv:(.*?),tag:(.*?),type:str\]")


def read(name: str) -> Document:
    return kinds.read(kinds.kind_of_sealed(SEALED[name], MEMBER, name), SEALED[name], MEMBER)


def edited(data: bytes, *edits: Edit) -> bytes:
    for edit in sorted(edits, key=lambda edit: edit.start, reverse=True):
        data = data[: edit.start] + edit.new + data[edit.end :]
    return data


def refused(name: str, data: bytes) -> AlteredError:
    assert data != SEALED[name]
    with pytest.raises(AlteredError, match=r"altered|moved|MAC|not sealed|token") as caught:
        opened(data, name)
    assert caught.value.exit_code == 5
    return caught.value


@pytest.mark.parametrize("name", SEALED)
def test_every_part_of_a_token_and_every_clear_value_is_vouched_for(name: str) -> None:
    document = read(name)
    for leaf in (leaf for leaf in document.leaves if leaf.value.kind != "comment"):
        token = TOKEN.fullmatch(leaf.value.text.decode())
        new = [spoilt(token[0], token.start(part)) for part in (1, 2, 3)] if token else []
        for text in (*new, "forged"):
            error = refused(name, edited(document.data, *document.spell(leaf, text.encode())))
            assert "forged" not in str(error)
            assert error.line == leaf.line or not token


@pytest.mark.parametrize("name", SEALED)
def test_the_mac_and_its_time_are_vouched_for(name: str) -> None:
    data = SEALED[name].decode()
    begin = re.search(r"mac\W+ENC\[AES256_GCM,data:", data)
    assert begin
    refused(name, spoilt(data, begin.end()).encode())
    refused(name, data.replace(NOW, "2026-01-02T03:04:06Z").encode())
    refused(name, data.replace(NOW, "2026-01-02T03:04:05+01:00").encode())


@pytest.mark.parametrize("name", CLEAR)
def test_leaves_that_changed_places_are_refused(name: str) -> None:
    document = read(name)
    leaves = [leaf for leaf in document.leaves if leaf.value.kind != "comment"]
    for one, two in pairwise(leaves):
        edits = document.spell(one, two.value.text) + document.spell(two, one.value.text)
        refused(name, edited(document.data, *edits))


@pytest.mark.parametrize("name", CLEAR)
def test_a_value_that_was_taken_away_is_refused(name: str) -> None:
    document = read(name)
    for leaf in (leaf for leaf in document.leaves if leaf.value.kind != "comment"):
        refused(name, edited(document.data, *document.remove(leaf)))


@pytest.mark.parametrize("name", CLEAR)
def test_what_the_format_does_not_protect_passes_in_every_kind(name: str) -> None:
    """As docs/sops.md says."""
    data = SEALED[name]
    quoted = b'"' if name == "a.json" else b""
    for old, new in (
        (b"plain", b"plane"),  # the name of a clear value
        (b"three", b"thre"),  # and one letter from the end of a value to the start of its neighbour's
        (b"top", b"bottom"),
    ):
        changed = data.replace(quoted + old, quoted + new)
        if old == b"three":
            changed = changed.replace(b"four", b"efour")
        assert changed != data or (name, old) == ("a.json", b"top")
        assert opened(changed, name)
    if name in ("a.yaml", "a.json"):
        assert opened(re.sub(rb"(secret_a.*type:)str", rb"\1bytes", data), name)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KSECRET_AGE_KEY", IDENTITY)
    monkeypatch.setenv("XDG_CONFIG_HOME", os.devnull)
    return tmp_path


@pytest.mark.parametrize("name", CLEAR)
def test_opening_gives_every_byte_and_set_and_unset_touch_one_value(name: str, folder: Path) -> None:
    assert opened(SEALED[name], name) == CLEAR[name]
    path = folder / name
    path.write_bytes(SEALED[name])
    place = "s.secret_a" if name == "a.ini" else "secret_a"
    assert main(["set", name, f"{place}=new"]) == 0
    before, after = SEALED[name].splitlines(), path.read_bytes().splitlines()
    touched = [line for line, was in zip(after, before, strict=True) if line != was]
    assert [next(word for word in (b"secret_a", b"lastmodified", b"mac") if word in line) for line in touched] == [
        b"secret_a",
        b"lastmodified",
        b"mac",
    ]
    assert opened(path.read_bytes(), name) == CLEAR[name].replace(b"one", b"new")
    assert main(["unset", name, place]) == 0
    lines = [line for line in CLEAR[name].splitlines() if b"secret_a" not in line]
    assert opened(path.read_bytes(), name).splitlines() == lines
