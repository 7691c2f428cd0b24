"""INI as SOPS has it, which is as go-ini reads it; what no edit names stays to the byte."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secretsvc.document.base import Value, apply
from secretsvc.document.ini import Ini
from secretsvc.errors import ManifestError
from tests.unit.document_support import METADATA, is_sealed_there, leaves, opened, sealed

VALUES = {
    "v": "v",
    " a b \t": "a b",
    "c:\\dir": "c:\\dir",
    '"q"': "q",
    "'s'": "s",
    '"a"b"': '"a"b"',
    "''": "",
    "": "",
    "x#c": "x",
    '"a#b"': '"a',
    "x ; c": "x",
    "`raw # ; x`": "raw # ; x",
    '"""t # "q\'"""': "t # \"q'",
    "`two\n lines`": "two\n lines",
    '"""a\n  b""" ; c': "a\n  b",
    "long \\\n   more \\\n end": "long more end",
    "dir\\\n\n": "dir",
    "a\\nb": "a\\nb",
    "= x": "= x",
    "`un``x`": "un``x",
}


@pytest.mark.parametrize(("text", "value"), VALUES.items())
def test_a_value_is_what_go_ini_makes_of_it(text: str, value: str) -> None:
    document = Ini(f"[s]\nk = {text}\n".encode(), "sops")
    assert [(leaf.path, leaf.value.text.decode()) for leaf in document.leaves if leaf.value.kind == "str"] == [
        (("s", "k"), value)
    ]


KEYS = {"k": "k", "a b ": "a b", '"q k"': "q k", "`b=k`": "b=k", '"""t:k"""': "t:k", "ü": "ü", "a.b": "a.b"}


@pytest.mark.parametrize(("text", "key"), KEYS.items())
@pytest.mark.parametrize("delimiter", ["=", ":"])
def test_a_key_ends_at_the_first_delimiter_outside_of_its_quotes(text: str, key: str, delimiter: str) -> None:
    assert leaves(Ini(f"  {text}{delimiter}v".encode(), "sops")) == [(("DEFAULT", key), "str", b"v")]


def test_sections_may_be_named_twice_and_a_name_ends_at_the_last_bracket() -> None:
    data = b"a=1\n[s]\na=1\n[s]\na=2\n[ x]y] z\nb=3\n[DEFAULT]\na=4\n"
    assert [leaf.path for leaf in Ini(data, "sops").leaves] == [
        ("DEFAULT", "a"),
        ("s", "a"),
        ("s", "a"),
        (" x]y", "b"),
        ("DEFAULT", "a"),
    ]


def test_all_lines_of_a_comment_are_one_that_comes_behind_its_key() -> None:
    data = b"; one\n\n# two\nk = v ; three\n;; of s\n[s] # too\n"
    assert leaves(Ini(data, "sops")) == [
        (("DEFAULT", "k"), "str", b"v"),
        (("DEFAULT",), "comment", b"one\n# two\n; three"),
        (("s",), "comment", b"of s\n# too"),
    ]


def test_comments_that_sops_would_drop_are_leaves_all_the_same() -> None:
    data = b"[s]\nk = `v` ; behind\n; above the metadata\n[sops]\n; own\nmac = m\n; last"
    assert [leaf.value.text for leaf in Ini(data, "sops").leaves if leaf.value.kind == "comment"] == [
        b"behind",
        b"above the metadata",
        b"last",
    ]


def test_a_comment_that_sops_could_not_write_is_read_without_its_empty_lines() -> None:
    assert leaves(Ini(b"#\n;\n; x\nk=v\n", "sops"))[1] == (("DEFAULT",), "comment", b";\n; x")


def test_a_comment_counts_for_the_leaf_behind_its_own() -> None:
    first, second, third = (leaf for leaf in Ini(b";c\na=1\nb=2\nc=3\n", "sops").leaves if leaf.value.kind == "str")
    assert (first.comments, third.comments) == (None, None)
    assert second.comments
    assert second.comments.comment.value.text == b"c"


LINES = st.lists(
    st.one_of(
        st.sampled_from(["", "; c", "# c", "[s]", "[a.b]", "[s]", "  [t]"]),
        st.tuples(
            st.sampled_from(["k", " a b", "`x=y`", "ü"]),
            st.sampled_from([" = ", "=", ":", "= "]),
            st.sampled_from(["", "v", '"q"', "'s'", "`a#b`", '"""t"""', "`m\nn`", "ü", "v w"]),
        ).map("".join),
    ),
    max_size=7,
)


