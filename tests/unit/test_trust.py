"""SECURITY.md: the commands that make its numbers are there, with the counts that it tells."""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path

import pytest

import secretsvc
from benchmarks import hostile, hostile_service
from tests.e2e.test_service_hostile import DEAREST

ROOT = Path(secretsvc.__file__).parent.parent
NUMBERS = (ROOT / "SECURITY.md").read_text().partition("## The numbers")[2]
ROWS = [re.split(r"\s*\|\s*", row)[1:-1] for row in re.findall(r"(?m)^\|.*`\s*\|$", NUMBERS)]


def command(row: list[str]) -> tuple[dict[str, str], list[str]]:
    """The variables and the words of a row's command."""
    words = shlex.split(row[-1].strip("`| "))
    variables = dict(word.split("=", 1) for word in words if re.match(r"[A-Z_]+=", word))
    return variables, words[len(variables) :]


def test_the_table_is_read() -> None:
    assert len(ROWS) > 8
    assert {len(row) for row in ROWS} == {4}


@pytest.mark.parametrize("row", ROWS, ids=[row[0][:30] for row in ROWS])
def test_what_a_number_is_made_by_is_there(row: list[str]) -> None:
    variables, words = command(row)
    assert words[:2] == ["python", "-m"]
    assert importlib.util.find_spec(words[2]), words[2]
    for path in (word for word in words if word.endswith(".py")):
        text = (ROOT / path).read_text()
        assert re.search(r"(?m)^def test_", text), path
        assert all(f'"{name}"' in text for name in variables), path


@pytest.mark.parametrize("row", ROWS, ids=[row[0][:30] for row in ROWS])
def test_the_numbers_are_those_that_the_tests_and_the_night_have(row: list[str]) -> None:
    """A test's own count is the default of its variable; the night's is in scripts/nightly, or its most."""
    variables, words = command(row)
    night = (ROOT / "scripts/nightly").read_text()
    for name, count in variables.items():
        source = (ROOT / words[-1]).read_text()
        default = re.findall(rf'"{name}", "(\d+)"', source)[0]
        most = [int(found.replace("_", "")) for found in re.findall(rf'"{name}".*\), ([\d_]+)\)', source)]
        at_night = min([int(re.findall(rf"{name}=(\d+)", night)[0]), *most])
        assert (row[1], row[2]) == (f"{int(default):,}", f"{at_night:,}")
        assert int(count) == at_night


def test_there_are_as_many_families_as_are_told() -> None:
    files, requests = (row for row in ROWS if "benchmarks.hostile" in row[-1])
    there = [len(hostile.FAMILIES), len(DEAREST), len(hostile_service.requests())]
    told = [int(number) for number in re.findall(r"\d+", " ".join([*files[1:3], *requests[1:3]]))]
    assert all(count >= number for count, number in zip(there, told, strict=True)), (there, told)


def test_a_findings_place_in_the_changelog_is_there() -> None:
    assert "### Security" in (ROOT / "CHANGELOG.md").read_text()
