"""Literals and folders as the sources of a Secret."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from secretsvc.generators.sources import file_items, literal_items

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("value", ['"quoted"', "'quoted'", '""', "''"])
def test_quotes_that_the_shell_left_stay_and_are_told(value: str) -> None:
    heard: list[str] = []
    (item,) = literal_items([f"a={value}"], "--from-literal", heard.append)
    assert item.value == value.encode()
    assert heard == ["--from-literal number 1: the quotes around the value are part of it, as for kubectl"]


@pytest.mark.parametrize("value", ["", '"', "'", "\"'", '"a', "a'", "xx", 'it\'s "so"'])
def test_nothing_is_told_of_quotes_that_are_not_around_the_value(value: str) -> None:
    (item,) = literal_items([f"a={value}"], "--from-literal", pytest.fail)
    assert item.value == value.encode()


def test_a_folders_files_come_in_the_order_of_their_names_bytes(tmp_path: Path) -> None:
    """A name that is not UTF-8 comes after an emoji by its bytes, and before it as Python's text."""
    names = [b"Z", b"a", b"\xf0\x9f\x98\x80", b"\xff"]
    for name in reversed(names):
        (tmp_path / name.decode(errors="surrogateescape")).write_bytes(name)
    assert [item.value for item in file_items([str(tmp_path)], "--from-file", pytest.fail)] == names


def test_a_folder_without_a_regular_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/dev/null")
    heard: list[str] = []
    assert list(file_items([str(tmp_path)], "--from-file", heard.append)) == []
    assert "no regular file in it, so it adds no key" in heard[0]
