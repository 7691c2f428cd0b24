"""Dotenv as SOPS has it: lines, one escape, metadata in lines of their own; all other bytes stay."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secretsvc.document.base import Value, apply
from secretsvc.document.dotenv import Dotenv
from secretsvc.errors import ManifestError
from tests.unit.document_support import METADATA, leaves, opened, sealed

CLEAR = b"# head\nA=1\n\nexport B = 'x #y' \nC=\nD=a\\nb\\\\nc\nA=again\n\xff=\xfe\r\n"


def test_keys_and_values_are_all_before_and_behind_the_first_equals_sign() -> None:
    assert leaves(Dotenv(CLEAR, "sops")) == [
        ((), "comment", b" head"),
        (("A",), "str", b"1"),
        (("export B ",), "str", b" 'x #y' "),
        (("C",), "str", b""),
        (("D",), "str", b"a\nb\\\nc"),
        (("A",), "str", b"again"),
        (("\udcff",), "str", b"\xfe\r"),
    ]


def test_comments_count_until_the_next_leaf() -> None:
    second, third = Dotenv(b"#1\n#2\nA=1\nB=2\n", "sops").leaves[2:]
    assert second.comments
    assert second.comments.before
    nearest, before = second.comments, second.comments.before
    assert [nearest.comment.value.text, before.comment.value.text] == [b"2", b"1"]
    assert third.comments is None


LINES = st.lists(
    st.one_of(
        st.just(b""),
        st.binary(max_size=8).filter(lambda text: b"\n" not in text).map(lambda text: b"#" + text),
        st.tuples(st.sampled_from([b"A", b"export B", b" c", b"\xff", b"sops", b"Sops_x"]), st.binary(max_size=8))
        .filter(lambda pair: b"\n" not in pair[1])
        .map(b"=".join),
    ),
    max_size=8,
)


@settings(max_examples=30)
@given(LINES, st.sampled_from([b"", b"\n"]))
def test_what_is_sealed_and_opened_again_is_the_same_to_the_byte(lines: list[bytes], end: bytes) -> None:
    data = b"\n".join(lines) + end
    there = sealed("dotenv", data)
    assert opened("dotenv", there, data) == data
    document = Dotenv(there, "sops")
    assert document.set_member(METADATA) == []


def test_metadata_are_sorted_lines_that_end_in_lf_whatever_the_file_has() -> None:
    assert sealed("dotenv", b"A=\r\n").split(b"\n")[1:4] == [
        rb"sops_age__list_0__map_enc=-----BEGIN\nx\n-----END\n",
        b"sops_age__list_0__map_recipient=age1x",
        b"sops_kms__list_0__map_arn=arn:aws:kms:eu-west-1:1:key/k",
    ]


def test_metadata_are_read_in_any_order_with_lines_between_and_every_scalar_is_a_text() -> None:
    data = (
        b"sops_mac=m\nA=1\nsops_age__list_1__map_enc=y\n# c\nsops_age__list_0__map_enc=x\\ny\nsops_shamir_threshold=2\n"
    )
    member = Dotenv(data, "sops").member()
    assert member
    assert member.tree == {"mac": "m", "age": [{"enc": "x\ny"}, {"enc": "y"}], "shamir_threshold": "2"}


def test_a_file_without_metadata_has_no_member() -> None:
    assert Dotenv(b"SOPS_x=1\n", "sops").member() is None


def test_only_what_changes_of_the_metadata_is_written() -> None:
    data = b"A=1\nsops_mac=old\n\nsops_pgp__list_0__map_fp=F\nsops_version=3.9.0"
    edits = Dotenv(data, "sops").set_member({"mac": "new", "version": "3.9.0", "age": [{"enc": "x"}]})
    assert apply(data, edits) == b"A=1\nsops_mac=new\n\nsops_version=3.9.0\nsops_age__list_0__map_enc=x"


def test_last_lines_that_do_not_end_go_with_the_line_break_before_them() -> None:
    data = b"A=1\nsops_mac=m\nsops_version=v"
    assert apply(data, Dotenv(data, "sops").drop_member()) == b"A=1"


@pytest.mark.parametrize(
    ("value", "line"),
    [
        (Value("str", b"a\nb"), rb"A=a\nb"),
        (Value("str", b"\xff"), b"A=\xff"),
        (Value("null", b""), b"A=<nil>"),
        (Value("bool", b"True"), b"A=true"),
        (Value("int", b"12"), b"A=12"),
        (Value("float", b"1000"), b"A=1000.0"),
        (Value("float", b"1000000"), b"A=1E+06"),
        (Value("float", b"-123456789.5"), b"A=-1.234567895E+08"),
        (Value("float", b"0.0001"), b"A=0.0001"),
        (Value("float", b"0.00001"), b"A=1E-05"),
        (Value("float", b"0"), b"A=0.0"),
        (Value("float", b"+Inf"), b"A=+Inf"),
        (Value("time", b"2024-01-01T00:00:00Z"), b"A=2024-01-01T00:00:00Z"),
    ],
)
def test_values_of_other_kinds_are_written_as_sops_writes_them(value: Value, line: bytes) -> None:
    document = Dotenv(b"A=x\n", "sops")
    assert apply(document.data, document.spell(document.leaves[0], value)) == line + b"\n"


def test_a_comment_of_several_lines_has_no_place() -> None:
    document = Dotenv(b"#x\n", "sops")
    with pytest.raises(ManifestError, match="a comment of several lines"):
        document.spell(document.leaves[0], Value("comment", b"a\nb"))


@pytest.mark.parametrize(
    ("data", "whole"),
    [
        (b"", b"K=v\\nw\n"),
        (b"A=1", b"A=1\nK=v\\nw"),
        (b"A=1\nsops_mac=m\nB=2\n", b"A=1\nK=v\\nw\nsops_mac=m\nB=2\n"),
    ],
)
def test_a_new_key_goes_before_the_metadata(data: bytes, whole: bytes) -> None:
    assert apply(data, Dotenv(data, "sops").add(("K",), Value("str", b"v\nw"))) == whole


@pytest.mark.parametrize("path", [(), ("a", "b"), ("a", 0), (0,), ("",), ("a=b",), ("#a",), ("sops_a",), ("a\nb",)])
def test_a_path_that_is_no_key_has_no_place(path: tuple[str | int, ...]) -> None:
    with pytest.raises(ManifestError, match="dotenv has no place for that"):
        Dotenv(b"", "sops").add(path, Value("str", b""))


def test_a_key_goes_with_its_line_and_its_comment_stays() -> None:
    document = Dotenv(b"#c\nA=1\nB=2", "sops")
    assert apply(document.data, document.remove(document.leaves[1])) == b"#c\nB=2"
    assert apply(document.data, document.remove(document.leaves[2])) == b"#c\nA=1"


MISTAKES = {
    "a line of blanks": (b"A=1\n  \n", 2, "without `=`"),
    "a comment further in": (b" # c\n", 1, "without `=`"),
    "the rest of a quoted value": (b'A="1\n2"\n', 2, "without `=`"),
}


@pytest.mark.parametrize(("data", "line", "match"), MISTAKES.values(), ids=MISTAKES)
def test_what_sops_does_not_read_is_told_with_its_line(data: bytes, line: int, match: str) -> None:
    with pytest.raises(ManifestError, match=match) as caught:
        Dotenv(data, "sops")
    assert caught.value.line == line


BROKEN = {
    "a hole in a list": (b"sops_a__list_0=x\nsops_a__list_2=y\n", "a list of which items are missing"),
    "a list far too long": (b"sops_a__list_99999999=x\n", "a place in a list that is no number"),
    "a place that is none": (b"sops_a__list_x=x\n", "a place in a list that is no number"),
    "a text that holds": (b"sops_a=x\nsops_a__map_b=x\n", "one name for a text and for what holds others"),
    "what holds a text": (b"sops_a__map_b=x\nsops_a=x\n", "one name for a text and for what holds others"),
    "a list and a mapping": (b"sops_a__map_b=x\nsops_a__list_0=x\n", "a list of which items are missing"),
    "far too deep": (b"sops_a" + b"__map_a" * 2000 + b"=x\n", "deeper than 16 levels"),
}


@pytest.mark.parametrize(("data", "match"), BROKEN.values(), ids=BROKEN)
def test_metadata_that_are_no_tree_are_refused(data: bytes, match: str) -> None:
    with pytest.raises(ManifestError, match=match):
        Dotenv(data, "sops").member()


def test_a_file_has_bounds() -> None:
    many = b"".join(b"sops_a%d=\n" % number for number in range(10_001))
    with pytest.raises(ManifestError, match="more than 10000 fields of metadata"):
        Dotenv(many, "sops").member()
    with pytest.raises(ManifestError, match="larger than 8 MiB"):
        Dotenv(b"#" * (8 * 1024 * 1024 + 1), "sops")
    with pytest.raises(ManifestError, match="more than 2 values and comments") as caught:
        Dotenv(b"#\n\nA=1\nB=1\n", "sops", 2)
    assert caught.value.line == 4
