"""The edges of PEM, as Go's encoding/pem has them."""

from __future__ import annotations

import pytest

from secretsvc.generators.golang.pem import blocks

BEGIN, END = b"-----BEGIN A-----", b"-----END A-----"


@pytest.mark.parametrize(
    "text",
    [
        BEGIN + b" \t\nYQ==\n" + END + b" \t\n",
        BEGIN + b"\t\r\nYQ==\r\n" + END + b"\t\r\n",
        BEGIN + b"\nYQ==\n" + END + b" \t",
        BEGIN + b"\nY Q\t=\n=\n" + END,
        BEGIN + b"\na:b\nYQ==\n" + END,
        b"\n" + BEGIN + b"\nYQ==\n" + END,
    ],
    ids=["blanks", "blanks and CRLF", "blanks at the end", "blanks in it", "a header", "an empty line before"],
)
def test_one_block(text: bytes) -> None:
    assert [(block.label, block.der) for block in blocks(text)] == [("A", b"a")]


@pytest.mark.parametrize(
    "text",
    [
        b" " + BEGIN + b"\nYQ==\n" + END,
        b"-----BEGIN -----BEGIN A-----\nYQ==\n" + END,
        b"-----BEGIN A\nYQ==\n-----END -----",
        BEGIN + b"\nYQ\n" + END,
        BEGIN + b"\nYQ==YQ==\n" + END,
        BEGIN + b"\nYQ!==\n" + END,
        BEGIN + b"\na:b\n" + END,
        BEGIN + b"\na:b",
    ],
    ids=["indented", "begun in a line", "no dashes", "no padding", "more after it", "no base64", "headers only", "cut"],
)
def test_no_block(text: bytes) -> None:
    assert list(blocks(text)) == []


def test_a_label_that_is_not_utf8_is_a_label() -> None:
    assert [block.label for block in blocks(BEGIN.replace(b"A", b"\xff") + b"\n" + END.replace(b"A", b"\xff"))] == ["�"]
