"""A changed value stands in the quotes, or the block, that its entry is written in, where those can hold it."""

from __future__ import annotations

import json
import re

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from tests.integration.test_patch import changed, patch, sealed
from tests.kubesec_support import open_, texts

HEAD = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: x\nstringData:\n"
END = "  end: e # behind\n"

STYLES = {
    "plain": "  a: text   # behind\n",
    "single": "  a: 'text'   # behind\n",
    "double": '  a: "text"   # behind\n',
    "literal": "  a: |  # behind\n    one\n    two\n",
    "strip": "  a: |-\n    one\n",
    "keep": "  a: |+\n    one\n\n",
    "digit": "  a: |2-\n     one\n",
    "folded": "  a: >\n      one\n      two\n",
    "flow": "stringData: {a: text, end: e}\n",
}


def written(style: str) -> str:
    return HEAD.removesuffix("stringData:\n") + STYLES[style] if style == "flow" else HEAD + STYLES[style] + END


def patched(style: str, value: str) -> str:
    """The clear text after `value` was set, which opens to it and holds everything else as it was."""
    plain = written(style)
    after = open_(patch(sealed("ksecret", plain), string_data={"a": value}))
    assert texts(after) == texts(plain) | {("stringData", "a"): value}
    return after.decode()


@pytest.mark.parametrize(
    ("style", "value", "expected"),
    [
        ("plain", "postgres://me@db/a?b=c#d", "  a: postgres://me@db/a?b=c#d   # behind\n"),
        ("plain", "two words", "  a: two words   # behind\n"),
        ("plain", "a: b", '  a: "a: b"   # behind\n'),
        ("plain", "a #b", '  a: "a #b"   # behind\n'),
        ("plain", "a:", '  a: "a:"   # behind\n'),
        ("plain", "no", '  a: "no"   # behind\n'),
        ("plain", "1:30", '  a: "1:30"   # behind\n'),
        ("plain", "", '  a: ""   # behind\n'),
        ("single", "it's", "  a: 'it''s'   # behind\n"),
        ("single", "no", "  a: 'no'   # behind\n"),
        ("single", "", "  a: ''   # behind\n"),
        ("single", "two\nlines", '  a: "two\\nlines"   # behind\n'),
        ("single", "\x7f", '  a: "\\u007f"   # behind\n'),
        ("double", "text2", '  a: "text2"   # behind\n'),
        ("double", 'a "b"\n', '  a: "a \\"b\\"\\n"   # behind\n'),
        ("literal", "three\n\n  four\n", "  a: |  # behind\n    three\n\n      four\n"),
        ("literal", "no line break", "  a: |-  # behind\n    no line break\n"),
        ("literal", "\n\nlate\n", "  a: |  # behind\n\n\n    late\n"),
        ("literal", "é 🔐\n", "  a: |  # behind\n    é 🔐\n"),
        ("literal", "two breaks\n\n", '  a: "two breaks\\n\\n"  # behind\n'),
        ("literal", "", '  a: ""  # behind\n'),
        ("literal", "\n", '  a: "\\n"  # behind\n'),
        ("literal", "  indented\n", '  a: "  indented\\n"  # behind\n'),
        ("literal", "carriage\r\n", '  a: "carriage\\r\\n"  # behind\n'),
        ("strip", "two\nlines", "  a: |-\n    two\n    lines\n"),
        ("strip", "two\nlines\n", "  a: |\n    two\n    lines\n"),
        ("keep", "two\nlines\n\n\n", "  a: |+\n    two\n    lines\n\n\n"),
        ("keep", "one\n", "  a: |+\n    one\n"),
        ("keep", "one", "  a: |-\n    one\n"),
        ("digit", "  far\nnear", "  a: |2-\n      far\n    near\n"),
        ("digit", "near\n", "  a: |2\n    near\n"),
        ("folded", "a\nb\n\nc\n", "  a: >\n      a\n\n      b\n\n\n      c\n"),
        ("folded", "a", "  a: >-\n      a\n"),
        ("folded", "a\n b\n", '  a: "a\\n b\\n"\n'),
        ("flow", "abc", "stringData: {a: abc, end: e}\n"),
        ("flow", "a,b", 'stringData: {a: "a,b", end: e}\n'),
    ],
)
def test_a_value_keeps_its_style_where_that_can_hold_it(style: str, value: str, expected: str) -> None:
    assert patched(style, value) == written(style).replace(STYLES[style], expected)


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("blank", ["\n", "\n\n", "  \n", "    \n \n"])
@pytest.mark.parametrize("header", ["|", "|-", ">"])
@pytest.mark.parametrize("value", ["new\n", "  new\n"], ids=["in the block", "in quotes"])
def test_blank_lines_below_a_sealed_block_stay(value: str, header: str, blank: str, end: str) -> None:
    plain = f"{HEAD}  a: {header}\n    one\n{END}".replace("\n", end).encode()
    below = f"\n{blank}  end: ".replace("\n", end).encode()
    before = sealed("ksecret", plain.decode()).replace(f"{end}  end: ".encode(), below)
    after = open_(patch(before, string_data={"a": value}))
    assert texts(after)["stringData", "a"] == value
    value_end = b"new" if value == "new\n" else b'new\\n"'
    assert after.endswith(value_end + below + b"e # behind" + end.encode())


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("blank", ["\n", "\n\n", "  \n", "    \n \n"])
@pytest.mark.parametrize("header", ["|", "|-", ">", "|2", "|2-"])
@pytest.mark.parametrize("value", ["new\n", "  new\n"], ids=["in the block", "in quotes"])
def test_blank_lines_below_a_block_that_was_sealed_with_it_stay(value: str, header: str, blank: str, end: str) -> None:
    """A token stands for them, too, so the next value must bring them along."""
    plain = f"{HEAD}  a: {header}\n    one\n{blank}{END}".replace("\n", end)
    after = open_(patch(sealed("ksecret", plain), string_data={"a": value}))
    assert texts(after)["stringData", "a"] == value
    below = f"\n{blank}{END}".replace("\n", end).encode()
    assert after[: -len(below)].endswith((b"new", b'new\\n"'))
    assert after.endswith(below)


