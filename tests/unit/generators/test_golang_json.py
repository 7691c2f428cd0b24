"""JSON to the byte as Go's encoding/json prints it."""

from __future__ import annotations

import pytest

from secretsvc.generators.golang.json import go_json, go_text


@pytest.mark.parametrize("byte", [0x80, 0xC3, 0xFE, 0xFF])
def test_a_byte_that_is_not_utf8_is_the_replacement_character(byte: int) -> None:
    assert go_json(go_text(bytes([byte]))) == r'"\ufffd"'


def test_what_go_escapes_and_what_it_does_not() -> None:
    assert go_json("<>&\u2028\u2029ü€😀\x7f") == '"\\u003c\\u003e\\u0026\\u2028\\u2029ü€😀\x7f"'


def test_compact_and_indented() -> None:
    assert go_json({"b": 1, "a": [2, 3]}) == '{"b":1,"a":[2,3]}'
    assert go_json({"b": 1, "a": "x"}, 4) == '{\n    "b": 1,\n    "a": "x"\n}'
