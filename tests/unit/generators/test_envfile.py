"""Env files against the specification's grammar, written here a second time as one pattern over bytes."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from secretsvc.errors import InputError
from secretsvc.generators.entries import collect
from secretsvc.generators.envfile import MAX_LINE_BYTES, env_items

ENVIRON = {b"HOME_TOWN": b"Bern\xff"}
SPACE = "[\t\n\v\f\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]*"
LINE = re.compile(
    rf"{SPACE}(?:(?:\#.*)?|(?!\.=|\.\.|\.$)(?P<key>[-._a-zA-Z][-._a-zA-Z0-9]*)(?P<rest>=(?P<value>.*))?)", re.S
)
"""A line of design KUBECTL, section 3.4, steps 6 to 10: blank, comment, KEY=VALUE or KEY."""


def by_grammar(data: bytes) -> dict[str, bytes] | None:
    """What the grammar makes of a file; None where it does not fit."""
    found: dict[str, bytes] = {}
    lines = data.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    for index, raw in enumerate(lines):
        if len(raw) > MAX_LINE_BYTES:
            return None
        try:
            text = raw[: -1 if raw.endswith(b"\r") else None].decode()
        except UnicodeDecodeError:
            return None
        if index == 0 and text.startswith("\ufeff"):
            text = text[1:]
        match = LINE.fullmatch(text)
        if not match:
            return None
        if match["key"] is None:
            continue
        if match["key"] in found or len(match["key"]) > 253:
            return None
        if match["rest"] is None:
            found[match["key"]] = ENVIRON.get(match["key"].encode(), b"")
        else:
            found[match["key"]] = match["value"].encode()
    return found


def parsed(data: bytes, warnings: list[str] | None = None) -> dict[str, bytes]:
    heard: list[str] = [] if warnings is None else warnings
    return collect(env_items(data, ENVIRON, "--from-env-file", "f.env", heard.append))


PIECES = [
    "A",
    "b_1",
    "HOME_TOWN",
    ".",
    "..",
    "-",
    "9",
    "=",
    "=",
    "#",
    "'",
    '"',
    "\\",
    "$A",
    "é",
    "\ufeff",
    "\r",
    "\n",
    "\n",
]
SPACES = ["\t", "\v", "\f", " ", "\x1c", "\x1d", "\x1e", "\x1f", "\x85", "\xa0", "\u200b", "\u2003", "\u2028", "\u3000"]
TEXT = st.lists(st.sampled_from(PIECES + SPACES), max_size=14).map(lambda parts: "".join(parts).encode())
BYTES = st.lists(st.one_of(TEXT, st.binary(max_size=3)), max_size=4).map(b"".join)


@given(st.one_of(TEXT, BYTES))
@example(b"A=1\nA=2")
@example(b"HOME_TOWN\r\n")
@example(b"A")
@example(b"\xef\xbb\xbf\xef\xbb\xbfA=1")
@example(b"A=1\n\xef\xbb\xbfB=1")
@example(b"K" * 254 + b"=1")
@example(b"A=" + b"x" * 65_533 + b"\nB=1")
@example(b"A=" + b"x" * 65_534 + b"\nB=1")
@example(b"\x1cA=1")
def test_agrees_with_the_grammar(data: bytes) -> None:
    expected = by_grammar(data)
    if expected is None:
        with pytest.raises(InputError, match="--from-env-file: "):
            parsed(data)
    else:
        assert parsed(data) == expected


KEYS = st.from_regex(r"[-_a-zA-Z][-._a-zA-Z0-9]{0,12}", fullmatch=True)
VALUES = st.text(st.characters(exclude_characters="\n\r", exclude_categories=["Cs"]))


@given(st.dictionaries(KEYS, VALUES), st.sampled_from(["\n", "\r\n"]), st.booleans(), st.booleans())
def test_every_value_comes_back_byte_for_byte(entries: dict[str, str], end: str, bom: bool, ended: bool) -> None:
    text = end.join(f"  {key}={value}{end}# {value}" for key, value in entries.items()) + (end if ended else "")
    assert parsed((b"\xef\xbb\xbf" if bom else b"") + text.encode()) == {
        key: value.encode() for key, value in entries.items()
    }


@pytest.mark.parametrize(
    ("data", "line", "message"),
    [
        (b"A=1\nhunter2: x\n", 2, "not a valid key name: it must consist of"),
        (b"A=1\nB=\xffhunter2\n", 2, "invalid UTF-8"),
        (
            b"#\nA=hunter2\nA=hunter2\n",
            3,
            "another key by that name already exists, from --from-env-file f.env, line 2",
        ),
        (b"A=" + b"hunter2" * 10_000, 1, "over 65535 bytes"),
        (b"..hunter2=1", 1, "must not start with '..'"),
    ],
)
def test_errors_name_flag_file_and_line_and_show_nothing_of_it(data: bytes, line: int, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        parsed(data)
    error = caught.value
    assert (error.file, error.line) == ("f.env", line)
    assert error.message.startswith("--from-env-file: ")
    assert "hunter2" not in f"{error.message}{error.hint}"


def test_what_kubectl_passes_over_without_a_word_is_told_without_values() -> None:
    heard: list[str] = []
    parsed(b'HOME_TOWN\nGONE\nA="hunter2"\nB=\'x\'\nC="\n', heard)
    assert heard == [
        "f.env:1: a key without '=': its value is taken from the environment",
        "f.env:2: a key without '=': its value is empty, as the environment has none",
        "f.env:3: the quotes around the value are part of it, as for kubectl",
        "f.env:4: the quotes around the value are part of it, as for kubectl",
    ]
