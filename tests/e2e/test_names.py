"""What README, docs, examples and our own hints tell people to install: ours, and no version that is not there."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

import secretsvc

ROOT = Path(secretsvc.__file__).parent.parent
TEXTS = ("*.md", "*.py", "*.yaml", "*.yml", "*.toml", "Dockerfile", "Jenkinsfile", "scripts/*", "*.sh", "*.groovy")
STRANGERS = re.compile(
    r"\b(?:pipx? (?:install|run|inject)|uv (?:pip|tool) install|uvx)\b[^`\n]*[ '\"]ksecret(?:[\[=@'\"` ]|$)"
    r"|\bksecret(?:\[[a-z]|[=~>]=)",
    re.MULTILINE,
)
"""Commands and requirements that would bring the package `ksecret` of PyPI, which is not ours."""


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    listed = subprocess.run(["git", "ls-files", "-z", *TEXTS], cwd=ROOT, check=True, capture_output=True, text=True)
    names = [name for name in listed.stdout.split("\0") if name and not name.startswith("tests/")]
    found = {name: (ROOT / name).read_text() for name in names if (ROOT / name).is_file()}
    assert len(found) > 100
    return found


@pytest.mark.parametrize(
    "line",
    [
        "pip install 'ksecret[aws]'",
        "- run: pipx install ksecret==0.1.0",
        "pip install ksecret",
        "uvx ksecret",
        "`pipx install ksecret`",
        'dev = ["ksecret[all]"]',
    ],
)
def test_the_strangers_package_is_known_by_its_name(line: str) -> None:
    assert STRANGERS.search(line)


def test_no_text_tells_people_to_install_the_strangers_package(texts: dict[str, str]) -> None:
    assert {name: found[0] for name, text in texts.items() if (found := STRANGERS.search(text))} == {}


def test_no_text_pins_a_version_that_was_not_released(texts: dict[str, str]) -> None:
    tags = subprocess.run(["git", "tag", "--list", "v*"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    pins = re.compile(r"secretsvc(?:\[[\w,]*\])?==(\d[\w.]*)|rev: v(\d[\w.]*)")
    found = [(name, pin[0], f"v{pin[1] or pin[2]}") for name, text in texts.items() for pin in pins.finditer(text)]
    assert [pin for pin in found if pin[2] not in tags.split()] == []


def test_images_charts_and_wheels_have_the_version_that_the_code_has(texts: dict[str, str]) -> None:
    """`secretsvc/__init__.py` is its one source; these can't read it there."""
    places = re.compile(
        r"(?:secretsvc-|ksecret(?:-tools)?:|ksecret-|newTag: |/ksecret, tag: )(\d+\.\d+\.\d+)"
        r"|^(?:version|appVersion): \"?(\d+\.\d+\.\d+)",
        re.MULTILINE,
    )
    named = {(name, one[1] or one[2]) for name, text in texts.items() for one in places.finditer(text)}
    assert {"README.md", "deploy/helm/ksecret/Chart.yaml", "docs/rotation.md"} <= {name for name, _ in named}
    assert {place for place in named if place[1] != secretsvc.__version__} == set()


def test_the_changelog_is_one_that_tools_read_and_names_this_version_on_top(texts: dict[str, str]) -> None:
    """By keep-a-changelog: versions with their day, newest first, and no kind of change but its six."""
    headings = re.findall(r"(?m)^(##+) (.*)$", texts["CHANGELOG.md"])
    versions = [text for level, text in headings if level == "##"]
    assert versions[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", text) for text in versions[1:])
    numbers = [[int(part) for part in re.findall(r"\d+", text)[:3]] for text in versions[1:]]
    ours = [int(part) for part in secretsvc.__version__.split(".")]
    on_top = texts["CHANGELOG.md"].split("\n## ")[1]
    assert numbers == sorted(numbers, reverse=True)
    assert ours == numbers[0] or (ours > numbers[0] and f"**{secretsvc.__version__}**" in on_top)
    kinds = {text for level, text in headings if level != "##"}
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_one_address_stands_for_the_repository(texts: dict[str, str]) -> None:
    """So that whoever chooses its home finds every place by one search."""
    home = re.findall(r'(?m)^Repository = "(.*)"$', texts["pyproject.toml"])[0].removeprefix("https://")
    for name, text in texts.items():
        for address in re.findall(r"git\.example\.org[\w./-]*", text):
            assert address == "git.example.org" or address.startswith(home), name