LINES = st.text(
    st.one_of(
        st.sampled_from(" \t\r\n\"'#:|>-?&*!%@`{}[],~<=\\/\0\x1b\x85\xa0\u2028\ufeff"), st.characters(codec="utf-8")
    ),
    max_size=12,
)


@given(st.sampled_from(sorted(STYLES)), LINES)
@example("literal", "a\n  ")
@example("keep", "a\n \n\n")
@example("strip", "\t")
@example("folded", "\na")
@example("plain", "A -")
def test_any_text_in_any_style_is_what_every_reader_gets(style: str, value: str) -> None:
    after = patched(style, value)
    if "\x85" not in value and "\ufeff" not in value and "\u2028" not in value:
        loaded = yaml.load(after, yaml.BaseLoader)["stringData"]
        assert loaded == {"a": value, "end": "e"}


def test_one_line_changes_of_a_sealed_file() -> None:
    for style in ("single", "double", "flow"):
        before = sealed("ksecret", written(style))
        after = patch(before, string_data={"a": "new"})
        (line,) = changed(before, after)
        quote = {"single": "'", "double": '"', "flow": ""}[style]
        assert re.search(rf"a: {quote}ksecret\.v1\.[A-Za-z0-9+/=]+{quote}[ ,]", line)


def test_the_base64_of_data_keeps_its_quotes() -> None:
    plain = HEAD.replace("stringData", "data") + "  a: 'YWE='\n  b: \"YmI=\"\n"
    after = open_(patch(sealed("ksecret", plain), data={"a": b"x", "b": b"y"}))
    assert after.decode() == plain.replace("YWE=", "eA==").replace("YmI=", "eQ==")


def test_json_stays_json_and_one_line_of_it_changes() -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x", "labels": {"a": "1"}}}
    plain = json.dumps(secret | {"data": {"a": "YWE=", "b": "YmI="}}, indent=2) + "\n"
    before = sealed("ksecret", plain)
    after = patch(before, data={"a": b"new"}, labels={"a": "web"})
    assert len(changed(before, after)) == 2
    assert open_(after).decode() == plain.replace("YWE=", "bmV3").replace('"1"', '"web"')
    json.loads(after)


def test_names_and_labels_keep_their_quotes() -> None:
    plain = HEAD.replace("  name: x\n", "  name: 'x'\n  labels:\n    a: 'b'\n    c: \"d\"\n    e: f g\n") + END
    after = open_(
        patch(sealed("ksecret", plain), metadata={"name": "y"}, labels={"a": "1", "c": "2", "e": "g h", "f": "i j"})
    )
    expected = plain.replace("'x'", "'y'").replace("'b'", "'1'").replace('"d"', '"2"')
    assert after.decode() == expected.replace("    e: f g\n", '    e: g h\n    f: "i j"\n')
