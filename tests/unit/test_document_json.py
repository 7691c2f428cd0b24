"""JSON as SOPS has it: one object, its numbers typed as Go types them; what no edit names stays to the byte."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secretsvc.document.base import Value, apply
from secretsvc.document.json_document import JsonDocument
from secretsvc.errors import ManifestError
from tests.unit.document_support import METADATA, leaves, opened, sealed

SCALARS = {
    '"x"': ("str", "x"),
    r'"\u00e9\n\/"': ("str", "é\n/"),
    r'"\ud800a"': ("str", "\ufffda"),
    '"😀"': ("str", "😀"),
    "true": ("bool", "True"),
    "false": ("bool", "False"),
    "null": ("null", ""),
    "12": ("int", "12"),
    "-0": ("int", "0"),
    "9223372036854775807": ("int", "9223372036854775807"),
    "9223372036854775808": ("float", "9223372036854776000"),
    "12345678901234567890": ("float", "12345678901234567000"),
    "1.0": ("float", "1"),
    "-0.0": ("float", "-0"),
    "1e3": ("float", "1000"),
    "1.5e-7": ("float", "0.00000015"),
    "1e21": ("float", "1000000000000000000000"),
}


@pytest.mark.parametrize(("text", "kind_and_text"), SCALARS.items())
def test_a_scalar_is_what_it_is_to_sops(text: str, kind_and_text: tuple[str, str]) -> None:
    ((_, kind, value),) = leaves(JsonDocument(f'{{"a": {text}}}'.encode(), "sops"))
    assert (kind, value.decode()) == kind_and_text


def test_leaves_come_in_the_files_order_repeated_keys_and_all() -> None:
    data = b'{"a": {"b": [1, {"c": 2}], "": {}}, "sops": {"x": 1}, "a": [[], 3], "c": "\xc3\xbc"}'
    assert [(path, text) for path, _, text in leaves(JsonDocument(data, "sops"))] == [
        (("a", "b", 0), b"1"),
        (("a", "b", 1, "c"), b"2"),
        (("a", 1), b"3"),
        (("c",), b"\xc3\xbc"),
    ]


TREES: st.SearchStrategy[Any] = st.dictionaries(
    st.text(st.characters(codec="utf-8"), max_size=4).filter(lambda key: key != "sops"),
    st.recursive(
        st.one_of(st.text(max_size=5), st.integers(-(2**63), 2**63 - 1), st.booleans(), st.none()),
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
        max_leaves=6,
    ),
    max_size=4,
)


@settings(max_examples=30)
@given(TREES, st.sampled_from([None, 2, "\t", 0]), st.sampled_from(["", "\n", "\r\n"]))
def test_what_is_sealed_and_opened_again_is_the_same_to_the_byte(tree: Any, indent: int | str | None, end: str) -> None:
    text = json.dumps(tree, indent=indent, ensure_ascii=False) + end
    data = text.replace("\n", "\r\n" if end == "\r\n" else "\n").encode("utf-8", "replace")
    there = sealed("json", data)
    assert json.loads(there)["sops"] == METADATA
    assert opened("json", there, data) == data


def test_metadata_are_written_as_the_file_is() -> None:
    tabs = b'{\n\t"a": 1\n}\n'
    assert b'\n\t"sops": {\n\t\t"age": [\n\t\t\t{\n\t\t\t\t"recipient": "age1x",' in sealed("json", tabs)


def test_metadata_that_grow_in_a_compact_file_stay_as_flux_looks_for_them() -> None:
    assert b',"sops": {"age": [{"recipient": "age1x",' in sealed("json", b'{"a":1}')
    grown = JsonDocument(sealed("json", b'{"a":1}'), "sops").set_member({"mac": "ENC[x]", "kms": []})
    assert b'"mac": "ENC[' in apply(sealed("json", b'{"a":1}'), grown)


def test_metadata_are_read_wherever_they_stand_with_their_types() -> None:
    member = JsonDocument(b'{"sops": {"a": [1, "x", null, true, 1.5], "b": {}},\n "a": 1}', "sops").member()
    assert member
    assert (member.tree, member.line) == ({"a": [1, "x", None, True, "1.5"], "b": {}}, 1)


def test_metadata_that_stand_twice_are_refused() -> None:
    with pytest.raises(ManifestError, match="`sops` is there twice") as caught:
        JsonDocument(b'{"sops": {},\n"sops": {}}', "sops").member()
    assert caught.value.line == 2


SEALED = b"""{
  "a": 1,
  "sops": {
    "mac": "old", "version": "3.9.0",
    "pgp": null,
    "age": [
      { "enc": "x" }
    ]
  }
}
"""


def test_only_what_changes_of_the_metadata_is_written() -> None:
    tree = {"version": "3.9.0", "mac": "new", "pgp": None, "age": [{"enc": "y"}]}
    edits = JsonDocument(SEALED, "sops").set_member(tree)  # type: ignore[arg-type]
    assert apply(SEALED, edits) == SEALED.replace(b'"old"', b'"new"').replace(b'"x"', b'"y"')


def test_a_list_that_grows_is_written_anew_in_its_place_and_the_rest_stays() -> None:
    tree = {"version": "3.9.0", "mac": "old", "pgp": None, "age": [{"enc": "x"}, {"enc": "y"}]}
    there = apply(SEALED, JsonDocument(SEALED, "sops").set_member(tree))  # type: ignore[arg-type]
    assert json.loads(there)["sops"] == tree
    assert there.startswith(SEALED[: SEALED.index(b'"age"')])


def test_members_that_come_and_go_are_written_in_the_order_that_was_there() -> None:
    there = apply(SEALED, JsonDocument(SEALED, "sops").set_member({"age": [{"enc": "x"}], "kms": [], "mac": "old"}))
    assert list(json.loads(there)["sops"]) == ["mac", "age", "kms"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Value("str", 'ü"\n'.encode()), r'"ü\"\n"'),
        (Value("int", b"-1"), "-1"),
        (Value("float", b"1000"), "1000"),
        (Value("float", b"-0.5"), "-0.5"),
        (Value("bool", b"True"), "true"),
        (Value("null", b""), "null"),
        (Value("time", b"2024-01-01T00:00:00Z"), '"2024-01-01T00:00:00Z"'),
    ],
)
def test_a_value_is_spelled_as_json(value: Value, text: str) -> None:
    document = JsonDocument('{"ü": 1, "b": [2]}'.encode(), "sops")
    assert apply(document.data, document.spell(document.leaves[1], value)).decode() == f'{{"ü": 1, "b": [{text}]}}'


@pytest.mark.parametrize(
    ("value", "match"),
    [
        (Value("str", b"\xff"), "no UTF-8 text"),
        (Value("float", b"NaN"), "a number that is none"),
        (Value("float", b"-Inf"), "a number that is none"),
        (Value("comment", b"x"), "a comment, for which JSON has no place"),
    ],
)
def test_a_value_that_json_has_no_place_for_is_refused(value: Value, match: str) -> None:
    document = JsonDocument(b'{"a": 1}', "sops")
    with pytest.raises(ManifestError, match=match):
        document.spell(document.leaves[0], value)


@pytest.mark.parametrize(
    ("path", "whole"),
    [
        (("c",), {"a": {"b": [1]}, "e": [], "c": "v"}),
        (("a", "c", "d"), {"a": {"b": [1], "c": {"d": "v"}}, "e": []}),
        (("a", "b", 7), {"a": {"b": [1, "v"]}, "e": []}),
        (("e", 0, "x"), {"a": {"b": [1]}, "e": [{"x": "v"}]}),
    ],
)
@pytest.mark.parametrize("indent", [None, 2])
def test_a_leaf_is_added_with_the_containers_that_lack(path: tuple[str | int, ...], whole: Any, indent: Any) -> None:
    document = JsonDocument(json.dumps({"a": {"b": [1]}, "e": []}, indent=indent).encode(), "sops")
    there = apply(document.data, document.add(path, Value("str", b"v")))
    assert json.loads(there) == whole
    assert there.count(b"\n") >= document.data.count(b"\n")


@pytest.mark.parametrize("path", [("a", "b", 0), ("a", "b", 0, "c"), ("a", "b", "c"), ("a", 0), ("a",)])
def test_where_another_value_stands_none_is_added(path: tuple[str | int, ...]) -> None:
    with pytest.raises(ManifestError, match="another value stands"):
        JsonDocument(b'{"a": {"b": [1]}}', "sops").add(path, Value("str", b"v"))


@pytest.mark.parametrize(
    ("number", "rest"),
    [
        (0, {"b": [1, 2], "c": 3}),
        (1, {"a": 0, "b": [2], "c": 3}),
        (2, {"a": 0, "b": [1], "c": 3}),
        (3, {"a": 0, "b": [1, 2]}),
    ],
)
def test_a_leaf_is_removed_with_its_key(number: int, rest: Any) -> None:
    document = JsonDocument(b'{"a": 0,\n "b": [1, 2],\n "c": 3}', "sops")
    assert json.loads(apply(document.data, document.remove(document.leaves[number]))) == rest


MISTAKES = {
    "nothing": (b"", 1, "one object"),
    "two objects": (b"{}\n{}", 2, "one object"),
    "a list": (b"[]", 1, "SOPS wants an object"),
    "a comma too many": (b'{"a": 1\n,}', 2, "not valid JSON"),  # on one line: Python 3.13 names the comma, others the }
    "a number that is none": (b'{"a": NaN}', 0, "not valid JSON"),
    "a number too large": (b'{\n"a": 1e400}', 2, "no float64 holds"),
    "a byte order mark": (b"\xef\xbb\xbf{}", 1, "byte order mark"),
    "another encoding": (b'{"a":\n"\xff"}', 2, "not UTF-8 text"),
    "too deep": (b'{"a":' * 70 + b"1" + b"}" * 70, 1, "nested deeper than 64"),
}


@pytest.mark.parametrize(("data", "line", "match"), MISTAKES.values(), ids=MISTAKES)
def test_what_sops_does_not_read_is_told_with_its_line(data: bytes, line: int, match: str) -> None:
    with pytest.raises(ManifestError, match=match) as caught:
        JsonDocument(data, "sops")
    assert caught.value.line == line
    assert "masked" in repr(JsonDocument(b"{}", "sops"))