@settings(max_examples=40)
@given(LINES, st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_what_is_sealed_and_opened_again_is_the_same_to_the_byte(lines: list[str], end: str, is_ended: bool) -> None:
    data = ("\n".join(lines).replace("\n", end) + (end if is_ended else "")).encode()
    try:
        Ini(data, "sops")
    except ManifestError:
        return
    there = sealed("ini", data)
    document = Ini(there, "sops")
    assert [leaf.value.text[:4] for leaf in document.leaves if leaf.value.text] == [
        b"ENC[" for leaf in Ini(data, "sops").leaves if is_sealed_there(leaf.value)
    ]
    assert document.set_member(METADATA) == []
    back = opened("ini", there, data)
    assert leaves(Ini(back, "sops")) == leaves(Ini(data, "sops"))
    if not _has_comment_of_several_lines(data):
        assert back == data


def _has_comment_of_several_lines(data: bytes) -> bool:
    return any(len(leaf.own.pieces) > 1 for leaf in Ini(data, "sops").leaves if leaf.value.kind == "comment")


def test_the_comment_behind_a_section_goes_above_it_for_a_name_ends_at_the_last_bracket() -> None:
    there = sealed("ini", b"a=1\n[s] ; c\nk=v\n")
    assert there.startswith(b"a=ENC[0==,str]\n; ENC[1==,comment]\n[s]\nk=ENC[2==,str]\n")


def test_a_token_stands_in_the_shell_of_the_value_and_a_comment_in_its_own_line() -> None:
    data = b'; c\nk = "v w" ; d\n[s]\n# e\nl=`x`\nm = long \\\n more\n'
    there = sealed("ini", data)
    assert there.startswith(
        b'; ENC[1==,comment]\nk = "ENC[0==,str]"\n'
        b"[s]\n# ENC[3==,comment]\nl=`ENC[2==,str]`\nm = ENC[4==,str]\n\n[sops]\n"
    )


@pytest.mark.parametrize(
    ("line", "value", "new"),
    [
        ("k = v", "w x", "k = w x"),
        ("k = v", "a#b", "k = `a#b`"),
        ("k = v", "a`#b", 'k = """a`#b"""'),
        ("k = v", " a", "k = ` a`"),
        ("k = v", "a\nb", "k = `a\nb`"),
        ("k = v", "dir\\", "k = `dir\\`"),
        ("k = v", '"q"', 'k = `"q"`'),
        ("k = v", '"', 'k = "'),
        ('k = "v"', "a b", 'k = "a b"'),
        ('k = "v"', "a;b", "k = `a;b`"),
        ('k = "v"', 'a"b', 'k = a"b'),
        ("k = `v`", "a`b", "k = a`b"),
        ("k = `v`", "", "k = ``"),
        ("k =", "v", "k = v"),
        ("k=", "v", "k=v"),
        ("k = ; c", "v", "k = v; c"),
        ("k = a \\\n b", "c", "k = c"),
    ],
)
def test_a_value_is_spelled_so_that_it_is_read_again(line: str, value: str, new: str) -> None:
    document = Ini(line.encode(), "sops")
    there = apply(document.data, document.spell(document.leaves[0], Value("str", value.encode())))
    assert there.decode() == new
    assert Ini(there, "sops").leaves[0].value.text.decode() == value


def test_a_value_that_no_quotes_hold_is_refused() -> None:
    document = Ini(b"k=v", "sops")
    with pytest.raises(ManifestError, match="INI has no quotes"):
        document.spell(document.leaves[0], Value("str", b'`"""#'))
    with pytest.raises(ManifestError, match="no UTF-8 text"):
        document.spell(document.leaves[0], Value("str", b"\xff"))


def test_metadata_are_read_wherever_they_stand_with_escaped_and_with_real_line_breaks() -> None:
    data = b'; x\n[sops] ; y\n; z\nage__list_0__map_enc = a\\nb\nmac  = """c\nd"""\n[s]\nk = v\n'
    member = Ini(data, "sops").member()
    assert member
    assert (member.tree, member.line) == ({"age": [{"enc": "a\nb"}], "mac": "c\nd"}, 2)


def test_only_what_changes_of_the_metadata_is_written() -> None:
    data = b'[sops]\nmac  = old\nversion = """3.9.0"""\npgp__list_0__map_fp = F\n\n[s]\nk=v\n'
    edits = Ini(data, "sops").set_member({"mac": "new", "version": "3.9.0", "kms": [{"context": {"a=b": "x"}}]})
    assert apply(data, edits) == (
        b'[sops]\nmac  = new\nversion = """3.9.0"""\n`kms__list_0__map_context__map_a=b` = x\n\n[s]\nk=v\n'
    )


def test_metadata_go_and_the_sections_around_them_stay() -> None:
    data = b"a=1\n\n[sops]\nmac = m\n\n[s]\nk=v\n"
    assert apply(data, Ini(data, "sops").drop_member()) == b"a=1\n\n[s]\nk=v\n"
    assert Ini(b"a=1", "sops").drop_member() == []
    assert Ini(b"a=1", "sops").member() is None


@pytest.mark.parametrize(
    ("path", "whole"),
    [
        (("s", "n"), "a=1\n\n[s]\nk=v\nn = x\n; c\n\n[sops]\nmac = m\n"),
        (("t", "n=o"), "a=1\n\n[s]\nk=v\n; c\n\n[t]\n`n=o` = x\n\n[sops]\nmac = m\n"),
        (("DEFAULT", "n"), "a=1\nn = x\n\n[s]\nk=v\n; c\n\n[sops]\nmac = m\n"),
    ],
)
def test_a_key_is_added_to_its_section_which_is_made_where_it_lacks(path: tuple[str, str], whole: str) -> None:
    data = b"a=1\n\n[s]\nk=v\n; c\n\n[sops]\nmac = m\n"
    assert apply(data, Ini(data, "sops").add(path, Value("str", b"x"))).decode() == whole


def test_a_section_is_added_at_the_end_of_a_file_without_metadata() -> None:
    assert apply(b"a=1", Ini(b"a=1", "sops").add(("s", "k"), Value("int", b"1"))) == b"a=1\n\n[s]\nk = 1"
    assert apply(b"", Ini(b"", "sops").add(("s", "k"), Value("int", b"1"))) == b"[s]\nk = 1\n"
    assert apply(b"a=1", Ini(b"a=1", "sops").add(("DEFAULT", "k"), Value("int", b"1"))) == b"a=1\nk = 1"


@pytest.mark.parametrize(
    "path",
    [(), ("s",), ("s", 0), ("s", "k", "l"), ("sops", "k"), ("", "k"), ("s", ""), ("s", "-"), ("s\n", "k"), ("s", "#k")],
)
def test_a_path_that_is_no_section_and_key_has_no_place(path: tuple[str | int, ...]) -> None:
    with pytest.raises(ManifestError, match="INI has no place for that"):
        Ini(b"", "sops").add(path, Value("str", b"x"))


def test_keys_and_comments_are_removed_with_all_their_lines() -> None:
    document = Ini(b"; c\n; d\nk = `v\nw` ; e\nl = 1\n", "sops")
    assert apply(document.data, document.remove(document.leaves[0])) == b"; c\n; d\nl = 1\n"
    assert apply(document.data, document.remove(document.leaves[1])) == b"k = `v\nw`\nl = 1\n"


MISTAKES = {
    "a line without delimiter": (b"[s]\nk\n", 2, "without `=` or `:`"),
    "an open section": (b"[s\n", 1, "without a closing bracket"),
    "a section without a name": (b"[]\n", 1, "without a name"),
    "a key without a name": (b"=v\n", 1, "could not write again"),
    "a key that SOPS could not read": (b"a=1\n- = v\n", 2, "could not write again"),
    "an open key": (b'"k = v\n', 1, "without its closing quote"),
    "an open value": (b"a=1\nk = `v\nw\n", 2, "without its closing quote"),
    "a key twice": (b"a=1\nb=2\na=3\n", 3, "there twice in its section"),
    "text behind a quote": (b"a=`1` 2\n", 1, "text behind a closing quote"),
    "metadata twice": (b"[sops]\na=1\n[sops]\n", 3, r"\[sops\] is there twice"),
    "another encoding": (b"a=1\nb=\xff\n", 2, "not UTF-8 text"),
}


@pytest.mark.parametrize(("data", "line", "match"), MISTAKES.values(), ids=MISTAKES)
def test_what_sops_does_not_read_or_would_lose_is_told_with_its_line(data: bytes, line: int, match: str) -> None:
    with pytest.raises(ManifestError, match=match) as caught:
        Ini(data, "sops")
    assert caught.value.line == line


def test_a_file_has_bounds() -> None:
    with pytest.raises(ManifestError, match="more than 2 values and comments") as caught:
        Ini(b"a=1\n;c\nb=1\n", "sops", 2)
    assert caught.value.line == 2
    with pytest.raises(ManifestError, match="more than 2 sections"):
        Ini(b"[a]\n[b]\n", "sops", 2)
    with pytest.raises(ManifestError, match="more than 8 lines"):
        Ini(b"\n" * 9, "sops", 2)
    assert "masked" in repr(Ini(b"", "sops"))
