"""Plain scalars are what go-yaml v3 makes of them: the real binary's own answers, and what the source says beside."""

from __future__ import annotations

from pathlib import Path

import pytest

from secretsvc.document.base import Value
from secretsvc.document.yaml_types import float_text, plain, spelled, typed
from secretsvc.errors import ManifestError
from secretsvc.manifest.nodes import Mapping, Scalar
from secretsvc.manifest.yaml_reader import read_documents

TABLE = Path(__file__).parent.parent / "data" / "sops" / "scalars.tsv"


def rows() -> list[list[str]]:
    return [line.split("\t") for line in TABLE.read_text().splitlines()[1:]]


def value_of(source: str) -> Value:
    (root,) = read_documents(f"k: {source}\n")
    assert isinstance(root, Mapping)
    node = root.members[0].value
    assert isinstance(node, Scalar)
    return typed(node.value, node.style, node.tag)


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0] or "empty")
def test_a_scalar_is_what_the_real_binary_made_of_it(row: list[str]) -> None:
    source, kind, text = row[:3]
    if kind.startswith("ERR"):
        with pytest.raises(ManifestError, match=r"2\^63 to 2\^64|!!null"):
            value_of(source)
    elif kind == "plain":
        assert value_of(source) == Value("null", b"")
    elif source == "4.9e-324":
        assert value_of(source) == Value("float", b"0." + b"0" * 323 + b"5")
    else:
        assert value_of(source) == Value(kind, text.encode())


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("0b-1", Value("int", b"-1")),
        ("-0o7", Value("int", b"-7")),
        ("+0x10", Value("int", b"16")),
        (".5_0", Value("float", b"0.5")),
        ("._5", Value("str", b"._5")),
        ("2024-02-30", Value("str", b"2024-02-30")),
        ("2023-02-29", Value("str", b"2023-02-29")),
        ("2024-02-29", Value("time", b"2024-02-29T00:00:00Z")),
        ("2024-01-01 1:2:3,25", Value("time", b"2024-01-01T01:02:03.25Z")),
        ("2024-01-01T25:00:00Z", Value("str", b"2024-01-01T25:00:00Z")),
        ("2024-01-01T00:00:00+00:00", Value("time", b"2024-01-01T00:00:00Z")),
        ("1" * 5000, Value("str", b"1" * 5000)),
        ("\u0661", Value("str", "\u0661".encode())),
    ],
)
def test_odd_scalars_are_what_go_makes_of_them(source: str, value: Value) -> None:
    assert plain(source) == value


@pytest.mark.parametrize("number", [0.1, 1e21, 1e22, 1.5e-7, 2.0**63, 1e19, -1e19, 2.0**53, 12345.678, 5e-324, -0.0])
def test_a_float_that_is_spelled_is_read_as_the_same_hashed_text(number: float) -> None:
    value = Value("float", float_text(number))
    assert plain(spelled(value)).text == value.text


def test_other_values_are_spelled_as_go_yaml_reads_them() -> None:
    for value in (Value("null", b""), Value("bool", b"True"), Value("int", b"-12"), Value("float", b"NaN")):
        assert plain(spelled(value)) == value
