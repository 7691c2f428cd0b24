"""What all kinds of documents share: values, edits in bytes, and nothing that shows itself."""

from __future__ import annotations

import pytest

from secretsvc.document.base import Edit, Leaf, Value, apply
from tests.unit.document_support import sealed

FLUX = {
    "yaml": b"mac: ENC[",
    "json": b'"mac": "ENC[',
    "dotenv": b"sops_mac=ENC[",
    "ini": b"[sops]",
    "binary": b'"mac": "ENC[',
}
"""By what kustomize-controller tells that a generator's file is sealed: sopsFormatToMarkerBytes in its decryptor.go."""


def test_edits_are_made_in_the_order_of_their_places_whatever_order_they_come_in() -> None:
    assert apply(b"a: 1\nb: \xc3\xbc\n", [Edit(8, 10, b"2"), Edit(3, 4, b"\xff")]) == b"a: \xff\nb: 2\n"


def test_edits_that_overlap_are_a_fault_of_the_program() -> None:
    with pytest.raises(ValueError, match="overlapping"):
        apply(b"abc", [Edit(0, 2, b""), Edit(1, 3, b"")])


def test_values_are_the_same_by_kind_and_text_and_show_neither_text_nor_bytes() -> None:
    value = Value("str", b"hunter2")
    assert value == Value("str", b"hunter2")
    assert value != Value("comment", b"hunter2")
    assert len({value, Value("str", b"hunter2")}) == 1
    assert "hunter2" not in f"{value!r} {Leaf(0, ('a',), value, 1)!r} {Edit(0, 1, value.text)!r}"


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("yaml", b"a: 1\n"),
        ("yaml", b"a:\n  - x\n"),
        ("yaml", b"  a: 'x'\r\n"),
        ("json", b'{"a":1}'),
        ("json", b'{"a": 1}'),
        ("json", b'{\n "a": 1\n}'),
        ("dotenv", b"A=x"),
        ("ini", b"[x]\na=y"),
        ("binary", b"\0"),
    ],
)
def test_flux_sees_of_each_kind_that_it_is_sealed(kind: str, data: bytes) -> None:
    """What it does not see it hands to the cluster as it is, tokens for values."""
    assert FLUX[kind] in sealed(kind, data)
