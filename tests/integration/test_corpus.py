"""Every manifest of the corpus: sealed and opened byte for byte, and nothing but its values touched on the way."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import yaml

from secretsvc.errors import AlreadySealedError, NothingToSealError, NotSealedError
from tests.support import DATA, TOKEN, Lock, kubernetes_values, text_values
from tests.unit.strategies import Kind, Written

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILES = sorted(path for path in (DATA / "manifests").iterdir() if path.suffix in (".yaml", ".yml", ".json"))
NOT_FOR_PYYAML = ["json-escapes.json", "json-tabs.json"]  # surrogate pairs, tabs

each = pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)


def tokens(data: bytes) -> list[str]:
    return re.findall(TOKEN, data.decode())


def value_nodes(node: yaml.Node | None, listed: bool = False) -> Iterator[yaml.ScalarNode]:
    """The values of all Secrets in a document as PyYAML composes it."""
    if not isinstance(node, yaml.MappingNode):
        return
    members = {key.value: value for key, value in node.value}
    kind = members["kind"].value if "kind" in members else ("Secret" if listed else "")
    if kind == "Secret":
        for field in ("data", "stringData"):
            if isinstance(members.get(field), yaml.MappingNode):
                yield from (value for _, value in members[field].value)
    elif kind in ("List", "SecretList"):
        for item in members["items"].value:
            yield from value_nodes(item, kind == "SecretList")


def as_written(data: bytes) -> Written:
    """The file in pieces, by the places that PyYAML's own reader finds (ksecret asks libyaml)."""
    text = data.decode().removeprefix("\ufeff")
    documents = list(yaml.compose_all(text, Loader=yaml.BaseLoader))
    nodes = sorted((node for one in documents for node in value_nodes(one)), key=lambda node: node.start_mark.index)
    pieces: list[tuple[Kind, str]] = []
    at = 0
    for node in nodes:
        start, end = node.start_mark.index, node.end_mark.index
        kind: Kind = "value"
        if node.style in ("'", '"'):
            start, end = start + 1, end - 1
        elif node.style in ("|", ">"):
            kind = "body"
            start = text.index("\n", start) + 1
            end = max(start, start + len(text[start:end].rstrip(" \t\r\n")))
        pieces += [("keep", text[at:start]), (kind, text[start:end])]
        at = end
        if kind == "body":
            blanks = re.match(r"[ \t]*(\r?\n)?((?:[ \t]*\r?\n)*(?:[ \t]+\Z)?)", text[at:])
            assert blanks
            pieces += [("keep", blanks[1] or ""), ("blank", blanks[2])]
            at += blanks.end()
    sealable = len(kubernetes_values(data)) - sum(not one for one in kubernetes_values(data))
    return Written((*pieces, ("keep", text[at:])), text != data.decode(), sealable, ())


def test_the_corpus_is_whole() -> None:
    assert len(FILES) >= 80
    table = (DATA / "manifests" / "README.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"(?m)^\| `([^`]+)`", table)) == [path.name for path in FILES]


@each
def test_opening_gives_the_same_bytes(path: Path, lock: Lock) -> None:
    data = path.read_bytes()
    sealed = lock.seal(data)
    assert sealed != data
    assert lock.open_(sealed) == data


@each
def test_every_value_becomes_a_token_and_nothing_else_changes(path: Path, lock: Lock) -> None:
    data = path.read_bytes()
    sealed = lock.seal(data)
    values = text_values(data)
    assert [bool(re.fullmatch(TOKEN + "\n*", value)) for value in text_values(sealed)] == [True] * len(values)
    assert len(tokens(sealed)) == len(values)
    if path.name not in NOT_FOR_PYYAML:
        assert as_written(data).is_shape_of(sealed.decode().removeprefix("\ufeff"))


@each
def test_no_value_is_left(path: Path, lock: Lock) -> None:
    """No line of a value is readable in the sealed text, unless the text around the Secrets' values says it too."""
    data = path.read_bytes()
    sealed = lock.seal(data).decode()
    keeps = () if path.name in NOT_FOR_PYYAML else as_written(data).pieces
    around = "\n\n".join(text for kind, text in keeps if kind == "keep")
    lines = {line.strip() for value in text_values(data) for line in value.splitlines()}
    left = [line for line in lines if len(line) >= 8 and line in sealed and line not in around]
    assert not left


@each
def test_what_is_sealed_is_not_sealed_again(path: Path, lock: Lock) -> None:
    sealed = lock.seal(path.read_bytes())
    with pytest.raises(AlreadySealedError, match="sealed already"):
        lock.seal(sealed)


@each
def test_a_new_key_gives_new_tokens(path: Path, lock: Lock) -> None:
    data = path.read_bytes()
    first, second = tokens(lock.seal(data)), tokens(lock.seal(data))
    assert not set(first) & set(second)
    assert len(set(first)) == len(first)


@each
def test_a_changed_value_changes_its_own_line_only(path: Path, lock: Lock) -> None:
    """As after `git checkout`, an editor and `ksecret encrypt`: the last value in clear among sealed ones."""
    sealed = lock.seal(path.read_bytes())
    old = tokens(sealed)[-1]
    edited = sealed.replace(old.encode(), b"bmV3")
    again = lock.seal(edited, created="2031-01-01T00:00:00Z")
    (new,) = set(tokens(again)) - set(tokens(sealed))
    assert again.replace(new.encode(), old.encode()) == sealed
    changed = [pair for pair in zip(sealed.splitlines(), again.splitlines(), strict=True) if pair[0] != pair[1]]
    assert len(changed) == 1
    before, after = kubernetes_values(path.read_bytes()), kubernetes_values(lock.open_(again))
    differing = [
        one for old_, new_ in zip(before, after, strict=True) for one in new_.items() if one not in old_.items()
    ]
    assert [value.strip() in (b"new", b"bmV3") for _, value in differing] == [True]


@each
def test_a_parent_gives_back_its_tokens(path: Path, lock: Lock) -> None:
    """Opened, not changed and sealed again with the old file as the parent: the old file."""
    data = path.read_bytes()
    sealed = lock.seal(data)
    assert lock.seal(data, parent=sealed, created="2031-01-01T00:00:00Z") == sealed


@each
def test_a_file_in_the_clear_is_not_opened(path: Path, lock: Lock) -> None:
    with pytest.raises(NotSealedError, match="no Secret in it is sealed"):
        lock.open_(path.read_bytes())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it is empty"),
        ("# a comment\n", "nothing but comments"),
        ("---\n", "nothing but comments"),
        ("[]\n", "no Kubernetes object"),
        ("a text\n", "no Kubernetes object"),
        ("apiVersion: v1\nkind: ConfigMap\ndata:\n  a: b\n", "it is a ConfigMap"),
        ("apiVersion: v1\nkind: Secret\nmetadata:\n  name: a\n", "its Secret has no values"),
        ("apiVersion: v1\nkind: Secret\nmetadata:\n  name: a\ndata: {}\nstringData:\n", "its Secret has no values"),
        (
            "apiVersion: other.example.com/v1\nkind: Secret\nmetadata:\n  name: a\ndata:\n  a: b\n",
            "no Secret of Kubernetes' own",
        ),
        ('{"apiVersion": "v1", "kind": "List", "items": []}', "no Secret in it, but List"),
    ],
)
def test_nothing_to_seal(text: str, said: str, lock: Lock) -> None:
    with pytest.raises(NothingToSealError, match=said):
        lock.seal(text.encode())
