"""A file of any bytes is one value; sealed it is JSON, and gives the same bytes back."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from secretsvc.document import whole
from secretsvc.document.base import Value, apply
from secretsvc.errors import ManifestError
from tests.unit.document_support import METADATA, leaves, opened, sealed


@settings(max_examples=40)
@given(st.binary(max_size=40))
@example(b"")
@example(b'{"data": "x", "sops": 1}')
def test_any_bytes_are_the_same_once_opened(data: bytes) -> None:
    there = sealed("binary", data)
    assert json.loads(there) == {"data": "ENC[0==,str]" if data else "", "sops": METADATA}
    assert opened("binary", there, data) == data


def test_a_sealed_file_is_read_whatever_its_json_looks_like() -> None:
    data = b'{"sops": {"mac": "m"}, "data": "EN\\u0043[x]"}'
    document = whole.read(data, "sops")
    assert leaves(document) == [(("data",), "str", b"ENC[x]")]
    edits = document.spell(document.leaves[0], Value("str", b"\xff\n")) + document.drop_member()
    assert apply(data, edits) == b"\xff\n"


def test_a_new_token_and_new_metadata_stay_in_the_json() -> None:
    data = sealed("binary", b"x")
    document = whole.read(data, "sops")
    edits = document.spell(document.leaves[0], b"ENC[new]") + document.set_member({"mac": "m"})
    assert json.loads(apply(data, edits)) == {"data": "ENC[new]", "sops": {"mac": "m"}}


def test_a_value_that_becomes_empty_stays_as_an_empty_text() -> None:
    data = sealed("binary", b"x")
    document = whole.read(data, "sops")
    there = apply(data, document.spell(document.leaves[0], Value("str", b"")))
    assert json.loads(there)["data"] == ""
    assert apply(there, whole.read(there, "sops").drop_member()) == b""


def test_a_file_in_the_clear_is_changed_as_a_whole() -> None:
    document = whole.read(b"old", "sops")
    assert document.member() is None
    assert document.drop_member() == []
    assert apply(b"old", document.spell(document.leaves[0], Value("str", b"new"))) == b"new"


@pytest.mark.parametrize("data", [b'{"sops": {}}', b'{"data": 1, "sops": {}}', b'{"data": "", "data": "", "sops": {}}'])
def test_sealed_json_without_one_text_is_no_sealed_file(data: bytes) -> None:
    with pytest.raises(ManifestError, match="has its content as one text, `data`, and nothing else"):
        whole.read(data, "sops")


@pytest.mark.parametrize("data", [b"x", b'{"data": "x", "sops": {}}'])
def test_there_is_no_place_for_another_value(data: bytes) -> None:
    document = whole.read(data, "sops")
    with pytest.raises(ManifestError, match="no place for another"):
        document.add(("a",), Value("str", b""))
    with pytest.raises(ManifestError, match="no place for another"):
        document.remove(document.leaves[0])
