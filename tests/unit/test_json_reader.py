"""JSON is counted before it is read: the standard library's reader lets no other thread go on until it is done."""

from __future__ import annotations

import json

import pytest

from secretsvc.errors import ManifestError
from secretsvc.manifest.json_reader import read_documents, refuse_many

MOST = 1000


@pytest.mark.parametrize("part", ["1", '""', "[]", "{}", '{"a":0}', "[[1]]", "true"])
def test_more_values_than_are_taken_are_refused(part: str) -> None:
    text = f"[{','.join([part] * 3 * MOST)}]"
    with pytest.raises(ManifestError, match="than the 1000 that are taken"):
        refuse_many(text, MOST)
    with pytest.raises(ManifestError, match="than the 1000 that are taken"):
        read_documents(text, MOST)


def test_a_few_more_than_are_taken_are_counted_one_by_one() -> None:
    read_documents(f"[{','.join(['1'] * (MOST - 1))}]", MOST)
    for number in (MOST, MOST + MOST // 2):
        with pytest.raises(ManifestError, match="than the 1000 that are taken"):
            read_documents(f"[{','.join(['1'] * number)}]", MOST)


@pytest.mark.parametrize(
    "value",
    [
        [1] * 990,
        [{}] * 990,
        {f"k{number}": "" for number in range(490)},
        {f"k{number}": [] for number in range(490)},
        ["," * 5000, ':{[]}"\\' * 5000],
    ],
)
def test_as_many_as_are_taken_are_read_whatever_stands_in_strings(value: object) -> None:
    for indent in (None, 2):
        text = json.dumps(value, indent=indent)
        refuse_many(text, MOST)
        assert read_documents(text, MOST) is not None


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_numbers_of_javascripts_are_no_json(word: str) -> None:
    assert read_documents(f'{{"a": {word}}}') is None


@pytest.mark.parametrize("text", ['"', '"\\x"', "{'a': 1}", "", '{"a": "b'])
def test_what_is_no_json_is_not_its_matter(text: str) -> None:
    refuse_many(text, MOST)
